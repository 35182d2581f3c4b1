package org.priorraw.core

/** A small picture (height, width, 3) of bytes, sRGB. */
class SmallPicture(val width: Int, val height: Int, val rgb: ByteArray)

/**
 * What one pass over the whole picture gives: the thumbnail that the model sees and the preview that people see.
 *
 * @property thumbnail (3, side, side) sRGB in [0, 1].
 * @property preview upright, its long side [PREVIEW_SIDE] pixels at most.
 */
class Overview(val thumbnail: FloatArray, val preview: SmallPicture)

/** Long side of a preview, pixels. */
const val PREVIEW_SIDE = 1024

private const val BAND = 256

/** Look at the whole picture once, some rows at a time. */
fun overviewOf(picture: Picture, side: Int, progress: Progress = Progress.NONE): Overview {
    val thumbnail = ThumbnailSampler(picture.width, picture.height, side)
    val preview = Means(picture.width, picture.height, blockFor(picture.width, picture.height, PREVIEW_SIDE), 3)
    val rows = maxOf(1, BAND / preview.block) * preview.block
    val codes = IntArray(picture.width * minOf(rows, picture.height))
    val values = FloatArray(3 * picture.width)
    for (top in 0 until picture.height step rows) {
        progress.check()
        val count = minOf(rows, picture.height - top)
        picture.read(0, top, picture.width, count, codes)
        for (y in 0 until count) {
            for (x in 0 until picture.width) {
                val code = codes[y * picture.width + x]
                for (c in 0..2) values[3 * x + c] = UNIT[channel(code, c)]
            }
            thumbnail.add(top + y, values)
            preview.add(values)
        }
    }
    return Overview(thumbnail.result(), SmallPicture(preview.width, preview.height, preview.result().toCodes()))
}

/** 8-bit codes to float32 in [0, 1]. */
val UNIT = FloatArray(256) { it / 255f }

/** [0, 1] to 8-bit codes, rounded to nearest. */
fun FloatArray.toCodes(): ByteArray = ByteArray(size) { Math.rint((this[it].coerceIn(0f, 1f) * 255f).toDouble()).toInt().toByte() }
