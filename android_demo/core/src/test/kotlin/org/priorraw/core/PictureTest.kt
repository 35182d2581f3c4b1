package org.priorraw.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class PictureTest {
    // An F as EXIF's 8 orientations store it (CIPA DC-008, 4.6.4 A: which side of the picture row 0 and column 0 are).
    private val upright = listOf("##", "#.", "##", "#.", "#.")
    private val stored = mapOf(
        1 to listOf("##", "#.", "##", "#.", "#."),
        2 to listOf("##", ".#", "##", ".#", ".#"),
        3 to listOf(".#", ".#", "##", ".#", "##"),
        4 to listOf("#.", "#.", "##", "#.", "##"),
        5 to listOf("#####", "#.#.."),
        6 to listOf("#.#..", "#####"),
        7 to listOf("..#.#", "#####"),
        8 to listOf("#####", "..#.#"),
    )

    private fun picture(rows: List<String>) =
        ArrayPicture(rows[0].length, rows.size, rows.joinToString("").map { if (it == '#') 1 else 0 }.toIntArray())

    @Test
    fun `all orientations come upright, whole and by windows`() {
        for ((orientation, rows) in stored) {
            val turned = UprightPicture(picture(rows), orientation)
            assertEquals(2 to 5, turned.width to turned.height)
            val whole = IntArray(10).also { turned.read(0, 0, 2, 5, it) }
            val expected = IntArray(10).also { picture(upright).read(0, 0, 2, 5, it) }
            assertArrayEquals("orientation $orientation", expected, whole)
            val window = IntArray(3).also { turned.read(1, 1, 1, 3, it) }
            assertArrayEquals("window of $orientation", intArrayOf(expected[3], expected[5], expected[7]), window)
        }
    }

    @Test
    fun `sizes that no DNG takes are refused`() {
        checkSize("x", 22, 22)
        refused(Problem.TOO_SMALL) { checkSize("x", 21, 4000) }
        refused(Problem.TOO_LARGE) { checkSize("x", 20_000, 10_001) }
        refused(Problem.TOO_LARGE) { checkSize("x", 65_536, 30) }
        refused(Problem.NOT_A_PICTURE) { checkSize("x", 0, 30) }
    }

    @Test
    fun `a thumbnail of the picture's own size is the picture`() {
        val source = pattern(16, 16)
        val overview = overviewOf(source, 16)
        val codes = IntArray(256).also { source.read(0, 0, 16, 16, it) }
        for (i in 0 until 256) for (c in 0..2) assertEquals(channel(codes[i], c) / 255f, overview.thumbnail[c * 256 + i], 0f)
        assertArrayEquals(ByteArray(768) { channel(codes[it / 3], it % 3).toByte() }, overview.preview.rgb)
    }

    @Test
    fun `sampling a ramp gives the ramp at the samples' places`() {
        val width = 200
        val ramp = ArrayPicture(width, 30, IntArray(width * 30) { it % width shl 16 })
        val thumbnail = overviewOf(ramp, 16).thumbnail
        for (j in 0 until 16) assertEquals(((j + 0.5) * width / 16 - 0.5) / 255, thumbnail[j].toDouble(), 1e-6) // seen: 3e-8
    }

    @Test
    fun `means repeat the edge of a last block`() {
        val means = Means(3, 3, 2, 1)
        for (row in listOf(floatArrayOf(1f, 2f, 5f), floatArrayOf(3f, 4f, 7f), floatArrayOf(9f, 1f, 8f))) means.add(row)
        assertArrayEquals(floatArrayOf(2.5f, 6f, 5f, 8f), means.result(), 0f)
    }

    @Test
    fun `a large picture's preview is small`() {
        val preview = overviewOf(pattern(2500, 40), 16).preview
        assertTrue(preview.width in 800..PREVIEW_SIDE && preview.height == 14)
    }
}
