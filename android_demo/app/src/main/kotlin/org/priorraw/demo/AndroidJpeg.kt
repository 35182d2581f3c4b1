package org.priorraw.demo

import android.graphics.Bitmap
import java.io.ByteArrayOutputStream
import org.priorraw.core.JpegEncoder
import org.priorraw.core.Look
import org.priorraw.core.Renderer
import org.priorraw.core.SmallPicture

/** Android's own encoder. */
object AndroidJpeg : JpegEncoder {
    private const val QUALITY = 85

    override fun encode(picture: SmallPicture): ByteArray {
        val colours = Renderer.jpeg(picture.rgb, Look())
        val bitmap = Bitmap.createBitmap(colours, picture.width, picture.height, Bitmap.Config.ARGB_8888)
        return ByteArrayOutputStream().also { bitmap.compress(Bitmap.CompressFormat.JPEG, QUALITY, it) }.toByteArray()
    }
}
