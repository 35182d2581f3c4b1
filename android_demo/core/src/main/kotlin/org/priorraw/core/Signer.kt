package org.priorraw.core

import java.security.GeneralSecurityException
import java.security.KeyFactory
import java.security.NoSuchAlgorithmException
import java.security.PublicKey
import java.security.Signature
import java.security.spec.X509EncodedKeySpec

/** Name of the file with the signature of bundle.json: 64 bytes, Ed25519. */
const val SIGNATURE = "bundle.sig"

/**
 * Whose bundles are taken: those signed with the private key of [pem], the .pub file of `priorraw-edge bundle key`.
 *
 * Java has Ed25519 since 15. Android's own security provider has it in later versions only, and then a signed bundle is
 * refused, not taken unchecked.
 *
 * @throws PriorRawException [pem] holds no Ed25519 public key, or this device knows none.
 */
class Signer(pem: String) {
    private val key: PublicKey

    init {
        val base64 = pem.substringAfter(BEGIN, "").substringBefore(END, "").filterNot { it.isWhitespace() }
        key = known { KeyFactory.getInstance(ALGORITHM).generatePublic(X509EncodedKeySpec(decode(base64))) }
    }

    /** Whether [signature] is this signer's of [text]. */
    fun signed(text: ByteArray, signature: ByteArray): Boolean = known {
        Signature.getInstance(ALGORITHM).run {
            initVerify(key)
            update(text)
            signature.size == LENGTH && verify(signature)
        }
    }

    private companion object {
        const val ALGORITHM = "Ed25519"
        const val LENGTH = 64
        const val BEGIN = "-----BEGIN PUBLIC KEY-----"
        const val END = "-----END PUBLIC KEY-----"
        const val DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

        fun <T> known(work: () -> T): T =
            try {
                work()
            } catch (error: NoSuchAlgorithmException) {
                throw PriorRawException(Problem.BUNDLE, "signatures: this device knows no $ALGORITHM; use a newer one", error)
            } catch (error: GeneralSecurityException) {
                throw PriorRawException(Problem.BUNDLE, "signatures: no $ALGORITHM public key (${error.message})", error)
            }

        /** Base64 (RFC 4648); java.util has it on Android from API 26 only. Empty where it is none. */
        fun decode(text: String): ByteArray {
            val digits = text.trimEnd('=').map { DIGITS.indexOf(it) }
            if (digits.any { it < 0 }) return ByteArray(0)
            val bits = digits.flatMap { digit -> (5 downTo 0).map { digit shr it and 1 } }
            return bits.chunked(8).filter { it.size == 8 }.map { byte -> byte.fold(0) { a, bit -> 2 * a + bit }.toByte() }.toByteArray()
        }
    }
}
