package org.priorraw.core

import java.io.File
import java.io.IOException
import java.security.MessageDigest

/** An input or output of a program; float32, contiguous. */
data class Port(val name: String, val shape: List<Int>)

/** A program as bundle.json describes it; inputs and outputs in the order of the arguments. */
class ProgramInfo(val file: String, val inputs: List<Port>, val outputs: List<Port>)

/**
 * What bundle.json says of one camera.
 *
 * @property colorMatrix (3, 3), row by row: XYZ (D65) to camera.
 * @property parity least PSNR (dB) of the lowered programs' raw-RGB against PyTorch, as measured at export; null: equal.
 */
class BankInfo(val file: String, val golden: String, val colorMatrix: DoubleArray, val parity: Double?)

/**
 * A bundle folder of format [FORMAT] for XNNPACK, as `priorraw-edge export --target xnnpack` writes it.
 *
 * Everything in it is refused unless size and SHA-256 are what bundle.json says, and bundle.json unless it is as it was
 * written and signed by [signer], where there is one.
 *
 * @throws PriorRawException the folder is no such bundle.
 */
class Bundle(val folder: File, signer: Signer? = null) {
    /** Side of a tile; pixels on each of its sides that do not count; what tile origins are multiples of; pixels. */
    val tile: Int
    val halo: Int
    val align: Int

    /** Side of the picture that the scene program sees, pixels. */
    val thumbnail: Int

    /** fp32 or int8. */
    val precision: String

    /** The camera whose bank is used unless another is named. */
    val camera: String
    val encoderSha256: String
    val scene: ProgramInfo
    val tileProgram: ProgramInfo
    val banks: Map<String, BankInfo>

    private val files: Map<String, Pair<String, Long>> // name to SHA-256 and size

    init {
        val path = File(folder, MANIFEST)
        try {
            val text = read(path, LARGEST_MANIFEST)
            if (signer != null) checkSignature(signer, text)
            val manifest = Fields(parseJson(String(text, Charsets.UTF_8)))
            checkFormat(manifest)
            if (!isSealed(text)) refuse("$MANIFEST was altered")
            tile = manifest.whole("tile", 1, LARGEST_TILE).toInt()
            halo = manifest.whole("halo", 0, LARGEST_TILE).toInt()
            align = manifest.whole("align", 1, LARGEST_TILE).toInt()
            thumbnail = manifest.whole("thumbnail", 1, LARGEST_TILE).toInt()
            precision = manifest.text("precision")
            camera = manifest.text("camera")
            encoderSha256 = manifest.text("encoder_sha256")
            scene = program(manifest.fields("programs").fields("scene"))
            tileProgram = program(manifest.fields("programs").fields("tile"))
            banks = manifest.fields("banks").let { entries -> entries.keys.associateWith { bank(entries.fields(it)) } }
            val bytes = manifest.fields("bytes")
            files = manifest.fields("files").let { hashes ->
                hashes.keys.associateWith { hashes.text(it) to bytes.whole(it, 0, LARGEST_FILE) }
            }
            checkPrograms()
        } catch (error: JsonException) {
            refuse("damaged (${error.message})")
        }
    }

    /** @throws PriorRawException there is no bank of [name]. */
    fun bank(name: String): BankInfo = banks[name]
        ?: throw PriorRawException(Problem.BANK, "${folder.name}: holds no bank of $name; it has ${banks.keys.joinToString()}")

    /**
     * The bytes of a file of the bundle.
     *
     * @throws PriorRawException unless they are those that were exported.
     */
    fun checkedBytes(name: String): ByteArray {
        if (!isPlainPath(name)) refuse("names $name, outside the bundle")
        val (hash, size) = files[name] ?: refuse("lists no sha256 of $name")
        val bytes = read(File(folder, name), size)
        if (bytes.size.toLong() != size || sha256(bytes) != hash) refuse("$name differs from the sha256 in $MANIFEST")
        return bytes
    }

    /** A file of the bundle for a runtime that takes paths, checked just now. */
    fun checkedFile(name: String): File = File(folder, name).also { checkedBytes(name) }

    /** Check every file, used or not: a bundle that was altered anywhere is not to be trusted. */
    fun checkAll() = files.keys.forEach { checkedBytes(it) }

