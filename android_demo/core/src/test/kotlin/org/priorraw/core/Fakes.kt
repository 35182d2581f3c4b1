package org.priorraw.core

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.file.Files
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows

/** Run [work], which must fail for the reason [problem]; returns its message. */
fun refused(problem: Problem, work: () -> Unit): String {
    val error = assertThrows(PriorRawException::class.java) { work() }
    assertEquals(error.message, problem, error.problem)
    assertEquals("one line", 1, error.message!!.lines().size)
    return error.message!!
}

fun temporaryFolder(): File = Files.createTempDirectory("priorraw").toFile()

/** A picture whose codes tell where they stand. */
fun pattern(width: Int, height: Int): ArrayPicture =
    ArrayPicture(width, height, IntArray(width * height) { i -> (i % width * 7 and 255 shl 16) or (i / width * 5 and 255 shl 8) or (i * 3 and 255) })

/** A picture that fails with [error] from row [from] on. */
class BrokenPicture(override val width: Int, override val height: Int, private val from: Int, private val error: () -> Throwable) : Picture {
    override fun read(left: Int, top: Int, width: Int, height: Int, into: IntArray) {
        if (top + height > from) throw error()
        into.fill(0x808080)
    }
}

/** Gives the square of a tile as its raw, and [trust] as reliability. */
open class SquareEngine(private val side: Int, private val trust: Float = 0.5f) : RawEngine {
    override fun scene(thumbnail: FloatArray, bank: Bank) = floatArrayOf(thumbnail.average().toFloat())

    override fun tile(tile: FloatArray, scene: FloatArray) =
        TileOutput(FloatArray(tile.size) { tile[it] * tile[it] }, FloatArray(side * side) { trust })

    override fun close() = Unit
}

/** A bundle of sound files whose programs nobody runs. */
class BundleFiles(val tile: Int = 32, val halo: Int = 4, val align: Int = 8) {
    private val bank = safetensors(mapOf("keys" to listOf(2, 4), "values" to listOf(6, 2), "camera" to listOf(1, 13)))
    val files = mutableMapOf("scene.pte" to "scene".toByteArray(), "tile.pte" to "tile".toByteArray(), "banks/a.safetensors" to bank)
    var format = 4
    var extra = ""

    fun manifest(): String {
        val square = "[1, 3, $tile, $tile]"
        fun port(name: String, shape: String) = """{"name": "$name", "dtype": "float32", "shape": $shape}"""
        val hashes = files.entries.joinToString { "\"${it.key}\": \"${sha256(it.value)}\"" }
        val bytes = files.entries.joinToString { "\"${it.key}\": ${it.value.size}" }
        val scene = listOf(port("thumbnail", "[1, 3, 16, 16]"), port("keys", "[2, 4]"), port("values", "[6, 2]"), port("camera", "[1, 13]"))
        return """{"format": $format, "target": "xnnpack", "camera": "a", "tile": $tile, "halo": $halo, "align": $align, $extra
            "thumbnail": 16, "precision": "fp32", "encoder_sha256": "e", "files": {$hashes}, "bytes": {$bytes},
            "banks": {"a": {"file": "banks/a.safetensors", "golden": "golden/a.safetensors", "color_matrix": [1, 0, 0, 0, 1, 0, 0, 0, 1],
                "parity": {"x": {"raw": {"psnr": null}}, "y": {"raw": {"psnr": 140.5}}}}},
            "programs": {"scene": {"file": "scene.pte", "inputs": [${scene.joinToString()}], "outputs": [${port("scene", "[1, 1]")}]},
                "tile": {"file": "tile.pte", "inputs": [${port("tile", square)}, ${port("scene", "[1, 1]")}],
                    "outputs": [${port("raw", square)}, ${port("reliability", "[1, 1, $tile, $tile]")}]}},
            "manifest_sha256": "${"0".repeat(64)}"}""".let { String(sealed(it.toByteArray())) }
    }

    fun write(folder: File = temporaryFolder()): File {
        for ((name, bytes) in files + (MANIFEST to manifest().toByteArray())) {
            File(folder, name).run {
                parentFile.mkdirs()
                writeBytes(bytes)
            }
        }
        return folder
    }
}

/** A safetensors file of F32 tensors that hold 0, 1, 2 and so on over their size. */
fun safetensors(shapes: Map<String, List<Int>>, metadata: String = ""): ByteArray {
    var at = 0
    val entries = shapes.map { (name, shape) ->
        val start = at
        at += 4 * elements(shape)
        """"$name": {"dtype": "F32", "shape": $shape, "data_offsets": [$start, $at]}"""
    }
    val header = "{${(entries + listOf(metadata).filter { it.isNotEmpty() }).joinToString()}}".toByteArray()
    val out = ByteBuffer.allocate(8 + header.size + at).order(ByteOrder.LITTLE_ENDIAN).putLong(header.size.toLong()).put(header)
    for (shape in shapes.values) for (i in 0 until elements(shape)) out.putFloat(i.toFloat() / elements(shape))
    return out.array()
}
