"""What is compared, how, and what is allowed."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

# What passes, by stage: largest absolute error and least PSNR in dB. A maximum says little about fp16, whose
# errors crowd where values are near 1; the PSNR tells the whole output. Beside each, observed with the shipped
# sony-imx135 on its sample photograph (raw-RGB). Half an 8-bit code is 2e-3, half a 14-bit code 3e-5.
BOUNDS = {
    "golden outputs": (2e-5, 100.0),  # equal: made on the same machine
    "exported program": (1e-6, 120.0),  # equal: the same kernels
    "xnnpack .pte": (2e-5, 100.0),  # 5.4e-7, 146 dB: other kernels, another order of sums
    "fp32 package": (1e-5, 110.0),  # 1.1e-6, 133 dB on random weights
    "fp32 package, rounded": (1e-5, 110.0),  # the same: nothing is typed fp16
    "mixed package": (1e-3, 80.0),  # 1.0e-4, 123 dB: weights in fp16, values in fp32
    "mixed package, rounded": (5e-3, 70.0),  # 6.0e-4, 84 dB
    "fp16 package": (5e-3, 65.0),  # 5.6e-4, 78 dB
    "fp16 package, rounded": (1e-2, 60.0),  # 3.4e-3, 71 dB
}
# The reliability takes the logarithm of a small error and magnifies what fp16 weights do to it.
RELIABILITY_BOUNDS = BOUNDS | {
    "mixed package": (2e-3, 70.0),  # 2.7e-4, 82 dB
    "mixed package, rounded": (5e-3, 65.0),  # 6.5e-4, 76 dB
    "fp16 package": (5e-3, 65.0),  # 5.0e-4, 74 dB
    "fp16 package, rounded": (1e-2, 60.0),  # 1.2e-3, 71 dB
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
    bounds = RELIABILITY_BOUNDS if output == "reliability" else BOUNDS
    return Comparison(picture, stage, output, float(error.max()), float(error.mean()), psnr, *bounds[stage])
