package org.priorraw.demo

import android.content.Context
import android.net.Uri
import android.os.Handler
import android.os.Looper
import java.io.File
import java.io.FileNotFoundException
import java.io.IOException
import java.io.InputStream
import java.util.concurrent.Executors
import org.priorraw.core.AtomicFile
import org.priorraw.core.Bundle
import org.priorraw.core.BundleStore
import org.priorraw.core.Cancelled
import org.priorraw.core.Developed
import org.priorraw.core.DevelopedFile
import org.priorraw.core.Developer
import org.priorraw.core.Exif
import org.priorraw.core.PriorRawException
import org.priorraw.core.Problem
import org.priorraw.core.Progress
import org.priorraw.core.Signer
import org.priorraw.core.UprightPicture
import org.priorraw.engine.ExecuTorchEngine

/** What the screen shows of the work. */
sealed class State {
    object Idle : State()

    class Working(val done: Int, val total: Int) : State()

    class Ready(val developed: Developed) : State()

    /** [problem] null: the user cancelled. */
    class Failed(val problem: Problem?, val detail: String) : State()
}

/**
 * Turns pictures into DNGs on one thread of its own, whatever becomes of the screen. The picture is copied first, so that
 * it can be taken up again after the system has ended the app: [resume].
 */
class Workshop(private val context: Context) {
    private val main = Handler(Looper.getMainLooper())
    private val thread = Executors.newSingleThreadExecutor()
    private val input = File(context.cacheDir, "picture")
    private val kept = File(context.cacheDir, "developed")
    private val store by lazy { BundleStore(File(context.filesDir, "store").apply { mkdirs() }, signer()) }
    private val settings = context.getSharedPreferences("workshop", Context.MODE_PRIVATE)

    @Volatile
    private var cancelled = false

    /** The DNG of the picture that is [State.Ready]. */
    val dng = File(context.cacheDir, "picture.dng")

    /** Name to offer when the DNG is saved. */
    var name: String
        get() = settings.getString("name", null) ?: "picture"
        private set(value) = settings.edit().putString("name", value).apply()

    /** Told every new state, on the main thread. */
    var listener: ((State) -> Unit)? = null
        set(value) {
            field = value
            value?.invoke(state)
        }

    /** Told what went wrong beside the work (saving, importing), on the main thread. */
    var noticed: ((Problem) -> Unit)? = null

    var state: State = State.Idle
        private set

    /** Whose bundles are taken: that of the app's asset bundle.pub, where it ships one; else anybody's. */
    private fun signer(): Signer? =
        if ("bundle.pub" in context.assets.list("").orEmpty()) Signer(context.assets.open("bundle.pub").use { String(it.readBytes()) }) else null

    /** The stored bundle, opened on the thread of the work. */
    private fun bundle(): Bundle = store.bundle { context.assets.open("bundle/$it") }

    /** Turn the picture at [uri] into RAW. */
    fun develop(uri: Uri, displayName: String) {
        name = displayName.substringBeforeLast('.').ifEmpty { "picture" }
        start {
            dng.delete()
            copyIn(uri)
            work()
        }
    }

    /** Take up what an earlier process of the app left: its result, or its picture. */
    fun resume() {
        if (state !== State.Idle || !input.isFile) return
        start { (if (dng.isFile) DevelopedFile.read(kept) else null) ?: work() }
    }

    fun cancel() {
        cancelled = true
    }

    /** Cameras to choose from and the chosen one, told on the main thread. */
    fun cameras(tell: (List<String>, String) -> Unit) = thread.execute {
        aside { bundle().let { store.cameras(it) to chosen(it) } }?.let { (all, chosen) -> main.post { tell(all, chosen) } }
    }

    /** Use the bank of [camera] from now on, and develop the picture anew. */
    fun choose(camera: String) {
        settings.edit().putString("camera", camera).apply()
        if (input.isFile) start { work() }
    }

    /** Import a bank; [tell] gets its camera. */
    fun importBank(uri: Uri, tell: (String) -> Unit) = thread.execute {
        aside { reading { open(uri).use { store.importBank(bundle(), "bank", it) }.camera } }?.let { main.post { tell(it) } }
    }

