package org.priorraw.core

import kotlin.math.floor

/**
 * The picture squeezed to (3, side, side) by plain bilinear sampling, without anti-aliasing, as the training packs
 * were made. The arithmetic is that of OpenCV's INTER_LINEAR on float32 without vector instructions, as in
 * `edge/native/src/picture.cpp`. Rows are offered from the top; only those that are sampled are kept.
 */
class ThumbnailSampler(width: Int, height: Int, private val side: Int) {
    private class Between(val low: Int, val high: Int, val weight: Float)

    private val columns = sample(width, isColumn = true)
    private val rows = sample(height, isColumn = false)
    private val wanted = rows.flatMap { listOf(it.low, it.high) }.toSet()
    private val across = HashMap<Int, FloatArray>() // row to (3, side): sampled along x

    /** Take in row [y]: (width, 3) sRGB in [0, 1]. */
    fun add(y: Int, row: FloatArray) {
        if (y !in wanted) return
        across[y] = FloatArray(3 * side) {
            val column = columns[it % side]
            val channel = it / side
            row[3 * column.low + channel] * (1 - column.weight) + row[3 * column.high + channel] * column.weight
        }
    }

    /** (3, side, side), once all rows have passed. */
    fun result(): FloatArray {
        val out = FloatArray(3 * side * side)
        for (channel in 0..2) for (i in 0 until side) {
            val row = rows[i]
            val low = across.getValue(row.low)
            val high = across.getValue(row.high)
            for (j in 0 until side) {
                val at = channel * side + j
                out[(channel * side + i) * side + j] = low[at] * (1 - row.weight) + high[at] * row.weight
            }
        }
        return out
    }

    /** Beyond the border OpenCV mixes the last row with itself, and takes the last column as it is. */
    private fun sample(length: Int, isColumn: Boolean): List<Between> {
        val scale = 1 / (side.toDouble() / length)
        return List(side) { i ->
            val at = ((i + 0.5) * scale - 0.5).toFloat()
            val low = floor(at).toInt()
            val inside = low >= 0 && low < length - 1
            val weight = if (inside || !isColumn) at - low else 0f
            Between(low.coerceIn(0, length - 1), (low + 1).coerceIn(0, length - 1), weight)
        }
    }
}
