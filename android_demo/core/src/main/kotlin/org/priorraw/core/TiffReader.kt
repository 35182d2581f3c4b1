package org.priorraw.core

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** TIFF 6.0's types, section 2. */
object Kind {
    const val BYTE = 1
    const val ASCII = 2
    const val SHORT = 3
    const val LONG = 4
    const val RATIONAL = 5
    const val UNDEFINED = 7
    const val SRATIONAL = 10

    /** Bytes of one value; 0 for a type that is not known here. */
    fun size(kind: Int): Int = when (kind) {
        BYTE, ASCII, 6, UNDEFINED -> 1
        SHORT, 8 -> 2
        LONG, 9 -> 4
        RATIONAL, SRATIONAL -> 8
        else -> 0
    }
}

/** A tag as it lies in a directory: TIFF's type, number of values, and where they start. */
class TiffEntry(val kind: Int, val count: Int, val at: Int)

/**
 * Directories of tags in bytes that nobody vouches for: nothing is read outside of them, nothing recurses, counts have
 * limits. Whatever is damaged is absent.
 */
class TiffReader private constructor(private val data: ByteBuffer) {
    /** The tags of the directory at byte [at]. */
    fun directory(at: Int): Map<Int, TiffEntry> {
        val number = short(at) ?: return emptyMap()
        if (number > MAX_ENTRIES) return emptyMap()
        val entries = LinkedHashMap<Int, TiffEntry>()
        for (i in 0 until number) {
            val start = at + 2 + 12 * i
            val tag = short(start) ?: break
            val kind = short(start + 2) ?: break
            val count = int(start + 4) ?: break
            val bytes = Kind.size(kind).toLong() * count
            val where = if (bytes <= 4) start + 8 else int(start + 8) ?: break
            if (bytes > 0 && count in 1..MAX_VALUES && where >= 0 && where + bytes <= data.limit()) {
                entries.getOrPut(tag) { TiffEntry(kind, count, where) }
            }
        }
        return entries
    }

    /** The directory that a tag points to. */
    fun pointed(entry: TiffEntry?): Map<Int, TiffEntry> =
        if (entry?.kind == Kind.LONG && entry.count == 1) int(entry.at)?.let { directory(it) }.orEmpty() else emptyMap()

    /** The bytes of a text up to its first NUL, without spaces around them; none where it is no text. */
    fun textBytes(entry: TiffEntry?): ByteArray {
        if (entry?.kind != Kind.ASCII) return ByteArray(0)
        val bytes = ByteArray(entry.count).also { data.duplicate().apply { position(entry.at) }.get(it) }
        return String(bytes, Charsets.ISO_8859_1).substringBefore('\u0000').trim { it in SPACES }.toByteArray(Charsets.ISO_8859_1)
    }

    /** A text for people in one line: a stranger's control characters are spaces. */
    fun text(entry: TiffEntry?): String =
        String(textBytes(entry), Charsets.ISO_8859_1).take(MAX_TEXT).split(CONTROL).filter { it.isNotEmpty() }.joinToString(" ")

    /** The whole numbers of a tag, two for each rational; null for other types. */
    fun integers(entry: TiffEntry): List<Long>? {
        val kinds = if (entry.kind == Kind.SRATIONAL) 9 else if (entry.kind == Kind.RATIONAL) Kind.LONG else entry.kind
        val step = Kind.size(kinds)
        return List(entry.count * Kind.size(entry.kind) / step) { i ->
            val at = entry.at + i * step
            when (kinds) {
                Kind.BYTE -> data.get(at).toLong() and 0xFF
                Kind.SHORT -> data.getShort(at).toLong() and 0xFFFF
                Kind.LONG -> data.getInt(at).toLong() and 0xFFFFFFFF
                8 -> data.getShort(at).toLong()
                9 -> data.getInt(at).toLong()
                else -> return null
            }
        }
    }

    private fun short(at: Int): Int? = if (at >= 0 && at + 2 <= data.limit()) data.getShort(at).toInt() and 0xFFFF else null

    private fun int(at: Int): Int? = if (at >= 0 && at + 4 <= data.limit()) data.getInt(at) else null

    companion object {
        private const val MAX_ENTRIES = 1000
        private const val MAX_VALUES = 1 shl 16
        private const val MAX_TEXT = 100
        private const val SPACES = " \t\n\u000B\u000C\r"
        private val CONTROL = Regex("[\\x00-\\x20\\x7F]+")

        /** The first directory of a TIFF structure; null where [bytes] hold none. */
        fun open(bytes: ByteArray): Pair<TiffReader, Map<Int, TiffEntry>>? {
            val order = when (String(bytes, 0, minOf(4, bytes.size), Charsets.ISO_8859_1)) {
                "II*\u0000" -> ByteOrder.LITTLE_ENDIAN
                "MM\u0000*" -> ByteOrder.BIG_ENDIAN
                else -> return null
            }
            val reader = TiffReader(ByteBuffer.wrap(bytes).order(order))
            return reader to reader.directory(reader.int(4) ?: return null)
        }
    }
}
