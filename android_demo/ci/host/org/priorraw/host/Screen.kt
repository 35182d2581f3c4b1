package org.priorraw.host

import java.awt.BorderLayout
import java.awt.Container
import java.awt.Dimension
import java.awt.Graphics
import java.awt.Graphics2D
import java.awt.RenderingHints
import java.awt.event.MouseAdapter
import java.awt.event.MouseEvent
import java.awt.image.BufferedImage
import java.io.File
import java.util.Locale
import javax.swing.BorderFactory
import javax.swing.BoxLayout
import javax.swing.JCheckBox
import javax.swing.JComponent
import javax.swing.JLabel
import javax.swing.JPanel
import javax.swing.JSlider
import javax.xml.parsers.DocumentBuilderFactory
import kotlin.math.roundToInt
import org.priorraw.core.Developed
import org.priorraw.core.Look
import org.priorraw.core.Renderer

/** The app's own words, of its strings.xml. */
class Words(file: File) {
    private val texts = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(file).getElementsByTagName("string").let { all ->
        (0 until all.length).associate { all.item(it).attributes.getNamedItem("name").nodeValue to all.item(it).textContent }
    }

    operator fun get(name: String, vararg values: Any): String = texts.getValue(name).replace("\\n", "\n").format(Locale.ROOT, *values)
}

/**
 * What the app's screen shows of a result, in a desktop's widgets: the same renderer, dials, steps and words, so that the
 * view can be tried and tested where there is no phone. It is no picture of a phone.
 */
class Screen(private val developed: Developed, private val words: Words) : JPanel(BorderLayout()) {
    private val view = Comparison()
    private val exposure = JSlider(-40, 40, 0)
    private val warmth = JSlider(-20, 20, 0)
    private val exposureLabel = JLabel()
    private val warmthLabel = JLabel()
    private val reliability = JCheckBox(words["reliability"])

    /** Where the divider stands, 0 (left) to 1. */
    var divider by view::divider

    init {
        val dials = JPanel().apply { layout = BoxLayout(this, BoxLayout.Y_AXIS) }
        for (part in listOf(JLabel(words["ready"]), exposureLabel, exposure, warmthLabel, warmth, reliability)) {
            part.alignmentX = LEFT_ALIGNMENT
            dials.add(part)
        }
        dials.border = BorderFactory.createEmptyBorder(8, 8, 8, 8)
        exposure.accessibleContext.accessibleName = words["exposure_description"]
        warmth.accessibleContext.accessibleName = words["warmth_description"]
        listOf(exposure, warmth).forEach { dial -> dial.addChangeListener { render() } }
        reliability.addActionListener { render() }
        add(view, BorderLayout.CENTER)
        add(dials, BorderLayout.SOUTH)
        preferredSize = Dimension(900, 800)
        render()
    }

    /** Set the dials as a user would. */
    fun dial(look: Look, overlay: Boolean) {
        exposure.value = (look.exposure * 10).roundToInt()
        warmth.value = (look.warmth * 10).roundToInt()
        reliability.isSelected = overlay
        render()
    }

    /** What it looks like, without a display. */
    fun picture(): BufferedImage {
        size = preferredSize
        layOut(this)
        return BufferedImage(width, height, BufferedImage.TYPE_INT_RGB).also { image -> image.createGraphics().run { printAll(this) } }
    }

    private fun render() {
        val look = Look(exposure = exposure.value / 10f, warmth = warmth.value / 10f)
        exposureLabel.text = words["exposure_value", look.exposure]
        warmthLabel.text = words["warmth_value", look.warmth]
        val overlay = if (reliability.isSelected) image(Renderer.overlay(developed.reliability)) else null
        view.show(image(before(look)), image(after(look)), overlay)
    }

    private fun before(look: Look) = Renderer.jpeg(developed.preview.rgb, look)

    private fun after(look: Look) = Renderer.raw(developed.raw, developed.neutral, developed.colorMatrix, look)

    private fun image(colours: IntArray): BufferedImage {
        val (width, height) = developed.preview.width to developed.preview.height
        return BufferedImage(width, height, BufferedImage.TYPE_INT_ARGB).apply { setRGB(0, 0, width, height, colours, 0, width) }
    }

    private fun layOut(part: Container) {
        part.doLayout()
        part.components.filterIsInstance<Container>().forEach { layOut(it) }
    }
}

/** The photograph left of a divider that the mouse drags, the RAW right of it. */
private class Comparison : JComponent() {
    private var before: BufferedImage? = null
    private var after: BufferedImage? = null
    private var overlay: BufferedImage? = null

    var divider = 0.5
        set(value) {
            field = value.coerceIn(0.0, 1.0)
            repaint()
        }

    init {
        val mouse = object : MouseAdapter() {
            override fun mousePressed(event: MouseEvent) = mouseDragged(event)

            override fun mouseDragged(event: MouseEvent) {
                before?.let { divider = (event.x - left(it)) / (it.width * scale(it)) }
            }
        }
        addMouseListener(mouse)
        addMouseMotionListener(mouse)
    }

    fun show(before: BufferedImage, after: BufferedImage, overlay: BufferedImage?) {
        this.before = before
        this.after = after
        this.overlay = overlay
        repaint()
    }

    override fun paintComponent(graphics: Graphics) {
        val image = before ?: return
        val x = (left(image) + image.width * scale(image) * divider).roundToInt()
        part(graphics, 0, x, image)
        listOfNotNull(after, overlay).forEach { part(graphics, x, width, it) }
        graphics.drawLine(x, 0, x, height)
    }

    private fun scale(image: BufferedImage) = minOf(width.toDouble() / image.width, height.toDouble() / image.height)

    private fun left(image: BufferedImage) = (width - image.width * scale(image)) / 2

    private fun part(graphics: Graphics, from: Int, to: Int, image: BufferedImage) {
        val (w, h) = (image.width * scale(image)).roundToInt() to (image.height * scale(image)).roundToInt()
        (graphics.create(from, 0, to - from, height) as Graphics2D).run {
            setRenderingHint(RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_BILINEAR)
            drawImage(image, left(image).roundToInt() - from, (this@Comparison.height - h) / 2, w, h, null)
            dispose()
        }
    }
}
