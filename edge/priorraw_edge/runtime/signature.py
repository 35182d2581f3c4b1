"""Signatures of bundles: Ed25519 (RFC 8032) over the bytes of bundle.json, which has the hashes of all else.

    bundle.sig    64 bytes
    KEY           PEM, PKCS #8, not encrypted: for whoever exports; keep it
    KEY.pub       PEM, SubjectPublicKeyInfo: for whoever takes bundles

OpenSSL reads and writes the same files: openssl pkeyutl -verify -rawin -pubin -inkey KEY.pub -sigfile bundle.sig -in
bundle.json.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from priorraw.errors import InputError
from priorraw.files import atomic_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNATURE = "bundle.sig"
LARGEST_KEY = 1 << 16


def make_keys(key: Path) -> Path:
    """Write a new key pair to `key`, readable by its owner only, and `key`.pub; returns the latter.

    Raises:
        InputError: one of them is there already, or cannot be written.
    """
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public = key.with_name(f"{key.name}.pub")
    for path in (key, public):
        if path.exists():
            raise InputError(f"{path}: is there already; a key is never replaced, name another file")
    made = Ed25519PrivateKey.generate()
    private_pem = made.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
    public_pem = made.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)
    try:
        key.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(private_pem)
    except OSError as error:
        raise InputError(f"{key}: cannot be written ({error.strerror}); choose another place") from None
    with atomic_file(public) as temporary:
        temporary.write_bytes(public_pem)
    return public


def check_private_key(key: Path) -> None:
    """Refuse, before any work, what `sign` could not use.

    Raises:
        InputError: `key` is no Ed25519 private key.
    """
    _private(key)


def sign(folder: Path, text: bytes, key: Path) -> None:
    """Write the signature of `text`, the bytes of the bundle's bundle.json.

    Raises:
        InputError: `key` is no Ed25519 private key, or the signature cannot be written.
    """
    signature = _private(key).sign(text)
    with atomic_file(folder / SIGNATURE) as temporary:
        temporary.write_bytes(signature)


def check_signature(folder: Path, text: bytes, public_key: Path) -> None:
    """Whether `text`, the bytes of bundle.json, was signed with the private key of `public_key`.

    Raises:
        InputError: it was not, or `public_key` is no such key.
    """
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(_pem(public_key))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(f"{public_key}: no Ed25519 public key in PEM; name the .pub of: priorraw-edge bundle key")
    path = folder / SIGNATURE
    if not path.is_file():
        raise InputError(f"{folder}: is not signed (holds no {SIGNATURE}); sign it with: priorraw-edge bundle sign")
    try:
        with path.open("rb") as file:
            key.verify(file.read(65), text)
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror}); sign the bundle again") from None
    except InvalidSignature:
        raise InputError(f"{folder}: was not signed with the key of {public_key}, or altered; take it anew") from None


def _pem(path: Path) -> bytes:
    if not path.is_file():
        raise InputError(f"{path}: no such key file; make one with: priorraw-edge bundle key")
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_KEY)
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror})") from None


def _private(path: Path) -> "Ed25519PrivateKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_pem(path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it is encrypted
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{path}: no Ed25519 private key in PEM, unencrypted; make one with: priorraw-edge bundle key")
    return key
