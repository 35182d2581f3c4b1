package org.priorraw.core

import java.io.ByteArrayInputStream
import java.io.ByteArrayOutputStream
import java.io.File
import java.util.zip.ZipEntry
import java.util.zip.ZipOutputStream
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Test

class BundleStoreTest {
    private val root = temporaryFolder()
    private val store = BundleStore(root)

    private fun install(files: BundleFiles): Bundle {
        val folder = files.write()
        return store.bundle { File(folder, it).inputStream() }
    }

    private fun zip(files: Map<String, ByteArray>) = ByteArrayOutputStream().also { bytes ->
        ZipOutputStream(bytes).use { zip ->
            for ((name, data) in files) {
                zip.putNextEntry(ZipEntry(name))
                zip.write(data)
            }
        }
    }.toByteArray().let { ByteArrayInputStream(it) }

    private fun zip(files: BundleFiles) = zip(files.files + (MANIFEST to files.manifest().toByteArray()))

    @Test
    fun `the shipped bundle is stored once, and anew when another ships`() {
        install(BundleFiles())
        val file = File(root, "bundle/tile.pte")
        val before = file.lastModified().also { file.setLastModified(it - 60_000) }
        install(BundleFiles())
        assertEquals(before - 60_000, file.lastModified())
        assertEquals(40, install(BundleFiles(tile = 40)).tile)
    }

    @Test
    fun `a damaged bundle leaves the stored one`() {
        install(BundleFiles())
        val damaged = BundleFiles(tile = 40).let { it.files + (MANIFEST to it.manifest().toByteArray()) + ("tile.pte" to "else".toByteArray()) }
        refused(Problem.BUNDLE) { store.importBundle(zip(damaged)) }
        refused(Problem.BUNDLE) { store.importBundle(ByteArrayInputStream("no zip".toByteArray())) }
        refused(Problem.BUNDLE) { store.bundle { ByteArrayInputStream("no manifest".toByteArray()) } }
        val whole = zip(BundleFiles(tile = 40)).readBytes()
        // The rest is the directory at the end, which a stream does without.
        for (size in 0 until whole.size / 2 step 97) refused(Problem.BUNDLE) { store.importBundle(ByteArrayInputStream(whole.copyOf(size))) }
        refused(Problem.BUNDLE) { store.importBundle(zip(mapOf("../escaped" to ByteArray(1)))) }
        assertFalse(File(root, "escaped").exists())
        assertEquals(32, Bundle(File(root, "bundle")).tile)
        assertEquals(listOf("bundle", "bundle.sha256"), root.list()!!.sorted())
        assertEquals(40, store.importBundle(zip(BundleFiles(tile = 40))).tile)
    }

    @Test
    fun `a bank that does not fit is not kept`() {
        val bundle = install(BundleFiles())
        refused(Problem.BANK) { store.importBank(bundle, "x", ByteArrayInputStream(ByteArray(100))) }
        assertEquals(listOf("a"), store.cameras(bundle))
        refused(Problem.BANK) { store.bank(bundle, "../a") }
    }
}
