"""Files made to do harm: bombs, absurd sizes, pipes, links out, names twice, numbers that are none, tensors of nothing.

Each is refused with one line, at once and without the memory that it asks for.
"""

import json
import os
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import tiny
from priorraw.assets import load_model
from priorraw.bank import Bank
from priorraw.dataset import PairDataset, read_png
from priorraw.errors import InputError
from priorraw.files import parse_json, read_json
from priorraw.raw_io import read_camera_file
from priorraw.sources import open_source
from priorraw_edge.runtime.engine import BundleEngine
from priorraw_edge.runtime.manifest import read_manifest, write_manifest
from priorraw_edge.runtime.picture import read_picture
from priorraw_edge.verify.verify import read_bundle
from safetensors.numpy import save_file

from reliability.readers import make_bundle, no_programs


def refusal(work, *arguments) -> str:
    """The one line of what must be refused, in less than 64 MiB of Python's memory."""
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as refused:
            work(*arguments)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    line = str(refused.value)
    assert "\n" not in line and len(line) < 1000 and most < 64 << 20
    return line


def npy(shape: tuple[int, ...], dtype: str, data: bytes = b"") -> bytes:
    head = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


def pack(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


SOUND = [
    ("raw.npy", npy((1, 2, 2, 3), "<u2", bytes(24))),
    ("illuminant.npy", npy((1, 3), "<f4", np.ones(3, "<f4").tobytes())),
    ("name.npy", npy((1,), "<U1", "a".encode("utf-32-le"))),
]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ([("illuminant.npy", npy((1 << 40, 3), "<f4"))], "illuminant.npy has 0 bytes for float32 (1099511627776, 3)"),
        ([("raw.npy", npy((1, 1 << 30, 1 << 30, 3), "<u2"))], "raw has 0 bytes"),
        ([("raw.npy", npy((-1, 2, 2, 3), "<u2", bytes(24)))], "raw has 24 bytes"),
        ([("raw.npy", npy((1, 2, 2, 3), "<u2", bytes(23)))], "raw has 23 bytes"),
        ([("raw.npy", npy((0, 2, 2, 3), "<u2"))], "not numbers (0, 3)"),
        ([("raw.npy", npy((1, 2, 2, 3), "|O", b"cos\nsystem\n"))], "raw is object"),
        ([("name.npy", npy((1,), "|O", b"cos\nsystem\n"))], "name.npy has 11 bytes for object"),
        (
            [("illuminant.npy", npy((1, 3), "<f4", np.float32([1, np.nan, 1]).tobytes()))],
            "not three numbers above zero",
        ),
        ([("name.npy", npy((1,), "<U4", "../a".encode("utf-32-le")))], "the name cannot be a file's name"),
        ([("name.npy", b"no array")], "cannot be read as a pack"),
    ],
)
def test_packs(tmp_path, change, line):
    members = list((dict(SOUND) | dict(change)).items())
    path = pack(tmp_path / "a.npz", members)

    def read() -> None:
        for scene in open_source(path).scenes():
            if isinstance(scene, InputError):
                raise scene

    assert line in refusal(read)


def test_a_pack_with_a_name_twice_or_a_bomb(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        path = pack(tmp_path / "twice.npz", [*SOUND, SOUND[0]])
    assert "two arrays of one name" in refusal(open_source, path)
    bomb = pack(tmp_path / "bomb.npz", [*SOUND[:2], ("name.npy", bytes(300 << 20))])
    assert bomb.stat().st_size < 1 << 20
    assert "cannot be read as a pack" in refusal(open_source, bomb)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (2**31 - 1, 1), (1, 2**31 - 1), (0, 5)])
def test_pictures_of_absurd_sizes(tmp_path, width, height):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1 << 20))) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(bomb)
    line = refusal(read_picture, tmp_path / "a.png")
    assert "above the limit" in line or "has no pixels" in line


