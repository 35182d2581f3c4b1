"""Bit-depth recovery from pictures to a bundle, with a model of a few steps: prepare, train, bank, evaluate, export."""

import json

import numpy as np
import pytest
import skimage.data
import torch
from photos import saved
from PIL import Image
from priorraw.assets import cameras_in, load_assets, write_asset
from priorraw.bit_depth import TASK, Depths
from priorraw.tasks import TASKS
from safetensors.torch import load_file

NAME = "bit-depth-4to8"
DEPTHS = Depths(4, 8)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A dataset of two photographs, and an asset folder of what two steps on it teach."""
    from click.testing import CliRunner
    from priorraw_edge.cli import cli

    folder = tmp_path_factory.mktemp("made")
    (folder / "pictures").mkdir()
    saved(folder / "pictures" / "coffee.png", skimage.data.coffee())
    saved(folder / "pictures" / "astronaut.png", skimage.data.astronaut())

    def call(*arguments: object) -> None:
        result = CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output

    task, data = ("--task", "bit-depth"), folder / "set"
    call("prepare", *task, folder / "pictures", "-o", data, "--split", "train")
    call("train", "search", *task, data, "-o", folder / "search", "--steps", 1)
    encoder, bank = folder / "search" / "encoder.safetensors", folder / "bank.safetensors"
    call("bank", "build", *task, data, "--encoder", encoder, "-o", bank, "--entries", 50, "--group", 5)
    options = ("--steps", 2, "--crop", 64, "--batch", 1, "--encoder", encoder, "--bank", bank)
    call("train", "reconstruct", *task, data, "-o", folder / "rec", *options)
    sources = (encoder, folder / "rec" / "reconstructor.safetensors", bank)
    for source, name in zip(sources, TASKS[TASK].files(NAME), strict=True):
        (folder / "assets" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "assets" / name).write_bytes(source.read_bytes())
    write_asset(folder / "assets", NAME, ["make bit-depth"], {}, TASK)
    return folder


def test_the_assets_are_no_camera(made):
    assert cameras_in(made / "assets") == [] and cameras_in(made / "assets", TASK) == [NAME]
    assert load_assets(NAME, made / "assets", TASK).bank.info.K == 50


def test_evaluate_a_plain_folder(made, cli):
    arguments = (
        "evaluate",
        made / "pictures",
        "--task",
        "bit-depth",
        "--bits",
        4,
        "--assets",
        made / "assets",
        "--json",
    )
    code, out, _ = cli(*arguments)
    result = json.loads(out)
    assert code == 0 and [image["name"] for image in result["images"]] == ["astronaut", "coffee"]
    assert result["outside"] == 0
    middle = []
    for name in ("astronaut", "coffee"):
        high = np.asarray(Image.open(made / "pictures" / f"{name}.png")).astype(float)
        middle.append(10 * np.log10(255**2 / np.square(high // 16 * 16 + 7.5 - high).mean()))
    assert result["psnr"] > np.mean(middle) + 0.5  # the closed-form start alone is well above it


def test_the_curve_over_pictures_keeps_its_rows(made, tmp_path):
    from click.testing import CliRunner

    from benchmarks.bit_depth.curve import main

    out = tmp_path / "curve.json"

    def measure(counts: str, steps: int):
        budget = ("--steps", steps, "--batch", 1, "--crop", 64, "--runs", tmp_path / "runs", "--out", out)
        arguments = (made / "pictures", "--train", made / "set", "--counts", counts, *budget)
        return CliRunner().invoke(main, [str(a) for a in arguments])

    assert measure("1", 1).exit_code == 0
    first = json.loads(out.read_text())["rows"]
    assert measure("1,0", 1).exit_code == 0
    rows = json.loads(out.read_text())["rows"]
    assert [row["pictures"] for row in rows] == [1, 2] and rows[:1] == first
    assert rows[0]["megapixels"] < rows[1]["megapixels"] and all(30 < row["psnr"] < 45 for row in rows)
    assert "another budget" in measure("1", 2).output


def test_tiles_leave_no_seam(made, cli, tmp_path):
    """`enhance` in tiles against the model on the whole picture at once."""
    photo = np.tile(skimage.data.coffee(), (2, 2, 1))[:700, :900] & 0xF0
    saved(tmp_path / "low.png", photo)
    code, out, _ = cli(
        "enhance", "--task", "bit-depth", tmp_path / "low.png", "-o", tmp_path / "out.png",
        "--assets", made / "assets", "--reliability", tmp_path / "trust.png", "--json",
    )  # fmt: skip
    assert code == 0
    (facts,) = json.loads(out)
    assert facts["levels_in"] <= 16 < facts["levels_out"] and facts["notes"] == []
    found = np.asarray(Image.open(tmp_path / "out.png"))
    assert (found & 0xF0 == photo).all()
    whole, reliability = load_assets(NAME, made / "assets", TASK)(DEPTHS.unit(photo >> 4))
    difference = np.abs(found.astype(int) - DEPTHS.high_codes(whole))
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3  # a value on the edge of rounding
    assert np.asarray(Image.open(tmp_path / "trust.png")).shape == reliability.shape


def test_views_are_those_of_the_whole_picture(made, cli, tmp_path):
    """`enhance --views 8` in tiles against the mean over the whole picture, turned by NumPy, of what the model says."""
    photo = np.tile(skimage.data.coffee(), (2, 2, 1))[:640, :800] & 0xF0
    saved(tmp_path / "low.png", photo)
    files = (tmp_path / "low.png", "-o", tmp_path / "out.png", "--assets", made / "assets")
    code, out, _ = cli("enhance", *files, "--views", 8, "--json")
    assert code == 0 and json.loads(out)[0]["views"] == 8
    found = np.asarray(Image.open(tmp_path / "out.png")).astype(int)
    model, total = load_assets(NAME, made / "assets", TASK), 0.0
    for k in range(8):
        seen = np.rot90(photo, k)[:: 1 if k < 4 else -1]
        high = model(DEPTHS.unit(seen >> 4))[0]
        total = total + np.rot90(high[:: 1 if k < 4 else -1], -k)
    expected = DEPTHS.high_codes(total / 8).astype(int)
    # Values on the edge of rounding; seen: 3e-6 of them.
    assert np.abs(found - expected).max() <= 1 and (found != expected).mean() < 1e-4
    one = DEPTHS.high_codes(model(DEPTHS.unit(photo >> 4))[0])
    assert (found != one).mean() > 0.01  # seen: 0.055
    code, _, err = cli("evaluate", made / "pictures", "--views", 8)
    assert code == 2 and "--views is for --task bit-depth" in err


def test_bfloat16_trains_nearly_the_same(made, cli, tmp_path):
    train = ("train", "reconstruct", "--task", "bit-depth", made / "set", "--steps", 3, "--crop", 64, "--batch", 2)
    results = []
    for name, more in (("fp32", ()), ("bf16", ("--bfloat16",))):
        assert cli(*train, "-o", tmp_path / name, *more)[0] == 0
        results.append(load_file(tmp_path / name / "reconstructor.safetensors"))
    ours, others = (torch.cat([value.flatten() for value in result.values()]) for result in results)
    assert 0 < (others - ours).abs().mean() < 5e-6  # seen: 1e-6; the three steps are 6e-5 long, whichever way they go


def test_what_is_beyond_the_bits_is_said(made, cli, tmp_path):
    saved(tmp_path / "deep.png", skimage.data.coffee()[:80, :80])
    call = ("enhance", tmp_path / "deep.png", "--assets", made / "assets", "-o")
    code, _, err = cli(*call, tmp_path / "out.png")
    assert code == 0 and "4 bits hold 16: what was beyond them was not used" in err
    code, _, err = cli(*call, tmp_path / "o.png", "--bits", 5)
    assert code == 2 and "bit-depth-5to8: no such assets for bit-depth; there are bit-depth-4to8" in err
    code, _, err = cli(*call, tmp_path / "out.jpg")
    assert code == 2 and "ends in none of .png" in err


@pytest.mark.slow
def test_a_bundle_computes_the_same(made, cli, tmp_path):
    bundle = tmp_path / "bundle"
    arguments = ("export", "--target", "xnnpack", "--task", "bit-depth", "--assets", made / "assets", "--tile", 224)
    assert cli(*arguments, "--out", bundle)[0] == 0
    assert json.loads((bundle / "bundle.json").read_text())["task"] == "bit-depth"
    assert cli("verify", bundle, "--assets", made / "assets")[0] == 0
    photo = skimage.data.coffee()[:300, :420] & 0xF0
    saved(tmp_path / "low.png", photo)
    assert cli("enhance", tmp_path / "low.png", "-o", tmp_path / "a.png", "--bundle", bundle)[0] == 0
    assert cli("enhance", tmp_path / "low.png", "-o", tmp_path / "b.png", "--assets", made / "assets")[0] == 0
    one, other = (np.asarray(Image.open(tmp_path / name)).astype(int) for name in ("a.png", "b.png"))
    assert np.abs(one - other).max() <= 1 and (one != other).mean() < 1e-3
    code, _, err = cli("reconstruct", tmp_path / "low.png", "-o", tmp_path / "a.dng", "--bundle", bundle)
    assert code == 2 and "is for the task bit-depth, not raw" in err
