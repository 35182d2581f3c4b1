"""export: what is lowered computes what PyTorch computes, is one delegate, and has the same bytes each time."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from priorraw.assets import load_assets
from priorraw.errors import InputError
from priorraw.files import sha256
from priorraw_edge.export.bundle import export_bundle
from priorraw_edge.export.delegation import Delegation, DelegationError, check_delegation
from priorraw_edge.export.golden import synthetic_photograph
from priorraw_edge.export.programs import bank_tensors, picture_inputs, run_eager
from priorraw_edge.export.targets import TARGETS, TILE_MARGIN, TILE_MULTIPLE, check_request, find_target
from priorraw_edge.verify.flatbuffer import read_program
from random_assets import CAMERAS, write_random_assets

TILE = 72  # the smallest that leaves pixels inside the halo


@pytest.fixture(scope="module")
def assets(tmp_path_factory) -> Path:
    return write_random_assets(tmp_path_factory.mktemp("assets"))


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    from skimage.data import coffee

    return coffee().astype(np.float32) / 255


def export(assets: Path, target: str, out: Path, **options) -> Path:
    chosen = TARGETS[target]
    options.setdefault("precision", chosen.precisions[0])
    export_bundle(load_assets(CAMERAS[0], assets), chosen, out, tile=TILE, assets=assets, **options)
    return out


@pytest.fixture(scope="module", params=["xnnpack", "coreml"])
def bundle(request, assets: Path, tmp_path_factory) -> tuple[str, Path]:
    return request.param, export(assets, request.param, tmp_path_factory.mktemp(request.param) / "bundle")


@pytest.mark.slow
def test_two_exports_have_the_same_bytes(bundle, assets, tmp_path):
    target, a = bundle
    b = export(assets, target, tmp_path / "again")
    names = sorted(p.relative_to(a) for p in a.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(b) for p in b.rglob("*") if p.is_file())
    assert [n for n in names if (a / n).read_bytes() != (b / n).read_bytes()] == []


def test_manifest_describes_the_folder(bundle):
    target, folder = bundle
    manifest = json.loads((folder / "bundle.json").read_text())
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {"bundle.json"}
    assert set(manifest["files"]) == set(manifest["bytes"]) == present
    assert all(sha256(folder / name) == digest for name, digest in manifest["files"].items())
    assert (manifest["target"], manifest["camera"], manifest["tile"]) == (target, CAMERAS[0], TILE)
    shapes = {e["name"]: e["shape"] for e in manifest["programs"]["tile"]["inputs"]}
    assert shapes == {"tile": [1, 3, TILE, TILE], "scene": [1, 10]}


def test_each_program_is_one_delegate_with_nothing_outside(bundle):
    target, folder = bundle
    backend = {"xnnpack": "XnnpackBackend", "coreml": "CoreMLBackend"}[target]
    manifest = json.loads((folder / "bundle.json").read_text())
    for name in ("scene", "tile"):
        assert manifest["delegation"][name]["delegates"] == 1
        assert manifest["delegation"][name]["left"] == []
        program = read_program(folder / f"{name}.pte")
        assert (program.delegates, program.operators) == ([backend], [])


def test_bank_matters(assets, photograph):
    """Or the tests that swap banks would prove nothing."""
    first, second = (
        run_eager(prior.model, bank_tensors(prior.bank), picture_inputs(photograph, TILE))
        for prior in (load_assets(camera, assets) for camera in CAMERAS)
    )
    for name in ("scene", "raw", "reliability"):
        assert (first[name] - second[name]).abs().max() > 1e-3  # the least seen: 4.9e-3, of the reliability


def test_tile_limits_are_the_models():
    from priorraw.model import ALIGN, HALO

    assert (TILE_MULTIPLE, TILE_MARGIN) == (ALIGN, HALO)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--target", "xnpack"], "did you mean xnnpack?"),
        (["--target", "tpu"], "known: xnnpack, coreml"),
        (["--target", "xnnpack", "--tile", "250"], "not a multiple of 8; take 248"),
        (["--target", "xnnpack", "--tile", "64"], "take 72 to 1024"),
        (["--target", "xnnpack", "--tile", "-8"], "take 72 to 1024"),
        (["--target", "xnnpack", "--tile", "4096"], "take 72 to 1024"),
        (["--target", "xnnpack", "--precision", "int4"], "xnnpack takes int8, fp32"),
    ],
)
def test_wrong_arguments_are_refused_before_torch_is_imported(arguments, words):
    code = (
        "import sys\nfrom priorraw_edge.cli import main\n"
        f"try:\n    main({['export', *arguments]!r})\n"
        "finally:\n    print('torch' in sys.modules, 'coremltools' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (2, "False False")
    assert words in done.stderr and len(done.stderr.splitlines()) == 1


def test_missing_package_is_named_with_its_cure(monkeypatch):
    monkeypatch.setattr("priorraw_edge.export.requirements.installed", lambda package: None)
    with pytest.raises(InputError, match=r"pip install 'torch==2\.13\.\*' 'executorch==1\.4\.\*'"):
        check_request(find_target("xnnpack"), 256, None)


def test_a_failed_export_leaves_nothing(assets, tmp_path, monkeypatch):
    def fail(programs, folder, precision, **_):
        (folder / "scene.pte").write_bytes(b"half")
        raise RuntimeError("stopped")

    monkeypatch.setattr("priorraw_edge.export.xnnpack.convert", fail)
    with pytest.raises(RuntimeError, match="stopped"):
        export(assets, "xnnpack", tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_a_bundle_is_kept(assets, tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(InputError, match="name a new folder"):
        export(assets, "xnnpack", tmp_path)
    assert (tmp_path / "holiday.jpg").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("delegation", "words"),
    [
        (Delegation(1, 100, 1, ["aten_convolution_default"]), "aten_convolution_default"),
        (Delegation(1, 100, 1, ["aten_mm_default"]), "aten_mm_default"),
        (Delegation(1, 100, 1, ["aten__softmax_default"]), "aten__softmax_default"),
        (Delegation(3, 90, 10, ["aten_cat_default"]), "10.0%"),
        (Delegation(0, 0, 3, ["aten_add_tensor"]), "100.0%"),
    ],
)
def test_work_outside_the_delegate_is_refused(delegation, words):
    with pytest.raises(DelegationError, match=words):
        check_delegation("tile", delegation)


def test_a_little_glue_outside_the_delegate_passes():
    check_delegation("tile", Delegation(1, 100, 2, ["aten_view_copy_default"]))


def test_row_peak_is_the_maximum():
    from priorraw_edge.export.xnnpack import row_peak

    for K in (1, 2, 3, 7, 300, 5000):
        x = torch.rand(5, K)
        assert torch.equal(row_peak(x, -1, True)[0], x.max(-1, keepdim=True)[0])


def test_synthetic_photograph_has_a_photographs_statistics():
    picture = synthetic_photograph()
    assert np.array_equal(picture, synthetic_photograph())
    neighbours = np.corrcoef(picture[:, 1:, 1].ravel(), picture[:, :-1, 1].ravel())[0, 1]
    channels = np.corrcoef(picture[..., 0].ravel(), picture[..., 1].ravel())[0, 1]
    clipped = ((picture == 0) | (picture == 1)).mean()
    assert neighbours > 0.9  # observed 0.92; white noise has 0
    assert channels > 0.8  # observed 0.93
    assert 0.001 < clipped < 0.2  # observed 0.03
