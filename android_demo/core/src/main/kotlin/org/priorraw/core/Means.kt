package org.priorraw.core

/** The smallest whole block that brings the long side to [longest] pixels. */
fun blockFor(width: Int, height: Int, longest: Int): Int = (maxOf(width, height) + longest - 1) / longest

/**
 * Means over blocks of block x block pixels, of rows offered from the top. The last block of a side may be smaller:
 * the picture's edge is repeated, as `edge/priorraw_edge/runtime/preview.py` does.
 */
class Means(private val fullWidth: Int, private val fullHeight: Int, val block: Int, private val channels: Int) {
    val width = (fullWidth + block - 1) / block
    val height = (fullHeight + block - 1) / block

    private val means = FloatArray(width * height * channels)
    private val sums = DoubleArray(width * channels)
    private var y = 0

    /** Take in the next row, (fullWidth, channels), that starts at [from]. */
    fun add(row: FloatArray, from: Int = 0) {
        val times = if (y == fullHeight - 1) height * block - y else 1
        for (x in 0 until width * block) {
            val at = from + minOf(x, fullWidth - 1) * channels
            for (c in 0 until channels) sums[x / block * channels + c] += times * row[at + c].toDouble()
        }
        y++
        if (y % block == 0 || y == fullHeight) {
            val start = (y - 1) / block * width * channels
            for (i in sums.indices) means[start + i] = (sums[i] / (block * block)).toFloat()
            sums.fill(0.0)
        }
    }

    /** (height, width, channels), once all rows have passed. */
    fun result(): FloatArray = means
}
