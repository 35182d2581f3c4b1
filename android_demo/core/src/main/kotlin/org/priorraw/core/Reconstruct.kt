package org.priorraw.core

/**
 * Finished rows, as wide as the picture. The arrays are written again for the next band.
 *
 * @property top first row in the picture.
 * @property count rows.
 * @property raw (count, width, 3) linear raw-RGB in [0, 1].
 * @property reliability (count, width) in [0, 1].
 */
class Band(val top: Int, val count: Int, val raw: FloatArray, val reliability: FloatArray)

/**
 * What is known once all bands have passed.
 *
 * @property neutral (3,) the sensor's response to white, largest 1: DNG's AsShotNeutral.
 * @property meanReliability over all pixels.
 * @property tileMillis median of a tile.
 */
class Outcome(val neutral: DoubleArray, val meanReliability: Double, val tiles: Int, val sceneMillis: Double, val tileMillis: Double)

/**
 * Rebuild the raw-RGB picture behind an sRGB picture: scene once, tiles in turn. Only one row of tiles is held.
 *
 * @param thumbnail (3, S, S) of the whole picture, see [overviewOf].
 * @param take receives all bands from the top, once.
 * @throws Cancelled the user cancelled.
 * @throws PriorRawException the picture is gone, memory is short, or the model gives NaN or infinity.
 */
fun reconstruct(
    picture: Picture,
    thumbnail: FloatArray,
    bundle: Bundle,
    engine: RawEngine,
    bank: Bank,
    progress: Progress = Progress.NONE,
    take: (Band) -> Unit,
): Outcome = Reconstruction(picture, bundle, engine, bank, progress).run(thumbnail, take)

private class Reconstruction(
    private val picture: Picture,
    private val bundle: Bundle,
    private val engine: RawEngine,
    private val bank: Bank,
    private val progress: Progress,
) {
    private val side = bundle.tile
    private val width = picture.width
    private val light = NeutralFit(bank.colorMatrix)
    private val window = IntArray(width * minOf(side, picture.height))
    private val tile = FloatArray(3 * side * side)
    private val raw = FloatArray(side * width * 3)
    private val reliability = FloatArray(side * width)
    private val millis = ArrayList<Double>()
    private var total = 0.0

    fun run(thumbnail: FloatArray, take: (Band) -> Unit): Outcome {
        progress.check()
        val (scene, sceneMillis) = timed { engine.scene(thumbnail, bank) }
        val rows = planAxis(picture.height, side, bundle.halo, bundle.align)
        val columns = planAxis(width, side, bundle.halo, bundle.align)
        progress.step(0, rows.size * columns.size)
        for (down in rows) {
            val height = minOf(down.origin + side, picture.height) - down.origin
            picture.read(0, down.origin, width, height, window)
            for (across in columns) {
                progress.check()
                cut(height, across.origin)
                val (output, spent) = timed { engine.tile(tile, scene) }
                put(output, down, across)
                millis.add(spent)
                progress.step(millis.size, rows.size * columns.size)
            }
            take(Band(down.start, down.stop - down.start, raw, reliability))
        }
        val mean = total / (width.toDouble() * picture.height)
        return Outcome(light.neutral(), mean, millis.size, sceneMillis, millis.sorted()[millis.size / 2])
    }

    /** The tile whose left column is [left], from the window; the picture's edge is repeated where it ends. */
    private fun cut(height: Int, left: Int) {
        val plane = side * side
        for (y in 0 until side) {
            val row = minOf(y, height - 1) * width
            for (x in 0 until side) {
                val code = window[row + minOf(left + x, width - 1)]
                for (c in 0..2) tile[c * plane + y * side + x] = UNIT[channel(code, c)]
            }
        }
    }

    /** Copy the core of a tile into the band, and let its pixels tell of the light. */
    private fun put(output: TileOutput, down: Span, across: Span) {
        val plane = side * side
        for (y in down.start until down.stop) {
            for (x in across.start until across.stop) {
                val from = (y - down.origin) * side + (x - across.origin)
                val to = (y - down.start) * width + x
                val r = output.raw[from]
                val g = output.raw[plane + from]
                val b = output.raw[2 * plane + from]
                val trust = output.reliability[from]
                if (!(r + g + b + trust).isFinite()) {
                    throw PriorRawException(Problem.MODEL, "the model for ${bank.camera} returned NaN; its bundle is damaged")
                }
                raw[3 * to] = r
                raw[3 * to + 1] = g
                raw[3 * to + 2] = b
                reliability[to] = trust
                total += trust
                light.add(window[(y - down.origin) * width + x], r, g, b, trust)
            }
        }
    }

    private fun <T> timed(work: () -> T): Pair<T, Double> {
        val start = System.nanoTime()
        return work() to (System.nanoTime() - start) / 1e6
    }
}
