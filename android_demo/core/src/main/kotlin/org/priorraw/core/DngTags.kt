package org.priorraw.core

/**
 * What a DNG holds beside its pixels.
 *
 * @property camera whose RAW it is: tags Model and UniqueCameraModel.
 * @property colorMatrix (3, 3), row by row: XYZ (D65) to camera; tag ColorMatrix1.
 * @property preview a baseline JPEG of the photograph, upright.
 * @property exif of the photograph, to carry over.
 */
class DngHeader(val camera: String, val colorMatrix: DoubleArray, val preview: Jpeg, val exif: Exif = Exif())

/** A baseline JPEG and what its frame header says. */
class Jpeg(val bytes: ByteArray) {
    val width: Int
    val height: Int

    /** Chroma subsampling across and down, 1 or 2. */
    val subsampling: Pair<Int, Int>

    init {
        var at = 2
        while (at + 19 < bytes.size && marker(at) != 0xC0) {
            require(byte(at) == 0xFF && marker(at) != 0xDA) { "no baseline JPEG" }
            at += 2 + word(at + 2)
        }
        require(at + 19 < bytes.size && byte(at + 9) == 3) { "no baseline JPEG of three components" }
        height = word(at + 5)
        width = word(at + 7)
        subsampling = (byte(at + 11) shr 4) to (byte(at + 11) and 15)
    }

    private fun byte(at: Int) = bytes[at].toInt() and 255

    private fun marker(at: Int) = byte(at + 1)

    private fun word(at: Int) = byte(at) shl 8 or byte(at + 1)
}

/** Encodes (height, width, 3) sRGB bytes as a baseline JPEG: Android's own, or Java's on a desktop. */
fun interface JpegEncoder {
    fun encode(picture: SmallPicture): ByteArray
}

/** Tags as `edge/priorraw_edge/runtime/dng.py` writes them, which says why each is what it is. */
internal object DngTags {
    const val SUB_IFD = 330
    const val EXIF_IFD = 34665
    const val STRIP_OFFSETS = 273
    const val AS_SHOT_NEUTRAL = 50728
    private const val MAKE = "PriorRAW"
    private const val SOFTWARE = "PriorRAW Edge"
    private const val WHITE = 65_535L
    private const val MILLION = 1_000_000L

    /** The first directory: the preview, and what holds for the whole file. */
    fun file(header: DngHeader, picture: Long, exif: Long?, preview: Long): List<Tag> {
        val jpeg = header.preview
        val source = if (header.exif.camera.isEmpty()) "a picture" else "a picture by ${header.exif.camera}"
        return listOfNotNull(
            Tag.longs(254, 1), // NewSubfileType: reduced resolution
            Tag.longs(256, jpeg.width.toLong()),
            Tag.longs(257, jpeg.height.toLong()),
            Tag.shorts(258, 8, 8, 8),
            Tag.shorts(259, 7), // Compression: JPEG
            Tag.shorts(262, 6), // PhotometricInterpretation: YCbCr
            Tag.text(270, "Rebuilt from $source, no sensor's own data"),
            Tag.text(271, MAKE),
            Tag.text(272, header.camera),
            Tag.longs(STRIP_OFFSETS, preview),
            Tag.shorts(274, 1), // Orientation
            Tag.shorts(277, 3),
            Tag.longs(278, jpeg.height.toLong()),
            Tag.longs(279, jpeg.bytes.size.toLong()),
            Tag.shorts(284, 1),
            Tag.text(305, SOFTWARE),
            Tag.longs(SUB_IFD, picture),
            Tag.shorts(530, jpeg.subsampling.first, jpeg.subsampling.second),
            Tag.rationals(532, Kind.RATIONAL, 0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1), // ReferenceBlackWhite
            exif?.let { Tag.longs(EXIF_IFD, it) },
            Tag.bytes(50706, 1, 4, 0, 0), // DNGVersion
            Tag.bytes(50707, 1, 1, 0, 0), // DNGBackwardVersion
            Tag.text(50708, "$MAKE ${header.camera}"), // UniqueCameraModel
            Tag.rationals(50721, Kind.SRATIONAL, *pairs(header.colorMatrix, 10_000)), // ColorMatrix1
            Tag(AS_SHOT_NEUTRAL, Kind.RATIONAL, 3, response(doubleArrayOf(1.0, 1.0, 1.0))),
            Tag.rationals(50730, Kind.SRATIONAL, 0, 1), // BaselineExposure
            Tag.shorts(50778, 21), // CalibrationIlluminant1: D65
            Tag.text(50966, SOFTWARE), // PreviewApplicationName
            Tag.longs(50970, 2), // PreviewColorSpace: sRGB
        ) + header.exif.image
    }

    /** The directory of the picture itself: linear, three 16-bit channels a pixel, one uncompressed strip. */
    fun picture(width: Int, height: Int, pixels: Long): List<Tag> = listOf(
        Tag.longs(254, 0),
        Tag.longs(256, width.toLong()),
        Tag.longs(257, height.toLong()),
        Tag.shorts(258, 16, 16, 16),
        Tag.shorts(259, 1), // Compression: none
        Tag.shorts(262, 34892), // PhotometricInterpretation: LinearRaw
        Tag.longs(STRIP_OFFSETS, pixels),
        Tag.shorts(277, 3),
        Tag.longs(278, height.toLong()),
        Tag.longs(279, 6L * width * height),
        Tag.shorts(284, 1),
        Tag.shorts(50713, 1, 1), // BlackLevelRepeatDim
        Tag.shorts(50714, 0, 0, 0), // BlackLevel
        Tag.longs(50717, WHITE, WHITE, WHITE), // WhiteLevel
    )

    fun exif(header: DngHeader): List<Tag> =
        listOf(Tag(36864, Kind.UNDEFINED, 4, "0231".toByteArray())) + header.exif.exif // ExifVersion

    /** The values of AsShotNeutral. */
    fun response(neutral: DoubleArray): ByteArray =
        Tag.longBytes(LongArray(6) { if (it % 2 == 1) MILLION else maxOf(1L, Math.rint(neutral[it / 2] * MILLION).toLong()) })

    private fun pairs(values: DoubleArray, unit: Long) =
        LongArray(2 * values.size) { if (it % 2 == 1) unit else Math.rint(values[it / 2] * unit).toLong() }
}
