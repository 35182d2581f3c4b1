package org.priorraw.core

import java.io.Closeable

/** What runs a bundle's programs. Not for several threads at a time. */
interface RawEngine : Closeable {
    /**
     * Look at the whole picture: [thumbnail] (1, 3, S, S) sRGB in [0, 1] and a camera's bank to the scene vector.
     *
     * @throws PriorRawException the program cannot be run.
     */
    fun scene(thumbnail: FloatArray, bank: Bank): FloatArray

    /**
     * Rebuild a tile: [tile] (1, 3, T, T) sRGB in [0, 1] and the scene vector to raw-RGB.
     *
     * @throws PriorRawException the program cannot be run.
     */
    fun tile(tile: FloatArray, scene: FloatArray): TileOutput
}

/**
 * @property raw (1, 3, T, T) linear raw-RGB in [0, 1], 1 = white level.
 * @property reliability (1, 1, T, T): 0.01 / (0.01 + expected mean absolute error of the pixel).
 */
class TileOutput(val raw: FloatArray, val reliability: FloatArray)