    /** Import a bundle in a zip file. */
    fun importBundle(uri: Uri, tell: () -> Unit) = thread.execute {
        aside { open(uri).use { store.importBundle(it) } }?.let { main.post(tell) }
    }

    /** What the info sheet needs of the bundle. */
    fun describe(tell: (Bundle) -> Unit) = thread.execute { aside { bundle() }?.let { main.post { tell(it) } } }

    /** Copy the DNG to [uri]; what could not be written whole is removed by [DocumentSaver]. */
    fun save(uri: Uri, tell: () -> Unit) = thread.execute {
        aside { DocumentSaver(context).save(dng, uri) }?.let { main.post(tell) }
    }

    private fun start(work: () -> Developed) {
        cancelled = false
        show(State.Working(0, 0))
        thread.execute {
            val developed = answer(work)
            if (developed == null) input.delete() else show(State.Ready(developed))
        }
    }

    private fun work(): Developed {
        kept.delete()
        val head = ByteArray(Exif.HEAD)
        val exif = Exif.read(head.copyOf(reading { input.inputStream().use { fill(it, head) } }))
        val bundle = bundle()
        val bank = store.bank(bundle, chosen(bundle))
        val developed = ExecuTorchEngine(bundle).use { engine ->
            AndroidPicture(input).use { picture ->
                val upright = UprightPicture(picture, exif.orientation)
                Developer(bundle, engine, bank, AndroidJpeg).develop(upright, name, exif, dng, progress)
            }
        }
        DevelopedFile.write(kept, developed)
        return developed
    }

    private fun chosen(bundle: Bundle): String =
        settings.getString("camera", null)?.takeIf { it in store.cameras(bundle) } ?: bundle.camera

    private val progress = object : Progress {
        override fun step(done: Int, total: Int) = show(State.Working(done, total))

        override val cancelled get() = this@Workshop.cancelled
    }

    private fun copyIn(uri: Uri) {
        open(uri).use { stream ->
            AtomicFile(input).use { file ->
                val buffer = ByteArray(1 shl 16)
                while (true) {
                    progress.check()
                    val count = reading { stream.read(buffer) }
                    if (count < 0) break
                    file.write(buffer, count)
                }
                file.commit()
            }
        }
    }

    private fun open(uri: Uri): InputStream = reading { context.contentResolver.openInputStream(uri) ?: throw FileNotFoundException("$uri") }

    private fun <T> reading(work: () -> T): T =
        try {
            work()
        } catch (error: IOException) {
            throw PriorRawException(Problem.GONE, "$name: not readable (${error.message}); choose it again", error)
        } catch (error: RuntimeException) { // other apps' providers fail in their own ways: withdrawn permission, crashes
            throw PriorRawException(Problem.GONE, "$name: not given by the app that holds it; choose it again", error)
        }

    private fun fill(stream: InputStream, into: ByteArray): Int {
        var size = 0
        while (size < into.size) {
            val count = stream.read(into, size, into.size - size)
            if (count < 0) break
            size += count
        }
        return size
    }

    /** Run [work]; a failure becomes a state, and the answer null. */
    private fun <T> answer(work: () -> T): T? = failing(work) { problem, detail -> show(State.Failed(problem, detail)) }

    /** Run [work] beside; a failure is noticed and leaves the state as it is. */
    private fun <T> aside(work: () -> T): T? =
        failing(work) { problem, _ -> main.post { problem?.let { noticed?.invoke(it) } } }

    private fun <T> failing(work: () -> T, tell: (Problem?, String) -> Unit): T? {
        try {
            return work()
        } catch (error: PriorRawException) {
            tell(error.problem, error.message.orEmpty())
        } catch (_: Cancelled) {
            tell(null, "")
        } catch (error: OutOfMemoryError) {
            tell(Problem.LOW_MEMORY, error.message.orEmpty())
        } catch (error: IOException) {
            tell(Problem.STORAGE, error.message.orEmpty())
        }
        return null
    }

    private fun show(new: State) {
        main.post {
            state = new
            listener?.invoke(new)
        }
    }
}
