package org.priorraw.core

/** What can go wrong for the user; the app has a sentence for each. */
enum class Problem {
    /** The file is no picture that can be read here. */
    NOT_A_PICTURE,

    /** More pixels than can be worked on. */
    TOO_LARGE,

    /** A side is under [MIN_SIDE] pixels: no RAW reader opens such a DNG. */
    TOO_SMALL,

    /** The picture was deleted, or its provider went away, while it was read. */
    GONE,

    LOW_MEMORY,

    /** A bundle that is damaged, altered, or of another format. */
    BUNDLE,

    /** A bank that is damaged, or does not belong to the bundle. */
    BANK,

    /** The place to write to is full or read-only. */
    STORAGE,

    /** The model cannot be run, or returned NaN or infinity. */
    MODEL,
}

/** A failure that the user can do something about. The message is one line: what, where and the cure. */
class PriorRawException(val problem: Problem, message: String, cause: Throwable? = null) : Exception(oneLine(message), cause)

/** What a damaged file says of itself may hold line breaks. */
private fun oneLine(text: String): String = text.replace(Regex("\\p{Cntrl}"), " ")

/** The user cancelled. */
class Cancelled : Exception("cancelled")

/** Run [block]; running out of memory becomes a [PriorRawException] that can be shown. */
inline fun <T> withinMemory(what: String, block: () -> T): T =
    try {
        block()
    } catch (error: OutOfMemoryError) {
        throw PriorRawException(Problem.LOW_MEMORY, "$what: not enough memory; close other apps or take a smaller picture", error)
    }
