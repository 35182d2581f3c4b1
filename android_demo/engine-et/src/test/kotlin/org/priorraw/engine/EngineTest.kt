package org.priorraw.engine

import java.io.File
import java.nio.file.Files
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Before
import org.junit.Test
import org.priorraw.core.Bank
import org.priorraw.core.Bundle
import org.priorraw.core.MANIFEST
import org.priorraw.core.PriorRawException
import org.priorraw.core.Problem
import org.priorraw.core.compareWithGolden
import org.priorraw.core.sealed
import org.priorraw.core.sha256
import org.priorraw.host.Desktop

/** ExecuTorch's real Java classes run a real bundle, which the property priorraw.bundle names. */
class EngineTest {
    private val exported = File(System.getProperty("priorraw.bundle") ?: "none")

    @Before
    fun needsDesktopLibrary() {
        assumeTrue("needs android_demo/ci/jvm.sh", System.getProperty("priorraw.jni") != null && exported.isDirectory)
        Desktop.useExecuTorch()
    }

    /** A copy of the bundle with one file spoilt. */
    private fun spoilt(name: String, listed: Boolean, change: (ByteArray) -> ByteArray): Bundle {
        val folder = Files.createTempDirectory("bundle").toFile()
        exported.copyRecursively(folder)
        val file = File(folder, name)
        val before = file.readBytes()
        val after = change(before)
        file.writeBytes(after)
        if (listed) {
            val manifest = File(folder, MANIFEST)
            val sizes = Regex("(\"bytes\": *\\{[^}]*\"$name\": *)${before.size}")
            val text = sizes.replace(manifest.readText().replace(sha256(before), sha256(after)), "$1${after.size}")
            manifest.writeBytes(sealed(text.toByteArray()))
        }
        return Bundle(folder)
    }

    private fun failure(work: () -> Unit) = assertThrows(PriorRawException::class.java) { work() }

    @Test
    fun `golden inputs give PyTorch's outputs`() {
        val bundle = Bundle(exported)
        bundle.checkAll()
        ExecuTorchEngine(bundle, threads = 1).use { engine ->
            for (camera in bundle.banks.keys) for (row in compareWithGolden(bundle, engine, camera)) {
                println("$camera ${row.output}: max error ${row.maxError}, PSNR ${row.psnr ?: "equal"} dB")
                // Seen: fp32 131 to 146 dB; int8 66 to 83, and 48 of the reliability, which magnifies small errors.
                val least = if (bundle.precision == "fp32") 100.0 else if (row.output == "reliability") 35.0 else 50.0
                assertTrue("${row.output}: ${row.psnr}", row.psnr == null || row.psnr!! >= least)
            }
        }
    }

    @Test
    fun `two runs give the same, and results stay when the next comes`() {
        val bundle = Bundle(exported)
        ExecuTorchEngine(bundle, threads = 1).use { engine ->
            val scene = engine.scene(FloatArray(3 * bundle.thumbnail * bundle.thumbnail) { it % 200 / 255f }, Bank.of(bundle))
            val tile = FloatArray(3 * bundle.tile * bundle.tile) { it % 251 / 255f }
            val first = engine.tile(tile, scene)
            val kept = first.raw.copyOf()
            assertFalse(kept.contentEquals(engine.tile(FloatArray(tile.size), scene).raw))
            assertArrayEquals(kept, first.raw, 0f)
            assertArrayEquals(kept, engine.tile(tile, scene).raw, 0f)
        }
    }

    @Test
    fun `a program with one bit changed is refused before it is loaded`() {
        for (name in listOf("tile.pte", "scene.pte")) {
            val bundle = spoilt(name, listed = false) { it.also { bytes -> bytes[bytes.size / 3] = (bytes[bytes.size / 3].toInt() xor 4).toByte() } }
            val error = failure { ExecuTorchEngine(bundle).use { it.scene(FloatArray(3 * bundle.thumbnail * bundle.thumbnail), Bank.of(bundle)) } }
            assertEquals(Problem.BUNDLE, error.problem)
            assertTrue(error.message!!, "$name differs from the sha256" in error.message!!)
        }
    }

    @Test
    fun `what ExecuTorch does not load is said`() {
        for (change in listOf<(ByteArray) -> ByteArray>({ ByteArray(0) }, { "no program".toByteArray() }, { it.copyOf(it.size / 2) })) {
            val error = failure { ExecuTorchEngine(spoilt("tile.pte", listed = true, change)).close() }
            assertEquals(error.message, Problem.MODEL, error.problem)
        }
    }

    @Test
    fun `inputs of another size are refused`() {
        val bundle = Bundle(exported)
        ExecuTorchEngine(bundle).use { engine ->
            assertTrue("takes" in failure { engine.tile(FloatArray(5), FloatArray(10)) }.message!!)
            assertTrue("takes" in failure { engine.scene(FloatArray(5), Bank.of(bundle)) }.message!!)
        }
    }

    @Test
    fun `a program that takes other tensors than bundle json says is refused`() {
        val bundle = Bundle(exported)
        val folder = Files.createTempDirectory("bundle").toFile()
        exported.copyRecursively(folder)
        val larger = bundle.tile + bundle.align // the manifest then promises another tile than the program has
        File(folder, MANIFEST).run {
            val text = readText().replace(Regex("(\"tile\": *)${bundle.tile}\\b"), "$1$larger")
            writeBytes(sealed(text.replace(Regex("\\b${bundle.tile}\\b(?=\\s*[,\\]])"), "$larger").toByteArray()))
        }
        val other = Bundle(folder)
        assertEquals(larger, other.tile)
        val error = failure { ExecuTorchEngine(other).use { it.tile(FloatArray(3 * larger * larger), FloatArray(10)) } }
        assertEquals(Problem.MODEL, error.problem)
    }
}
