package org.priorraw.core

import java.awt.image.BufferedImage
import java.io.ByteArrayInputStream
import java.io.ByteArrayOutputStream
import java.io.File
import javax.imageio.ImageIO
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test

/** Java's own encoder; Android has another. */
fun javaJpeg(picture: SmallPicture): ByteArray {
    val image = BufferedImage(picture.width, picture.height, BufferedImage.TYPE_3BYTE_BGR)
    for (i in 0 until picture.width * picture.height) {
        val code = (0..2).fold(0) { code, c -> code shl 8 or (picture.rgb[3 * i + c].toInt() and 255) }
        image.setRGB(i % picture.width, i / picture.width, code)
    }
    return ByteArrayOutputStream().also { ImageIO.write(image, "jpeg", it) }.toByteArray()
}

/** The layout; tests/test_android.py has LibRaw and tifffile read such files. */
class DngTest {
    private val preview = SmallPicture(40, 24, ByteArray(40 * 24 * 3) { 90 })
    private val exif = Exif(camera = "Maker One", exif = listOf(Tag.rationals(33437, Kind.RATIONAL, 28, 10)), image = listOf(Tag.text(315, "A")))
    private val header = DngHeader("a", DoubleArray(9) { it / 10.0 - 0.3 }, Jpeg(javaJpeg(preview)), exif)
    private val out = File(temporaryFolder(), "out.dng")

    @Test
    fun `the preview comes first, the picture below it, EXIF beside`() {
        val raw = FloatArray(30 * 25 * 3) { it / 2249f }
        DngWriter(out, 30, 25, header).use { dng ->
            dng.append(raw, 10)
            dng.append(raw.copyOfRange(900, 2250), 15)
            dng.finish(doubleArrayOf(0.5, 1.0, 0.25))
        }
        val bytes = out.readBytes()
        val (tiff, first) = TiffReader.open(bytes)!!
        fun numbers(tags: Map<Int, TiffEntry>, code: Int) = tiff.integers(tags.getValue(code))!!
        assertEquals("Rebuilt from a picture by Maker One, no sensor's own data", tiff.text(first[270]))
        assertEquals("PriorRAW a", tiff.text(first[50708]))
        assertEquals(listOf(500_000L, 1_000_000L, 1_000_000L, 1_000_000L, 250_000L, 1_000_000L), numbers(first, 50728))
        assertEquals(listOf(-3000L, 10_000L), numbers(first, 50721).take(2))
        val place = numbers(first, 273)[0].toInt()
        val image = ImageIO.read(ByteArrayInputStream(bytes, place, numbers(first, 279)[0].toInt()))
        assertEquals(40 to 24, image.width to image.height)
        val picture = tiff.pointed(first[330])
        assertEquals(listOf(30L, 25L, 34892L), listOf(256, 257, 262).map { numbers(picture, it)[0] })
        val start = numbers(picture, 273)[0].toInt()
        assertEquals(bytes.size, start + 30 * 25 * 6)
        val codes = List(2250) { (bytes[start + 2 * it].toInt() and 255) or ((bytes[start + 2 * it + 1].toInt() and 255) shl 8) }
        assertEquals(raw.map { Math.rint((it * 65535f).toDouble()).toInt() }, codes)
        assertEquals(listOf(28L, 10L), numbers(tiff.pointed(first[34665]), 33437))
        assertEquals("A", tiff.text(first[315]))
    }

    @Test
    fun `a DNG that is not finished is not there`() {
        DngWriter(out, 30, 25, header).use { it.append(FloatArray(30 * 3), 1) }
        assertEquals(emptyList<String>(), out.parentFile.list()!!.toList())
        DngWriter(out, 30, 25, header).use { dng -> assertThrows(IllegalStateException::class.java) { dng.finish(DoubleArray(3) { 1.0 }) } }
        DngWriter(out, 30, 25, header).use { dng -> assertThrows(IllegalStateException::class.java) { dng.append(FloatArray(26 * 90), 26) } }
        assertEquals(emptyList<String>(), out.parentFile.list()!!.toList())
    }

    @Test
    fun `a JPEG says its size, and what is none is refused`() {
        val jpeg = Jpeg(javaJpeg(preview))
        assertEquals(Triple(40, 24, 2 to 2), Triple(jpeg.width, jpeg.height, jpeg.subsampling))
        for (bytes in listOf(ByteArray(0), ByteArray(100), jpeg.bytes.copyOf(30))) assertThrows(IllegalArgumentException::class.java) { Jpeg(bytes) }
    }

    @Test
    fun `EXIF of a damaged file is left out, without an error`() {
        val tags = Directory(listOf(Tag.text(271, "Maker"), Tag.text(272, "Maker One"), Tag.shorts(274, 6), Tag.longs(34665, 120)), 8)
        val camera = Directory(listOf(Tag.rationals(33437, Kind.RATIONAL, 28, 10), Tag.shorts(34855, 200), Tag.text(36867, "no date")), 120)
        val tiff = byteArrayOf(0x49, 0x49, 42, 0, 8, 0, 0, 0) + tags.bytes().copyOf(112) + camera.bytes()
        val block = "Exif\u0000\u0000".toByteArray() + tiff
        val file = byteArrayOf(-1, -40, -1, -31, 0, (block.size + 2).toByte()) + block + byteArrayOf(-1, -38, 0, 2)
        val read = Exif.read(file)
        assertEquals(6 to "Maker One", read.orientation to read.camera)
        assertArrayEquals(intArrayOf(33437, 34855), read.exif.map { it.code }.toIntArray())
        for (size in file.indices) Exif.read(file.copyOf(size))
        for (i in file.indices) for (bit in 0..7) Exif.read(file.copyOf().also { it[i] = (it[i].toInt() xor (1 shl bit)).toByte() })
    }

    @Test
    fun `what the standard does not know is left out, and a name is one line`() {
        fun ascii(code: Int, text: String) = Tag(code, Kind.ASCII, text.length + 1, text.toByteArray() + 0)
        val tags = Directory(listOf(ascii(271, "Ma\u001b[31m\n ker"), ascii(272, "x".repeat(300)), Tag.longs(34665, 512)), 8)
        val camera = Directory(
            listOf(
                Tag.rationals(33437, Kind.RATIONAL, 28, 0), Tag.shorts(37385, 12), Tag.shorts(41986, 2),
                Tag.rationals(42034, Kind.RATIONAL, 18, 1, 55, 1, 0, 0, 0, 0), ascii(36867, "2024:02:30 00:00:00"), ascii(36868, "2024:02:29 23:59:59"),
            ),
            512,
        )
        val tiff = byteArrayOf(0x49, 0x49, 42, 0, 8, 0, 0, 0) + tags.bytes().copyOf(504) + camera.bytes()
        val block = "Exif\u0000\u0000".toByteArray() + tiff
        val read = Exif.read(byteArrayOf(-1, -40, -1, -31, ((block.size + 2) shr 8).toByte(), (block.size + 2).toByte()) + block)
        assertEquals("Ma " + "x".repeat(100), read.camera) // of a make the first word
        assertEquals(listOf(36868, 41986, 42034), read.exif.map { it.code }.sorted())
    }
}
