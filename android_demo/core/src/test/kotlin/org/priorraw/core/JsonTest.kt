package org.priorraw.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test

class JsonTest {
    @Test
    fun `values become Kotlin's`() {
        val text = """ {"a": [1, -2.5e1, true, null, "é\u00e9\n\"/"], "b": {}, "c": []} """
        val expected = mapOf("a" to listOf(1L, -25.0, true, null, "éé\n\"/"), "b" to emptyMap<String, Any>(), "c" to emptyList<Any>())
        assertEquals(expected, parseJson(text))
    }

    @Test
    fun `whatever is no JSON is refused`() {
        val deep = "[".repeat(10_000)
        val bad = listOf("", "{", "[1,]", "{\"a\":1,}", "01", "+1", "1.", ".5", "nul", "'a'", "\"a", "\"\t\"", "1 2", "{\"a\":1,\"a\":2}", "1e999", "NaN", "\"\\x\"", "\"\\u12G4\"", deep)
        for (text in bad) assertThrows(text.take(20), JsonException::class.java) { parseJson(text) }
    }

    @Test
    fun `fields of another kind are refused`() {
        val fields = Fields(parseJson("""{"a": "x", "b": 7, "c": [1, "2"]}"""))
        assertEquals(7L, fields.whole("b", 0, 7))
        val wrong = listOf({ fields.whole("a", 0, 9) }, { fields.whole("b", 0, 6) }, { fields.text("b") }, { fields.numbers("c", 2) }, { fields.fields("d") })
        for (read in wrong) assertThrows(JsonException::class.java) { read() }
    }
}
