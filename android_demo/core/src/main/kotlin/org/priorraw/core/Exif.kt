package org.priorraw.core

import java.text.ParsePosition
import java.text.SimpleDateFormat
import java.util.Locale

/**
 * What a photograph's file says of how it was taken, as far as it is used.
 *
 * @property orientation EXIF's, 1 to 8; 1 where the file says nothing.
 * @property camera make and model in a line, the maker's name once; empty where the file says nothing.
 * @property image tags for the DNG's first directory.
 * @property exif tags for its EXIF directory.
 */
class Exif(val orientation: Int = 1, val camera: String = "", val image: List<Tag> = emptyList(), val exif: List<Tag> = emptyList()) {
    companion object {
        /** Bytes from the start of a file that [read] needs to see. */
        const val HEAD = 512 * 1024

        /**
         * Read the EXIF block in the first bytes of a JPEG or PNG; what is damaged is left out, without an error. Tags
         * are written anew in the types that the standard wants (CIPA DC-008, 4.6), as
         * `edge/priorraw_edge/runtime/exif.py` does. Makers' notes, serial numbers, names and places stay behind.
         */
        fun read(head: ByteArray): Exif {
            val (tiff, tags) = block(head)?.let { TiffReader.open(it) } ?: return Exif()
            val (make, model) = tiff.text(tags[MAKE]) to tiff.text(tags[MODEL])
            val maker = make.substringBefore(' ')
            return Exif(
                orientation = tags[ORIENTATION]?.let { tiff.integers(it) }?.firstOrNull()?.toInt()?.takeIf { it in 1..8 } ?: 1,
                camera = (if (model.startsWith(maker, ignoreCase = true)) model else "$maker $model").trim(),
                image = carried(tiff, tags, IMAGE_TAGS),
                exif = carried(tiff, tiff.pointed(tags[EXIF_IFD]), EXIF_TAGS),
            )
        }

        private fun block(head: ByteArray): ByteArray? = when {
            head.startsWith(0xFF, 0xD8, 0xFF) -> jpegBlock(head)
            head.startsWith(0x89, 'P'.code, 'N'.code, 'G'.code) -> pngBlock(head)
            else -> null
        }

        /** The segment APP1 that starts with "Exif", NUL, NUL. */
        private fun jpegBlock(head: ByteArray): ByteArray? {
            var at = 2
            while (at + 4 <= head.size && head[at] == 0xFF.toByte()) {
                val marker = head[at + 1].toInt() and 255
                val end = at + 2 + ((head[at + 2].toInt() and 255) shl 8 or (head[at + 3].toInt() and 255))
                if (marker == 0xDA || end > head.size) return null
                val isExif = marker == 0xE1 && end >= at + 10 && String(head, at + 4, 6, Charsets.ISO_8859_1) == "Exif\u0000\u0000"
                if (isExif) return head.copyOfRange(at + 10, end)
                at = end
            }
            return null
        }

        /** The chunk eXIf (PNG 3rd edition, 11.3.4.5). */
        private fun pngBlock(head: ByteArray): ByteArray? {
            var at = 8L
            while (at + 12 <= head.size) {
                val i = at.toInt()
                val length = (0..3).fold(0L) { sum, k -> sum shl 8 or (head[i + k].toLong() and 255) }
                if (at + 12 + length > head.size) return null
                if (String(head, i + 4, 4, Charsets.ISO_8859_1) == "eXIf") return head.copyOfRange(i + 8, i + 8 + length.toInt())
                at += 12 + length
            }
            return null
        }

        private fun carried(tiff: TiffReader, tags: Map<Int, TiffEntry>, wanted: Map<Int, Pair<Int, Int>>): List<Tag> =
            wanted.mapNotNull { (code, type) -> tags[code]?.let { value(tiff, code, it, type.first, type.second) } }

        private fun value(tiff: TiffReader, code: Int, entry: TiffEntry, kind: Int, count: Int): Tag? {
            if (kind == Kind.ASCII) return text(tiff.textBytes(entry).take(MAX_TEXT).toByteArray(), code, count)
            val pair = if (kind == Kind.RATIONAL || kind == Kind.SRATIONAL) 2 else 1
            val stored = tiff.integers(entry) ?: return null
            val isPair = entry.kind == Kind.RATIONAL || entry.kind == Kind.SRATIONAL
            if (isPair && pair == 1) return null
            val values = if (pair == 2 && !isPair) stored.flatMap { listOf(it, 1L) } else stored
            val number = values.size / pair
            if (if (count > 0) number != count else number !in 1..3) return null
            if (values.any { it !in LIMITS.getValue(kind) }) return null
            if (pair == 2 && code != LENS_SPECIFICATION && values.chunked(2).any { it[1] == 0L }) return null // 0/0: not known
            if (!values.all { it in (CHOICES[code] ?: values) }) return null
            return when (kind) {
                Kind.SHORT -> Tag.shorts(code, *IntArray(number) { values[it].toInt() })
                Kind.LONG -> Tag.longs(code, *values.toLongArray())
                else -> Tag.rationals(code, kind, *values.toLongArray())
            }
        }

        private fun text(bytes: ByteArray, code: Int, count: Int): Tag? {
            val right = bytes.isNotEmpty() && UNREADABLE !in String(bytes, Charsets.UTF_8) && (count == 0 || count == bytes.size + 1)
            return if (right && (code !in DATES || isDate(String(bytes)))) Tag(code, Kind.ASCII, bytes.size + 1, bytes + 0) else null
        }

        /** Whether it is a day of the calendar, not that of a clock that was never set. */
        private fun isDate(text: String): Boolean {
            val format = SimpleDateFormat("yyyy:MM:dd HH:mm:ss", Locale.ROOT).apply { isLenient = false }
            return DATE.matches(text) && format.parse(text, ParsePosition(0)) != null
        }

        private fun ByteArray.startsWith(vararg bytes: Int) = size >= bytes.size && bytes.indices.all { this[it] == bytes[it].toByte() }

        private const val MAKE = 271
        private const val MODEL = 272
        private const val ORIENTATION = 274
        private const val EXIF_IFD = 34665
        private const val MAX_TEXT = 1000
        private const val UNREADABLE = '\uFFFD' // in place of what is no UTF-8
        private val DATES = setOf(36867, 36868)
        private val DATE = Regex("\\d{4}:\\d\\d:\\d\\d \\d\\d:\\d\\d:\\d\\d")
        private const val LENS_SPECIFICATION = 42034

        // Values that the standard knows, of tags that hold a choice; others are left out.
        private val CHOICES: Map<Int, Collection<Long>> = mapOf(
            34850 to (0L..9).toList(),
            34864 to (0L..7).toList(),
            37383 to (0L..6) + 255L,
            37384 to (0L..4) + (9L..24) + 255L,
            37385 to listOf(0L, 1, 5, 7, 8, 9, 13, 15, 16, 20, 24, 25, 29, 31, 32, 48, 65, 69, 71, 73, 77, 79, 80, 88, 89, 93, 95),
            41986 to (0L..2).toList(),
            41987 to (0L..1).toList(),
            41990 to (0L..3).toList(),
            41996 to (0L..3).toList(),
        )
        private val LIMITS = mapOf(
            Kind.SHORT to 0L..0xFFFF,
            Kind.LONG to 0L..0xFFFFFFFF,
            Kind.RATIONAL to 0L..0xFFFFFFFF,
            Kind.SRATIONAL to Int.MIN_VALUE.toLong()..Int.MAX_VALUE,
        )

        // tag to type and count; count 0 is one to three.
        private val IMAGE_TAGS = mapOf(315 to (Kind.ASCII to 0), 33432 to (Kind.ASCII to 0)) // Artist, Copyright
        private val EXIF_TAGS: Map<Int, Pair<Int, Int>> = buildMap {
            fun all(type: Pair<Int, Int>, vararg codes: Int) = codes.forEach { put(it, type) }
            all(Kind.RATIONAL to 1, 33434, 33437) // ExposureTime, FNumber
            all(Kind.SHORT to 1, 34850, 34864) // ExposureProgram, SensitivityType
            all(Kind.SHORT to 0, 34855) // PhotographicSensitivity
            all(Kind.LONG to 1, 34865, 34866, 34867) // standard output sensitivity, recommended index, ISO speed
            all(Kind.ASCII to 20, 36867, 36868) // DateTimeOriginal, DateTimeDigitized
            all(Kind.ASCII to 7, 36880, 36881, 36882) // their offsets from UTC
            all(Kind.SRATIONAL to 1, 37377, 37379, 37380) // ShutterSpeedValue, BrightnessValue, ExposureBiasValue
            all(Kind.RATIONAL to 1, 37378, 37381, 37382, 37386) // ApertureValue, its maximum, distance, FocalLength
            all(Kind.SHORT to 1, 37383, 37384, 37385) // MeteringMode, LightSource, Flash
            all(Kind.ASCII to 0, 37520, 37521, 37522) // fractions of a second
            all(Kind.SHORT to 1, 41986, 41987, 41989, 41990, 41996) // ExposureMode, WhiteBalance, 35 mm, scene, range
            all(Kind.RATIONAL to 1, 41988) // DigitalZoomRatio
            all(Kind.RATIONAL to 4, 42034) // LensSpecification
            all(Kind.ASCII to 0, 42035, 42036) // LensMake, LensModel
        }
    }
}
