package org.priorraw.core

/**
 * The prior bank of one camera, as the scene program takes it.
 *
 * @property tensors keys (K, d), values (6, K) with rows sRGB then RAW, camera (1, 13), by name.
 * @property colorMatrix (3, 3), row by row: XYZ (D65) to camera.
 * @property imported not the bundle's own, and so not measured with it.
 */
class Bank(val camera: String, val tensors: Map<String, Tensor>, val colorMatrix: DoubleArray, val imported: Boolean = false) {
    companion object {
        /** The names of a bank's tensors. */
        val TENSORS = listOf("keys", "values", "camera")

        /** A bank of the bundle itself. */
        fun of(bundle: Bundle, camera: String = bundle.camera): Bank {
            val info = bundle.bank(camera)
            return Bank(camera, bundle.tensors(info.file), info.colorMatrix).also { it.check(bundle) }
        }

        /**
         * A bank.safetensors of `priorraw-edge bank build`.
         *
         * @throws PriorRawException it is none, was made with another encoder, or has another number of entries.
         */
        fun imported(bundle: Bundle, name: String, bytes: ByteArray): Bank {
            val bank = try {
                val file = parseSafetensors(bytes)
                val info = Fields(parseJson(file.metadata["bank"] ?: throw JsonException("no metadata of a bank")))
                if (info.text("encoder_sha256") != bundle.encoderSha256) {
                    refuse(name, "was built with another encoder than this model's; build it again with this one")
                }
                Bank(info.text("camera"), tensorsOf(file.tensors, info), info.numbers("color_matrix", 9), imported = true)
            } catch (error: JsonException) {
                refuse(name, "is no sound prior bank (${error.message}); build it again")
            }
            return bank.also { it.check(bundle) }
        }

        private fun tensorsOf(stored: Map<String, Tensor>, info: Fields): Map<String, Tensor> {
            val (keys, srgb, raw) = listOf("keys", "srgb", "raw").map { stored[it] ?: throw JsonException("lacks $it") }
            val k = keys.shape.firstOrNull() ?: throw JsonException("keys of no shape")
            if (srgb.shape != listOf(k, 3) || raw.shape != listOf(k, 3)) throw JsonException("values of ${srgb.shapeText}")
            val values = FloatArray(6 * k) { i -> (if (i / k < 3) srgb else raw).values[i % k * 3 + i / k % 3] }
            val camera = info.numbers("camera_vector", 13).map { it.toFloat() }.toFloatArray()
            return mapOf("keys" to keys, "values" to Tensor(listOf(6, k), values), "camera" to Tensor(listOf(1, 13), camera))
        }

        private fun refuse(name: String, reason: String): Nothing = throw PriorRawException(Problem.BANK, "$name $reason")
    }

    private fun check(bundle: Bundle) {
        for (port in bundle.scene.inputs.filter { it.name in TENSORS }) {
            val tensor = tensors[port.name] ?: refuse(camera, "bank lacks ${port.name}; export the bundle again")
            if (tensor.shape != port.shape) {
                refuse(camera, "bank: ${port.name} is ${tensor.shapeText}, the bundle takes ${port.shape.joinToString("x")}")
            }
            if (!tensor.values.all { it.isFinite() }) refuse(camera, "bank: ${port.name} is not finite; build it again")
        }
    }
}
