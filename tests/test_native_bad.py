"""Bundles that the C++ runner refuses: exit code 2, one line that names the file and the cure, nothing written."""

import json
import struct

import numpy as np
import pytest
import skimage.data
from native_runner import change_manifest, copy_bundle, flipped, native, read_manifest, refused, replace
from PIL import Image
from safetensors.numpy import load_file, save

BANK, GOLDEN = "banks/sony-imx135.safetensors", "golden/sony-imx135.safetensors"
PHOTO = skimage.data.coffee()[100:108, 200:210]


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def spoilt(tmp_path):
    return copy_bundle(tmp_path / "bundle")


@pytest.mark.parametrize("at", [0, 0.001, 0.5, 0.99, 1])
@pytest.mark.parametrize("name", ["scene.pte", "tile.pte", BANK, GOLDEN])
def test_a_flipped_bit_is_refused(spoilt, photo, tmp_path, name, at):
    replace(spoilt, name, flipped((spoilt / name).read_bytes(), at), listed=False)
    line = f"{spoilt / name}: differs from the sha256 in bundle.json; export the bundle again"
    assert refused("--self-test", spoilt) == line
    assert refused(spoilt, photo, "-o", tmp_path / "out.tif") == line
    assert not (tmp_path / "out.tif").exists()


@pytest.mark.parametrize("name", ["scene.pte", "tile.pte", BANK, GOLDEN])
def test_a_file_cut_short_lengthened_or_missing_is_refused(spoilt, name):
    data = (spoilt / name).read_bytes()
    replace(spoilt, name, data[:-1], listed=False)
    assert f"{name}: has {len(data) - 1} bytes, not {len(data)}" in refused("--self-test", spoilt)
    replace(spoilt, name, data + b"\0", listed=False)
    assert f"{name}: has {len(data) + 1} bytes, more than {len(data)}" in refused("--self-test", spoilt)
    (spoilt / name).unlink()
    assert f"{name}: not there" in refused("--self-test", spoilt)
    (spoilt / name).mkdir()
    assert f"{name}: no file" in refused("--self-test", spoilt)


