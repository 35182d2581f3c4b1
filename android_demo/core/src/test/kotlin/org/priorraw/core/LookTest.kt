package org.priorraw.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import kotlin.math.abs

class LookTest {
    private val matrix = doubleArrayOf(1.0132, -0.304, -0.0851, -0.3839, 1.1155, 0.2291, -0.0658, 0.1405, 0.5227)
    private val neutral = doubleArrayOf(0.55, 1.0, 0.65)

    /** Raw-RGB of an sRGB picture under the light: `isp.unrender`, written out. */
    private fun raw(rgb: ByteArray): FloatArray {
        val fromSrgb = Isp.cameraFromSrgb(matrix)
        val gains = Isp.gains(neutral)
        return FloatArray(rgb.size) { i ->
            val pixel = i / 3 * 3
            ((0..2).sumOf { fromSrgb[i % 3 * 3 + it] * Isp.UNTONED[rgb[pixel + it].toInt() and 255] } / gains[i % 3]).toFloat()
        }
    }

    private fun channels(colour: Int) = List(3) { channel(colour, it) }

    @Test
    fun `without a look RAW and JPEG show the photograph`() {
        val rgb = ByteArray(3 * 512) { (40 + (it * 7) % 160).toByte() }
        val shown = Renderer.jpeg(rgb, Look())
        assertEquals(rgb.map { it.toInt() and 255 }, shown.flatMap { channels(it) })
        val developed = Renderer.raw(raw(rgb), neutral, matrix, Look())
        // Colours outside of the sensor's range clip; greys and most others do not. Seen: at most 1 code.
        val differences = developed.indices.map { i -> (0..2).maxOf { abs(channels(developed[i])[it] - channels(shown[i])[it]) } }
        assertTrue("${differences.sorted()}", differences.count { it <= 1 } > 450)
    }

    @Test
    fun `a stop more doubles linear light, until white`() {
        val rgb = ByteArray(3 * 256) { (it / 3).toByte() }
        val brighter = Renderer.jpeg(rgb, Look(exposure = 1f))
        for (code in 0..255) {
            val expected = Math.rint(Isp.srgbEncode(minOf(1f, 2 * Isp.LINEAR[code])) * 255.0).toInt()
            assertEquals(expected.toDouble(), channel(brighter[code], 0).toDouble(), 1.0) // of a table of 65536; seen: 1
        }
    }

    @Test
    fun `warmth moves red against blue and tint green`() {
        val grey = ByteArray(3) { 100 }
        val (r, g, b) = channels(Renderer.jpeg(grey, Look(warmth = 1f))[0])
        assertTrue(r > 100 && g == 100 && b < 100)
        assertTrue(channels(Renderer.jpeg(grey, Look(tint = 0.5f))[0])[1] > 100)
        val factors = Look(1f, 1f, 0.5f).factors()
        assertArrayEquals(doubleArrayOf(2.8284271, 2.8284271, 1.4142136), factors, 1e-6)
    }

    @Test
    fun `sensor white stays neutral white`() {
        val white = Renderer.raw(FloatArray(3) { neutral[it].toFloat() }, neutral, matrix, Look(exposure = 3f))[0]
        assertEquals(listOf(255, 255, 255), channels(white))
    }

    @Test
    fun `the inverse of a matrix undoes it`() {
        val inverse = Isp.inverse(matrix)
        for (i in 0 until 9) assertEquals(if (i % 4 == 0) 1.0 else 0.0, (0..2).sumOf { matrix[i / 3 * 3 + it] * inverse[it * 3 + i % 3] }, 1e-12)
    }

    @Test
    fun `the overlay is clear where the result is reliable`() {
        val layer = Renderer.overlay(floatArrayOf(1f, 0f))
        assertEquals(0 to 217, (layer[0] ushr 24) to (layer[1] ushr 24))
    }
}
