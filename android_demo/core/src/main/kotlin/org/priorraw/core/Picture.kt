package org.priorraw.core

/** Most pixels of a picture, and of a side. */
const val MAX_PIXELS = 200_000_000L
const val MAX_SIDE = 65_535

/** Least pixels of a side: LibRaw opens no smaller DNG. */
const val MIN_SIDE = 22

/** An sRGB picture that is read by windows, so that memory does not grow with it. */
interface Picture {
    val width: Int
    val height: Int

    /**
     * Read the window of [width] x [height] pixels whose top left corner is ([left], [top]) into [into], row by row,
     * as 0xRRGGBB codes (the upper byte is ignored).
     *
     * @throws PriorRawException when the file is gone or damaged.
     */
    fun read(left: Int, top: Int, width: Int, height: Int, into: IntArray)
}

/** A picture in memory, (height, width) 0xRRGGBB. */
class ArrayPicture(override val width: Int, override val height: Int, private val codes: IntArray) : Picture {
    init {
        require(codes.size == width * height) { "${codes.size} codes for ${width}x$height" }
    }

    override fun read(left: Int, top: Int, width: Int, height: Int, into: IntArray) {
        for (y in 0 until height) System.arraycopy(codes, (top + y) * this.width + left, into, y * width, width)
    }
}

/**
 * A stored picture turned upright.
 *
 * @param orientation EXIF's, 1 to 8 (CIPA DC-008, 4.6.4 A); others mean nothing: upright, as every viewer shows them.
 */
class UprightPicture(private val stored: Picture, orientation: Int) : Picture {
    private val exchanged = orientation in 5..8
    private val flipRows = orientation in intArrayOf(3, 4, 7, 8)
    private val flipColumns = orientation in intArrayOf(2, 3, 6, 7)

    override val width = if (exchanged) stored.height else stored.width
    override val height = if (exchanged) stored.width else stored.height

    override fun read(left: Int, top: Int, width: Int, height: Int, into: IntArray) {
        val firstColumn = if (flipColumns) this.width - left - width else left
        val firstRow = if (flipRows) this.height - top - height else top
        val storedWidth = if (exchanged) height else width
        val window = IntArray(width * height)
        if (exchanged) {
            stored.read(firstRow, firstColumn, height, width, window)
        } else {
            stored.read(firstColumn, firstRow, width, height, window)
        }
        for (y in 0 until height) {
            val row = if (flipRows) height - 1 - y else y
            for (x in 0 until width) {
                val column = if (flipColumns) width - 1 - x else x
                into[y * width + x] = window[if (exchanged) column * storedWidth + row else row * storedWidth + column]
            }
        }
    }
}

/**
 * Refuse pictures that no DNG can be made of, before any work is done.
 *
 * @throws PriorRawException too large or too small.
 */
fun checkSize(name: String, width: Int, height: Int) {
    if (width < 1 || height < 1) throw PriorRawException(Problem.NOT_A_PICTURE, "$name: has no pixels; take another picture")
    if (width.toLong() * height > MAX_PIXELS || maxOf(width, height) > MAX_SIDE) {
        val limit = "${MAX_PIXELS / 1_000_000} megapixels and $MAX_SIDE pixels a side"
        throw PriorRawException(Problem.TOO_LARGE, "$name: ${width}x$height is above $limit; crop or shrink it first")
    }
    if (minOf(width, height) < MIN_SIDE) {
        val least = "$MIN_SIDE pixels a side or more"
        throw PriorRawException(Problem.TOO_SMALL, "$name: ${width}x$height is too small for a DNG, which takes $least")
    }
}

/** The channel [c] (0 red, 1 green, 2 blue) of a code 0xRRGGBB, 0 to 255. */
fun channel(code: Int, c: Int): Int = code shr (16 - 8 * c) and 255
