package org.priorraw.core

/** Text that is no JSON, or JSON of another shape than expected. */
class JsonException(message: String) : Exception(message)

/**
 * Parse JSON (RFC 8259), strictly: objects become [Map], arrays [List], whole numbers [Long], other numbers [Double].
 *
 * @throws JsonException for anything else, duplicate keys and nesting deeper than [Parser.DEPTH] included.
 */
fun parseJson(text: String): Any? = Parser(text).document()

private class Parser(private val text: String) {
    private var at = 0

    fun document(): Any? {
        val value = value(0)
        skipSpace()
        if (at != text.length) fail("text after its end")
        return value
    }

    private fun value(depth: Int): Any? {
        if (depth > DEPTH) fail("nested too deeply")
        skipSpace()
        return when (peek()) {
            '{' -> members(depth)
            '[' -> elements(depth)
            '"' -> string()
            't' -> word("true", true)
            'f' -> word("false", false)
            'n' -> word("null", null)
            else -> number()
        }
    }

    private fun members(depth: Int): Map<String, Any?> {
        val members = LinkedHashMap<String, Any?>()
        list('{', '}') {
            skipSpace()
            val key = string()
            skipSpace()
            take(':')
            if (members.containsKey(key)) fail("two members $key")
            members[key] = value(depth + 1)
        }
        return members
    }

    private fun elements(depth: Int): List<Any?> {
        val elements = ArrayList<Any?>()
        list('[', ']') { elements.add(value(depth + 1)) }
        return elements
    }

    private inline fun list(open: Char, close: Char, element: () -> Unit) {
        take(open)
        skipSpace()
        if (peek() == close) {
            at++
            return
        }
        while (true) {
            element()
            skipSpace()
            if (peek() == close) break
            take(',')
        }
        at++
    }

    private fun string(): String {
        take('"')
        val out = StringBuilder()
        while (true) {
            val c = next()
            when {
                c == '"' -> return out.toString()
                c == '\\' -> out.append(escaped())
                c < ' ' -> fail("a control character in a string")
                else -> out.append(c)
            }
        }
    }

    private fun escaped(): Char =
        when (val c = next()) {
            '"', '\\', '/' -> c
            'b' -> '\b'
            'f' -> '\u000C'
            'n' -> '\n'
            'r' -> '\r'
            't' -> '\t'
            'u' -> {
                val digits = String(CharArray(4) { next() })
                if (!digits.all { it in '0'..'9' || it in 'a'..'f' || it in 'A'..'F' }) fail("\\u$digits")
                digits.toInt(16).toChar()
            }
            else -> fail("\\$c")
        }

    private fun number(): Any {
        val digits = NUMBER.matchAt(text, at)?.value ?: fail("no value")
        at += digits.length
        return digits.toLongOrNull() ?: digits.toDouble().also { if (!it.isFinite()) fail("$digits is too large") }
    }

    private fun word(word: String, value: Boolean?): Boolean? {
        if (!text.startsWith(word, at)) fail("no value")
        at += word.length
        return value
    }

    private fun skipSpace() {
        while (at < text.length && text[at] in " \t\r\n") at++
    }

    private fun peek(): Char = if (at < text.length) text[at] else fail("ends early")

    private fun next(): Char = peek().also { at++ }

    private fun take(expected: Char) {
        if (peek() != expected) fail("${peek()} where $expected belongs")
        at++
    }

    private fun fail(reason: String): Nothing = throw JsonException("no JSON at character $at: $reason")

    private companion object {
        const val DEPTH = 32
        val NUMBER = Regex("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")
    }
}

/** Typed access to a JSON object; whatever is absent or of another kind raises [JsonException]. */
class Fields(value: Any?, private val name: String = "it") {
    private val members = value as? Map<*, *> ?: throw JsonException("$name is no object")

    val keys: List<String> get() = members.keys.map { it.toString() }

    operator fun contains(key: String): Boolean = members.containsKey(key)

    fun text(key: String): String = get(key) as? String ?: wrong(key, "no text")

    fun whole(key: String, least: Long, most: Long): Long {
        val number = get(key) as? Long ?: wrong(key, "no whole number")
        return if (number in least..most) number else wrong(key, "is $number")
    }

    fun number(key: String): Double = (get(key) as? Number ?: wrong(key, "no number")).toDouble()

    fun fields(key: String): Fields = Fields(get(key), key)

    fun list(key: String): List<Any?> = get(key) as? List<*> ?: wrong(key, "no list")

    fun numbers(key: String, count: Int): DoubleArray {
        val numbers = list(key).map { (it as? Number ?: wrong(key, "not all numbers")).toDouble() }
        return if (numbers.size == count) numbers.toDoubleArray() else wrong(key, "not $count numbers")
    }

    private fun get(key: String): Any? = if (key in this) members[key] else wrong(key, "missing")

    private fun wrong(key: String, what: String): Nothing = throw JsonException("$key of $name: $what")
}
