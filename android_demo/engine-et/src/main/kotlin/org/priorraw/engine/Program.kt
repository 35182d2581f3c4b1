package org.priorraw.engine

import java.io.Closeable
import java.nio.FloatBuffer
import org.priorraw.core.Bundle
import org.priorraw.core.PriorRawException
import org.priorraw.core.Problem
import org.priorraw.core.ProgramInfo
import org.priorraw.core.elements
import org.pytorch.executorch.EValue
import org.pytorch.executorch.Module
import org.pytorch.executorch.Tensor

/**
 * A lowered program of a bundle, checked against bundle.json's SHA-256 and loaded by ExecuTorch. Its inputs lie in
 * direct buffers that are contiguous and reused: ExecuTorch reads them in place, and misreads other strides.
 */
internal class Program(private val bundle: Bundle, private val info: ProgramInfo, threads: Int) : Closeable {
    private val buffers = info.inputs.associate { it.name to Tensor.allocateFloatBuffer(elements(it.shape)) }
    private val unset = info.inputs.map { it.name }.toMutableSet()
    private val module: Module

    init {
        val path = bundle.checkedFile(info.file).path
        module = guarded("loaded") { Module.load(path, Module.LOAD_MODE_MMAP, threads) }
    }

    /** Set an input by name; one that the program does not take is left aside. It stays set for later runs. */
    fun set(name: String, values: FloatArray) {
        val buffer: FloatBuffer = buffers[name] ?: return
        if (values.size != buffer.capacity()) fail("its input $name has ${values.size} values, it takes ${buffer.capacity()}")
        buffer.clear()
        buffer.put(values)
        unset.remove(name)
    }

    /** Run it on the inputs that were set; its outputs, copied, in the order of bundle.json. */
    fun run(): List<FloatArray> {
        if (unset.isNotEmpty()) fail("its input ${unset.first()} is missing")
        val inputs = info.inputs.map { port ->
            EValue.from(Tensor.fromBlob(buffers.getValue(port.name), port.shape.map { it.toLong() }.toLongArray()))
        }
        val outputs = guarded("run") { module.forward(*inputs.toTypedArray()) }
        if (outputs.size != info.outputs.size) fail("gives ${outputs.size} outputs, bundle.json says ${info.outputs.size}")
        return info.outputs.mapIndexed { i, port ->
            val tensor = guarded("read") { outputs[i].toTensor() }
            if (tensor.shape().map { it.toInt() } != port.shape) fail("gives ${port.name} another shape than bundle.json says")
            guarded("read") { tensor.dataAsFloatArray }
        }
    }

    override fun close() = module.destroy()

    /** ExecuTorch's exceptions differ from version to version; all are runtime exceptions. */
    private fun <T> guarded(what: String, work: () -> T): T =
        try {
            work()
        } catch (error: RuntimeException) {
            throw failure("cannot be $what (${error.message?.lineSequence()?.first()})", error)
        } catch (error: LinkageError) { // the second time it is the class that is missing
            throw failure("cannot be $what: ExecuTorch has no library for this processor", error)
        }

    private fun fail(reason: String): Nothing = throw failure(reason, null)

    private fun failure(reason: String, cause: Throwable?) =
        PriorRawException(Problem.MODEL, "${bundle.folder.name}/${info.file}: $reason; export the bundle again", cause)
}
