"""bundle add-bank, remove: another camera's bank in the same programs, proved with it; what does not fit is refused."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from priorraw.assets import describe_file, load_assets
from priorraw.errors import InputError
from priorraw.files import read_json
from priorraw_edge.export.bundle import export_bundle
from priorraw_edge.export.programs import bank_tensors, picture_inputs, run_eager
from priorraw_edge.export.targets import TARGETS
from priorraw_edge.runtime.engine import BundleEngine, open_engine
from priorraw_edge.verify.verify import measure_bank, verify_bundle
from random_assets import CAMERAS, random_bank, write_random_assets

TILE = 72
FIRST, SECOND = CAMERAS


@pytest.fixture(scope="module")
def assets(tmp_path_factory) -> Path:
    return write_random_assets(tmp_path_factory.mktemp("assets"))


@pytest.fixture(scope="module", params=[("xnnpack", "fp32"), ("coreml", "mixed")], ids="-".join)
def pristine(request, assets: Path, tmp_path_factory) -> Path:
    target, precision = request.param
    folder = tmp_path_factory.mktemp(target) / "bundle"
    prior = load_assets(FIRST, assets)
    export_bundle(prior, TARGETS[target], folder, tile=TILE, precision=precision, assets=assets, measure=measure_bank)
    return folder


@pytest.fixture
def bundle(pristine: Path, tmp_path: Path) -> Path:
    return shutil.copytree(pristine, tmp_path / "bundle")


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_bank_is_added_without_export_and_proved(bundle, assets, cli):
    programs = {name: data for name, data in contents(bundle).items() if name.startswith(("scene", "tile"))}
    code, out, _ = cli("bundle", "add-bank", bundle, "--camera", SECOND, "--assets", assets)
    assert code == 0 and SECOND in out
    manifest = read_json(bundle / "bundle.json")
    assert set(manifest["banks"]) == set(CAMERAS) and manifest["camera"] == FIRST
    assert manifest["banks"][SECOND]["parity"].keys() == manifest["banks"][FIRST]["parity"].keys()
    assert programs == {name: data for name, data in contents(bundle).items() if name in programs}
    report = verify_bundle(bundle, lambda tile: [], assets)
    assert report.passed and set(report.comparisons) == set(CAMERAS)


def test_the_engine_runs_either_bank(bundle, assets, cli):
    if read_json(bundle / "bundle.json")["runs"] != "executorch":
        pytest.skip("runs on Apple systems alone; the test above interprets the packages")
    from skimage.data import coffee

    photograph = coffee().astype(np.float32) / 255
    cli("bundle", "add-bank", bundle, "--camera", SECOND, "--assets", assets)
    for camera in CAMERAS:
        prior = load_assets(camera, assets)
        expected = run_eager(prior.model, bank_tensors(prior.bank), picture_inputs(photograph, TILE))
        engine = BundleEngine(bundle, camera)
        (scene,) = engine.run("scene", {"thumbnail": expected["thumbnail"].numpy()})
        raw, reliability = engine.run("tile", {"tile": expected["tile"].numpy(), "scene": expected["scene"].numpy()})
        # Observed: 3.0e-8, 4.2e-7 and 1.1e-6. The two banks differ by more than 1e-3 in every output.
        for found, name in ((scene, "scene"), (raw, "raw"), (reliability, "reliability")):
            assert np.abs(found - expected[name].numpy()).max() < 1e-5
        assert engine.color_matrix == pytest.approx(prior.color_matrix)


def test_a_bank_of_ones_own_is_added_and_taken_out(bundle, assets, cli, tmp_path):
    encoder = describe_file(assets / "shared/encoder.safetensors")["sha256"]
    bank = random_bank(SECOND, encoder, 300, 32, 7)
    bank.save(tmp_path / "own.safetensors")
    before = contents(bundle)
    code, out, _ = cli(
        "bundle", "add-bank", bundle, "--bank", tmp_path / "own.safetensors", "--assets", assets, "--json"
    )
    assert code == 0 and json.loads(out)["banks"][SECOND]["psnr"] is None
    report = verify_bundle(bundle, lambda tile: [], assets, camera=SECOND)
    assert report.passed and "was added from a file" in report.notes[0]
    assert cli("bundle", "remove", bundle, SECOND)[0] == 0
    assert contents(bundle) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"encoder_sha256": "0" * 64}, "built with another encoder than the bundle's"),
        ({"K": 200}, "has 200 entries, .* takes 300; build it with --entries 300"),
        ({"camera": FIRST}, f"holds a bank of {FIRST} already"),
    ],
)
def test_a_bank_that_does_not_fit_is_refused_and_nothing_changes(bundle, assets, cli, tmp_path, change, words):
    encoder = describe_file(assets / "shared/encoder.safetensors")["sha256"]
    facts = {"camera": SECOND, "encoder_sha256": encoder, "K": 300} | change
    random_bank(facts["camera"], facts["encoder_sha256"], facts["K"], 32, 7).save(tmp_path / "own.safetensors")
    before = contents(bundle)
    code, out, err = cli("bundle", "add-bank", bundle, "--bank", tmp_path / "own.safetensors", "--assets", assets)
    assert (code, out) == (2, "") and len(err.splitlines()) == 1
    assert re.search(words, err)
    assert contents(bundle) == before


def test_a_bank_that_breaks_parity_leaves_the_bundle_as_it_was(bundle, assets, cli, monkeypatch):
    before = contents(bundle)
    monkeypatch.setattr("priorraw_edge.verify.stages.FP32_BOUND", 500.0)
    monkeypatch.setattr("priorraw_edge.verify.stages.OVER_PSNR", {"mixed": 500.0, "fp16": 500.0})
    code, out, err = cli("bundle", "add-bank", bundle, "--camera", SECOND, "--assets", assets)
    assert (code, out) == (1, "") and "differ from PyTorch" in err
    assert contents(bundle) == before


def test_wrong_calls(bundle, assets, cli):
    for arguments, words in (
        ((), "give one of them"),
        (("--camera", FIRST, "--bank", "x"), "give one of them"),
        (("--camera", "leica"), "camera 'leica' is unknown"),
    ):
        code, _, err = cli("bundle", "add-bank", bundle, *arguments, "--assets", assets)
        assert code == 2 and words in err
    assert "is its only bank" in cli("bundle", "remove", bundle, FIRST)[2]
    assert "holds no bank of leica" in cli("bundle", "remove", bundle, "leica")[2]
    with pytest.raises(InputError, match=f"known: {FIRST}|does not run here"):
        open_engine(SECOND, bundle=bundle)
