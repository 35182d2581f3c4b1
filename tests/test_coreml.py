"""Core ML packages and delegates: compressed as named, counted, and the same values as the exported program's nodes."""

import json
import platform
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from priorraw.assets import load_assets
from priorraw.errors import InputError
from priorraw_edge.export import coreml_weights
from priorraw_edge.export.coreml import convert, delegate_compute, delegate_precision, write_package
from priorraw_edge.export.coreml_stable import parse_model
from priorraw_edge.export.coreml_weights import (
    INT8,
    LEAST,
    PAL4,
    SCHEMES,
    CompressionError,
    check_compressed,
    compressed_weights,
    large_weights,
)
from priorraw_edge.export.programs import OUTPUTS, Program, bank_tensors, picture_inputs, run_eager, trace
from priorraw_edge.verify import coreml_device, mil
from priorraw_edge.verify.bisect import NodeValues
from priorraw_edge.verify.coreml import open_packages
from priorraw_edge.verify.coreml_files import folder_contents
from priorraw_edge.verify.flatbuffer import delegate_blob, named_data, read_delegates
from priorraw_edge.verify.mil import MilProgram, open_delegate
from priorraw_edge.verify.mil_names import reference_names
from random_assets import CAMERAS, write_random_assets
from torch import Tensor

TILE = 72


@pytest.fixture(scope="module")
def golden(tmp_path_factory) -> dict[str, Tensor]:
    from skimage.data import coffee

    prior = load_assets(CAMERAS[0], write_random_assets(tmp_path_factory.mktemp("assets")))
    inputs = picture_inputs(coffee().astype(np.float32) / 255, TILE)
    return run_eager(prior.model, bank_tensors(prior.bank), inputs) | {"model": prior.model}


@pytest.fixture(scope="module")
def programs(golden) -> dict[str, Program]:
    return {program.name: program for program in trace(golden["model"], golden)}


def manifest_of(programs: dict[str, Program], folder: Path, precision: str) -> dict[str, Any]:
    converted = convert(list(programs.values()), folder, precision)
    files = {name: {"file": file} for name, file in converted.files.items()}
    return {"precision": precision, "programs": files, **converted.extra}


