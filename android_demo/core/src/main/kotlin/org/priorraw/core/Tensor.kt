package org.priorraw.core

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** float32 values in row-major order; an image is (N, C, H, W). */
class Tensor(val shape: List<Int>, val values: FloatArray) {
    init {
        require(values.size == elements(shape)) { "${values.size} values for ${shape.joinToString("x")}" }
    }

    val shapeText: String get() = shape.joinToString("x")
}

/** Number of elements of a shape. */
fun elements(shape: List<Int>): Int = shape.fold(1) { product, side -> Math.multiplyExact(product, side) }

/** The tensors of a safetensors file, and its metadata. */
class TensorFile(val tensors: Map<String, Tensor>, val metadata: Map<String, String>)

/**
 * Parse a safetensors file; F32, and U8 as floats of the same value (docs of the format: huggingface/safetensors).
 *
 * @throws JsonException where it is damaged, or holds another type.
 */
fun parseSafetensors(bytes: ByteArray): TensorFile {
    val buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)
    if (bytes.size < 8) throw JsonException("ends before its header")
    val length = buffer.getLong(0)
    if (length !in 0..(bytes.size - 8L)) throw JsonException("ends inside its header")
    val header = Fields(parseJson(String(bytes, 8, length.toInt(), Charsets.UTF_8)), "its header")
    val start = 8 + length.toInt()
    val tensors = header.keys.filter { it != METADATA }.associateWith { readTensor(header.fields(it), buffer, start) }
    val metadata = if (METADATA in header) header.fields(METADATA) else null
    return TensorFile(tensors, metadata?.keys.orEmpty().associateWith { metadata!!.text(it) })
}

private const val METADATA = "__metadata__"
private const val LARGEST = 1L shl 28

private fun readTensor(entry: Fields, file: ByteBuffer, start: Int): Tensor {
    val type = entry.text("dtype")
    val size = when (type) {
        "F32" -> 4L
        "U8" -> 1L
        else -> throw JsonException("dtype $type where F32 or U8 is needed")
    }
    val shape = entry.list("shape").map { side -> (side as? Long)?.takeIf { it in 0..LARGEST } ?: throw JsonException("a side of $side") }
    val count = shape.fold(1L) { product, side -> (product * side).also { if (it > LARGEST) throw JsonException("a shape of $shape") } }
    val offsets = entry.list("data_offsets").map { it as? Long ?: throw JsonException("an offset of $it") }
    val available = file.limit().toLong() - start
    if (offsets.size != 2 || offsets[0] < 0 || offsets[1] > available || offsets[1] - offsets[0] != count * size) {
        throw JsonException("offsets $offsets for ${count * size} of $available bytes")
    }
    val values = FloatArray(count.toInt())
    val data = file.duplicate().order(ByteOrder.LITTLE_ENDIAN).apply { position(start + offsets[0].toInt()) }
    if (type == "F32") data.asFloatBuffer().get(values) else for (i in values.indices) values[i] = (data.get().toInt() and 255).toFloat()
    return Tensor(shape.map { it.toInt() }, values)
}
