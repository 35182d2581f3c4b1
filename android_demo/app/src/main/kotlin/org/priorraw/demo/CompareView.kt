package org.priorraw.demo

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Paint
import android.graphics.RectF
import android.os.Bundle
import android.util.AttributeSet
import android.view.KeyEvent
import android.view.MotionEvent
import android.view.View
import android.view.accessibility.AccessibilityNodeInfo
import android.view.accessibility.AccessibilityNodeInfo.AccessibilityAction
import android.widget.SeekBar

/**
 * The photograph on the left of a divider that the user drags, the RAW on its right, with the reliability over it where
 * asked for. Arrow keys and screen readers move the divider too.
 */
class CompareView(context: Context, attributes: AttributeSet?) : View(context, attributes) {
    private val smooth = Paint(Paint.FILTER_BITMAP_FLAG)
    private val density = resources.displayMetrics.density
    private val line = Paint(Paint.ANTI_ALIAS_FLAG).apply { strokeWidth = 2 * density }
    private val place = RectF()
    private var before: Bitmap? = null
    private var after: Bitmap? = null
    private var overlay: Bitmap? = null

    /** Where the divider stands, 0 (left) to 1. */
    var divider = 0.5f
        set(value) {
            field = value.coerceIn(0f, 1f)
            contentDescription = context.getString(R.string.compare_description, Math.round(field * 100))
            invalidate()
        }

    /** Show these pictures of one size; null shows nothing. */
    fun show(before: Bitmap?, after: Bitmap?, overlay: Bitmap?) {
        this.before = before
        this.after = after
        this.overlay = overlay
        invalidate()
    }

    override fun onDraw(canvas: Canvas) {
        val left = before ?: return
        val scale = minOf(width / left.width.toFloat(), height / left.height.toFloat())
        val (w, h) = left.width * scale to left.height * scale
        place.set((width - w) / 2, (height - h) / 2, (width + w) / 2, (height + h) / 2)
        val x = place.left + w * divider
        part(canvas, place.left, x, left)
        after?.let { part(canvas, x, place.right, it) }
        overlay?.let { part(canvas, x, place.right, it) }
        for ((colour, offset) in listOf(R.color.divider_edge to line.strokeWidth, R.color.divider to 0f)) {
            line.color = context.getColor(colour)
            canvas.drawLine(x + offset, place.top, x + offset, place.bottom, line)
        }
    }

    private fun part(canvas: Canvas, from: Float, to: Float, bitmap: Bitmap) {
        canvas.save()
        canvas.clipRect(from, place.top, to, place.bottom)
        canvas.drawBitmap(bitmap, null, place, smooth)
        canvas.restore()
    }

    override fun onTouchEvent(event: MotionEvent): Boolean {
        if (before == null) return super.onTouchEvent(event)
        when (event.actionMasked) {
            MotionEvent.ACTION_DOWN -> parent.requestDisallowInterceptTouchEvent(true)
            MotionEvent.ACTION_UP -> performClick()
        }
        divider = (event.x - place.left) / maxOf(1f, place.width())
        return true
    }

    override fun performClick(): Boolean = super.performClick()

    override fun onKeyDown(keyCode: Int, event: KeyEvent): Boolean {
        val step = when (keyCode) {
            KeyEvent.KEYCODE_DPAD_LEFT -> -STEP
            KeyEvent.KEYCODE_DPAD_RIGHT -> STEP
            else -> return super.onKeyDown(keyCode, event)
        }
        divider += step
        return true
    }

    /** To a screen reader it is a slider, which its gestures move. */
    override fun onInitializeAccessibilityNodeInfo(info: AccessibilityNodeInfo) {
        super.onInitializeAccessibilityNodeInfo(info)
        info.className = SeekBar::class.java.name
        if (before == null) return
        info.addAction(AccessibilityAction.ACTION_SCROLL_FORWARD)
        info.addAction(AccessibilityAction.ACTION_SCROLL_BACKWARD)
    }

    override fun performAccessibilityAction(action: Int, arguments: Bundle?): Boolean {
        val step = when (action) {
            AccessibilityNodeInfo.ACTION_SCROLL_FORWARD -> STEP
            AccessibilityNodeInfo.ACTION_SCROLL_BACKWARD -> -STEP
            else -> return super.performAccessibilityAction(action, arguments)
        }
        divider += step
        return true
    }

    private companion object {
        const val STEP = 0.05f
    }
}
