package org.priorraw.core

private const val SEAL = "\"manifest_sha256\": \""
private const val HASH = 64

/** Whether [manifest] is as it was written: it has the SHA-256 of itself with 64 zeros in the place of that hash. */
fun isSealed(manifest: ByteArray): Boolean =
    placeOfHash(manifest) != null && sealed(manifest).contentEquals(manifest)

/** [manifest] with the hash of itself in its place. */
fun sealed(manifest: ByteArray): ByteArray {
    val at = requireNotNull(placeOfHash(manifest)) { "no place for the hash" }
    val copy = manifest.copyOf().also { it.fill('0'.code.toByte(), at, at + HASH) }
    return copy.also { sha256(it).toByteArray().copyInto(it, at) }
}

private fun placeOfHash(manifest: ByteArray): Int? {
    val seal = SEAL.toByteArray()
    val start = (0..manifest.size - seal.size - HASH).firstOrNull { i -> seal.indices.all { manifest[i + it] == seal[it] } }
    return start?.plus(seal.size)
}
