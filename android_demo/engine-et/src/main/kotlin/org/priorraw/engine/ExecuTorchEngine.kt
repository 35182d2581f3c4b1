package org.priorraw.engine

import org.priorraw.core.Bank
import org.priorraw.core.Bundle
import org.priorraw.core.RawEngine
import org.priorraw.core.TileOutput

/**
 * A bundle's programs on ExecuTorch's Java API.
 *
 * The scene program is loaded for its one run and let go: its memory is free while the tiles run.
 *
 * @param threads that compute an operator together; 0 leaves it to ExecuTorch.
 * @throws org.priorraw.core.PriorRawException the tile program is altered or does not load.
 */
class ExecuTorchEngine(private val bundle: Bundle, private val threads: Int = 0) : RawEngine {
    private val tileProgram = Program(bundle, bundle.tileProgram, threads)
    private val rawFirst = bundle.tileProgram.outputs.indexOfFirst { it.name == "raw" }
    private val reliabilityFirst = bundle.tileProgram.outputs.indexOfFirst { it.name == "reliability" }

    override fun scene(thumbnail: FloatArray, bank: Bank): FloatArray =
        Program(bundle, bundle.scene, threads).use { program ->
            for ((name, tensor) in bank.tensors) program.set(name, tensor.values)
            program.set("thumbnail", thumbnail)
            program.run().single()
        }

    override fun tile(tile: FloatArray, scene: FloatArray): TileOutput {
        tileProgram.set("tile", tile)
        tileProgram.set("scene", scene)
        val outputs = tileProgram.run()
        return TileOutput(outputs[rawFirst], outputs[reliabilityFirst])
    }

    override fun close() = tileProgram.close()
}
