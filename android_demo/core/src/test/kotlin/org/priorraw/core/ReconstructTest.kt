package org.priorraw.core

import java.io.File
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNotNull
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class ReconstructTest {
    private val bundle = Bundle(BundleFiles().write())
    private val bank = Bank.of(bundle)
    private val out = File(temporaryFolder(), "out.dng")

    // A white pixel as a JPEG of 16x16, the smallest that there is: the encoder itself is Android's.
    private val jpeg = JpegEncoder { javaJpeg(it) }

    private fun develop(picture: Picture, engine: RawEngine = SquareEngine(32), progress: Progress = Progress.NONE, exif: Exif = Exif()) =
        Developer(bundle, engine, bank, jpeg).develop(picture, "photo", exif, out, progress)

    private fun nothingLeft() = assertEquals(emptyList<String>(), out.parentFile.list()!!.toList())

    @Test
    fun `tiles give what one pass over the picture gives`() {
        val picture = pattern(75, 50)
        val codes = IntArray(75 * 50).also { picture.read(0, 0, 75, 50, it) }
        val found = FloatArray(3 * 75 * 50)
        val outcome = reconstruct(picture, FloatArray(3 * 256), bundle, SquareEngine(32), bank) { band ->
            band.raw.copyInto(found, 3 * 75 * band.top, 0, 3 * 75 * band.count)
        }
        assertArrayEquals(FloatArray(found.size) { i -> (channel(codes[i / 3], i % 3) / 255f).let { it * it } }, found, 0f)
        assertEquals(0.5, outcome.meanReliability, 1e-9)
        assertEquals(3 * 2, outcome.tiles) // of 32 with a halo of 4: 3 across, 2 down
    }

    @Test
    fun `the light of a picture is found`() {
        // An engine whose raw is a grey picture times a light.
        val light = floatArrayOf(0.5f, 1f, 0.25f)
        val engine = object : SquareEngine(32) {
            override fun tile(tile: FloatArray, scene: FloatArray) =
                TileOutput(FloatArray(tile.size) { Isp.inverseTone(Isp.srgbDecode(tile[it])) * light[it / 1024] }, FloatArray(1024) { 1f })
        }
        val grey = ArrayPicture(40, 40, IntArray(1600) { (it % 256) * 0x010101 })
        val neutral = reconstruct(grey, FloatArray(3 * 256), bundle, engine, bank) {}.neutral
        assertArrayEquals(doubleArrayOf(0.5, 1.0, 0.25), neutral, 1e-6) // seen: 6e-8
    }

    @Test
    fun `what was developed comes back from the disk`() {
        val developed = develop(pattern(75, 50))
        val file = File(out.parentFile, "developed")
        DevelopedFile.write(file, developed)
        val read = DevelopedFile.read(file)!!
        assertArrayEquals(developed.raw, read.raw, 0.501f / 65535)
        assertArrayEquals(developed.reliability, read.reliability, 0.501f / 255)
        assertArrayEquals(developed.preview.rgb, read.preview.rgb)
        assertEquals(developed.facts, read.facts)
        val bytes = file.readBytes()
        for (size in 0 until bytes.size step 997) {
            file.writeBytes(bytes.copyOf(size))
            assertNull(DevelopedFile.read(file))
        }
    }

    @Test
    fun `progress counts tiles, and cancelling leaves no DNG`() {
        var last = 0 to 0
        val progress = object : Progress {
            override fun step(done: Int, total: Int) {
                last = done to total
            }

            override val cancelled get() = last.first == 4
        }
        assertThrows(Cancelled::class.java) { develop(pattern(75, 50), progress = progress) }
        assertEquals(4 to 6, last)
        nothingLeft()
    }

    @Test
    fun `a picture that goes away leaves no DNG`() {
        for (from in listOf(1, 40, 60)) {
            var reads = 0
            val gone = BrokenPicture(80, 80, from) { PriorRawException(Problem.GONE, "photo: was deleted; choose it again").also { reads++ } }
            refused(Problem.GONE) { develop(gone) }
            assertTrue(reads == 1)
            nothingLeft()
        }
    }

    @Test
    fun `a picture that goes away between the passes leaves no DNG`() {
        var passes = 0
        val picture = object : Picture by pattern(80, 80) {
            override fun read(left: Int, top: Int, width: Int, height: Int, into: IntArray) {
                if (top == 0) passes++
                if (passes == 2 && top > 0) throw PriorRawException(Problem.GONE, "photo: was deleted; choose it again")
            }
        }
        refused(Problem.GONE) { develop(picture) }
        assertEquals(2, passes)
        nothingLeft()
    }

    @Test
    fun `running out of memory is said and leaves no DNG`() {
        val engine = object : SquareEngine(32) {
            override fun tile(tile: FloatArray, scene: FloatArray): TileOutput = throw OutOfMemoryError("Java heap space")
        }
        refused(Problem.LOW_MEMORY) { develop(pattern(75, 50), engine) }
        nothingLeft()
    }

    @Test
    fun `NaN from the model is refused and leaves no DNG`() {
        val engine = object : SquareEngine(32, Float.NaN) {}
        assertTrue("NaN" in refused(Problem.MODEL) { develop(pattern(75, 50), engine) })
        nothingLeft()
    }

    @Test
    fun `a picture too small or too large is refused before any work`() {
        refused(Problem.TOO_SMALL) { develop(BrokenPicture(10, 400, 0) { AssertionError("was read") }) }
        refused(Problem.TOO_LARGE) { develop(BrokenPicture(40_000, 40_000, 0) { AssertionError("was read") }) }
        nothingLeft()
    }

    @Test
    fun `a place that cannot be written is said`() {
        val file = File(out.parentFile, "file").apply { writeText("kept") }
        refused(Problem.STORAGE) { Developer(bundle, SquareEngine(32), bank, jpeg).develop(pattern(75, 50), "photo", Exif(), File(file, "out.dng")) }
        assertEquals("kept", file.readText())
    }

    @Test
    fun `an older DNG stays until the new one is whole`() {
        out.writeText("older")
        refused(Problem.MODEL) { develop(pattern(75, 50), object : SquareEngine(32, Float.NaN) {}) }
        assertEquals("older", out.readText())
        assertNotNull(develop(pattern(75, 50)))
        assertTrue(out.length() > 6 * 75 * 50)
    }
}
