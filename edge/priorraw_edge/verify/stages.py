"""What is compared, how, and what is allowed.

The bound on raw-RGB follows from the model's own error. With P dB against the true RAW, a difference of
P + d dB adds 10 log10(1 + 10^(-d/10)) dB of loss: 0.41 dB at d = 10, 0.04 dB at d = 20.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

UNMEASURED_PSNR = 40.0  # P of a bank that nobody measured: about what the shipped ones reach
MOST_LOST = 0.15  # dB of PSNR that a compressed precision may cost

# By precision, dB over P that scene and raw-RGB keep on every picture; fp32 has an absolute bound. Compressed weights
# move single pictures by more than others, so they answer for the mean over the photographs, and for `MOST_LOST`; a
# single picture may differ by as much as the model errs. So does OpenVINO (auto), bfloat16 where the CPU has it.
OVER_PSNR = {"mixed": 20.0, "fp16": 20.0, "auto": 0.0, "int8": 0.0, "pal8": 0.0, "pal6": 0.0, "pal4": 0.0}
MEAN_OVER_PSNR = {"auto": 10.0, "int8": 10.0, "pal8": 10.0, "pal6": 10.0, "pal4": 10.0}
FP32_BOUND = 100.0
# Absolute: the reliability takes the logarithm of a small error and so magnifies differences. Observed: docs/parity.md.
RELIABILITY_BOUND = {
    "fp32": 90.0,
    "mixed": 60.0,
    "fp16": 55.0,
    "auto": 35.0,
    "int8": 35.0,
    "pal8": 35.0,
    "pal6": 35.0,
    "pal4": 30.0,
}
EDGE_ALLOWANCE = 15.0  # dB less on edge tiles, which no camera takes: there errors of weights add up in one direction
EXACT_BOUND = 120.0  # dB, where the same kernels compute the same thing


@dataclass(frozen=True)
class Stage:
    """One step of lowering: its name, and the precision whose bound it is under."""

    name: str
    precision: str  # "exact" for what must not differ


@dataclass(frozen=True)
class Comparison:
    """One output at one stage, on one picture, against PyTorch."""

    picture: str
    photograph: bool
    stage: str
    output: str
    max_error: float
    mean_error: float
    psnr: float | None  # dB, data range 1; None: no difference at all
    bound: float  # dB
    loss: float | None = None  # dB of PSNR against the true RAW that the stage costs; None: the RAW is not known

    @property
    def passed(self) -> bool:
        # Not "psnr < bound": NaN must fail.
        return self.psnr is None or self.psnr >= self.bound

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"passed": self.passed}


def bound(stage: Stage, output: str, psnr: float, *, photograph: bool = True, override: float | None = None) -> float:
    """Least dB against PyTorch that passes, for a model of `psnr` dB; `override` is the caller's, for raw-RGB."""
    if stage.precision == "exact":
        return EXACT_BOUND
    if stage.precision == "fp32":
        return RELIABILITY_BOUND["fp32"] if output == "reliability" else override or FP32_BOUND
    allowance = 0.0 if photograph else EDGE_ALLOWANCE
    if output == "reliability":
        return RELIABILITY_BOUND[stage.precision] - allowance
    return (override or psnr + OVER_PSNR[stage.precision]) - allowance


def errors(found: Tensor | np.ndarray, expected: Tensor) -> tuple[float, float, float | None]:
    """Largest and mean absolute difference, and PSNR in dB (data range 1; None where there is no difference)."""
    found = torch.as_tensor(found)
    if found.shape != expected.shape:
        raise ValueError(f"shape {tuple(found.shape)}, not {tuple(expected.shape)}")
    error = (found.double() - expected.double()).abs()
    mse = float(error.square().mean())
    return float(error.max()), float(error.mean()), None if mse == 0 else -10 * float(np.log10(mse))


def expected_loss(psnr: float | None, model_psnr: float) -> float:
    """dB of PSNR that a difference of `psnr` dB costs a model of `model_psnr` dB, the two uncorrelated."""
    return 0.0 if psnr is None else 10 * math.log10(1 + 10 ** ((model_psnr - psnr) / 10))
