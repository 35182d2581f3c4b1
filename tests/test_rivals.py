"""The comparison as a whole, on a tiny dataset: every row runs, results are kept, bad input is one line."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny
from priorraw.isp import quantise
from priorraw.prepare import prepare
from samples import write_pack

from benchmarks.rivals.__main__ import main
from benchmarks.rivals.cnn_light import CnnLight
from benchmarks.rivals.measure import in_16_bits
from benchmarks.rivals.registry import ROWS, rival_class
from benchmarks.rivals.rival import Budget, Shot
from benchmarks.rivals.unet import PlainUNet

METADATA = {"true-light": 8, "rir": 916, "sam": 64 * 6, "cam": 64 * 7, "cam-finetuned": 64 * 7}  # of 64x64 pixels


def pairs(folder: Path, N: int = 6, side: int = 64, bits: int = 8, **splits: float) -> Path:
    pack = write_pack(folder.with_suffix(".npz"), *tiny.unclipped_scenes(N, side, side))
    prepare([pack], folder, splits or {"train": 0.7, "test": 0.3}, camera=tiny.CAMERA, srgb_bits=bits)
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pairs(tmp_path_factory.mktemp("rivals") / "d")


def call(*args: object) -> int:
    try:
        main([str(a) for a in args])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_every_row_end_to_end_and_once(dataset, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out.json"
    arguments = ("--dataset", dataset, "--steps", 3, "--out", out, "--json")
    assert call(*arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads(out.read_text())
    assert document["pictures"] == {"train": 4, "test": 2} and document["budget"] == "3 steps"
    rows = {row["name"]: row for row in document["rows"]}
    assert list(rows) == list(ROWS)
    for name, row in rows.items():
        assert row["bits"]["8"]["metadata_bytes_per_picture"] == METADATA.get(name, 0)
        assert row["blind"] == (name not in METADATA)
        assert all(np.isfinite(row["bits"][b]["psnr"]) for b in ["8", "16"])
        assert (row["training"] or {"steps": 3})["steps"] == 3
    assert rows["sam"]["metadata_bytes_per_megapixel"] == 125 * 125 * 6
    assert rows["rir"]["metadata_bytes_per_megapixel"] == 916
    assert rows["cam"]["camera_flops_per_pixel"] > 1e4 > rows["sam"]["camera_flops_per_pixel"] == 0
    # Scenes that nothing clipped: the inverse is exact up to the bits. Seen: 65 dB and the cap of 100.
    assert rows["true-light"]["bits"]["16"]["psnr"] > rows["true-light"]["bits"]["8"]["psnr"] + 20
    assert rows["true-light"]["bits"]["8"]["light_error"] < 0.05  # seen: 7e-7
    # With the gains put right, a wrong light costs nothing.
    known = rows["mean-light"]["bits"]["8"]["psnr_known_gains"]
    assert known == pytest.approx(rows["true-light"]["bits"]["8"]["psnr"], abs=0.1)  # seen: 2e-7

    for name in ROWS:
        monkeypatch.setattr(rival_class(name), "fit", None)  # a second call would fail
    assert call(*arguments) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == document["rows"]
    assert call(*arguments[:-1]) == 0
    assert "cam-finetuned" in capsys.readouterr().out


def test_steps_make_a_row_repeatable(dataset, capsys):
    figures = []
    for seed in (0, 0, 1):
        assert call("--dataset", dataset, "--rows", "cnn-light", "--steps", 3, "--seed", seed, "--json") == 0
        figures.append(json.loads(capsys.readouterr().out)["rows"][0]["bits"])
    assert figures[0] == figures[1] != figures[2]


def test_a_budget_of_minutes_ends_in_time(dataset, capsys):
    assert call("--dataset", dataset, "--rows", "cnn-light", "--budget-minutes", 0.01, "--bits", 8, "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["training"]["steps"] >= 1 and row["training"]["minutes"] <= 0.03  # a step takes 0.0003
    assert list(row["bits"]) == ["8"]


def shots(N: int) -> list[Shot]:
    """Pictures whose red says what the light is."""
    random = np.random.default_rng(0)
    made = []
    for i in range(N):
        red = random.uniform(0.2, 0.8)
        srgb = np.full((64, 64, 3), 0.4, np.float32)
        srgb[..., 0] = red
        made.append(Shot(str(i), srgb, srgb**2, np.array([red, 1, 0.5], np.float32)))
    return made


def test_the_light_network_learns():
    pictures = shots(24)
    rival = CnnLight(tiny.MATRIX)
    losses = rival.fit(pictures, Budget(steps=200)).losses
    assert np.mean(losses[-20:]) < 0.3 * np.mean(losses[:20])  # seen: 0.025


def test_the_plain_unet_starts_at_the_mean_and_learns():
    pictures = shots(8)
    rival = PlainUNet(tiny.MATRIX)
    rival.fit(pictures, Budget(steps=1))
    mean = np.mean([s.raw.mean((0, 1)) for s in pictures], 0)
    np.testing.assert_allclose(rival.predict(pictures[0].srgb, b"").mean((0, 1)), mean, atol=0.01)  # seen: 0.0002
    assert 0.9 < rival.parameters() / 0.70e6 < 1.1
    losses = rival.fit(pictures, Budget(steps=30)).losses
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])  # seen: 0.56


def test_pictures_that_another_isp_made_have_no_16_bit_column():
    raw = np.full((16, 16, 3), 0.3, np.float32)
    light = np.array([0.5, 1, 0.5], np.float32)
    assert in_16_bits([Shot("other", np.full((16, 16, 3), 0.2, np.float32), raw, light)], tiny.MATRIX) is None


def test_bad_calls(dataset, tmp_path, capsys):
    (tmp_path / "letter.json").write_text('{"dear": "friend"}')
    only_test = pairs(tmp_path / "only-test", 2, test=1.0)
    small = pairs(tmp_path / "small", side=40)
    sixteen = pairs(tmp_path / "sixteen", bits=16)
    for arguments, words in {
        ("--dataset", tmp_path / "none"): "no such folder",
        ("--dataset", dataset, "--rows", "unet,unett"): "'unet,unett': unett is no row",
        ("--dataset", dataset, "--rows", ","): "nothing is no row",
        ("--dataset", dataset, "--bits", 12): "--bits 12",
        ("--dataset", dataset, "--steps", 0): "--steps 0",
        ("--dataset", dataset, "--seed", -1): "--seed -1",
        ("--dataset", dataset, "--budget-minutes", "nan"): "--budget-minutes nan",
        ("--dataset", dataset, "--split", "train"): "--split train",
        ("--dataset", dataset, "--split", "val"): "no pairs in split 'val'",
        ("--dataset", dataset, "--camera", "sony-imx135"): "not of sony-imx135",
        ("--dataset", only_test): "no pairs in split 'train'",
        ("--dataset", small, "--rows", "unet", "--steps", 1): "is 40x40, the crops are 64x64",
        ("--dataset", sixteen, "--rows", "mean-light"): "is not 8-bit",
        ("--dataset", dataset, "--rows", "mean-light", "--out", tmp_path / "letter.json"): "is no result file",
        ("--rows", "all"): "--dataset",
    }.items():
        assert call(*arguments) == 2, arguments
        out, err = capsys.readouterr()
        assert out == "" and words in err.splitlines()[-1], (arguments, err)


def test_results_on_other_pictures_are_not_mixed(dataset, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert call("--dataset", dataset, "--rows", "mean-light", "--out", out) == 0
    other = pairs(tmp_path / "other", 8)
    before = out.read_bytes()
    assert call("--dataset", other, "--rows", "mean-light", "--out", out) == 2
    assert "on other pictures" in capsys.readouterr().err and out.read_bytes() == before


def test_a_damaged_picture_is_named(tmp_path, capsys):
    folder = pairs(tmp_path / "d")
    picture = next((folder / "test" / "srgb").glob("*.png"))
    picture.write_bytes(picture.read_bytes()[:-30])
    assert call("--dataset", folder, "--rows", "mean-light") == 2
    assert picture.name in capsys.readouterr().err
    assert cv2.imwrite(str(picture), quantise(np.zeros((64, 64, 3)), 8))
    assert call("--dataset", folder, "--rows", "mean-light") == 0  # black where all was clipped: scored all the same
