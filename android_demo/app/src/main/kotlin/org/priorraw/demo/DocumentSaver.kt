package org.priorraw.demo

import android.content.Context
import android.net.Uri
import android.provider.DocumentsContract
import java.io.File
import java.io.FileNotFoundException
import java.io.IOException
import org.priorraw.core.storageError

/** Copies a finished file into a document that the user has named. */
class DocumentSaver(private val context: Context) {
    /**
     * Copy [file] to [uri], whole, or remove the document.
     *
     * @throws org.priorraw.core.PriorRawException the storage is full or the place is gone.
     */
    fun save(file: File, uri: Uri) {
        try {
            val out = context.contentResolver.openOutputStream(uri, "w") ?: throw FileNotFoundException("$uri")
            out.use { file.inputStream().use { stream -> stream.copyTo(it) } }
        } catch (error: IOException) {
            remove(uri)
            throw storageError(file.name, error)
        } catch (error: RuntimeException) { // other apps' providers fail in their own ways
            remove(uri)
            throw storageError(file.name, IOException(error.message))
        }
    }

    private fun remove(uri: Uri) {
        try {
            DocumentsContract.deleteDocument(context.contentResolver, uri)
        } catch (_: Exception) {
            // Providers that cannot delete say so in many ways; the message about the storage is shown either way.
        }
    }
}