def test_any_flipped_bit_of_the_manifest_is_refused(spoilt):
    text = (spoilt / "bundle.json").read_bytes()
    assert native("--self-test", spoilt)[0] == 0
    for at in np.linspace(0, 1, 60):
        replace(spoilt, "bundle.json", flipped(text, at), listed=False)
        assert "bundle.json" in refused("--self-test", spoilt)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"format": 1}, "format 1, this program reads 4; export the bundle again"),
        ({"format": "4"}, 'format "4", this program reads 4'),
        ({"target": "coreml"}, 'target "coreml" does not run here; export --target xnnpack'),
        ({"precision": "fp16"}, "does not fit (precision fp16)"),
        ({"precision": "two\nlines"}, "does not fit (precision two lines)"),
        ({"tile": 120.5}, "does not fit (tile is 120.5)"),
        ({"tile": -8}, "does not fit (tile is -8)"),
        ({"tile": 10**12}, "does not fit (tile is 1000000000000)"),
        ({"tile": 136}, "does not fit (no program port tile of 1x3x136x136)"),
        ({"halo": 64}, "does not fit (tile 128 with halo 64 and align 8 leaves no core)"),
        ({"align": 0}, "does not fit (align is 0)"),
        ({"thumbnail": 32}, "does not fit (no program port thumbnail of 1x3x32x32)"),
        ({"camera": "other"}, "does not fit (no bank of its camera other)"),
        ({"banks": []}, "does not fit (no bank of its camera sony-imx135)"),
        ({"banks": {"sony-imx135": {}}}, "incomplete (key 'file' not found)"),
        ({"programs": {}}, "incomplete (key 'scene' not found)"),
        ({"programs": 3}, "incomplete ("),
        ({"files": {}}, "bundle.json: lists no sha256 of"),
        ({"bytes": {}}, "incomplete (key"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(spoilt, values, line):
    change_manifest(spoilt, **values)
    assert line in refused("--self-test", spoilt)


def test_a_folder_that_is_no_bundle_is_refused(spoilt, tmp_path):
    assert "holds no bundle.json); make one with: priorraw-edge export" in refused("--self-test", tmp_path)
    assert "holds no bundle.json" in refused("--self-test", tmp_path / "absent")
    for text in (b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000):
        replace(spoilt, "bundle.json", text, listed=False)
        assert "bundle.json: damaged (no JSON object); export the bundle again" in refused("--self-test", spoilt)


@pytest.mark.parametrize("name", ["../outside.pte", "/etc/passwd", "", "banks/../../outside.pte", "link.pte"])
def test_a_name_that_leaves_the_folder_is_refused(spoilt, name):
    data = (spoilt / "scene.pte").read_bytes()
    (spoilt.parent / "outside.pte").write_bytes(data)
    (spoilt / "link.pte").symlink_to(spoilt.parent / "outside.pte")
    manifest = read_manifest(spoilt)
    manifest["programs"]["scene"]["file"] = name
    for key in ("files", "bytes"):  # listed with the right hash and size
        manifest[key][name] = manifest[key]["scene.pte"]
    change_manifest(spoilt, **manifest)
    assert refused("--self-test", spoilt).endswith(f"names {name}, outside the bundle; export the bundle again")


def test_a_program_that_is_none_is_refused_though_its_hash_is_right(spoilt):
    data = (spoilt / "tile.pte").read_bytes()
    for spoil in (b"", b"no program" * 50, data[:1000]):
        replace(spoilt, "tile.pte", spoil)
        assert "tile.pte: ExecuTorch does not read it" in refused("--self-test", spoilt)
    replace(spoilt, "tile.pte", (spoilt / "scene.pte").read_bytes())
    assert "tile.pte: takes or gives other tensors than bundle.json says" in refused("--self-test", spoilt)


def header(**entries: object) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


KEYS = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", "ends before its header"),
        (struct.pack("<Q", 2**64 - 1) + b"{}", "ends inside its header"),
        (struct.pack("<Q", 3) + b"{}", "ends inside its header"),
        (struct.pack("<Q", 2) + b"[]", "its header is no object"),
        (struct.pack("<Q", 2) + b"{a", "its header is no such JSON"),
        (header(keys=KEYS), "offsets [0,8] for 8 of 0 bytes"),
        (header(keys=KEYS | {"data_offsets": [8, 0]}) + bytes(8), "offsets [8,0]"),
        (header(keys=KEYS | {"data_offsets": [0, 4]}) + bytes(8), "offsets [0,4] for 8 of 8 bytes"),
        (header(keys=KEYS | {"data_offsets": [-8, 0]}) + bytes(8), "offsets [-8,0]"),
        (header(keys=KEYS | {"data_offsets": [2**63, 2**63 + 8]}) + bytes(8), "offsets [9223372036854775808"),
        (header(keys=KEYS | {"data_offsets": [0]}) + bytes(8), "offsets [0]"),
        (header(keys=KEYS | {"dtype": "F16"}) + bytes(8), 'dtype "F16" where F32 or U8 is needed'),
        (header(keys=KEYS | {"shape": [-2]}) + bytes(8), "a side of -2"),
        (header(keys=KEYS | {"shape": [2**32, 2**32]}) + bytes(8), "a side of 4294967296"),
        (header(keys=KEYS | {"shape": [2**20, 2**20, 2**20]}) + bytes(8), "a shape of"),
        (header(keys=[]) + bytes(8), "its header is no such JSON"),
    ],
)
def test_a_malformed_bank_is_refused_though_its_hash_is_right(spoilt, data, line):
    replace(spoilt, BANK, data)
    found = refused("--self-test", spoilt)
    assert f"{BANK}: no sound safetensors file ({line}" in found
    assert found.endswith("); export the bundle again")


def test_a_bank_or_golden_file_of_another_kind_is_refused(spoilt):
    bank = load_file(spoilt / BANK)
    replace(spoilt, BANK, save({k: v for k, v in bank.items() if k != "values"}))
    assert f"{BANK}: lacks values; export the bundle again" in refused("--self-test", spoilt)
    replace(spoilt, BANK, save(bank | {"keys": bank["keys"][:100]}))
    assert "its input keys is 100x32, it takes 5000x32" in refused("--self-test", spoilt)
    replace(spoilt, BANK, save(bank))
    golden = load_file(spoilt / GOLDEN)
    replace(spoilt, GOLDEN, save(golden | {"raw": golden["raw"][..., :10]}))
    assert "its raw is 1x3x18x10, not 1x3x18x18" in refused("--self-test", spoilt)
    replace(spoilt, GOLDEN, save(golden | {"patch": golden["patch"][..., :100]}))
    assert "a patch of 1x3x128x100" in refused("--self-test", spoilt)


def test_a_model_that_gives_nan_is_refused(spoilt, photo, tmp_path):
    bank = load_file(spoilt / BANK)
    replace(spoilt, BANK, save(bank | {"camera": bank["camera"] * np.float32(np.nan)}))
    assert "gives NaN; export the bundle again" in refused(spoilt, photo, "-o", tmp_path / "out.tif")
    assert not any(p.name.startswith(".out") or p.name == "out.tif" for p in tmp_path.iterdir())
