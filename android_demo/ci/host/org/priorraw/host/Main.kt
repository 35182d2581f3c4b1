package org.priorraw.host

import java.awt.image.BufferedImage
import java.io.File
import javax.imageio.ImageIO
import javax.swing.JFrame
import javax.swing.SwingUtilities
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
 *     --screen BUNDLE PICTURE                              the app's screen as a window, to try
 *     --screen BUNDLE PICTURE OUT.png EV WARMTH            painted into a file, with the reliability, without a display
 */
fun main(arguments: Array<String>) {
    try {
        when (arguments.firstOrNull()) {
            "--look" -> look(arguments.drop(1))
            "--check" -> check(arguments[1], arguments.drop(2))
            "--screen" -> screen(arguments.drop(1))
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
    val developed = glance(arguments[1], arguments[2])
    val look = Look(exposure = arguments[0].toFloat())
    val (width, height) = developed.preview.width to developed.preview.height
    val image = BufferedImage(2 * width, height, BufferedImage.TYPE_INT_RGB)
    image.setRGB(0, 0, width, height, Renderer.jpeg(developed.preview.rgb, look), 0, width)
    val raw = Renderer.raw(developed.raw, developed.neutral, developed.colorMatrix, look)
    image.setRGB(width, 0, width, height, raw, 0, width)
    ImageIO.write(image, "png", File(arguments[3]))
}

private fun screen(arguments: List<String>) {
    val words = Words(File(System.getProperty("priorraw.strings") ?: error("-Dpriorraw.strings names no strings.xml")))
    val screen = Screen(glance(arguments[0], arguments[1]), words)
    if (arguments.size > 2) {
        screen.dial(Look(exposure = arguments[3].toFloat(), warmth = arguments[4].toFloat()), overlay = true)
        ImageIO.write(screen.picture(), "png", File(arguments[2]))
    } else {
        SwingUtilities.invokeLater {
            JFrame(words["app_name"]).run {
                defaultCloseOperation = JFrame.EXIT_ON_CLOSE
                contentPane = screen
                pack()
                isVisible = true
            }
        }
    }
}

/** A result whose DNG nobody keeps. */
private fun glance(folder: String, photo: String): Developed {
    val dng = File.createTempFile("glance", ".dng")
    try {
        return developed(folder, photo, dng, null)
    } finally {
        dng.delete()
    }
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
