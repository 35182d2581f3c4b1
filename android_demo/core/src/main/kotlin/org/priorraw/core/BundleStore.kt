package org.priorraw.core

import java.io.File
import java.io.FilterInputStream
import java.io.IOException
import java.io.InputStream
import java.util.zip.ZipInputStream

/**
 * The bundle and the further banks that an app keeps in a folder of its own. What comes in is checked whole before it
 * takes the place of what was there; bundles of another than [signer] are refused, where there is one.
 */
class BundleStore(private val root: File, private val signer: Signer? = null) {
    private val folder = File(root, "bundle")
    private val banks = File(root, "banks")

    /**
     * The stored bundle; the one that ships is put there first where there is none, or another one ships now.
     *
     * @param open opens a file of the shipped bundle by its name.
     * @throws PriorRawException the shipped bundle is damaged, or there is no space for it.
     */
    fun bundle(open: (String) -> InputStream): Bundle {
        val shipped = open(MANIFEST).use { it.readBytes() }
        val stamp = File(root, STAMP)
        if (!stamp.isFile || stamp.readText() != sha256(shipped) || !folder.isDirectory) {
            replace { into -> for (name in namesIn(shipped) + MANIFEST + listOfNotNull(SIGNATURE.takeIf { signer != null })) open(name).use { copy(name, it, into) } }
            storing(STAMP) { stamp.writeText(sha256(shipped)) }
        }
        return Bundle(folder, signer)
    }

    /**
     * Take the bundle in a zip file, with all its banks, in place of the stored one.
     *
     * @throws PriorRawException it holds no sound bundle; the stored one then stays.
     */
    fun importBundle(zip: InputStream): Bundle {
        replace { into ->
            try {
                unpack(zip, into)
            } catch (error: IOException) {
                throw damaged(error)
            } catch (error: IllegalArgumentException) { // names in no encoding
                throw damaged(error)
            }
        }
        return Bundle(folder, signer)
    }

    /**
     * Keep a bank.safetensors of `priorraw-edge bank build`.
     *
     * @throws PriorRawException it does not belong to [bundle].
     */
    fun importBank(bundle: Bundle, name: String, stream: InputStream): Bank {
        val bytes = Limited(stream, LARGEST_BANK).readBytes()
        val bank = Bank.imported(bundle, name, bytes)
        banks.mkdirs()
        AtomicFile(bankFile(bank.camera)).use {
            it.write(bytes)
            it.commit()
        }
        return bank
    }

    /** Cameras whose banks the bundle or the user's imports hold. */
    fun cameras(bundle: Bundle): List<String> {
        val imported = banks.list().orEmpty().filter { it.endsWith(SUFFIX) && !it.startsWith(".") }
        return (bundle.banks.keys + imported.map { it.removeSuffix(SUFFIX) }).sorted()
    }

    /** The bank of a camera, an imported one before the bundle's. */
    fun bank(bundle: Bundle, camera: String): Bank {
        val imported = bankFile(camera)
        return if (imported.isFile) Bank.imported(bundle, imported.name, imported.readBytes()) else Bank.of(bundle, camera)
    }

    private fun bankFile(camera: String): File {
        if (!NAME.matches(camera)) {
            throw PriorRawException(Problem.BANK, "a bank of the camera \"${camera.take(80)}\"; build it again under a plain name")
        }
        return File(banks, camera + SUFFIX)
    }

    private fun namesIn(manifest: ByteArray): List<String> =
        try {
            Fields(parseJson(String(manifest, Charsets.UTF_8))).fields("files").keys
        } catch (error: JsonException) {
            throw PriorRawException(Problem.BUNDLE, "the shipped $MANIFEST is damaged (${error.message}); install the app again", error)
        }

    private fun damaged(error: Exception) =
        PriorRawException(Problem.BUNDLE, "damaged zip file (${error.message}); copy it again", error)

    private fun replace(fill: (File) -> Unit) {
        val incoming = File(root, "bundle.incoming")
        val outgoing = File(root, "bundle.outgoing")
        listOf(incoming, outgoing).forEach { it.deleteRecursively() }
        try {
            fill(incoming)
            Bundle(incoming, signer).checkAll()
            folder.renameTo(outgoing)
            if (!incoming.renameTo(folder)) {
                outgoing.renameTo(folder)
                throw storageError(folder.name, IOException("cannot be renamed"))
            }
        } finally {
            listOf(incoming, outgoing).forEach { it.deleteRecursively() }
        }
    }

    private fun unpack(zip: InputStream, into: File) {
        var left = LARGEST_BUNDLE
        ZipInputStream(zip).use { entries ->
            generateSequence { entries.nextEntry }.filter { !it.isDirectory }.forEachIndexed { i, entry ->
                if (i >= MOST_FILES || !isPlainPath(entry.name)) {
                    throw PriorRawException(Problem.BUNDLE, "${entry.name.take(80)} in the zip file; zip the bundle folder's content")
                }
                left -= copy(entry.name, Limited(entries, left), into)
            }
        }
    }

    private fun copy(name: String, stream: InputStream, into: File): Long {
        if (!isPlainPath(name)) throw PriorRawException(Problem.BUNDLE, "$name lies outside the bundle; export it again")
        val out = File(into, name)
        out.parentFile?.mkdirs()
        val buffer = ByteArray(1 shl 16)
        var total = 0L
        storing(name) { out.outputStream() }.use { file ->
            while (true) {
                val count = stream.read(buffer)
                if (count < 0) return total
                storing(name) { file.write(buffer, 0, count) }
                total += count
            }
        }
    }

    private fun <T> storing(name: String, work: () -> T): T =
        try {
            work()
        } catch (error: IOException) {
            throw storageError(name, error)
        }

    /** Ends with an exception where a stream is longer than anything of ours. */
    private class Limited(stream: InputStream, private var left: Long) : FilterInputStream(stream) {
        override fun read(): Int = super.read().also { if (it >= 0) count(1) }

        override fun read(bytes: ByteArray, from: Int, length: Int): Int =
            super.read(bytes, from, length).also { if (it > 0) count(it.toLong()) }

        override fun close() = Unit // the caller's

        private fun count(bytes: Long) {
            left -= bytes
            if (left < 0) throw PriorRawException(Problem.BUNDLE, "larger than any bundle or bank; choose another file")
        }
    }

    private companion object {
        const val STAMP = "bundle.sha256"
        const val SUFFIX = ".safetensors"
        const val MOST_FILES = 1000
        const val LARGEST_BANK = 256L shl 20
        const val LARGEST_BUNDLE = 1L shl 30
        val NAME = Regex("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
    }
}
