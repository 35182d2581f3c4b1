package org.priorraw.core

import java.io.Closeable
import java.io.File

/**
 * Writes a DNG (Adobe DNG 1.4) from the top down: linear, three 16-bit channels a pixel, uncompressed, laid out as
 * cameras' own: a JPEG preview in the first directory, the picture in a directory below it. It appears whole at
 * [finish] or not at all.
 *
 * @throws PriorRawException the place cannot be written, or is full; from [append] and [finish] too.
 */
class DngWriter(out: File, private val width: Int, private val height: Int, header: DngHeader) : Closeable {
    private val file = AtomicFile(out)
    private val neutralAt: Long
    private var rows = 0
    private var buffer = ByteArray(0)

    init {
        val exif = if (header.exif.exif.isEmpty()) null else DngTags.exif(header)
        // The sizes of directories do not depend on where they stand, so that places follow from sizes.
        val pictureAt = HEADER + Directory(DngTags.file(header, 0, exif?.let { 0 }, 0), 0).size
        val exifAt = pictureAt + Directory(DngTags.picture(width, height, 0), 0).size
        val previewAt = exifAt + (exif?.let { Directory(it, 0).size } ?: 0)
        val preview = header.preview.bytes
        val pixels = previewAt + (preview.size + 1L) / 2 * 2
        val first = Directory(DngTags.file(header, pictureAt, exif?.let { exifAt }, previewAt), HEADER)
        neutralAt = first.place(DngTags.AS_SHOT_NEUTRAL)
        try {
            file.write(byteArrayOf('I'.code.toByte(), 'I'.code.toByte(), 42, 0, HEADER.toByte(), 0, 0, 0))
            file.write(first.bytes())
            file.write(Directory(DngTags.picture(width, height, pixels), pictureAt).bytes())
            exif?.let { file.write(Directory(it, exifAt).bytes()) }
            file.write(preview.copyOf((pixels - previewAt).toInt()))
        } catch (error: PriorRawException) {
            file.close()
            throw error
        }
    }

    /** Append [count] rows (count, width, 3) of raw-RGB in [0, 1]. */
    fun append(raw: FloatArray, count: Int) {
        check(rows + count <= height) { "rows beyond the picture's height" }
        if (buffer.size < 6 * width) buffer = ByteArray(6 * width)
        for (y in 0 until count) {
            for (i in 0 until 3 * width) {
                val code = Math.rint((raw[y * 3 * width + i].coerceIn(0f, 1f) * 65535f).toDouble()).toInt()
                buffer[2 * i] = code.toByte()
                buffer[2 * i + 1] = (code shr 8).toByte()
            }
            file.write(buffer, 6 * width)
        }
        rows += count
    }

    /** Put in [neutral] (3,), the sensor's response to white, largest 1, and give the file its name. */
    fun finish(neutral: DoubleArray) {
        check(rows == height) { "$rows of $height rows" }
        file.overwrite(neutralAt, DngTags.response(neutral))
        file.commit()
    }

    /** Remove what was not finished. */
    override fun close() = file.close()

    private companion object {
        const val HEADER = 8L
    }
}
