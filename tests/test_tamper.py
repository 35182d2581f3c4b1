"""One byte of a bundle changed, at 200 random places: Python, the C++ runner and the JVM reader all refuse it.

The places are one list for the three. Half are drawn from all bytes of the bundle, where the large files take nearly
all; half fall on its files in turn, so that the small ones, bundle.json and the signature have their share.
"""

import random
import shutil
from pathlib import Path

import pytest
from android_runner import demo
from native_runner import bundle, copy_bundle, native, refused, replace
from priorraw.errors import InputError
from priorraw_edge.runtime.engine import BundleEngine
from priorraw_edge.runtime.manifest import BUNDLE
from priorraw_edge.runtime.signature import SIGNATURE, make_keys, sign
from priorraw_edge.verify.verify import read_bundle

PLACES = 200

Place = tuple[str, int, int]  # file, byte, what it is xored with


@pytest.fixture(scope="module")
def key(tmp_path_factory) -> Path:
    return make_keys(tmp_path_factory.mktemp("keys") / "key")


@pytest.fixture(scope="module")
def signed(tmp_path_factory, key: Path) -> Path:
    folder = copy_bundle(tmp_path_factory.mktemp("signed") / "bundle")
    sign(folder, (folder / BUNDLE).read_bytes(), key.with_suffix(""))
    return folder


def places(folder: Path) -> list[Place]:
    """The list; bundle.sig takes part where the folder has one."""
    draw = random.Random(10)
    sizes = {p.relative_to(folder).as_posix(): p.stat().st_size for p in sorted(folder.rglob("*")) if p.is_file()}
    names = sorted(sizes)
    anywhere = draw.choices(names, [sizes[name] for name in names], k=PLACES // 2)
    chosen = anywhere + [names[i % len(names)] for i in range(PLACES - PLACES // 2)]
    return [(name, draw.randrange(sizes[name]), draw.randrange(1, 256)) for name in chosen]


def tampered(folder: Path, place: Place) -> bytes:
    name, at, bits = place
    data = bytearray((folder / name).read_bytes())
    data[at] ^= bits
    return bytes(data)


def test_the_places_cover_every_file(signed):
    found = places(signed)
    assert len(found) == PLACES and len(set(found)) == PLACES
    assert {name for name, _, _ in found} == {
        p.relative_to(signed).as_posix() for p in signed.rglob("*") if p.is_file()
    }


def test_python_refuses_them_all(signed, key, tmp_path):
    folder = shutil.copytree(signed, tmp_path / "bundle")
    read_bundle(folder, key)
    BundleEngine(folder, public_key=key)
    for place in places(signed):
        replace(folder, place[0], tampered(signed, place), listed=False)
        for reader in (read_bundle, lambda path, key: BundleEngine(path, public_key=key)):
            with pytest.raises(InputError):
                reader(folder, key)
            if place[0] != SIGNATURE:  # without a key the hashes alone must tell
                with pytest.raises(InputError):
                    reader(folder, None)
        replace(folder, place[0], (signed / place[0]).read_bytes(), listed=False)
    BundleEngine(folder, public_key=key)


def test_the_native_runner_refuses_them_all(signed, key, tmp_path):
    folder = shutil.copytree(signed, tmp_path / "bundle")
    assert native("--self-test", folder, "--public-key", key)[0] == 0
    for place in places(signed):
        replace(folder, place[0], tampered(signed, place), listed=False)
        refused("--self-test", folder, "--public-key", key)
        if place[0] != SIGNATURE:
            refused("--self-test", folder)
        replace(folder, place[0], (signed / place[0]).read_bytes(), listed=False)
    assert native("--self-test", folder, "--public-key", key)[0] == 0


def test_the_native_runner_refuses_what_is_signed_by_another_or_nobody(signed, key, tmp_path):
    assert "is not signed" in refused("--self-test", bundle(), "--public-key", key)
    other = make_keys(tmp_path / "other")
    assert "was not signed with the key" in refused("--self-test", signed, "--public-key", other)
    for text in (b"", b"no key", other.read_bytes()[:60], other.with_suffix("").read_bytes()):
        (tmp_path / "wrong.pub").write_bytes(text)
        assert "no Ed25519 public key" in refused("--self-test", signed, "--public-key", tmp_path / "wrong.pub")


def test_the_jvm_reader_refuses_them_all(signed, key, tmp_path):
    list_of_places = places(signed)
    for i, place in enumerate(list_of_places):
        folder = shutil.copytree(signed, tmp_path / f"{i:03}", copy_function=lambda a, b: Path(b).hardlink_to(a))
        replace(Path(folder), place[0], tampered(signed, place), listed=False)
    folders = [tmp_path / f"{i:03}" for i in range(PLACES)]
    code, out, err = demo("--check", key, signed, *folders, signed)
    assert code == 0, err
    first, *lines, last = out.splitlines()
    assert (first, last) == ("sound", "sound") and len(lines) == PLACES
    assert [line for line in lines if not line.startswith("refused: ")] == []
    without = [i for i, place in enumerate(list_of_places) if place[0] != SIGNATURE]
    code, out, _ = demo("--check", "-", signed, *(folders[i] for i in without))
    assert [line for line in out.splitlines()[1:] if not line.startswith("refused: ")] == []
