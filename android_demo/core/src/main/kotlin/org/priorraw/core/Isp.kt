package org.priorraw.core

import kotlin.math.max
import kotlin.math.pow

/**
 * The software ISP, as `training/priorraw/isp.py` has it. Matrices are (3, 3), row by row.
 */
object Isp {
    /** Linear sRGB (D65) to CIE XYZ, IEC 61966-2-1. */
    private val XYZ_FROM_SRGB = doubleArrayOf(
        0.4124564, 0.3575761, 0.1804375,
        0.2126729, 0.7151522, 0.0721750,
        0.0193339, 0.1191920, 0.9503041,
    )

    /** 8-bit sRGB codes to linear light in [0, 1]. */
    val LINEAR = FloatArray(256) { srgbDecode(UNIT[it]) }

    /** 8-bit sRGB codes to linear light with the tone curve undone, in [0, 1]. */
    val UNTONED = FloatArray(256) { inverseTone(LINEAR[it]) }

    /** sRGB transfer function, IEC 61966-2-1; [0, 1] to [0, 1]. */
    fun srgbEncode(linear: Float): Float =
        if (linear <= 0.0031308f) 12.92f * linear else (1.055 * max(linear, 1e-8f).toDouble().pow(1 / 2.4) - 0.055).toFloat()

    /** Inverse of [srgbEncode]. */
    fun srgbDecode(encoded: Float): Float =
        if (encoded <= 0.04045f) encoded / 12.92f else ((encoded + 0.055) / 1.055).pow(2.4).toFloat()

    /** Tone curve t = 2 x / (x + 1): lifts shadows as cameras do. */
    fun tone(linear: Float): Float = 2 * linear / (linear + 1)

    /** Inverse of [tone] on [0, 1]. */
    fun inverseTone(toned: Float): Float = toned / (2 - toned)

    /** Linear sRGB to white-balanced camera RGB, from a colour matrix XYZ (D65) to camera; rows sum to 1. */
    fun cameraFromSrgb(xyzToCamera: DoubleArray): DoubleArray {
        val matrix = DoubleArray(9) { i -> (0..2).sumOf { xyzToCamera[i / 3 * 3 + it] * XYZ_FROM_SRGB[it * 3 + i % 3] } }
        return DoubleArray(9) { i -> matrix[i] / (0..2).sumOf { matrix[i / 3 * 3 + it] } }
    }

    /** Inverse of a (3, 3) matrix. */
    fun inverse(m: DoubleArray): DoubleArray {
        val cofactors = DoubleArray(9) { i ->
            val (r, c) = i / 3 to i % 3
            val (r1, r2) = (r + 1) % 3 to (r + 2) % 3
            val (c1, c2) = (c + 1) % 3 to (c + 2) % 3
            m[r1 * 3 + c1] * m[r2 * 3 + c2] - m[r1 * 3 + c2] * m[r2 * 3 + c1]
        }
        val determinant = (0..2).sumOf { m[it] * cofactors[it] }
        return DoubleArray(9) { i -> cofactors[i % 3 * 3 + i / 3] / determinant }
    }

    /** White-balance gains from the sensor's response to white (3,); the smallest gain is 1, as in LibRaw. */
    fun gains(response: DoubleArray): DoubleArray {
        val gains = DoubleArray(3) { 1 / response[it] }
        return DoubleArray(3) { gains[it] / gains.min() }
    }
}
