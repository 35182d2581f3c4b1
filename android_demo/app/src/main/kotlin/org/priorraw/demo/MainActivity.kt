package org.priorraw.demo

import android.app.Activity
import android.app.AlertDialog
import android.content.ActivityNotFoundException
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.provider.OpenableColumns
import android.util.Log
import android.view.Menu
import android.view.MenuItem
import android.view.View
import android.widget.Button
import android.widget.CheckBox
import android.widget.ProgressBar
import android.widget.SeekBar
import android.widget.TextView
import android.widget.Toast
import android.widget.Toolbar
import org.priorraw.core.Developed
import org.priorraw.core.Look

/** The one screen: choose, watch, compare, save. The work itself lives in [Workshop]. */
class MainActivity : Activity() {
    private val workshop get() = (application as DemoApplication).workshop
    private val compare by lazy { findViewById(R.id.compare) as CompareView }
    private val status by lazy { findViewById(R.id.status) as TextView }
    private val progress by lazy { findViewById(R.id.progress) as ProgressBar }
    private val exposure by lazy { findViewById(R.id.exposure) as SeekBar }
    private val warmth by lazy { findViewById(R.id.warmth) as SeekBar }
    private val reliability by lazy { findViewById(R.id.reliability) as CheckBox }
    private val renderer = LookRenderer { before, after, overlay -> compare.show(before, after, overlay) }
    private var developed: Developed? = null

    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        setContentView(R.layout.main)
        setActionBar(findViewById(R.id.toolbar) as Toolbar)
        compare.divider = saved?.getFloat(DIVIDER) ?: 0.5f
        button(R.id.choose) { ask(Intent.ACTION_OPEN_DOCUMENT, PICTURE, "image/*") }
        button(R.id.cancel) { workshop.cancel() }
        button(R.id.save) { ask(Intent.ACTION_CREATE_DOCUMENT, SAVE, DngProvider.DNG_TYPE, "${workshop.name}.dng") }
        button(R.id.share) { share() }
        reliability.setOnCheckedChangeListener { _, _ -> render() }
        listOf(exposure, warmth).forEach { it.setOnSeekBarChangeListener(Dial()) }
        if (saved == null && intent.action == Intent.ACTION_SEND) {
            @Suppress("DEPRECATION") // its successor needs API 33
            (intent.getParcelableExtra<Uri>(Intent.EXTRA_STREAM))?.let { develop(it) }
        } else if (saved != null) {
            workshop.resume()
        }
    }

    override fun onStart() {
        super.onStart()
        workshop.listener = { show(it) }
        workshop.noticed = { say(getString(it.sentence)) }
    }

    override fun onStop() {
        workshop.listener = null
        workshop.noticed = null
        super.onStop()
    }

    override fun onDestroy() {
        renderer.stop()
        super.onDestroy()
    }

    override fun onSaveInstanceState(out: Bundle) {
        super.onSaveInstanceState(out)
        out.putFloat(DIVIDER, compare.divider)
    }

    private fun show(state: State) {
        developed = (state as? State.Ready)?.developed
        visible(R.id.progress_row, state is State.Working)
        visible(R.id.dials, developed != null)
        listOf(R.id.save, R.id.share).forEach { (findViewById(it) as View).isEnabled = developed != null }
        (findViewById(R.id.choose) as View).isEnabled = state !is State.Working
        when (state) {
            is State.Idle -> status.setText(R.string.welcome)
            is State.Working -> showProgress(state)
            is State.Ready -> status.setText(R.string.ready)
            is State.Failed -> showFailure(state)
        }
        if (developed == null) compare.show(null, null, null) else render()
    }

    private fun showProgress(state: State.Working) {
        progress.isIndeterminate = state.total == 0
        progress.max = state.total
        progress.progress = state.done
        status.text = if (state.total == 0) getString(R.string.preparing) else getString(R.string.working, state.done, state.total)
    }

    private fun showFailure(state: State.Failed) {
        Log.w("PriorRAW", state.detail)
        status.setText(state.problem?.sentence ?: R.string.cancelled)
    }

    private fun render() {
        val look = Look(exposure = (exposure.progress - 40) / 10f, warmth = (warmth.progress - 20) / 10f)
        (findViewById(R.id.exposure_label) as TextView).text = getString(R.string.exposure_value, look.exposure)
        (findViewById(R.id.warmth_label) as TextView).text = getString(R.string.warmth_value, look.warmth)
        developed?.let { renderer.request(it, look, reliability.isChecked) }
    }

    override fun onCreateOptionsMenu(menu: Menu): Boolean {
        menuInflater.inflate(R.menu.main, menu)
        return true
    }

    override fun onOptionsItemSelected(item: MenuItem): Boolean {
        when (item.itemId) {
            R.id.menu_info -> developed?.let { result -> workshop.describe { if (!isFinishing) InfoSheet.show(this, it, result.facts) } }
            R.id.menu_camera -> workshop.cameras { all, chosen -> if (!isFinishing) chooseCamera(all, chosen) }
            R.id.menu_import_bank -> ask(Intent.ACTION_OPEN_DOCUMENT, BANK, "*/*")
            R.id.menu_import_bundle -> ask(Intent.ACTION_OPEN_DOCUMENT, BUNDLE, "*/*")
            else -> return super.onOptionsItemSelected(item)
        }
        return true
    }

    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        super.onActivityResult(request, result, data)
        val uri = data?.data ?: return
        if (result != RESULT_OK) return
        when (request) {
            PICTURE -> develop(uri)
            SAVE -> workshop.save(uri) { say(getString(R.string.saved)) }
            BANK -> workshop.importBank(uri) { say(getString(R.string.bank_imported, it)) }
            BUNDLE -> workshop.importBundle(uri) { say(getString(R.string.bundle_imported)) }
        }
    }

    private fun develop(uri: Uri) = workshop.develop(uri, nameOf(uri))

    private fun nameOf(uri: Uri): String =
        try {
            contentResolver.query(uri, arrayOf(OpenableColumns.DISPLAY_NAME), null, null, null)?.use {
                if (it.moveToFirst()) it.getString(0) else null
            }
        } catch (_: RuntimeException) { // providers of other apps fail in their own ways, and a name is no reason to stop
            null
        } ?: "picture"

    private fun chooseCamera(all: List<String>, chosen: String) {
        AlertDialog.Builder(this)
            .setTitle(R.string.camera)
            .setSingleChoiceItems(all.toTypedArray(), all.indexOf(chosen)) { dialog, i ->
                dialog.dismiss()
                workshop.choose(all[i])
            }
            .show()
    }

    private fun share() {
        val send = Intent(Intent.ACTION_SEND).setType(DngProvider.DNG_TYPE)
            .putExtra(Intent.EXTRA_STREAM, DngProvider.address(this))
            .addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
        startActivity(Intent.createChooser(send, getString(R.string.share)))
    }

    private fun ask(action: String, request: Int, type: String, title: String? = null) {
        val intent = Intent(action).addCategory(Intent.CATEGORY_OPENABLE).setType(type)
        title?.let { intent.putExtra(Intent.EXTRA_TITLE, it) }
        try {
            startActivityForResult(intent, request)
        } catch (_: ActivityNotFoundException) {
            say(getString(R.string.no_documents))
        }
    }

    private fun say(text: String) = Toast.makeText(this, text, Toast.LENGTH_SHORT).show()

    private fun button(id: Int, press: () -> Unit) = (findViewById(id) as Button).setOnClickListener { press() }

    private fun visible(id: Int, shown: Boolean) {
        (findViewById(id) as View).visibility = if (shown) View.VISIBLE else View.GONE
    }

    private inner class Dial : SeekBar.OnSeekBarChangeListener {
        override fun onProgressChanged(bar: SeekBar, progress: Int, fromUser: Boolean) = render()

        override fun onStartTrackingTouch(bar: SeekBar) = Unit

        override fun onStopTrackingTouch(bar: SeekBar) = Unit
    }

    private companion object {
        const val PICTURE = 1
        const val SAVE = 2
        const val BANK = 3
        const val BUNDLE = 4
        const val DIVIDER = "divider"
    }
}
