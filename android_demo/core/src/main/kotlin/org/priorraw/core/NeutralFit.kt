package org.priorraw.core

import kotlin.math.exp

/**
 * The sensor's response to white, by least squares from the white-balanced picture to the raw-RGB, as
 * `training/priorraw/neutral.py` fits it: with b = the sRGB picture undone up to the white balance, a channel of raw is
 * n b. Grey, reliable, unclipped pixels tell.
 */
class NeutralFit(colorMatrix: DoubleArray) {
    private val fromSrgb = Isp.cameraFromSrgb(colorMatrix).map { it.toFloat() }.toFloatArray()
    private val weighted = Array(2) { DoubleArray(3) } // numerator and denominator, unclipped pixels
    private val plain = Array(2) { DoubleArray(3) } // the same over all pixels, for pictures that are clipped everywhere

    /** Take in a pixel: its sRGB code 0xRRGGBB, rebuilt raw-RGB and reliability. */
    fun add(code: Int, red: Float, green: Float, blue: Float, reliability: Float) {
        val r = channel(code, 0)
        val g = channel(code, 1)
        val b = channel(code, 2)
        val largest = maxOf(r, g, b)
        val smallest = minOf(r, g, b)
        val trust = reliability * nearNeutral(largest, smallest)
        val weight = if (smallest >= DARKEST && largest <= BRIGHTEST) trust else 0.0
        val lr = Isp.UNTONED[r]
        val lg = Isp.UNTONED[g]
        val lb = Isp.UNTONED[b]
        for (c in 0..2) {
            val balanced = (fromSrgb[3 * c] * lr + fromSrgb[3 * c + 1] * lg + fromSrgb[3 * c + 2] * lb).toDouble()
            val top = (if (c == 0) red else if (c == 1) green else blue) * balanced
            val bottom = balanced * balanced
            weighted[0][c] += weight * top
            weighted[1][c] += weight * bottom
            plain[0][c] += top
            plain[1][c] += bottom
        }
    }

    /** (3,) response to white, largest 1: DNG's AsShotNeutral. Equal responses for a picture that is black throughout. */
    fun neutral(): DoubleArray {
        for ((top, bottom) in listOf(weighted, plain)) {
            if (top.all { it > 0 } && bottom.all { it > 0 }) {
                val response = DoubleArray(3) { top[it] / bottom[it] }
                return DoubleArray(3) { response[it] / response.max() }
            }
        }
        return doubleArrayOf(1.0, 1.0, 1.0)
    }

    private fun nearNeutral(largest: Int, smallest: Int): Double {
        val chroma = (largest - smallest) / maxOf(largest.toDouble(), 1e-6)
        return exp(-(chroma / CHROMA) * (chroma / CHROMA) / 2) + COLOURED
    }

    private companion object {
        const val DARKEST = 6 // the codes between 0.02 and 0.98
        const val BRIGHTEST = 249
        const val CHROMA = 0.1 // how fast a colour's word on the light fades
        const val COLOURED = 1e-6 // weight that every pixel keeps
    }
}