@pytest.fixture(scope="module")
def int8(programs, tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    """The tile program's bundle, and beside it the scene program's package."""
    folder = tmp_path_factory.mktemp("int8")
    write_package(programs["scene"], folder / "scene.mlpackage", "int8")
    return folder, manifest_of({"tile": programs["tile"]}, folder, "int8")


@pytest.fixture(scope="module")
def fp32(programs, tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("fp32")
    return folder, manifest_of(programs, folder, "fp32")


def model_of(package: Path) -> Any:
    return parse_model((package / "Data/com.apple.CoreML/model.mlmodel").read_bytes())


def psnr(found: Tensor | np.ndarray, expected: Tensor) -> float:
    return -10 * float(torch.log10((torch.as_tensor(found).double() - expected.double()).square().mean() + 1e-20))


def test_int8_computes_nearly_the_same_in_every_stage(int8, golden):
    runners = open_packages(*int8)
    assert list(runners) == ["int8 package", "int8 package, rounded", "delegate .pte, rounded"]
    bounds = {  # of raw-RGB and of reliability, dB, on random weights
        "int8 package": (84, 82),  # observed 89.3 and 87.5
        "int8 package, rounded": (75, 70),  # 80.5 and 76.2
        "delegate .pte, rounded": (65, 65),  # 72.4 and 71.4
    }
    for stage, run in runners.items():
        for name, found, least in zip(OUTPUTS["tile"], run("tile", golden), bounds[stage], strict=True):
            assert psnr(found, golden[name]) > least, (stage, name)
    scene = MilProgram(int8[0] / "scene.mlpackage").run(golden, rounded=True)["scene"]
    assert psnr(scene, golden["scene"]) > 75  # 83.8


def quantised(program: MilProgram) -> dict[str, Tensor]:
    """Compressed weights by the names that they have in the state dict, with _ for each dot."""
    return {
        name.removeprefix("p_").split("_to_fp16")[0].split("_quantized")[0].split("_palettized")[0]: value
        for name, value in program._constants.items()
        if name in program.compressed
    }


@pytest.mark.parametrize(("name", "stored"), [("scene", "package"), ("tile", "package"), ("tile", "delegate")])
def test_int8_weights_are_the_models_to_half_a_step(int8, programs, name, stored):
    folder, _ = int8
    program = MilProgram(folder / f"{name}.mlpackage") if stored == "package" else open_delegate(folder / f"{name}.pte")
    weights = {key.replace(".", "_"): value for key, value in programs[name].exported.state_dict.items()}
    found = quantised(program)
    assert set(found) == {key.replace(".", "_") for key in large_weights(programs[name])} and len(found) > 12
    for key, value in found.items():
        step = weights[key].abs().amax(tuple(range(1, value.dim())), keepdim=True) / 127
        assert ((value - weights[key]).abs() / step).max() <= 0.7, key  # observed 0.60: 0.5, and fp16 twice
        assert not torch.equal(value, weights[key])


def test_large_weights_are_counted_by_hand(programs):
    """Layers of the reconstructor: 15 convolutions, of which the last has 384 weights."""
    sizes = [
        module.weight.numel()
        for module in programs["tile"].module.model.reconstructor.modules()
        if isinstance(module, torch.nn.Conv2d)
    ]
    assert len(large_weights(programs["tile"])) == sum(size > LEAST for size in sizes) == len(sizes) - 1


def test_palettes_hold_16_values_and_the_bytes_repeat(programs, tmp_path):
    a, b = tmp_path / "a.mlpackage", tmp_path / "b.mlpackage"
    for package in (a, b):
        write_package(programs["tile"], package, "pal4")
    files = sorted(p.relative_to(a) for p in a.rglob("*") if p.is_file())
    assert [f for f in files if (a / f).read_bytes() != (b / f).read_bytes()] == [] and len(files) == 4
    values = quantised(MilProgram(a))
    entries = {key: len(value.unique()) for key, value in values.items()}
    kept = {key: entries.pop(f"model_reconstructor_{key}_weight") for key in ("stem",)}
    assert all(2 < n <= 16 for n in entries.values()) and all(100 < n <= 256 for n in kept.values())
    assert compressed_weights(model_of(a), PAL4) == {8: 1, 4: len(values) - 1}
    assert compressed_weights(model_of(a), INT8) == {}


def test_an_export_that_compressed_too_little_is_refused(fp32, programs, tmp_path, monkeypatch):
    package = fp32[0] / "tile.mlpackage"
    with pytest.raises(CompressionError, match=r"tile.mlpackage: weights stored as int8: none; expected 14 of 8 bits"):
        check_compressed(programs["tile"], model_of(package), INT8, package.name)
    monkeypatch.setattr(coreml_weights, "LAYERS", ("linear",))
    with pytest.raises(CompressionError, match=r"again.mlpackage: .* none; expected 14 of"):
        write_package(programs["tile"], tmp_path / "again.mlpackage", "int8")


def test_the_scene_keeps_eight_bits_and_fp32():
    assert {precision: schemes["scene"].bits for precision, schemes in SCHEMES.items()} == dict.fromkeys(SCHEMES, 8)
    for precision in ("mixed", "int8", "pal4"):
        assert (delegate_compute("scene", precision), delegate_compute("tile", precision)) == ("fp32", "fp16")
    assert {delegate_compute(name, "fp32") for name in OUTPUTS} == {"fp32"}
    assert [delegate_precision(p) for p in ("mixed", "fp16", "fp32", "pal6")] == ["fp16", "fp16", "fp32", "pal6"]


def test_the_delegate_computes_what_the_manifest_says(int8, fp32):
    for folder, manifest in (int8, fp32):
        for name, compute in manifest["delegate_compute"].items():
            share = open_delegate(folder / f"{name}.pte").fp16_share()
            assert share == (1 if compute == "fp16" else 0)


@pytest.mark.parametrize("stored", ["package", "delegate"])
@pytest.mark.parametrize("name", ["scene", "tile"])
@torch.no_grad()
def test_values_bear_the_names_of_the_nodes_that_compute_them(fp32, programs, golden, name, stored):
    folder, _ = fp32
    program = MilProgram(folder / f"{name}.mlpackage") if stored == "package" else open_delegate(folder / f"{name}.pte")
    exported = programs[name].exported
    nodes = NodeValues(exported.module())
    nodes.run(*programs[name].inputs.values())
    seen: dict[str, tuple[str, Tensor]] = {}
    program.run(golden, rounded=False, observe=lambda value, op, tensor: seen.update({value: (op, tensor)}))
    names = reference_names(program, exported)
    assert list(seen) == [operation.outputs[0].name for operation in program.operations]
    for value, node in names.items():
        expected = nodes.values[node]
        assert (seen[value][1] - expected).abs().max() <= 1e-4 * expected.abs().max(), (value, node)
    convolutions = [value for value, (op, _) in seen.items() if op in ("conv", "linear")]
    assert set(convolutions) <= set(names)
    assert len(names) >= len([op for op, _ in seen.values() if op != "cast"]) - 1  # all but the maximum over rows
    assert len(set(names.values())) == len(names)


def test_rounding_leaves_what_fp16_can_hold(int8, golden):
    """A convolution's value is rounded, and only then: in fp32 it has more digits."""
    program = open_delegate(int8[0] / "tile.pte")
    whole: dict[bool, bool] = {}
    for rounded in (True, False):
        values: list[Tensor] = []
        program.run(golden, rounded=rounded, observe=lambda _, op, value, v=values: v.append(value))
        whole[rounded] = all(torch.equal(value, value.half().float()) for value in values)
    assert whole == {True: True, False: False}


def test_the_delegates_bytes_and_specs_are_read(int8, tmp_path):
    (delegate,) = read_delegates(int8[0] / "tile.pte")
    assert delegate.backend == "CoreMLBackend" and delegate.specs["model_compute_precision"] == b"float16"
    assert delegate_blob(int8[0] / "tile.pte") == delegate.blob and b"lowered_module" in delegate.blob[::-1]
    assert named_data(int8[0] / "tile.pte") == {}
    (tmp_path / "a.pte").write_bytes(b"no program")
    with pytest.raises(InputError, match=r"a\.pte: not an ExecuTorch program"):
        delegate_blob(tmp_path / "a.pte")


def test_the_delegates_folder_is_what_executorch_unpacks(int8, tmp_path):
    from executorch.backends.apple.coreml import executorchcoreml

    blob = delegate_blob(int8[0] / "tile.pte")
    assert executorchcoreml.unflatten_directory_contents(blob, str(tmp_path))
    root = tmp_path / "lowered_module"
    expected = {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    assert folder_contents(blob) == expected and "model.mlpackage/Manifest.json" in expected


def packed(*nodes: dict[str, Any]) -> bytes:
    return json.dumps({"nodes": nodes}).encode()[::-1]


FILE = {"name": "a", "kind": 0, "dataRegion": {"offset": 0, "size": 1}, "children": {}}


@pytest.mark.parametrize(
    ("blob", "words"),
    [
        (b"", "package (Expecting value"),
        (b"XH00 an XNNPACK graph", "package (Expecting value"),
        (b"3", "package (no folder"),
        (packed(), "package (no folder"),
        (packed({"name": "root", "kind": 1, "children": {"a": 0}}), "package (root holds node 0, of 0 before it"),
        (packed(FILE, {"kind": 1, "children": {"../a": 0}}), "package ('../a' is no file name"),
        (packed(FILE | {"dataRegion": {"offset": 0, "size": 10**6}}), "package (root lies outside"),
        (packed(FILE, {"kind": 1, "children": {"a": 0}}), "model.mlpackage;"),
    ],
)
def test_a_delegate_without_a_package_is_refused(monkeypatch, blob, words):
    monkeypatch.setattr(mil, "delegate_blob", lambda path: blob)
    with pytest.raises(InputError, match=re.escape(f"tile.pte: its delegate holds no Core ML {words}")):
        open_delegate(Path("tile.pte"))


@pytest.mark.parametrize(
    ("system", "release", "available"),
    [("Linux", "", False), ("Darwin", "13.6", False), ("Darwin", "14.0", True), ("Darwin", "", False)],
)
def test_core_ml_runs_on_recent_macos_alone(monkeypatch, system, release, available):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "mac_ver", lambda: (release, ("", "", ""), ""))
    assert coreml_device.core_ml_available() is available


class FakeModel:
    """Stands in for ct.models.MLModel, which predicts on macOS alone: the interpreter behind its documented calls."""

    def __init__(self, path: str, compute_units: Any):
        self.path, self.program = path, MilProgram(Path(path))

    def get_spec(self) -> Any:
        return model_of(Path(self.path))

    def predict(self, data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        assert set(data) == set(self.program.inputs)
        outputs = self.program.run({k: torch.from_numpy(v) for k, v in data.items()}, rounded=False)
        return {name: value.numpy() for name, value in reversed(outputs.items())}


def test_on_macos_core_ml_takes_the_interpreters_place(fp32, golden, monkeypatch):
    import coremltools as ct

    monkeypatch.setattr("priorraw_edge.verify.coreml.core_ml_available", lambda: True)
    monkeypatch.setattr(ct, "models", SimpleNamespace(MLModel=FakeModel))
    runners = open_packages(*fp32)
    assert list(runners) == ["fp32 package, Core ML", "delegate .pte, Core ML"]
    tensors = {name: value for name, value in golden.items() if isinstance(value, Tensor)}
    for run in runners.values():
        raw, reliability = run("tile", tensors)
        assert psnr(raw, golden["raw"]) > 110 and psnr(reliability, golden["reliability"]) > 90
