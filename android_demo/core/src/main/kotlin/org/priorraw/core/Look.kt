package org.priorraw.core

import kotlin.math.pow

/**
 * What the user has dialled.
 *
 * @property exposure in stops (EV).
 * @property warmth in stops of red against blue, positive is warmer.
 * @property tint in stops of green, positive is greener.
 */
data class Look(val exposure: Float = 0f, val warmth: Float = 0f, val tint: Float = 0f) {
    /** (3,) factors on linear light. */
    fun factors(): DoubleArray {
        val stops = doubleArrayOf(exposure + warmth / 2.0, exposure + tint.toDouble(), exposure - warmth / 2.0)
        return DoubleArray(3) { 2.0.pow(stops[it]) }
    }
}

/** The same look on the RAW and on the JPEG: what each still holds shows. */
object Renderer {
    /**
     * Develop raw-RGB (n, 3) in [0, 1] to opaque colours 0xFFRRGGBB: white balance with the light's gains and the look,
     * clip at sensor white, colour matrix, tone curve, sRGB; the stages of `isp.render`.
     *
     * @param neutral (3,) the sensor's response to white.
     * @param colorMatrix (3, 3) XYZ (D65) to camera.
     */
    fun raw(raw: FloatArray, neutral: DoubleArray, colorMatrix: DoubleArray, look: Look): IntArray {
        val gains = Isp.gains(neutral)
        val factors = look.factors()
        val scale = FloatArray(3) { (gains[it] * factors[it]).toFloat() }
        val matrix = Isp.inverse(Isp.cameraFromSrgb(colorMatrix)).map { it.toFloat() }.toFloatArray()
        return IntArray(raw.size / 3) { i ->
            val r = (raw[3 * i] * scale[0]).coerceIn(0f, 1f)
            val g = (raw[3 * i + 1] * scale[1]).coerceIn(0f, 1f)
            val b = (raw[3 * i + 2] * scale[2]).coerceIn(0f, 1f)
            var colour = OPAQUE
            for (c in 0..2) {
                val linear = (matrix[3 * c] * r + matrix[3 * c + 1] * g + matrix[3 * c + 2] * b).coerceIn(0f, 1f)
                colour = colour or (encode(Isp.tone(linear)) shl (16 - 8 * c))
            }
            colour
        }
    }

    /** The same dials on the photograph's own codes (n, 3), as an editor turns them on a JPEG: decode, scale, encode. */
    fun jpeg(rgb: ByteArray, look: Look): IntArray {
        val factors = look.factors()
        val curves = Array(3) { c -> IntArray(256) { encode((Isp.LINEAR[it] * factors[c]).toFloat().coerceIn(0f, 1f)) } }
        return IntArray(rgb.size / 3) { i ->
            (0..2).fold(OPAQUE) { colour, c -> colour or (curves[c][rgb[3 * i + c].toInt() and 255] shl (16 - 8 * c)) }
        }
    }

    /** Reliability (n,) in [0, 1] as a see-through layer: clear where reliable, red where not. */
    fun overlay(reliability: FloatArray): IntArray = IntArray(reliability.size) { i ->
        val doubt = Math.rint((1 - reliability[i].coerceIn(0f, 1f)) * 255.0 * OVERLAY).toInt()
        doubt shl 24 or 0xE53935
    }

    private fun encode(linear: Float): Int = CODES[Math.rint((linear * (CODES.size - 1)).toDouble()).toInt()]

    private const val OPAQUE = 0xFF shl 24
    private const val OVERLAY = 0.85
    private val CODES = IntArray(1 shl 16) { Math.rint(Isp.srgbEncode(it / 65535f) * 255.0).toInt() }
}
