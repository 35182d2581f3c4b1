"""Which layers int8 costs most: each quantised alone, and all of them, measured on the picture that comes out."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from priorraw.model import PriorRAW
from priorraw.progress import track
from torch import Tensor

from priorraw_edge.export.calibration import ENOUGH, evenly
from priorraw_edge.export.programs import Program
from priorraw_edge.export.quantize import calibrate, convolutions, default_layers, int8_weights, quantise


@dataclass(frozen=True)
class Row:
    """dB against PyTorch (mean of the squares over the pictures, and the worst picture) with these layers in int8."""

    program: str
    layers: str
    weights: int
    raw: float
    raw_worst: float
    reliability: float


def sweep(
    model: PriorRAW, programs: list[Program], calibration: list[dict[str, Tensor]], pictures: list[dict[str, Tensor]]
) -> Iterator[Row]:
    """Rows as they are measured: every convolution alone, then the default recipe, then all.

    Args:
        calibration: `eager_tensors` of photographs for the ranges, of which 32 are used.
        pictures: the same of those to measure on.
    """
    few = [calibration[i] for i in evenly(len(calibration), ENOUGH)]
    for program in programs:
        names = convolutions(program)
        groups = {name: [name] for name in names} | {"default": default_layers(program), "all": names}
        for label, layers in track(list(groups.items()), f"sweep {program.name}"):
            graph = quantise(program, calibrate(program, layers, few))
            yield measure(model, program, graph, label, pictures)


def measure(
    model: PriorRAW, program: Program, graph: torch.fx.GraphModule, label: str, pictures: list[dict[str, Tensor]]
) -> Row:
    """What a quantised program costs."""
    raw, reliability = _differences(model, program, graph, pictures)
    weights = sum(int8_weights(graph).values())
    worst = _decibels(max(raw))
    return Row(
        program.name, label, weights, _decibels(float(np.mean(raw))), worst, _decibels(float(np.mean(reliability)))
    )


@torch.no_grad()
def _differences(
    model: PriorRAW, program: Program, graph: torch.fx.GraphModule, pictures: list[dict[str, Tensor]]
) -> tuple[list[float], list[float]]:
    """Mean squared differences of raw-RGB and reliability, by picture."""
    raw, reliability = [], []
    for known in pictures:
        outputs = graph(*(known[name] for name in program.inputs))
        if program.name == "scene":
            scene = outputs if isinstance(outputs, Tensor) else outputs[0]
            outputs = model.tile(known["tile"], scene)
        raw.append(float((outputs[0] - known["raw"]).square().mean()))
        reliability.append(float((outputs[1] - known["reliability"]).square().mean()))
    return raw, reliability


def _decibels(mse: float) -> float:
    return -10 * float(np.log10(max(float(mse), 1e-20)))
