package org.priorraw.demo

import android.app.AlertDialog
import android.content.Context
import java.io.File
import kotlin.math.roundToInt
import org.priorraw.core.Bundle
import org.priorraw.core.Facts

/** What made this result, and what it took. */
object InfoSheet {
    fun show(context: Context, bundle: Bundle, facts: Facts) {
        AlertDialog.Builder(context)
            .setTitle(R.string.info)
            .setMessage(text(context, bundle, facts))
            .setPositiveButton(R.string.close, null)
            .show()
    }

    private fun text(context: Context, bundle: Bundle, facts: Facts): String =
        context.getString(
            R.string.info_text,
            facts.camera, facts.width, facts.height, facts.tiles, bundle.tile, bundle.precision,
            facts.totalMillis.roundToInt(), facts.tileMillis.roundToInt(), peakMegabytes(),
            (facts.meanReliability * 100).roundToInt(),
            parity(context, bundle, facts),
        )

    private fun parity(context: Context, bundle: Bundle, facts: Facts): String {
        val bank = bundle.banks[facts.camera].takeUnless { facts.imported } ?: return context.getString(R.string.parity_none)
        return bank.parity?.let { context.getString(R.string.parity_db, it) } ?: context.getString(R.string.parity_equal)
    }

    /** The most memory that the app has held, native code included (Linux: VmHWM). */
    private fun peakMegabytes(): Int =
        File("/proc/self/status").readLines().firstOrNull { it.startsWith("VmHWM:") }
            ?.filter { it.isDigit() }?.toIntOrNull()?.div(1024) ?: 0
}
