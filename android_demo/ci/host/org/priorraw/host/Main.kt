package org.priorraw.host

import java.awt.image.BufferedImage
import java.io.File
import javax.imageio.ImageIO
import kotlin.system.exitProcess
import org.priorraw.core.Bank
import org.priorraw.core.Bundle
import org.priorraw.core.Developed
import org.priorraw.core.Developer
import org.priorraw.core.Exif
import org.priorraw.core.Look
import org.priorraw.core.PriorRawException
import org.priorraw.core.Renderer
import org.priorraw.core.Signer
import org.priorraw.core.UprightPicture
import org.priorraw.engine.ExecuTorchEngine

/**
 * The app's pipeline on a desktop, for tests and pictures:
 *
 *     BUNDLE PICTURE OUT.dng [CAMERA|BANK.safetensors]     write the DNG, print AsShotNeutral and counts as JSON
 *     --look EV BUNDLE PICTURE OUT.png                     the before and after view at an exposure
 *     --check KEY.pub|- BUNDLE...                          for each bundle a line: sound, or why it is refused
 */
fun main(arguments: Array<String>) {
    try {
        when (arguments.firstOrNull()) {
            "--look" -> look(arguments.drop(1))
            "--check" -> check(arguments[1], arguments.drop(2))
            else -> develop(arguments.toList())
        }
    } catch (error: PriorRawException) {
        System.err.println("${error.problem}: ${error.message}")
        exitProcess(2)
    }
}

private fun develop(arguments: List<String>) {
    val developed = developed(arguments[0], arguments[1], File(arguments[2]), arguments.getOrNull(3))
    val facts = developed.facts
    println(
        "{\"camera\": \"${facts.camera}\", \"width\": ${facts.width}, \"height\": ${facts.height}, " +
            "\"tiles\": ${facts.tiles}, \"tile_ms\": ${facts.tileMillis}, \"total_ms\": ${facts.totalMillis}, " +
            "\"reliability\": ${facts.meanReliability}, \"neutral\": ${developed.neutral.contentToString()}}",
    )
}

/** What the app does with a bundle before it takes it. */
private fun check(key: String, folders: List<String>) {
    val signer = if (key == "-") null else Signer(File(key).readText())
    for (folder in folders) {
        try {
            Bundle(File(folder), signer).checkAll()
            println("sound")
        } catch (error: PriorRawException) {
            println("refused: ${error.message}")
        }
    }
}

/** Left the photograph, right the RAW, both with the same exposure. */
private fun look(arguments: List<String>) {
    val dng = File.createTempFile("look", ".dng")
    val developed = developed(arguments[1], arguments[2], dng, null)
    dng.delete()
    val look = Look(exposure = arguments[0].toFloat())
    val (width, height) = developed.preview.width to developed.preview.height
    val image = BufferedImage(2 * width, height, BufferedImage.TYPE_INT_RGB)
    image.setRGB(0, 0, width, height, Renderer.jpeg(developed.preview.rgb, look), 0, width)
    val raw = Renderer.raw(developed.raw, developed.neutral, developed.colorMatrix, look)
    image.setRGB(width, 0, width, height, raw, 0, width)
    ImageIO.write(image, "png", File(arguments[3]))
}

private fun developed(folder: String, photo: String, out: File, bank: String?): Developed {
    Desktop.useExecuTorch()
    val bundle = Bundle(File(folder))
    bundle.checkAll()
    val file = File(photo)
    val exif = Exif.read(if (file.isFile) file.inputStream().use { it.readNBytes(Exif.HEAD) } else ByteArray(0))
    val chosen = when {
        bank == null -> Bank.of(bundle)
        bank.endsWith(".safetensors") -> Bank.imported(bundle, File(bank).name, File(bank).readBytes())
        else -> Bank.of(bundle, bank)
    }
    return ExecuTorchEngine(bundle, threads = 1).use { engine ->
        val picture = UprightPicture(Desktop.read(file), exif.orientation)
        Developer(bundle, engine, chosen, Desktop.jpeg).develop(picture, file.name, exif, out)
    }
}
