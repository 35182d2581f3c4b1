"""Evaluation against what is known of the data; and the command line from pack to figures."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from priorraw import isp
from priorraw.assets import Prior, load_assets, load_reconstructor
from priorraw.dataset import PairDataset, mask_of, write_png
from priorraw.errors import InputError
from priorraw.evaluate import STAGES, evaluate
from priorraw.metrics import angular_error, score
from priorraw.model import PriorRAW
from priorraw.srgb_input import SrgbInput
from samples import write_pack

OF_LIGHT = ("light_error", "believed_light_error", "psnr_known_gains")
OF_RELIABILITY = ("reliability_rank", "sparsification", "sparsification_oracle")
FIGURES = {"psnr", "ssim", "psnr_clipped", "psnr_unclipped", *OF_LIGHT, *OF_RELIABILITY}


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Prior:
    return load_assets(tiny.CAMERA, tiny.assets(tmp_path_factory.mktemp("assets")))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> PairDataset:
    return PairDataset.open(tiny.dataset(tmp_path_factory.mktemp("pairs") / "d", 4, "test"), "test")


def quantisation_psnr(srgb: np.ndarray, illuminant: np.ndarray, mask: np.ndarray) -> float:
    """PSNR in dB to be expected of the closed form on 8-bit sRGB.

    Rounding leaves an error of variance 1/12 code in each channel, independent of the others; the inverse
    amplifies it by the slope of the curve and mixes it by matrix and gains.
    """
    step = 1e-5
    slope = (isp.inverse_tone(isp.srgb_decode(srgb + step)) - isp.inverse_tone(isp.srgb_decode(srgb - step))) / (
        2 * step
    )
    mix = np.diag(1 / isp.gains_from_illuminant(illuminant)) @ isp.camera_from_srgb(tiny.MATRIX)
    variance = np.square(slope) / 12 / 255**2 @ np.square(mix).T
    return float(-10 * np.log10(variance[mask].mean()))


def test_with_the_true_light_the_closed_form_is_at_the_quantisation_limit(pairs, prior):
    result = evaluate(pairs, prior, "true-light")
    for i, image in enumerate(result["images"]):
        raw, srgb = pairs.pair(i)
        expected = quantisation_psnr(srgb.astype(np.float64), pairs.illuminant(i), mask_of(raw))
        assert image["psnr"] == pytest.approx(expected, abs=0.2)  # seen: 0.12 at 62.6 to 66.7 dB
        assert image["believed_light_error"] == pytest.approx(0, abs=1e-6)
        assert image["light_error"] < 1e-4  # seen: 1.5e-6
    assert result["ssim"] > 0.999


def test_other_lights_cost_what_they_miss(pairs, prior):
    true, mean = (evaluate(pairs, prior, stage) for stage in ("true-light", "mean-light"))
    assert mean["psnr"] < true["psnr"] - 5
    red, blue = np.exp(prior.bank.info.camera_vector[9:11])
    for i, image in enumerate(mean["images"]):
        expected = angular_error(np.array([red, 1, blue]), pairs.illuminant(i))
        assert image["believed_light_error"] == pytest.approx(expected)
        assert image["light_error"] == pytest.approx(expected, abs=1e-4)  # seen: 2e-6
        # Nothing else was wrong: with the true gains it is the closed form under the true light. Seen: 7e-7 dB apart.
        assert image["psnr_known_gains"] == pytest.approx(true["images"][i]["psnr"], abs=0.001)


def started(folder: Path) -> Prior:
    """A model whose residual still is zero: it gives the closed form under the light that it believes in."""
    return load_assets(tiny.CAMERA, tiny.assets(folder, PriorRAW(tiny.config()).eval().requires_grad_(False)))


def test_with_a_hint_the_whole_method_is_at_the_quantisation_limit(pairs, tmp_path):
    prior = started(tmp_path)
    blind, hinted = (evaluate(pairs, prior, hint=hint) for hint in (False, True))
    assert (blind["hint"], hinted["hint"]) == (False, True)
    for i, image in enumerate(hinted["images"]):
        raw, srgb = pairs.pair(i)
        expected = quantisation_psnr(srgb.astype(np.float64), pairs.illuminant(i), mask_of(raw))
        assert image["psnr"] == pytest.approx(expected, abs=0.2)  # seen: 0.12
        assert image["light_error"] < 1e-4  # seen: 8e-7
        assert image["believed_light_error"] < 1e-4  # seen: 0
    assert blind["psnr"] < hinted["psnr"] - 5
    assert blind["light_error"] > 1


@pytest.mark.parametrize("stage", STAGES[1:])
def test_a_hint_is_for_the_whole_method_alone(pairs, prior, stage):
    with pytest.raises(InputError, match=f"{stage} takes none"):
        evaluate(pairs, prior, stage, hint=True)


def test_the_light_of_the_result_not_of_the_belief(pairs, prior, monkeypatch):
    """A method that believes in the true light but gives another: the result is what counts."""
    wrong = np.array([0.9, 1.0, 0.3])

    def predict(prior, srgb, light, stage, hint):
        return isp.unrender(srgb, isp.gains_from_illuminant(wrong), prior.color_matrix), light, None

    monkeypatch.setattr("priorraw.evaluate._predict", predict)
    for i, image in enumerate(evaluate(pairs, prior)["images"]):
        assert image["believed_light_error"] == pytest.approx(0, abs=1e-6)
        assert image["light_error"] == pytest.approx(angular_error(wrong, pairs.illuminant(i)), abs=1e-4)


@pytest.mark.parametrize(("quality", "subsampling"), [(95, "4:4:4"), (75, "4:2:0")])
def test_a_jpeg_reaches_the_method_and_the_truth_stays(pairs, prior, tmp_path, quality, subsampling):
    result = evaluate(pairs, prior, "true-light", srgb_input=SrgbInput(jpeg=quality, subsampling=subsampling))
    assert result["input"] == {"bits": None, "jpeg": quality, "subsampling": subsampling}
    for i, image in enumerate(result["images"]):
        raw, srgb = pairs.pair(i)
        Image.fromarray(isp.quantise(srgb, 8)).save(tmp_path / "a.jpg", quality=quality, subsampling=subsampling)
        seen = np.asarray(Image.open(tmp_path / "a.jpg")).astype(np.float32) / 255
        closed = isp.unrender(seen, isp.gains_from_illuminant(pairs.illuminant(i)), tiny.MATRIX)
        assert image["psnr"] == pytest.approx(score(closed, raw, mask_of(raw)).psnr, abs=1e-6)
    assert result["psnr"] < evaluate(pairs, prior, "true-light")["psnr"] - 5


def test_16_bits_are_the_sharper_bound(pairs, prior):
    eight, sixteen = (evaluate(pairs, prior, "true-light", srgb_input=SrgbInput(bits)) for bits in (8, 16))
    assert (eight["input"]["bits"], sixteen["input"]["bits"]) == (8, 16)
    assert eight["images"] == evaluate(pairs, prior, "true-light")["images"]  # they are stored so
    assert sixteen["psnr"] > eight["psnr"] + 20  # seen: 35, up to the 100 dB that stand for equal pictures


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_gives_every_figure(pairs, prior, stage):
    result = evaluate(pairs, prior, stage)
    assert (result["camera"], result["split"], result["stage"]) == (tiny.CAMERA, "test", stage)
    assert [image["name"] for image in result["images"]] == pairs.names
    for image in result["images"]:
        assert image.keys() == FIGURES | {"name"}
        assert np.isfinite([image["psnr"], image["ssim"], image["light_error"]]).all()
        assert image["psnr_clipped"] is None  # nothing clips in these scenes, masked pixels do not count
        assert image["psnr_unclipped"] == pytest.approx(image["psnr"])
        has_reliability = [image[key] is not None for key in OF_RELIABILITY]
        assert has_reliability == [stage == "reconstructed"] * 3
    for key in ("psnr", "ssim", "light_error", "psnr_known_gains"):
        assert result[key] == pytest.approx(np.mean([image[key] for image in result["images"]]))
    for key in ("psnr", "light_error"):
        assert result[f"{key}_median"] == pytest.approx(np.median([image[key] for image in result["images"]]))
    by_psnr = sorted(result["images"], key=lambda image: image["psnr"])
    assert result["worst"] == [image["name"] for image in by_psnr[:3]]
    assert json.loads(json.dumps(result)) == result


def test_reconstructed_is_the_models_own_result(pairs, prior):
    result = evaluate(pairs, prior)
    for i, image in enumerate(result["images"]):
        raw, srgb = pairs.pair(i)
        expected = score(prior(srgb)[0], raw, mask_of(raw))
        assert (image["psnr"], image["ssim"]) == (expected.psnr, expected.ssim)


def test_masked_pixels_of_the_picture_do_not_count(prior, tmp_path):
    """With a true light the closed form is pixel by pixel: other sRGB under the mask changes nothing."""
    folder = tiny.dataset(tmp_path / "d", 2, "test")
    before = evaluate(PairDataset.open(folder, "test"), prior, "true-light")
    for path in (folder / "test" / "srgb").glob("*.png"):
        srgb = cv2.imread(str(path))[..., ::-1].copy()
        srgb[:6, :8] = 250
        write_png(path, srgb)
    assert evaluate(PairDataset.open(folder, "test"), prior, "true-light") == before


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("H", "W"), [(37, 51), (23, 90)])
def test_odd_sizes(prior, tmp_path, stage, H, W):
    pairs = PairDataset.open(tiny.dataset(tmp_path / "d", 2, "test", H, W), "test")
    result = evaluate(pairs, prior, stage)
    assert np.isfinite([result["psnr"], result["ssim"]]).all()


@pytest.mark.parametrize(("side", "stage"), [(10, "reconstructed"), (10, "true-light"), (21, "assembled")])
def test_pictures_too_small_for_ssim_are_refused(prior, tmp_path, side, stage):
    pairs = PairDataset.open(tiny.dataset(tmp_path / "d", 2, "test", side, 40), "test")
    with pytest.raises(InputError, match="picture scene_000 is too small to be scored"):
        evaluate(pairs, prior, stage)


def test_one_pixel_is_refused(prior, tmp_path):
    raw = np.full((2, 1, 1, 3), 20_000, np.uint16)
    pack = write_pack(tmp_path / "pack.npz", raw, np.ones((2, 3), np.float32))
    from priorraw.prepare import prepare

    prepare([pack], tmp_path / "d", {"test": 1.0}, camera=tiny.CAMERA)
    for stage in STAGES:
        with pytest.raises(InputError, match="too small"):
            evaluate(PairDataset.open(tmp_path / "d", "test"), prior, stage)


# --- the command line -----------------------------------------------------------------------------------------


def test_from_pack_to_figures(cli, tmp_path):
    """prepare, train search, bank build, train light and reconstruct, asset.json, evaluate: a few steps of each."""
    pack = write_pack(tmp_path / "pack.npz", *tiny.unclipped_scenes(8))
    data, run, assets = tmp_path / "data", tmp_path / "run", tmp_path / "assets"

    def call(*args: object) -> str:
        code, out, err = cli(*args)
        assert code == 0, err
        return out

    call("prepare", pack, "--camera", tiny.CAMERA, "--split", "train=0.75,test=0.25", "-o", data)
    assert "2 steps" in call("train", "search", data, "--steps", 2, "--dim", 8, "-o", run / "search")
    encoder = run / "search" / "encoder.safetensors"
    bank = assets / tiny.CAMERA / "bank.safetensors"
    built = call("bank", "build", data, "--encoder", encoder, "--entries", 64, "--group", 4, "-o", bank, "--json")
    figures = json.loads(built)
    assert (figures["camera"], figures["K"], figures["G"], figures["d"]) == (tiny.CAMERA, 64, 4, 8)
    assert figures["reference_pictures"] == 6 and figures["reference_pixels"] == 6 * (32 * 32 - 3 * 4)
    assert figures["bank_psnr"] > 10 and figures["full_reference_psnr"] > 10
    assert figures["bytes"] == bank.stat().st_size
    options = ("--encoder", encoder, "--entries", 64, "--group", 4, "--steps", 2)
    assert "2 steps" in call("train", "light", data, *options, "-o", run / "light")
    assert "2 steps" in call("train", "reconstruct", data, "--batch", 2, "--steps", 2, "-o", run / "reconstruct")
    reconstructor = run / "reconstruct" / "reconstructor.safetensors"
    again = ("train", "reconstruct", data, "--batch", 2, "--steps", 1, "--seed", 1, "-o", run / "again")
    call(*again, "--blend", reconstructor, 1)  # all of it: what was trained now is dropped
    trained, blended = (load_reconstructor(path)[1] for path in (reconstructor, run / "again" / reconstructor.name))
    assert all(torch.equal(trained[name], blended[name]) for name in trained)
    parts = encoder, run / "light" / "light.safetensors", reconstructor
    write_shared(assets, *parts)

    result = json.loads(call("evaluate", data, "--split", "test", "--assets", assets, "--json"))
    assert len(result["images"]) == 2 and {"psnr", "ssim", "images"} <= result.keys()
    assert result["psnr"] > 15
    table = call("evaluate", data, "--camera", tiny.CAMERA, "--assets", assets, "--stage", "true-light")
    assert "mean of 2" in table and "worst: " in table and "median: " in table
    degraded = ("--jpeg", 80, "--subsampling", "4:4:4", "--bits", 8, "--hint")
    result = json.loads(call("evaluate", data, "--assets", assets, *degraded, "--json"))
    assert result["hint"] is True
    assert result["input"] == {"bits": 8, "jpeg": 80, "subsampling": "4:4:4"}
    title = call("evaluate", data, "--assets", assets, *degraded).replace("\n", " ")
    assert all(word in title for word in ("hint", "8-bit sRGB", "JPEG 80 4:4:4"))
    code, out, err = cli("evaluate", data, "--assets", assets, "--hint", "--stage", "mean-light")
    assert (code, out) == (2, "") and "mean-light takes none" in err

    assert cli("evaluate", data, "--split", "val", "--assets", assets)[0] == 2
    code, out, err = cli("evaluate", data, "--camera", "sony-slt-a57", "--assets", assets)
    assert (code, out) == (2, "") and "holds pictures of olympus-e-pl6" in err
    wrong = ("train", "light", data, "--encoder", reconstructor)
    code, out, err = cli(*wrong, "-o", run / "other")
    assert (code, out) == (2, "") and "holds no encoder" in err and not (run / "other").exists()


def write_shared(assets: Path, encoder: Path, *parts: Path) -> None:
    from priorraw.assets import ENCODER, RECONSTRUCTOR, RECONSTRUCTOR_PARTS, load_model, save_part, write_asset

    (assets / "shared").mkdir(parents=True, exist_ok=True)
    (assets / ENCODER).write_bytes(encoder.read_bytes())
    save_part(load_model([encoder, *parts]), RECONSTRUCTOR_PARTS, assets / RECONSTRUCTOR)
    write_asset(assets, tiny.CAMERA, ["a test"], {})


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (("train", "search", "{d}", "-o", "o", "--learning-rate", "-1"), "learning-rate"),
        (("train", "search", "{d}", "-o", "o", "--steps", "0"), "steps"),
        (("train", "search", "none", "-o", "o"), "none: no such folder"),
        (("train", "light", "{d}", "-o", "o", "--encoder", "none"), "none: not found; train it first"),
        (("train", "light", "{d}", "-o", "o", "--encoder", "none", "--entries", "0"), "entries"),
        (("train", "reconstruct", "{d}", "-o", "o", "--batch", "0"), "batch"),
        (("train", "reconstruct", "{d}", "-o", "o", "--blend", "none", "0.5"), "none: not found; train it first"),
        (("train", "reconstruct", "{d}", "-o", "o", "--task", "bit-depth", "--blend", "x", "0.5"), "leave it out"),
        (("bank", "build", "{d}", "-o", "o", "--encoder", "none"), "none: not found"),
        (("evaluate", "{d}", "--assets", "none"), "none: no such asset folder"),
        (("evaluate", "{d}", "--split", "val"), "holds no pairs in split 'val'; it has test"),
        (("evaluate", "{d}", "--stage", "best"), "stage"),
        (("evaluate", "{d}", "--jpeg", "0"), "jpeg"),
        (("evaluate", "{d}", "--bits", "12"), "bits"),
        (("evaluate", "{d}", "--bits", "16", "--jpeg", "90"), "a JPEG holds 8 bits"),
        (("evaluate", "{d}", "--subsampling", "4:4:4"), "give --jpeg QUALITY too"),
    ],
)
def test_bad_calls_are_one_line(cli, pairs, tmp_path, monkeypatch, args, line):
    monkeypatch.chdir(tmp_path)
    code, out, err = cli(*(str(a).format(d=pairs.folder) for a in args))
    assert (code, out) == (2, "")
    assert line in err and len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
