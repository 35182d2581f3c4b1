package org.priorraw.core

import java.io.BufferedInputStream
import java.io.ByteArrayOutputStream
import java.io.DataInputStream
import java.io.DataOutputStream
import java.io.File
import java.io.IOException

/** Keeps a [Developed] on the disk, so that the screen comes back when the system has ended the app. */
object DevelopedFile {
    private const val MAGIC = 0x50524456 // "PRDV"
    private const val VERSION = 2
    private const val LARGEST = PREVIEW_SIDE * PREVIEW_SIDE

    /** Write it, whole or not at all. Raw values keep 16 bits, reliability 8. */
    fun write(path: File, developed: Developed) {
        val bytes = ByteArrayOutputStream()
        DataOutputStream(bytes).run {
            writeInt(MAGIC)
            writeInt(VERSION)
            writeInt(developed.preview.width)
            writeInt(developed.preview.height)
            write(developed.preview.rgb)
            for (value in developed.raw) writeShort(Math.rint((value.coerceIn(0f, 1f) * 65535f).toDouble()).toInt())
            write(developed.reliability.toCodes())
            for (value in developed.neutral + developed.colorMatrix) writeDouble(value)
            with(developed.facts) {
                writeUTF(camera)
                writeBoolean(imported)
                for (number in intArrayOf(width, height, tiles)) writeInt(number)
                for (number in doubleArrayOf(tileMillis, totalMillis, meanReliability)) writeDouble(number)
            }
        }
        AtomicFile(path).use {
            it.write(bytes.toByteArray())
            it.commit()
        }
    }

    /** Read it; null where there is none or it is damaged: the photograph is then developed again. */
    fun read(path: File): Developed? =
        try {
            DataInputStream(BufferedInputStream(path.inputStream())).use { it.developed() }
        } catch (_: IOException) {
            null
        }

    private fun DataInputStream.developed(): Developed {
        if (readInt() != MAGIC || readInt() != VERSION) throw IOException("of another version")
        val width = readInt()
        val height = readInt()
        if (width < 1 || height < 1 || width.toLong() * height > LARGEST) throw IOException("${width}x$height")
        val rgb = ByteArray(3 * width * height).also { readFully(it) }
        val raw = FloatArray(rgb.size) { readUnsignedShort() / 65535f }
        val reliability = FloatArray(width * height) { UNIT[readUnsignedByte()] }
        val neutral = DoubleArray(3) { readDouble() }
        val colorMatrix = DoubleArray(9) { readDouble() }
        val facts = Facts(readUTF(), readBoolean(), readInt(), readInt(), readInt(), readDouble(), readDouble(), readDouble())
        return Developed(SmallPicture(width, height, rgb), raw, reliability, neutral, colorMatrix, facts)
    }
}
