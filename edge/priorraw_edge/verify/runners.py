"""The stages of a bundle, and what runs each: torch for traced and quantised graphs, the target's own run time."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from priorraw_edge.export.programs import Program
from priorraw_edge.verify.stages import Stage

# Program name and its inputs by name to its outputs in order.
Runner = Callable[[str, dict[str, Tensor]], list[Tensor] | list[np.ndarray]]


def traced_stages(manifest: dict[str, Any], programs: list[Program]) -> dict[Stage, Runner]:
    """The program that torch.export traced; for int8 the quantised graph too, made again from the bundle's ranges."""
    stages = {Stage("exported program", "exact"): _in_torch({p.name: p.exported.module() for p in programs})}
    if "quantization" in manifest:
        from priorraw_edge.export.quantize import from_json, quantise

        recipes = from_json(manifest["quantization"])
        graphs = {p.name: quantise(p, recipes[p.name]) for p in programs}
        stages[Stage("quantised graph", manifest["precision"])] = _in_torch(graphs)
    return stages


def lowered_stages(folder: Path, manifest: dict[str, Any], camera: str) -> dict[Stage, Runner]:
    """The lowered files in what runs them here; empty where nothing does."""
    precision = manifest["precision"]
    if manifest["runs"] == "executorch":
        from priorraw_edge.runtime.engine import BundleEngine

        engine = BundleEngine(folder, camera, manifest)
        return {
            Stage(f"{manifest['target']} .pte", precision): lambda program, inputs: engine.run(program, _arrays(inputs))
        }
    if manifest["runs"] == "onnxruntime":
        from priorraw_edge.verify.onnx_runner import open_runner

        run = open_runner(folder, manifest)
        return {Stage("onnx", precision): lambda program, inputs: run(program, _arrays(inputs))}
    if manifest["runs"] == "tosa":
        from priorraw_edge.verify import tosa_runner

        run_tosa = tosa_runner.open_runner(folder, manifest)
        return {Stage("tosa", precision): lambda program, inputs: run_tosa(program, _arrays(inputs))}
    if manifest["runs"] == "mil":
        from priorraw_edge.verify.coreml import open_packages

        delegate = manifest.get("delegate_precision", "fp16")
        runners: Mapping[str, Runner] = open_packages(folder, manifest)
        return {
            Stage(name, delegate if name.startswith("delegate") else precision): run for name, run in runners.items()
        }
    return {}


def run_pte(data: bytes, inputs: list[Tensor]) -> list[np.ndarray]:
    """A single ExecuTorch program, its outputs copied."""
    from executorch.runtime import Runtime

    program = Runtime.get().load_program(data)
    return [output.numpy().copy() for output in program.load_method("forward").execute(inputs)]


def _in_torch(modules: Mapping[str, torch.nn.Module]) -> Runner:
    def run(program: str, inputs: dict[str, Tensor]) -> list[Tensor]:
        with torch.no_grad():
            outputs = modules[program](*inputs.values())
        return [outputs] if isinstance(outputs, Tensor) else list(outputs)

    return run


def _arrays(inputs: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in inputs.items()}
