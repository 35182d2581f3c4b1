package org.priorraw.demo

import android.content.ContentProvider
import android.content.ContentValues
import android.content.Context
import android.database.Cursor
import android.database.MatrixCursor
import android.net.Uri
import android.os.ParcelFileDescriptor
import android.provider.OpenableColumns
import java.io.File
import java.io.FileNotFoundException

/** Lets other apps read the one DNG that the user shares with them, and nothing else. */
class DngProvider : ContentProvider() {
    private val workshop get() = (context!!.applicationContext as DemoApplication).workshop

    override fun onCreate() = true

    override fun getType(uri: Uri) = DNG_TYPE

    override fun openFile(uri: Uri, mode: String): ParcelFileDescriptor {
        if (mode != "r") throw FileNotFoundException("$uri is read only")
        return ParcelFileDescriptor.open(dng(), ParcelFileDescriptor.MODE_READ_ONLY)
    }

    override fun query(uri: Uri, columns: Array<String>?, where: String?, values: Array<String>?, order: String?): Cursor {
        val names = columns ?: arrayOf(OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE)
        return MatrixCursor(names).apply {
            val facts = mapOf(OpenableColumns.DISPLAY_NAME to "${workshop.name}.dng", OpenableColumns.SIZE to dng().length())
            addRow(names.map { facts[it] })
        }
    }

    override fun insert(uri: Uri, values: ContentValues?): Uri? = null

    override fun update(uri: Uri, values: ContentValues?, where: String?, arguments: Array<String>?) = 0

    override fun delete(uri: Uri, where: String?, arguments: Array<String>?) = 0

    private fun dng(): File = workshop.dng.takeIf { it.isFile } ?: throw FileNotFoundException("no DNG is ready")

    companion object {
        const val DNG_TYPE = "image/x-adobe-dng"

        /** The shared DNG's address. */
        fun address(context: Context): Uri = Uri.parse("content://${context.packageName}.dng/picture.dng")
    }
}
