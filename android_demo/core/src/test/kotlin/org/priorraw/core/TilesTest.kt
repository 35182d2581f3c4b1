package org.priorraw.core

import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class TilesTest {
    private val vectors = Fields(parseJson(File(System.getProperty("priorraw.vectors"), "tiles.json").readText()))

    private fun planned(layout: Fields): List<List<Long>> {
        fun axis(length: String): List<Span> {
            val (n, tile, halo, align) = listOf(length, "tile", "halo", "align").map { layout.whole(it, 0, 1 shl 20).toInt() }
            return planAxis(n, tile, halo, align)
        }
        return axis("height").flatMap { y ->
            axis("width").map { x -> listOf(y.origin, x.origin, y.start, y.stop, x.start, x.stop).map { it.toLong() } }
        }
    }

    @Test
    fun `layouts are planned as Python plans them`() {
        val layouts = vectors.list("layouts").map { Fields(it) }
        assertTrue(layouts.size >= 12)
        for (layout in layouts) assertEquals(layout.list("tiles"), planned(layout))
    }

    @Test
    fun `layouts without a core are refused`() {
        for (layout in vectors.list("refused")) assertThrows(IllegalArgumentException::class.java) { planned(Fields(layout)) }
    }
}
