package org.priorraw.demo

import android.graphics.Bitmap
import android.os.Handler
import android.os.Looper
import java.util.concurrent.Executors
import java.util.concurrent.atomic.AtomicReference
import org.priorraw.core.Developed
import org.priorraw.core.Look
import org.priorraw.core.Renderer

/** Renders looks off the main thread; of looks that come faster than it renders, the last one is shown. */
class LookRenderer(private val show: (before: Bitmap, after: Bitmap, overlay: Bitmap?) -> Unit) {
    private class Request(val developed: Developed, val look: Look, val overlay: Boolean)

    private val main = Handler(Looper.getMainLooper())
    private val thread = Executors.newSingleThreadExecutor()
    private val next = AtomicReference<Request?>()

    /** Show [developed] with [look] soon. */
    fun request(developed: Developed, look: Look, overlay: Boolean) {
        if (next.getAndSet(Request(developed, look, overlay)) == null) thread.execute { next.getAndSet(null)?.let { render(it) } }
    }

    /** No picture comes after this. */
    fun stop() {
        next.set(null)
        thread.shutdown()
        main.removeCallbacksAndMessages(null)
    }

    private fun render(request: Request) {
        val developed = request.developed
        val (width, height) = developed.preview.width to developed.preview.height
        fun bitmap(colours: IntArray) = Bitmap.createBitmap(colours, width, height, Bitmap.Config.ARGB_8888)
        val before = bitmap(Renderer.jpeg(developed.preview.rgb, request.look))
        val after = bitmap(Renderer.raw(developed.raw, developed.neutral, developed.colorMatrix, request.look))
        val overlay = if (request.overlay) bitmap(Renderer.overlay(developed.reliability)) else null
        main.post { show(before, after, overlay) }
    }
}
