package org.priorraw.core

import java.io.Closeable
import java.io.File
import java.io.IOException
import java.io.RandomAccessFile

/**
 * A file that appears whole or not at all: written under a temporary name beside [target], renamed by [commit], removed
 * by [close] where that was not reached. What the disk refuses is a [PriorRawException] of [Problem.STORAGE].
 */
class AtomicFile(private val target: File) : Closeable {
    private val temporary = File(target.absoluteFile.parentFile, ".${target.name}.part")
    private val file: RandomAccessFile = storing {
        temporary.delete()
        RandomAccessFile(temporary, "rw")
    }
    private var open = true

    /** Append or overwrite at the current place. */
    fun write(bytes: ByteArray, count: Int = bytes.size) = storing { file.write(bytes, 0, count) }

    /** Overwrite what stands at byte [at]; the place to append to stays. */
    fun overwrite(at: Long, bytes: ByteArray) = storing {
        val end = file.filePointer
        file.seek(at)
        file.write(bytes)
        file.seek(end)
    }

    /** Bring it to the disk and give it its name. */
    fun commit() = storing {
        file.fd.sync()
        file.close()
        open = false
        if (!temporary.renameTo(target)) throw IOException("cannot be renamed")
    }

    override fun close() {
        if (open) file.close()
        open = false
        temporary.delete()
    }

    private fun <T> storing(work: () -> T): T =
        try {
            work()
        } catch (error: IOException) {
            throw storageError(target.name, error)
        }
}

/** What a failed write tells the user. */
fun storageError(name: String, error: IOException): PriorRawException =
    PriorRawException(Problem.STORAGE, "$name: cannot be written (${error.message}); free some storage or choose another place", error)
