"""verify: passes what is right, fails what computes something else, refuses what was changed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from priorraw.assets import load_assets
from priorraw.errors import InputError
from priorraw.files import read_json, sha256
from priorraw_edge.export.bundle import export_bundle
from priorraw_edge.export.programs import bank_tensors, run_eager, trace
from priorraw_edge.export.targets import TARGETS
from priorraw_edge.runtime.manifest import write_manifest
from priorraw_edge.verify.bisect import first_bad_prefix
from priorraw_edge.verify.cases import Case, photograph_case
from priorraw_edge.verify.flatbuffer import structure_faults
from priorraw_edge.verify.mil import MilProgram
from priorraw_edge.verify.mil_ops import OPS, UncoveredOpError
from priorraw_edge.verify.stages import Comparison, Stage, bound, errors, expected_loss
from priorraw_edge.verify.verify import ParityError, measure_bank, verify_bundle
from random_assets import CAMERAS, write_random_assets
from safetensors.torch import load_file, save_file

TILE = 72
FORMS = [("xnnpack", "fp32"), ("xnnpack", "int8"), ("coreml", "mixed")]
STAGES = {
    "fp32": {"golden outputs", "exported program", "xnnpack .pte"},
    "int8": {"golden outputs", "exported program", "quantised graph", "xnnpack .pte"},
    "mixed": {
        "golden outputs",
        "exported program",
        "mixed package",
        "mixed package, rounded",
        "delegate .pte, rounded",
    },
}


@pytest.fixture(scope="module")
def assets(tmp_path_factory) -> Path:
    return write_random_assets(tmp_path_factory.mktemp("assets"))


@pytest.fixture(scope="module", params=FORMS, ids="-".join)
def pristine(request, assets: Path, tmp_path_factory) -> Path:
    target, precision = request.param
    folder = tmp_path_factory.mktemp(precision) / "bundle"
    prior = load_assets(CAMERAS[0], assets)
    export_bundle(prior, TARGETS[target], folder, tile=TILE, precision=precision, assets=assets, measure=measure_bank)
    return folder


@pytest.fixture
def bundle(pristine: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return shutil.copytree(pristine, tmp_path / "bundle")


def photographs(tile: int) -> list[Case]:
    from skimage.data import chelsea, coffee

    pictures = (("coffee", coffee), ("cat", chelsea))
    return [photograph_case(name, picture().astype(np.float32) / 255, tile) for name, picture in pictures]


def nothing(tile: int) -> list[Case]:
    return []


def failed(report) -> list[tuple[str, str]]:
    return [(c.stage, c.output) for several in report.comparisons.values() for c in several if not c.passed]


def rehash(folder: Path) -> None:
    """Make bundle.json agree with files that a test has changed."""
    manifest = read_json(folder / "bundle.json")
    manifest["files"] = {name: sha256(folder / name) for name in manifest["files"]}
    manifest["bytes"] = {name: (folder / name).stat().st_size for name in manifest["files"]}
    write_manifest(folder, manifest)


def test_every_stage_passes_on_photographs_and_edge_tiles(bundle, assets):
    report = verify_bundle(bundle, photographs, assets)
    assert report.passed, report.to_json()
    (comparisons,) = report.comparisons.values()
    edges = {f"edge: {name}" for name in ("grey", "black", "saturated", "noise")}
    assert {c.picture for c in comparisons} == {"golden", "coffee", "cat"} | edges
    assert {c.stage for c in comparisons} == {s.stage for s in report.summaries} == STAGES[report.precision]
    assert {c.output for c in comparisons} == {"scene", "raw", "reliability"}


def test_the_loss_against_true_raw_is_measured_where_it_is_known(bundle, assets):
    """With a truth 20 dB further off than the stage, the loss is the analytic 10 log10(1 + 0.01) at most."""

    def known(tile: int) -> list[Case]:
        case = photographs(tile)[0]
        prior = load_assets(CAMERAS[0], assets)
        raw = run_eager(prior.model, bank_tensors(prior.bank), case.inputs)["raw"]
        noise = torch.randn(raw.shape, generator=torch.Generator().manual_seed(0))
        return [Case("known", case.inputs, raw + 0.03 * noise)]

    report = verify_bundle(bundle, known, assets)
    lowered = report.summaries[-1]
    assert lowered.loss_measured and abs(lowered.loss) < 0.05  # observed: 0.000, 0.002, 0.000
    assert report.passed


def test_parity_is_recorded_at_export(bundle):
    manifest = read_json(bundle / "bundle.json")
    parity = manifest["banks"][CAMERAS[0]]["parity"]
    assert parity["exported program"]["raw"]["max_error"] <= 1e-6
    assert set(parity) == STAGES[manifest["precision"]]


def test_a_changed_weight_fails_and_its_layer_is_named(bundle, assets, cli):
    """One weight changed and the hashes made again: only the numbers can tell."""
    manifest = read_json(bundle / "bundle.json")
    weights = load_assets(CAMERAS[0], assets).model.reconstructor.head.spread.weight.detach().numpy()
    if manifest["target"] == "xnnpack":
        program, kind = bundle / "tile.pte", "<f4"
    else:
        program, kind = bundle / "tile.mlpackage/Data/com.apple.CoreML/weights/weight.bin", "<f2"
    data = bytearray(program.read_bytes())
    found = data.find(weights.astype(kind).tobytes())
    assert found > 0
    data[found : found + np.dtype(kind).itemsize] = np.array(5, kind).tobytes()
    program.write_bytes(data)
    rehash(bundle)
    code, out, _ = cli("verify", bundle, "--assets", assets, "--json")
    report = json.loads(out)
    assert (code, report["passed"]) == (1, False)
    outputs = {c["output"] for several in report["comparisons"].values() for c in several if not c["passed"]}
    assert outputs and "scene" not in outputs  # the scene does not pass through that layer
    (culprit,) = report["culprits"]
    # Core ML's first value that is compared after that layer is a slice of what it gives.
    named = "tile.pte: reconstructor.head" if manifest["target"] == "xnnpack" else "tile.mlpackage: reconstructor"
    assert culprit.startswith(named)


def test_another_bank_fails(bundle, assets):
    file = f"banks/{CAMERAS[0]}.safetensors"
    bank = load_file(bundle / file)
    bank["values"] = bank["values"].flip(1).contiguous()
    save_file(bank, bundle / file)
    rehash(bundle)
    report = verify_bundle(bundle, nothing, assets)
    assert not report.passed
    assert report.faults == [f"{file}: values differs from the assets' bank"]


def test_wrong_golden_outputs_fail(bundle, assets):
    file = f"golden/{CAMERAS[0]}.safetensors"
    golden = load_file(bundle / file)
    golden["raw"] = golden["raw"] + 1e-3
    save_file(golden, bundle / file)
    rehash(bundle)
    assert failed(verify_bundle(bundle, nothing, assets)) == [("golden outputs", "raw")]


def test_a_bound_of_the_callers_own(bundle, assets, monkeypatch):
    monkeypatch.setattr("priorraw_edge.verify.bisect.find_culprits", lambda *_: [])
    report = verify_bundle(bundle, nothing, assets, raw_bound=199.0)
    lowered = STAGES[report.precision] - {"golden outputs", "exported program", "quantised graph"}
    assert {stage for stage, _ in failed(report)} == lowered


def test_export_refuses_a_program_that_differs(bundle, assets):
    manifest = read_json(bundle / "bundle.json")
    prior = load_assets(CAMERAS[0], assets)
    with torch.no_grad():
        prior.model.reconstructor.head.spread.bias += 1
    with pytest.raises(ParityError, match="raw"):
        measure_bank(bundle, manifest, CAMERAS[0], prior.model)


@pytest.mark.parametrize("name", ["scene.pte", f"banks/{CAMERAS[0]}.safetensors", f"golden/{CAMERAS[0]}.safetensors"])
def test_a_tampered_or_missing_file_is_refused(bundle, assets, cli, name):
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    code, out, err = cli("verify", bundle, "--assets", assets)
    assert (code, out) == (2, "") and name in err and "sha256" in err and len(err.splitlines()) == 1
    (bundle / name).unlink()
    code, _, err = cli("verify", bundle, "--assets", assets)
    assert code == 2 and "missing" in err


def test_other_weights_are_refused_and_another_bank_is_noted(bundle, assets, tmp_path):
    other = write_random_assets(tmp_path / "other", K=200)
    report = verify_bundle(bundle, nothing, other)
    assert report.passed and f"the bank of {CAMERAS[0]} is not the assets'" in report.notes[0]
    manifest = read_json(bundle / "bundle.json")
    write_manifest(bundle, manifest | {"encoder_sha256": "0" * 64})
    with pytest.raises(InputError, match="encoder_sha256 differ"):
        verify_bundle(bundle, nothing, assets)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 7}, "format 7, this version reads 4"),
        ({"files": {"../../etc/passwd": "00"}}, "outside the bundle"),
        ({"files": {}}, "lists no sha256 of scene"),
        ({"target": "tpu"}, "target 'tpu' is unknown"),
    ],
)
def test_a_wrong_manifest_is_refused(bundle, assets, change, words):
    write_manifest(bundle, read_json(bundle / "bundle.json") | change)
    with pytest.raises(InputError, match=words):
        verify_bundle(bundle, nothing, assets)


def test_the_page_says_what_the_report_says(bundle, assets, cli, tmp_path):
    code, out, _ = cli("verify", bundle, "--assets", assets, "--html", tmp_path / "parity.html")
    page = (tmp_path / "parity.html").read_text()
    assert code == 0 and "all stages pass" in out
    assert all(stage in page for stage in STAGES[read_json(bundle / "bundle.json")["precision"]])
    assert "FAIL" not in page.split("</style>")[1]


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


def test_differences_and_losses_are_analytic():
    expected = torch.zeros(1, 100)
    largest, mean, psnr = errors(torch.full((1, 100), 1e-3), expected)
    assert largest == mean == pytest.approx(1e-3) and psnr == pytest.approx(60, abs=1e-3)
    assert errors(expected, expected) == (0, 0, None)
    assert not Comparison("p", True, "s", "raw", *errors(expected * float("nan"), expected), bound=10).passed
    assert expected_loss(60.0, 40.0) == pytest.approx(0.0432, abs=1e-4)  # 10 log10(1.01)
    assert bound(Stage("s", "int8"), "raw", 41.5) == 41.5
    assert bound(Stage("s", "fp16"), "raw", 41.5) == 61.5
    assert bound(Stage("s", "fp16"), "raw", 41.5, photograph=False) == 46.5
    assert bound(Stage("s", "fp32"), "raw", 41.5, photograph=False) == 100


def test_bisection_finds_the_first_operator_that_departs(assets):
    """A run time that computes one operator wrong, simulated: everything from it on is off."""
    prior = load_assets(CAMERAS[0], assets)
    tensors = run_eager(prior.model, bank_tensors(prior.bank), photographs(TILE)[0].inputs)
    program = trace(prior.model, tensors)[1]
    names = [n.name for n in program.exported.module().graph.nodes if n.op == "call_function"]
    wrong = names.index("conv2d_4")

    def run(exported):
        value = exported.module()(*program.inputs.values())
        value = value if isinstance(value, torch.Tensor) else value[0]
        last = [n.name for n in exported.graph.nodes if n.op == "call_function"]
        return [value + (0.01 if len(last) > wrong else 0) * value.abs().max()]

    assert first_bad_prefix(program, run) == "reconstructor.down2: conv2d_4"
    assert first_bad_prefix(program, lambda exported: list(_tuple(exported.module()(*program.inputs.values())))) is None


def _tuple(value):
    return (value,) if isinstance(value, torch.Tensor) else value


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
