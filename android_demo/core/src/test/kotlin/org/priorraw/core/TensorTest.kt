package org.priorraw.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test

class TensorTest {
    private val file = safetensors(mapOf("a" to listOf(2, 2), "b" to listOf(3)), "\"__metadata__\": {\"k\": \"v\"}")

    @Test
    fun `tensors and metadata are read`() {
        val parsed = parseSafetensors(file)
        assertArrayEquals(floatArrayOf(0f, 0.25f, 0.5f, 0.75f), parsed.tensors.getValue("a").values, 0f)
        assertEquals(listOf(3), parsed.tensors.getValue("b").shape)
        assertEquals(mapOf("k" to "v"), parsed.metadata)
    }

    @Test
    fun `a file that ends anywhere is refused`() {
        for (size in 0 until file.size) assertThrows("$size bytes", JsonException::class.java) { parseSafetensors(file.copyOf(size)) }
    }

    @Test
    fun `offsets that do not fit are refused`() {
        fun header(offsets: String, shape: String = "[2]", type: String = "F32"): ByteArray {
            val text = """{"a": {"dtype": "$type", "shape": $shape, "data_offsets": $offsets}}""".toByteArray()
            return byteArrayOf(text.size.toByte(), 0, 0, 0, 0, 0, 0, 0) + text + ByteArray(8)
        }
        parseSafetensors(header("[0, 8]"))
        val bad = listOf(
            header("[0, 4]"), header("[4, 12]"), header("[-8, 0]"), header("[8, 0]"), header("[0]"),
            header("[0, 8]", "[-2]"), header("[0, 8]", "[4294967298]"), header("[0, 8]", "[65536, 65536]"), header("[0, 8]", type = "F64"),
        )
        for (bytes in bad) assertThrows(JsonException::class.java) { parseSafetensors(bytes) }
    }
}
