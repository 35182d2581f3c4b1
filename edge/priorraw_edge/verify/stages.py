"""What is compared, how, and what is allowed."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Largest absolute error that passes, by stage. Observed on photographs, 256-pixel tiles, beside each.
# Values are in [0, 1]; half an 8-bit code is 2e-3, half a 14-bit code 3e-5.
MAX_ERROR = {
    "exported program": 1e-6,  # 0.0: the same kernels
    "xnnpack .pte": 2e-5,  # 1.2e-6: other kernels, other order of sums
    "golden outputs": 2e-5,  # 1.2e-6
    "package, fp32 between ops": 5e-3,  # mixed 2.3e-4, fp16 6e-4, fp32 7e-7: rounding of weights alone
    "package, fp16 rounding": 3e-2,  # mixed 1.2e-3, fp16 2.6e-3
}
# Least PSNR in dB that passes: the error of the whole output, where a maximum says little about fp16.
MIN_PSNR = {
    "exported program": 120.0,  # inf
    "xnnpack .pte": 100.0,  # 130
    "golden outputs": 100.0,  # 130
    "package, fp32 between ops": 70.0,  # mixed 87, fp16 79
    "package, fp16 rounding": 60.0,  # mixed 72, fp16 71
}


@dataclass(frozen=True)
class Comparison:
    """One output of one program at one stage, on one picture, against PyTorch."""

    picture: str
    stage: str
    output: str
    max_error: float
    mean_error: float
    psnr: float | None  # dB, data range 1; None: no difference at all
    max_bound: float
    psnr_bound: float

    @property
    def passed(self) -> bool:
        # Not "error > bound": NaN must fail.
        return self.max_error <= self.max_bound and (self.psnr is None or self.psnr >= self.psnr_bound)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"passed": self.passed}


def compare(picture: str, stage: str, output: str, found: Tensor | np.ndarray, expected: Tensor) -> Comparison:
    """Errors of `found` against `expected`, of one shape, with the bounds of the stage."""
    found = torch.as_tensor(found)
    if found.shape != expected.shape:
        raise ValueError(f"{stage}: {output} has shape {tuple(found.shape)}, not {tuple(expected.shape)}")
    error = (found.double() - expected.double()).abs()
    mse = float(error.square().mean())
    psnr = None if mse == 0 else -10 * float(np.log10(mse))
    return Comparison(
        picture, stage, output, float(error.max()), float(error.mean()), psnr, MAX_ERROR[stage], MIN_PSNR[stage]
    )