    /** The tensors of a safetensors file of the bundle. */
    fun tensors(name: String): Map<String, Tensor> =
        try {
            parseSafetensors(checkedBytes(name)).tensors
        } catch (error: JsonException) {
            refuse("$name: no sound safetensors file (${error.message})")
        }

    /** Throw what says that the bundle cannot be used, and the cure. */
    fun refuse(reason: String): Nothing =
        throw PriorRawException(Problem.BUNDLE, "${folder.name}: $reason; export the bundle again")

    private fun checkSignature(signer: Signer, text: ByteArray) {
        val file = File(folder, SIGNATURE)
        if (!file.isFile) refuse("is not signed (holds no $SIGNATURE)")
        if (!signer.signed(text, read(file, LARGEST_SIGNATURE))) refuse("was signed by somebody else, or altered")
    }

    private fun checkFormat(manifest: Fields) {
        val format = manifest.whole("format", 0, Int.MAX_VALUE.toLong())
        if (format != FORMAT) refuse("format $format, this app reads $FORMAT")
        if (manifest.text("target") != "xnnpack") refuse("target ${manifest.text("target")}, this app runs xnnpack")
    }

    private fun checkPrograms() {
        try {
            planAxis(1, tile, halo, align)
        } catch (error: IllegalArgumentException) {
            refuse(error.message ?: "no tile")
        }
        expect(scene.inputs, Port("thumbnail", listOf(1, 3, thumbnail, thumbnail)))
        expect(tileProgram.inputs, Port("tile", listOf(1, 3, tile, tile)))
        expect(tileProgram.outputs, Port("raw", listOf(1, 3, tile, tile)))
        expect(tileProgram.outputs, Port("reliability", listOf(1, 1, tile, tile)))
        if (scene.outputs.size != 1) refuse("a scene program of ${scene.outputs.size} outputs")
        expect(tileProgram.inputs, Port("scene", scene.outputs[0].shape))
        bank(camera)
    }

    private fun expect(ports: List<Port>, port: Port) {
        if (port !in ports) refuse("no program port ${port.name} of ${port.shape.joinToString("x")}")
    }

    private fun read(path: File, limit: Long): ByteArray {
        try {
            val size = path.length()
            if (!path.isFile) refuse("${path.name} is missing")
            if (size > limit) refuse("${path.name} has $size bytes, more than $limit")
            return path.readBytes()
        } catch (error: IOException) {
            refuse("${path.name} is not readable (${error.message})")
        }
    }

    private companion object {
        const val LARGEST_MANIFEST = 16L shl 20
        const val LARGEST_SIGNATURE = 64L
        const val LARGEST_FILE = 1L shl 30
        const val LARGEST_TILE = 4096L

        fun program(entry: Fields) = ProgramInfo(entry.text("file"), ports(entry, "inputs"), ports(entry, "outputs"))

        fun ports(entry: Fields, key: String): List<Port> = entry.list(key).map {
            val port = Fields(it, key)
            if (port.text("dtype") != "float32") throw JsonException("dtype ${port.text("dtype")} in $key")
            Port(port.text("name"), port.list("shape").map { side ->
                (side as? Long)?.takeIf { n -> n in 1..(1L shl 20) }?.toInt() ?: throw JsonException("a side of $side")
            })
        }

        fun bank(entry: Fields) =
            BankInfo(entry.text("file"), entry.text("golden"), entry.numbers("color_matrix", 9), parityOf(entry))

        fun parityOf(entry: Fields): Double? {
            if ("parity" !in entry) return null
            val stages = entry.fields("parity")
            return stages.keys.mapNotNull { stage ->
                (parityOfStage(stages.fields(stage)))
            }.minOrNull()
        }

        fun parityOfStage(stage: Fields): Double? =
            if ("raw" in stage) runCatching { stage.fields("raw").number("psnr") }.getOrNull() else null
    }
}

/** Name of the file that describes a bundle, and the format that is read here. */
const val MANIFEST = "bundle.json"
const val FORMAT = 4L

/** SHA-256 in lower-case hexadecimal digits. */
fun sha256(bytes: ByteArray): String =
    MessageDigest.getInstance("SHA-256").digest(bytes).joinToString("") { "%02x".format(it) }

/** Whether [name] is a plain relative path downward, with forward slashes. */
fun isPlainPath(name: String): Boolean =
    name.isNotEmpty() && name.split('/').all { it.isNotEmpty() && it != "." && it != ".." && '\\' !in it && '\u0000' !in it }
