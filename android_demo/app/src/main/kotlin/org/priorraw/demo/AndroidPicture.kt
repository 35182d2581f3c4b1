package org.priorraw.demo

import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.BitmapRegionDecoder
import android.graphics.Rect
import java.io.Closeable
import java.io.File
import java.io.IOException
import org.priorraw.core.Picture
import org.priorraw.core.PriorRawException
import org.priorraw.core.Problem
import org.priorraw.core.channel

/**
 * A picture file that Android decodes by regions: colour profiles become sRGB (Bitmap.getPixels), transparent pixels are
 * laid on white. Not turned.
 *
 * @throws PriorRawException the file is no picture.
 */
class AndroidPicture(private val file: File) : Picture, Closeable {
    @Suppress("DEPRECATION") // its successor needs API 31
    private val decoder: BitmapRegionDecoder = decoding("is no picture") { BitmapRegionDecoder.newInstance(file.path, false) }
    private val options = BitmapFactory.Options().apply { inPreferredConfig = Bitmap.Config.ARGB_8888 }

    override val width: Int get() = decoder.width
    override val height: Int get() = decoder.height

    override fun read(left: Int, top: Int, width: Int, height: Int, into: IntArray) {
        if (!file.isFile) throw PriorRawException(Problem.GONE, "${file.name}: is no longer there; choose it again")
        val place = Rect(left, top, left + width, top + height)
        val bitmap = decoding("damaged") { decoder.decodeRegion(place, options) }
        bitmap.getPixels(into, 0, width, 0, 0, width, height)
        if (bitmap.hasAlpha()) for (i in 0 until width * height) into[i] = onWhite(into[i])
        bitmap.recycle()
    }

    override fun close() = decoder.recycle()

    /** Android's decoders say in three ways that they cannot: null, and two kinds of exceptions. */
    private fun <T : Any> decoding(fault: String, work: () -> T?): T {
        val cause = try {
            work()?.let { return it }
            null
        } catch (error: IOException) {
            error
        } catch (error: RuntimeException) {
            error
        }
        throw PriorRawException(Problem.NOT_A_PICTURE, "${file.name}: $fault (${cause?.message ?: "no decoder"}); choose another file", cause)
    }

    private fun onWhite(colour: Int): Int {
        val alpha = colour ushr 24
        if (alpha == 255) return colour
        return (0..2).fold(0) { code, c -> code shl 8 or (channel(colour, c) * alpha + 255 * (255 - alpha) + 127) / 255 }
    }
}
