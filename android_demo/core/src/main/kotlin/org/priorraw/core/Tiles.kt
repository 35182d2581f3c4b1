package org.priorraw.core

/** One tile along one axis: it reads [origin, origin + tile) and counts on [start, stop); pixels of the picture. */
data class Span(val origin: Int, val start: Int, val stop: Int)

/**
 * The tiles along an axis of [length] pixels. The rule is that of `edge/priorraw_edge/runtime/tiles.py`, and
 * `tests/vectors/tiles.json` holds both to it: origins are multiples of [align]; a tile drops [halo] pixels on each
 * side that lies inside the picture, none at the border; the cores partition the axis.
 *
 * @throws IllegalArgumentException when the tile is no multiple of [align] or leaves nothing between two halos.
 */
fun planAxis(length: Int, tile: Int, halo: Int, align: Int): List<Span> {
    val step = Math.floorDiv(tile - 2 * halo, align) * align
    require(tile % align == 0 && step >= 1) { "tile $tile with halo $halo and align $align leaves no core" }
    val padded = maxOf(tile.toLong(), (length.toLong() + align - 1) / align * align).toInt()
    val origins = (0 until padded - tile step step) + (padded - tile)
    var start = 0
    return origins.mapIndexed { i, origin ->
        val stop = if (i == origins.lastIndex) length else origin + tile - halo
        Span(origin, start, stop).also { start = stop }
    }
}
