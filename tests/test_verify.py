"""verify: passes what is right, fails what computes something else, refuses what was changed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from priorraw.assets import load_assets
from priorraw.errors import InputError
from priorraw.files import read_json, sha256, write_json
from priorraw_edge.export.bundle import export_bundle
from priorraw_edge.export.targets import TARGETS
from priorraw_edge.verify.flatbuffer import structure_faults
from priorraw_edge.verify.mil import OPS, MilProgram, UncoveredOpError
from priorraw_edge.verify.stages import compare
from priorraw_edge.verify.verify import ParityError, measure_bundle, verify_bundle
from random_assets import CAMERAS, write_random_assets
from safetensors.torch import load_file, save_file

TILE = 104


@pytest.fixture(scope="module")
def assets(tmp_path_factory) -> Path:
    return write_random_assets(tmp_path_factory.mktemp("assets"))


@pytest.fixture(scope="module", params=["xnnpack", "coreml"])
def pristine(request, assets: Path, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp(request.param) / "bundle"
    target = TARGETS[request.param]
    prior = load_assets(CAMERAS[0], assets)
    export_bundle(prior, target, folder, tile=TILE, precision=target.precisions[0], measure=measure_bundle)
    return folder


@pytest.fixture
def bundle(pristine: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return shutil.copytree(pristine, tmp_path / "bundle")


@pytest.fixture(scope="module")
def photographs() -> dict[str, np.ndarray]:
    from skimage.data import chelsea, coffee

    return {name: picture().astype(np.float32) / 255 for name, picture in (("coffee", coffee), ("cat", chelsea))}


def rehash(folder: Path) -> None:
    """Make bundle.json agree with files that a test has changed."""
    manifest = read_json(folder / "bundle.json")
    manifest["files"] = {name: sha256(folder / name) for name in manifest["files"]}
    manifest["bytes"] = {name: (folder / name).stat().st_size for name in manifest["files"]}
    write_json(folder / "bundle.json", manifest)


def test_every_stage_passes_on_photographs(bundle, assets, photographs):
    report = verify_bundle(bundle, photographs, assets)
    assert report.passed, report.to_json()
    assert {c.picture for c in report.comparisons} == {"golden", "coffee", "cat"}
    stages = {c.stage for c in report.comparisons}
    if report.target == "xnnpack":
        assert stages == {"golden outputs", "exported program", "xnnpack .pte"}
    else:
        assert stages == {
            "golden outputs", "exported program", "mixed package", "mixed package, rounded"
        }  # fmt: skip
    assert {c.output for c in report.comparisons} == {"scene", "raw", "reliability"}


def test_parity_is_recorded_at_export(bundle):
    parity = read_json(bundle / "bundle.json")["parity"]
    assert parity["exported program: raw"]["max_error"] <= 1e-6
    assert len(parity) >= 6


def test_a_changed_weight_fails(bundle, assets, cli):
    """One weight changed and the hashes made again: only the numbers can tell."""
    manifest = read_json(bundle / "bundle.json")
    if manifest["target"] == "xnnpack":
        program, size = bundle / "tile.pte", 4
    else:
        program, size = bundle / "tile.mlpackage/Data/com.apple.CoreML/weights/weight.bin", 2
    weights = load_assets(CAMERAS[0], assets).model.reconstructor.encode0.spatial.bias.detach().numpy()
    data = bytearray(program.read_bytes())
    found = data.find(weights.astype("<f4" if size == 4 else "<f2").tobytes())
    assert found > 0
    data[found : found + size] = np.array(5, "<f4" if size == 4 else "<f2").tobytes()
    program.write_bytes(data)
    rehash(bundle)
    code, out, _ = cli("verify", bundle, "--assets", assets, "--json")
    report = json.loads(out)
    assert (code, report["passed"]) == (1, False)
    failed = {c["output"] for c in report["comparisons"] if not c["passed"]}
    assert failed and failed <= {"raw", "reliability"}  # the scene does not pass through that layer


def test_another_bank_fails(bundle, assets):
    bank = load_file(bundle / "bank.safetensors")
    bank["values"] = bank["values"].flip(1).contiguous()
    save_file(bank, bundle / "bank.safetensors")
    rehash(bundle)
    report = verify_bundle(bundle, {}, assets)
    assert not report.passed
    assert report.faults == ["bank.safetensors: values differs from the assets' bank"]


def test_wrong_golden_outputs_fail(bundle, assets):
    golden = load_file(bundle / "golden/golden.safetensors")
    golden["raw"] = golden["raw"] + 1e-3
    save_file(golden, bundle / "golden/golden.safetensors")
    rehash(bundle)
    report = verify_bundle(bundle, {}, assets)
    assert [(c.stage, c.output) for c in report.comparisons if not c.passed] == [("golden outputs", "raw")]


def test_export_refuses_a_program_that_differs(bundle, assets):
    prior = load_assets(CAMERAS[0], assets)
    golden = load_file(bundle / "golden/golden.safetensors")
    golden |= dict(zip(("keys", "values", "camera"), prior.bank.tensors(), strict=True))
    golden["raw"] = golden["raw"] + 0.1
    with pytest.raises(ParityError, match="raw"):
        measure_bundle(bundle, prior, golden)


@pytest.mark.parametrize("name", ["scene.pte", "bank.safetensors", "golden/golden.safetensors"])
def test_a_tampered_or_missing_file_is_refused(bundle, assets, cli, name):
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    code, out, err = cli("verify", bundle, "--assets", assets)
    assert (code, out) == (2, "") and name in err and "sha256" in err and len(err.splitlines()) == 1
    (bundle / name).unlink()
    code, _, err = cli("verify", bundle, "--assets", assets)
    assert code == 2 and "missing" in err


def test_other_assets_are_refused(bundle, assets, tmp_path):
    other = write_random_assets(tmp_path / "other", K=200)
    with pytest.raises(InputError, match="bank_sha256 differ"):
        verify_bundle(bundle, {}, other)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 7}, "format 7, this version reads 1"),
        ({"files": {"../../etc/passwd": "00"}}, "outside the bundle"),
        ({"camera": "leica"}, "camera 'leica' is unknown"),
    ],
)
def test_a_wrong_manifest_is_refused(bundle, assets, change, words):
    write_json(bundle / "bundle.json", read_json(bundle / "bundle.json") | change)
    with pytest.raises(InputError, match=words):
        verify_bundle(bundle, {}, assets)


def test_a_folder_without_bundle_is_refused(tmp_path, cli):
    code, _, err = cli("verify", tmp_path)
    assert code == 2 and "priorraw-edge export" in err


def test_structure_names_a_wrong_delegate(bundle):
    described = read_json(bundle / "bundle.json")["programs"]["tile"]
    assert any("expected one NpuBackend" in f for f in structure_faults(bundle / "tile.pte", described, "NpuBackend"))
    described["inputs"][0]["shape"] = [1, 3, 8, 8]
    backend = "XnnpackBackend" if described["file"].endswith(".pte") else "CoreMLBackend"
    (fault,) = structure_faults(bundle / "tile.pte", described, backend)
    assert fault.startswith("inputs")


def test_an_unknown_op_is_named(bundle, monkeypatch):
    if not (bundle / "tile.mlpackage").exists():
        pytest.skip("for Core ML packages")
    monkeypatch.delitem(OPS, "softmax")
    with pytest.raises(UncoveredOpError, match="no rule for softmax"):
        MilProgram(bundle / "scene.mlpackage")


def test_mixed_precision_is_as_named(bundle):
    if not (bundle / "tile.mlpackage").exists():
        pytest.skip("for Core ML packages")
    assert MilProgram(bundle / "scene.mlpackage").fp16_share() == 0
    assert 0.2 < MilProgram(bundle / "tile.mlpackage").fp16_share() < 0.7  # observed 0.4


def test_compare_is_analytic():
    expected = torch.zeros(1, 100)
    found = torch.full((1, 100), 1e-3)
    result = compare("p", "fp16 package, rounded", "raw", found, expected)
    assert result.max_error == pytest.approx(1e-3) and result.psnr == pytest.approx(60, abs=1e-3)
    assert not compare("p", "exported program", "raw", found * float("nan"), expected).passed
    assert compare("p", "exported program", "raw", expected, expected).psnr is None


def test_coremltools_opens_the_package_and_leaves_it_as_it_is(bundle):
    if not (bundle / "tile.mlpackage").exists():
        pytest.skip("for Core ML packages")
    import coremltools as ct

    for name in ("scene", "tile"):
        package = bundle / f"{name}.mlpackage"
        before = (package / "Manifest.json").read_bytes()
        spec = ct.models.MLModel(str(package), skip_model_load=True).get_spec()
        described = read_json(bundle / "bundle.json")["programs"][name]
        assert [i.name for i in spec.description.input] == [i["name"] for i in described["inputs"]]
        assert [o.name for o in spec.description.output] == [o["name"] for o in described["outputs"]]
        assert spec.specificationVersion == 8  # iOS 17
        assert (package / "Manifest.json").read_bytes() == before
