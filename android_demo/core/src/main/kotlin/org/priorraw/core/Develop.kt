package org.priorraw.core

import java.io.File

/**
 * What the screen needs of a photograph that was turned into RAW; the RAW itself lies in the DNG.
 *
 * @property preview the photograph, small.
 * @property raw (h, w, 3) means of the raw-RGB, as large as [preview].
 * @property reliability (h, w), likewise.
 * @property neutral (3,) the sensor's response to white, largest 1.
 * @property colorMatrix (3, 3) XYZ (D65) to camera.
 */
class Developed(
    val preview: SmallPicture,
    val raw: FloatArray,
    val reliability: FloatArray,
    val neutral: DoubleArray,
    val colorMatrix: DoubleArray,
    val facts: Facts,
)

/**
 * What the info sheet says.
 *
 * @property imported the bank was the user's, not the bundle's.
 */
data class Facts(
    val camera: String,
    val imported: Boolean,
    val width: Int,
    val height: Int,
    val tiles: Int,
    val tileMillis: Double,
    val totalMillis: Double,
    val meanReliability: Double,
)

/** What turns photographs into RAW: a bundle, its engine, and the bank of one camera. */
class Developer(private val bundle: Bundle, private val engine: RawEngine, private val bank: Bank, private val jpeg: JpegEncoder) {
    /**
     * Turn [picture] into the DNG [out], which appears whole or not at all.
     *
     * @param name what messages call the picture.
     * @throws Cancelled the user cancelled.
     * @throws PriorRawException any other reason why there is no DNG.
     */
    fun develop(picture: Picture, name: String, exif: Exif, out: File, progress: Progress = Progress.NONE): Developed =
        withinMemory(name) {
            val start = System.nanoTime()
            checkSize(name, picture.width, picture.height)
            val overview = overviewOf(picture, bundle.thumbnail, progress)
            val header = DngHeader(bank.camera, bank.colorMatrix, Jpeg(jpeg.encode(overview.preview)), exif)
            val block = blockFor(picture.width, picture.height, PREVIEW_SIDE)
            val raw = Means(picture.width, picture.height, block, 3)
            val reliability = Means(picture.width, picture.height, block, 1)
            val outcome = DngWriter(out, picture.width, picture.height, header).use { dng ->
                reconstruct(picture, overview.thumbnail, bundle, engine, bank, progress) { band ->
                    dng.append(band.raw, band.count)
                    for (y in 0 until band.count) {
                        raw.add(band.raw, 3 * y * picture.width)
                        reliability.add(band.reliability, y * picture.width)
                    }
                }.also { dng.finish(it.neutral) }
            }
            val millis = (System.nanoTime() - start) / 1e6
            val facts = Facts(
                bank.camera, bank.imported, picture.width, picture.height, outcome.tiles, outcome.tileMillis, millis, outcome.meanReliability,
            )
            Developed(overview.preview, raw.result(), reliability.result(), outcome.neutral, bank.colorMatrix, facts)
        }
}
