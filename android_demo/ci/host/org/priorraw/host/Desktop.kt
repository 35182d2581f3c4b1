package org.priorraw.host

import com.facebook.soloader.nativeloader.NativeLoader
import java.awt.image.BufferedImage
import java.io.ByteArrayOutputStream
import java.io.File
import java.io.IOException
import javax.imageio.ImageIO
import org.priorraw.core.ArrayPicture
import org.priorraw.core.JpegEncoder
import org.priorraw.core.Picture
import org.priorraw.core.PriorRawException
import org.priorraw.core.Problem
import org.priorraw.core.withinMemory

/** What Android provides, on a desktop: ExecuTorch's library, pictures, JPEG. */
object Desktop {
    /** Let ExecuTorch's classes load the JNI library that the property priorraw.jni names. */
    fun useExecuTorch() {
        if (NativeLoader.isInitialized()) return
        val library = System.getProperty("priorraw.jni") ?: error("-Dpriorraw.jni names no library")
        NativeLoader.init { _, _ ->
            System.load(library)
            true
        }
    }

    /** A JPEG or PNG, not turned. */
    fun read(file: File): Picture = withinMemory(file.name) {
        val image = try {
            ImageIO.read(file)
        } catch (error: IOException) {
            throw PriorRawException(Problem.GONE, "${file.name}: not readable (${error.message}); choose it again", error)
        } ?: throw PriorRawException(Problem.NOT_A_PICTURE, "${file.name}: is no JPEG or PNG; choose another file")
        ArrayPicture(image.width, image.height, image.getRGB(0, 0, image.width, image.height, null, 0, image.width))
    }

    /** Java's own encoder. */
    val jpeg = JpegEncoder { picture ->
        val image = BufferedImage(picture.width, picture.height, BufferedImage.TYPE_3BYTE_BGR)
        for (y in 0 until picture.height) for (x in 0 until picture.width) {
            val at = 3 * (y * picture.width + x)
            val (r, g, b) = (0..2).map { picture.rgb[at + it].toInt() and 255 }
            image.setRGB(x, y, r shl 16 or (g shl 8) or b)
        }
        ByteArrayOutputStream().also { ImageIO.write(image, "jpeg", it) }.toByteArray()
    }
}
