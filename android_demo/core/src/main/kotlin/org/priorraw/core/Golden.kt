package org.priorraw.core

import kotlin.math.abs
import kotlin.math.log10

/** How far an output is from PyTorch's; [psnr] in dB, null where equal. */
class Comparison(val output: String, val maxError: Double, val psnr: Double?)

// The layout of a golden file is that of edge/priorraw_edge/export/golden_file.py.
private const val FIRST = 3 // rows and columns of a tile that the golden outputs hold
private const val STEP = 7

/**
 * Run a bundle's golden inputs for a camera and compare with PyTorch's outputs: the self-test on the device.
 *
 * @throws PriorRawException the golden file does not fit, or the programs cannot be run.
 */
fun compareWithGolden(bundle: Bundle, engine: RawEngine, camera: String): List<Comparison> {
    val file = bundle.bank(camera).golden
    val tensors = bundle.tensors(file)
    fun golden(name: String) = tensors[name] ?: bundle.refuse("$file lacks $name")
    val patch = golden("patch")
    val isSquare = patch.shape.size == 4 && patch.shape[1] == 3 && patch.shape[3] > 0 && patch.shape[2] == patch.shape[3]
    if (!isSquare) bundle.refuse("$file: a patch of ${patch.shapeText}")
    val output = engine.tile(tileOf(patch, bundle.tile), golden("scene").values)
    val found = mapOf(
        "scene" to engine.scene(golden("thumbnail").values, Bank.of(bundle, camera)),
        "raw" to sampled(output.raw, 3, bundle.tile),
        "reliability" to sampled(output.reliability, 1, bundle.tile),
    )
    return found.map { (name, values) ->
        val expected = golden(name)
        if (expected.values.size != values.size) bundle.refuse("$file: its $name is ${expected.shapeText}")
        compare(name, values, expected.values)
    }
}

/** (1, 3, side, side): the patch (1, 3, P, P) of 8-bit codes, repeated. */
private fun tileOf(patch: Tensor, side: Int): FloatArray {
    val own = patch.shape[3]
    return FloatArray(3 * side * side) { i ->
        val (c, y, x) = Triple(i / (side * side), i / side % side, i % side)
        patch.values[(c * own + y % own) * own + x % own] / 255f
    }
}

/** What a golden file holds of a picture (1, channels, side, side). */
private fun sampled(picture: FloatArray, channels: Int, side: Int): FloatArray {
    val n = (side - FIRST + STEP - 1) / STEP
    return FloatArray(channels * n * n) { i ->
        val (c, y, x) = Triple(i / (n * n), FIRST + STEP * (i / n % n), FIRST + STEP * (i % n))
        picture[(c * side + y) * side + x]
    }
}

private fun compare(name: String, found: FloatArray, expected: FloatArray): Comparison {
    val errors = found.indices.map { abs(found[it].toDouble() - expected[it]) }
    val squares = errors.sumOf { it * it }
    return Comparison(name, errors.maxOrNull() ?: 0.0, if (squares == 0.0) null else -10 * log10(squares / errors.size))
}