def test_pipes_and_devices_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for special in (tmp_path / "pipe", Path("/dev/zero")):
        for read in (read_picture, read_png, read_json, read_camera_file, Bank.load):
            assert "is no file" in refusal(read, special)
        assert "is no file" in refusal(load_model, [special])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b'{"a": 1, "a": 2}', "'a' stands twice"),
        (b'{"a": {"b": [{"c": 1, "c": 1}]}}', "'c' stands twice"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": -Infinity}', "-Infinity is no number"),
        (b'{"a": 1e999}', "1e999 is too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not readable as JSON"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not readable as JSON"),
        (b"\xff\xfe{}", "not readable as JSON"),
        (b'["a"]', "holds no JSON object"),
    ],
)
def test_json(text, line):
    assert line in refusal(parse_json, Path("a.json"), text)


@pytest.mark.parametrize(
    ("arrays", "line"),
    [
        ({"keys": np.zeros((0, 8), np.float32)}, "it has no entries"),
        ({"keys": np.zeros((64, 8), np.float64)}, "not finite float32"),
        ({"raw": np.full((64, 3), np.inf, np.float32)}, "not finite float32"),
        ({"srgb": np.full((64, 3), np.nan, np.float32)}, "not finite float32"),
        ({"keys": np.zeros((64, 8, 1), np.float32)}, "shapes (64, 8, 1)"),
    ],
)
def test_banks(tmp_path, arrays, line):
    bank = tiny.bank()
    metadata = {"bank": json.dumps(vars(bank.info))}
    save_file({"keys": bank.keys, "raw": bank.raw, "srgb": bank.srgb} | arrays, tmp_path / "b", metadata)
    assert line in refusal(Bank.load, tmp_path / "b")


def test_a_bank_of_nothing(tmp_path):
    info = vars(tiny.bank_info(K=0, d=8))
    empty = {"keys": np.zeros((0, 8), np.float32)} | {n: np.zeros((0, 3), np.float32) for n in ("raw", "srgb")}
    save_file(empty, tmp_path / "b", {"bank": json.dumps(info)})
    assert "not a prior bank" in refusal(Bank.load, tmp_path / "b")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "bundle").mkdir()
    make_bundle(tmp_path / "bundle")
    return tmp_path / "bundle"


def engine(folder: Path) -> None:
    with no_programs():
        BundleEngine(folder)


@pytest.mark.parametrize("spoil", ["link", "pipe", "folder", "device", "long"])
def test_a_bundle_whose_files_are_none(bundle, spoil):
    path = bundle / "tile.pte"
    outside = bundle.parent / "outside.pte"
    path.rename(outside)
    if spoil == "link":  # the bytes are right, but they lie outside
        path.symlink_to(outside)
    elif spoil == "pipe":
        os.mkfifo(path)
    elif spoil == "folder":
        path.mkdir()
    elif spoil == "device":
        path.symlink_to("/dev/zero")
    else:  # a terabyte of nothing
        with path.open("wb") as file:
            file.truncate(1 << 40)
    for read in (read_bundle, engine):
        line = refusal(read, bundle)
        assert "outside the bundle" in line or "missing" in line or "has 1099511627776 bytes" in line


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "", "..", "a/../../b"])
def test_a_bundle_that_names_what_lies_outside(bundle, name):
    manifest = read_manifest(bundle)
    manifest["files"][name], manifest["bytes"][name] = "0" * 64, 1
    write_manifest(bundle, manifest)
    for read in (read_bundle, engine):
        assert "outside the bundle" in refusal(read, bundle)


@pytest.mark.parametrize(
    "change",
    [{"tile": 0}, {"tile": 10**9}, {"align": 0}, {"halo": -1}, {"halo": 64}, {"tile": [1]}, {"align": 1e300}],
)
def test_a_bundle_of_impossible_tiles(bundle, change):
    write_manifest(bundle, read_manifest(bundle) | change)
    assert "incomplete" in refusal(engine, bundle)


def test_a_dataset_that_leads_outside(tmp_path):
    folder = tiny.dataset(tmp_path / "d", 2)
    meta = json.loads((folder / "dataset.json").read_text())
    for light in ([0, 1, 1], [1, 1], [1, 1, 10**400], None, "abc"):
        meta["images"]["scene_000"]["illuminant"] = light
        (folder / "dataset.json").write_text(json.dumps(meta))
        assert "illuminant of scene_000" in refusal(PairDataset.open, folder, "train")
