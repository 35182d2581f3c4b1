"""The reader of pair datasets: what is spoiled is named. What it reads is in test_prepare.py."""

import json
from pathlib import Path

import numpy as np
import pytest
from priorraw.dataset import PairDataset
from priorraw.errors import InputError
from samples import CAMERA, write_png16


def spoil(folder: Path, kind: str) -> None:
    srgb, raw = folder / "test/srgb/scene_000.png", folder / "test/raw/scene_000.png"
    meta = json.loads((folder / "dataset.json").read_text())
    if kind == "no json":
        (folder / "dataset.json").unlink()
        return
    if kind == "unpaired":
        srgb.unlink()
    elif kind == "size":
        write_png16(srgb, np.zeros((3, 3, 3), np.uint8))
    elif kind == "dtype":
        write_png16(raw, np.zeros((24, 20, 3), np.uint8))
    elif kind == "cut":
        raw.write_bytes(raw.read_bytes()[:300])
    elif kind == "matrix":
        meta["color_matrix"] = [[1, 2], [3, 4]]
    elif kind == "light":
        del meta["images"]["scene_000"]
    elif kind == "camera":
        del meta["camera"]
    (folder / "dataset.json").write_text(json.dumps(meta))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("no json", r"dataset\.json: not found"),
        ("unpaired", r"srgb/scene_000\.png: not found"),
        ("size", r"srgb/scene_000\.png: is 3x3 but its raw is 20x24"),
        ("dtype", r"raw/scene_000\.png: is 8-bit"),
        ("cut", r"raw/scene_000\.png: is a truncated PNG"),
        ("matrix", "color_matrix is not 3x3"),
        ("light", "illuminant of scene_000"),
        ("camera", "names no camera"),
    ],
)
def test_a_spoiled_dataset_is_named(cli, pack, tmp_path, kind, reason):
    cli("prepare", pack, *CAMERA, "--split", "test", "--out", tmp_path / "d")
    spoil(tmp_path / "d", kind)
    with pytest.raises(InputError, match=reason):
        PairDataset.open(tmp_path / "d", "test").pair(0)


def test_wrong_folder_split_and_camera_are_named(cli, pack, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        PairDataset.open(tmp_path / "none", "test")
    cli("prepare", pack, *CAMERA, "--split", "test", "--out", tmp_path / "d")
    with pytest.raises(InputError, match="no pairs in split 'train'; it has test"):
        PairDataset.open(tmp_path / "d", "train")
    with pytest.raises(InputError, match="olympus-e-pl6, not of sony-slt-a57"):
        PairDataset.open(tmp_path / "d", "test", "sony-slt-a57")
