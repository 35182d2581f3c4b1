"""What `prepare` cannot use: one line that names it, exit code 2, nothing left behind."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from priorraw.dataset import PairDataset
from samples import CAMERA, scenes, write_pack, write_png16


def bad_pack(tmp_path: Path, kind: str) -> Path:
    raw, light = scenes(3)
    path = tmp_path / "bad.npz"
    if kind == "object array":
        return write_pack(path, raw, light, name=np.array(["a", "b", "c"], object))
    if kind == "no light":
        np.savez(path, raw=raw, name=np.array(["a"] * 3))
        return path
    changes: dict[str, dict[str, np.ndarray]] = {
        "8 bit": {"raw": raw.astype(np.uint8)},
        "flat": {"raw": raw[..., 0]},
        "lights": {"illuminant": light[:2]},
        "no scenes": {"raw": raw[:0], "illuminant": light[:0], "name": np.array([], "U1")},
        "NaN": {"illuminant": np.where(np.arange(3)[:, None] == 1, np.nan, light)},
        "negative": {"illuminant": -light},
        "path": {"name": np.array(["a", "../../b", "c"])},
        "twice": {"name": np.array(["a", "b", "a"])},
        "black": {"raw": raw * np.array([1, 1, 0], np.uint16)[:, None, None, None]},
    }
    write_pack(path, raw, light, **changes.get(kind, {}))
    whole = path.read_bytes()
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("no pack at all")
    elif kind == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "flipped":
        path.write_bytes(whole[:2000] + bytes([whole[2000] ^ 1]) + whole[2001:])
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("empty", "cannot be read as a pack"),
        ("text", "cannot be read as a pack"),
        ("truncated", "cannot be read as a pack"),
        ("flipped", "is damaged"),
        ("object array", "name.npy has 161 bytes for object (3,)"),
        ("no light", "lacks illuminant"),
        ("8 bit", "raw is uint8"),
        ("flat", "not uint16 (N, H, W, 3)"),
        ("lights", "illuminant is float32 (2, 3)"),
        ("no scenes", "holds no scenes"),
        ("NaN", "scene 'scene_001': illuminant [nan"),
        ("negative", "not three numbers above zero"),
        ("path", "cannot be a file's name"),
        ("twice", "second scene is named 'a'"),
        ("black", "holds no pixel"),
    ],
)
def test_a_bad_pack_gets_one_line_and_leaves_nothing(cli, tmp_path, kind, reason):
    path = bad_pack(tmp_path, kind)
    code, out, err = cli("prepare", path, *CAMERA, "--out", tmp_path / "d")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and err.startswith("priorraw-edge: ") and "bad.npz" in err and reason in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.npz"]


def bad_png_folder(tmp_path: Path, kind: str) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    raw, light = scenes(1)
    path = folder / "a.png"
    write_png16(path, raw[0])
    path.with_suffix(".json").write_text(json.dumps({"illuminant_color_raw": light[0].tolist()}))
    whole = path.read_bytes()
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "flipped":
        path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    elif kind == "a text":
        path.write_text("not a picture")
    elif kind == "8 bit":
        cv2.imwrite(str(path), (raw[0] >> 8).astype(np.uint8))
    elif kind == "grey":
        cv2.imwrite(str(path), raw[0, ..., 0])
    elif kind == "alpha":
        cv2.imwrite(str(path), np.concatenate([raw[0], raw[0, ..., :1]], -1))
    elif kind == "no light":
        path.with_suffix(".json").unlink()
    elif kind == "bad json":
        path.with_suffix(".json").write_text('{"illuminant_color_raw": "white"}')
    elif kind == "NaN":
        path.with_suffix(".json").write_text('{"illuminant_color_raw": [1, NaN, 1]}')
    elif kind == "bad csv":
        (folder / "gt.csv").write_text("image,r,g,b\na,1,1,1\n")
    elif kind == "no pictures":
        path.unlink()
    return folder


@pytest.mark.parametrize(
    ("kind", "named", "reason"),
    [
        ("empty", "a.png", "is empty"),
        ("truncated", "a.png", "truncated"),
        ("flipped", "a.png", "damaged"),
        ("a text", "a.png", "is no PNG"),
        ("8 bit", "a.png", "is 8-bit"),
        ("grey", "a.png", "has 1 channel"),
        ("alpha", "a.png", "has 4 channel"),
        ("no light", "a.png", "has no illuminant; add a.json"),
        ("bad json", "a.json", "needs {"),
        ("NaN", "a.json", "needs {"),
        ("bad csv", "gt.csv", "columns image, mean_r"),
        ("no pictures", "in", "neither camera files nor .png"),
    ],
)
def test_a_bad_png_folder_gets_one_line_and_leaves_nothing(cli, tmp_path, kind, named, reason):
    folder = bad_png_folder(tmp_path, kind)
    code, out, err = cli("prepare", folder, *CAMERA, "--out", tmp_path / "d")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and named in err and reason in err
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["none.npz", *CAMERA], "none.npz: not found"),
        (["pack.npz"], "pass --camera"),
        (["pack.npz", "--camera", "olympus-epl6"], "did you mean olympus-e-pl6?"),
        (["pack.npz", *CAMERA, "--split", "train=0.7"], "add up to 0.7"),
        (["pack.npz", *CAMERA, "--split", "train=0.5,train=0.5"], "--split"),
        (["pack.npz", *CAMERA, "--split", "a=x,b=0.5"], "--split"),
        (["pack.npz", *CAMERA, "--split", "../x"], "--split"),
        (["pack.npz", *CAMERA, "--split", ""], "--split"),
        (["pack.npz", *CAMERA, "--black-level", "70000"], "--black-level"),
        (["pack.npz", *CAMERA, "--black-level", "nan"], "--black-level"),
        (["pack.npz", *CAMERA, "--size", "0"], "--size"),
        (["pack.npz", *CAMERA, "--srgb-bits", "12"], "--srgb-bits"),
        ([], "SOURCE"),
    ],
)
def test_a_bad_call_gets_one_line_and_leaves_nothing(cli, pack, tmp_path, monkeypatch, arguments, reason):
    monkeypatch.chdir(tmp_path)
    code, out, err = cli("prepare", *arguments, "--out", "d")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and reason in err
    assert [p.name for p in tmp_path.iterdir()] == ["pack.npz"]


@pytest.mark.parametrize("kind", ["NaN", "path", "black"])
def test_skip_bad_leaves_out_the_scene(cli, tmp_path, kind):
    path = bad_pack(tmp_path, kind)
    code, out, err = cli("prepare", path, *CAMERA, "--split", "test", "--out", tmp_path / "d", "--skip-bad")
    assert code == 0 and "pairs: 2 test, 1 skipped" in out
    assert err.startswith("skipped: ") and err.count("\n") == 1
    assert len(PairDataset.open(tmp_path / "d", "test")) == 2


def test_skip_bad_leaves_out_the_file_and_ends_when_nothing_is_left(cli, pack, tmp_path):
    bad = bad_pack(tmp_path, "truncated")
    out = cli("prepare", bad, pack, *CAMERA, "--out", tmp_path / "d", "--skip-bad", "--json")[1]
    assert json.loads(out)["pairs"] == {"train": 7, "val": 1, "test": 2}
    assert [line for line in json.loads(out)["skipped"] if "bad.npz" in line]
    code, _, err = cli("prepare", bad, *CAMERA, "--out", tmp_path / "e", "--skip-bad")
    assert code == 2 and "no scene is left" in err and not (tmp_path / "e").exists()
