package org.priorraw.core

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** A tag to write: code, TIFF type, number of values, and the values, little-endian. */
class Tag(val code: Int, val kind: Int, val count: Int, val data: ByteArray) {
    companion object {
        private const val QUESTION = '?'.code.toByte()

        /** ASCII; other characters become question marks. */
        fun text(code: Int, value: String): Tag =
            value.map { if (it in ' '..'~') it.code.toByte() else QUESTION }.let { Tag(code, Kind.ASCII, it.size + 1, it.toByteArray() + 0) }

        fun bytes(code: Int, vararg values: Int) = Tag(code, Kind.BYTE, values.size, ByteArray(values.size) { values[it].toByte() })

        fun shorts(code: Int, vararg values: Int) =
            Tag(code, Kind.SHORT, values.size, littleEndian(2 * values.size) { for (value in values) putShort(value.toShort()) })

        fun longs(code: Int, vararg values: Long) = Tag(code, Kind.LONG, values.size, longBytes(values))

        /** Numerators and denominators in turn. */
        fun rationals(code: Int, kind: Int, vararg values: Long) = Tag(code, kind, values.size / 2, longBytes(values))

        fun longBytes(values: LongArray): ByteArray = littleEndian(4 * values.size) { for (value in values) putInt(value.toInt()) }

        private fun littleEndian(size: Int, fill: ByteBuffer.() -> Unit): ByteArray =
            ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN).apply(fill).array()
    }
}

/** A little-endian TIFF directory (TIFF 6.0, section 2) that stands at the even byte [at] of a file. */
class Directory(tags: List<Tag>, private val at: Long) {
    private val tags = tags.sortedBy { it.code }
    private val head = 2 + 12 * tags.size + 4

    /** Bytes that the directory and its values take. */
    val size: Long get() = head + this.tags.sumOf { outside(it) }

    /** The byte of the file at which a tag's values start. */
    fun place(code: Int): Long {
        val i = tags.indexOfFirst { it.code == code }
        return if (outside(tags[i]) == 0L) at + 2 + 12 * i + 8 else at + head + tags.take(i).sumOf { outside(it) }
    }

    fun bytes(): ByteArray {
        val out = ByteBuffer.allocate(size.toInt()).order(ByteOrder.LITTLE_ENDIAN)
        out.putShort(tags.size.toShort())
        for (tag in tags) {
            out.putShort(tag.code.toShort()).putShort(tag.kind.toShort()).putInt(tag.count)
            if (outside(tag) == 0L) out.put(tag.data.copyOf(4)) else out.putInt(place(tag.code).toInt())
        }
        out.putInt(0)
        for (tag in tags) if (outside(tag) > 0) out.put(tag.data.copyOf(outside(tag).toInt()))
        return out.array()
    }

    private fun outside(tag: Tag): Long = if (tag.data.size > 4) (tag.data.size + 1L) / 2 * 2 else 0
}
