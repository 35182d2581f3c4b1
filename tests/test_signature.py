"""Signatures of bundles: OpenSSL is the judge of what is signed; what does not match is refused everywhere."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from priorraw.errors import InputError
from priorraw_edge.runtime.engine import BundleEngine
from priorraw_edge.runtime.manifest import BUNDLE, sealed, write_manifest
from priorraw_edge.runtime.signature import SIGNATURE, check_signature, make_keys, sign

TEXT = sealed({"format": 4, "files": {}})


@pytest.fixture
def key(tmp_path: Path) -> Path:
    make_keys(tmp_path / "key")
    return tmp_path / "key"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / BUNDLE).write_bytes(TEXT)
    return tmp_path / "bundle"


def public(key: Path) -> Path:
    return key.with_name(f"{key.name}.pub")


def openssl(*arguments: object) -> subprocess.CompletedProcess[bytes]:
    if not shutil.which("openssl"):
        pytest.skip("needs the command openssl")
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=False)


def test_openssl_agrees_with_what_is_signed_here(folder, key):
    sign(folder, TEXT, key)
    check_signature(folder, TEXT, public(key))
    verify = ("pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", public(key), "-sigfile", folder / SIGNATURE)
    assert openssl(*verify, "-in", folder / BUNDLE).returncode == 0
    (folder / BUNDLE).write_bytes(TEXT + b" ")
    assert openssl(*verify, "-in", folder / BUNDLE).returncode != 0


def test_what_openssl_signs_is_taken(folder, tmp_path):
    key = tmp_path / "theirs"
    assert openssl("genpkey", "-algorithm", "ed25519", "-out", key).returncode == 0
    assert openssl("pkey", "-in", key, "-pubout", "-out", public(key)).returncode == 0
    signed = ("pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", folder / BUNDLE, "-out", folder / SIGNATURE)
    assert openssl(*signed).returncode == 0
    check_signature(folder, TEXT, public(key))


def test_keys_are_the_owners_alone_and_never_replaced(key):
    assert oct(key.stat().st_mode)[-3:] == "600"
    for path in (key, public(key)):
        with pytest.raises(InputError, match="is there already"):
            make_keys(key)
        path.unlink()


def test_what_does_not_match_is_refused(folder, key, tmp_path):
    with pytest.raises(InputError, match="is not signed"):
        check_signature(folder, TEXT, public(key))
    make_keys(tmp_path / "other")
    sign(folder, TEXT, tmp_path / "other")
    with pytest.raises(InputError, match="was not signed with the key"):
        check_signature(folder, TEXT, public(key))
    sign(folder, TEXT, key)
    signature = (folder / SIGNATURE).read_bytes()
    for at in np.linspace(0, 63, 20).astype(int):
        changed = bytearray(signature)
        changed[at] ^= 1
        (folder / SIGNATURE).write_bytes(changed)
        with pytest.raises(InputError, match="was not signed with the key"):
            check_signature(folder, TEXT, public(key))
    for wrong in (b"", signature[:-1], signature + b"\0"):
        (folder / SIGNATURE).write_bytes(wrong)
        with pytest.raises(InputError, match="was not signed with the key"):
            check_signature(folder, TEXT, public(key))


def test_what_is_no_key_is_refused(folder, key, tmp_path):
    rsa = tmp_path / "rsa"
    openssl("genpkey", "-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048", "-out", rsa)
    (tmp_path / "text").write_text("no key")
    for wrong in (rsa, tmp_path / "text", public(key)):
        with pytest.raises(InputError, match="no Ed25519 private key"):
            sign(folder, TEXT, wrong)
    for wrong in (tmp_path / "text", key):
        with pytest.raises(InputError, match="no Ed25519 public key"):
            check_signature(folder, TEXT, wrong)
    with pytest.raises(InputError, match="no such key file"):
        sign(folder, TEXT, tmp_path / "absent")
    assert not (folder / SIGNATURE).exists()


def test_a_change_takes_the_signature_away_or_renews_it(folder, key):
    write_manifest(folder, {"format": 4, "files": {}}, key)
    check_signature(folder, (folder / BUNDLE).read_bytes(), public(key))
    write_manifest(folder, {"format": 4, "files": {}, "tile": 3})
    assert not (folder / SIGNATURE).exists()


def test_the_engine_asks_for_the_signature_first(folder, key):
    with pytest.raises(InputError, match="is not signed"):
        BundleEngine(folder, public_key=public(key))


def test_the_command_line_makes_keys_signs_and_refuses(cli, tmp_path, key):
    from reliability.readers import make_bundle

    folder = tmp_path / "made"
    folder.mkdir()
    make_bundle(folder)
    code, out, _ = cli("bundle", "key", tmp_path / "mine")
    assert code == 0 and "give it to nobody" in out
    assert cli("verify", folder, "--public-key", tmp_path / "mine.pub")[0] == 2
    assert cli("bundle", "sign", folder, "--key", tmp_path / "mine")[0] == 0
    code, _, err = cli("verify", folder, "--public-key", public(key))
    assert code == 2 and "was not signed with the key" in err and err.count("\n") == 1
    arguments = ("reconstruct", folder / "scene.pte", "-o", tmp_path / "a.dng", "--public-key", public(key))
    assert "--public-key goes with --bundle" in cli(*arguments)[2]
