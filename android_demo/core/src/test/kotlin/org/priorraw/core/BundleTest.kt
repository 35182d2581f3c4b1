package org.priorraw.core

import java.io.File
import java.security.KeyPair
import java.security.KeyPairGenerator
import java.security.PublicKey
import java.security.Signature
import java.util.Base64
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class BundleTest {
    @Test
    fun `a sound bundle is read`() {
        val bundle = Bundle(BundleFiles().write())
        bundle.checkAll()
        assertEquals(listOf(32, 4, 8, 16), listOf(bundle.tile, bundle.halo, bundle.align, bundle.thumbnail))
        assertEquals(140.5, bundle.bank("a").parity!!, 0.0)
        assertEquals(listOf(6, 2), Bank.of(bundle).tensors.getValue("values").shape)
        assertTrue("holds no bank of b; it has a" in refused(Problem.BANK) { bundle.bank("b") })
    }

    @Test
    fun `a byte changed in any file is found`() {
        for (name in BundleFiles().files.keys) {
            val folder = BundleFiles().write()
            val file = File(folder, name)
            file.writeBytes(file.readBytes().also { it[it.size / 2] = (it[it.size / 2] + 1).toByte() })
            assertTrue("$name differs" in refused(Problem.BUNDLE) { Bundle(folder).checkAll() })
        }
    }

    @Test
    fun `missing, shortened and longer files are refused`() {
        val spoil: List<(File) -> Unit> = listOf({ it.delete() }, { it.writeBytes(ByteArray(2)) }, { it.appendBytes(ByteArray(1)) })
        for (change in spoil) {
            val folder = BundleFiles().write()
            change(File(folder, "tile.pte"))
            refused(Problem.BUNDLE) { Bundle(folder).checkedFile("tile.pte") }
        }
    }

    @Test
    fun `manifests that do not fit are refused`() {
        val bad = listOf(
            BundleFiles().apply { format = 3 },
            BundleFiles(tile = 8, halo = 4), // no core
            BundleFiles(tile = 33), // off the grid
            BundleFiles().apply { extra = "\"tile\": 64," }, // twice
            BundleFiles().apply { extra = "\"a\\nb\": 1, \"a\\nb\": 1," }, // twice, and a name of two lines
            BundleFiles().apply { files.clear() },
        )
        for (files in bad) refused(Problem.BUNDLE) { Bundle(files.write()).checkAll().also { _ -> Bank.of(Bundle(files.write())) } }
        refused(Problem.BUNDLE) { Bundle(temporaryFolder()) }
        refused(Problem.BUNDLE) { Bundle(temporaryFolder().also { File(it, MANIFEST).writeText("{\"format\": 3}") }) }
    }

    @Test
    fun `a byte changed anywhere in the manifest is found`() {
        val text = BundleFiles().manifest().toByteArray()
        val folder = BundleFiles().write()
        for (at in text.indices) {
            File(folder, MANIFEST).writeBytes(text.copyOf().also { it[at] = (it[at].toInt() xor 4).toByte() })
            refused(Problem.BUNDLE) { Bundle(folder) }
        }
    }

    @Test
    fun `only what the signer signed is taken`() {
        val keys = KeyPairGenerator.getInstance("Ed25519")
        fun pem(key: PublicKey) = "-----BEGIN PUBLIC KEY-----\n${Base64.getMimeEncoder().encodeToString(key.encoded)}\n-----END PUBLIC KEY-----\n"
        val (ours, others) = List(2) { keys.generateKeyPair() }
        val folder = BundleFiles().write()
        val signer = Signer(pem(ours.public))
        assertTrue("is not signed" in refused(Problem.BUNDLE) { Bundle(folder, signer) })
        fun sign(pair: KeyPair) = Signature.getInstance("Ed25519").run {
            initSign(pair.private)
            update(File(folder, MANIFEST).readBytes())
            File(folder, SIGNATURE).writeBytes(sign())
        }
        sign(others)
        assertTrue("somebody else" in refused(Problem.BUNDLE) { Bundle(folder, signer) })
        sign(ours)
        Bundle(folder, signer).checkAll()
        File(folder, MANIFEST).appendText(" ")
        refused(Problem.BUNDLE) { Bundle(folder, signer) }
        refused(Problem.BUNDLE) { Signer("no key") }
        refused(Problem.BUNDLE) { Signer(pem(KeyPairGenerator.getInstance("RSA").generateKeyPair().public)) }
    }

    @Test
    fun `paths out of the bundle are refused`() {
        for (name in listOf("../x", "/etc/passwd", "a/../../x", "", "a//b", "a\\b")) {
            refused(Problem.BUNDLE) { Bundle(BundleFiles().write()).checkedBytes(name) }
        }
    }

    @Test
    fun `a bank of one's own takes the bundle's shape or is refused`() {
        val bundle = Bundle(BundleFiles().write())
        fun bank(k: Int = 2, encoder: String = "e"): ByteArray {
            val vector = List(13) { 0.5 }
            val info = """{\"camera\": \"mine\", \"encoder_sha256\": \"$encoder\", \"color_matrix\": [1,0,0,0,1,0,0,0,1], \"camera_vector\": $vector}"""
            return safetensors(mapOf("keys" to listOf(k, 4), "raw" to listOf(k, 3), "srgb" to listOf(k, 3)), "\"__metadata__\": {\"bank\": \"$info\"}")
        }
        val read = Bank.imported(bundle, "bank", bank())
        // srgb and raw hold 0 to 5 sixths, row by row; values are their columns, sRGB first.
        val sixths = floatArrayOf(0f, 3f, 1f, 4f, 2f, 5f).map { it / 6 }.toFloatArray()
        assertArrayEquals(sixths + sixths, read.tensors.getValue("values").values, 0f)
        assertEquals("mine", read.camera)
        refused(Problem.BANK) { Bank.imported(bundle, "bank", bank(k = 3)) }
        assertTrue("another encoder" in refused(Problem.BANK) { Bank.imported(bundle, "bank", bank(encoder = "f")) })
        refused(Problem.BANK) { Bank.imported(bundle, "bank", "no bank at all".toByteArray()) }
    }
}
