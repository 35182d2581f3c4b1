"""The Core ML programs of a bundle and what runs them here: Core ML itself on macOS, else the interpreter.

The interpreter shows each package twice, as saved and with fp16 rounding between operators as a device has at least,
and the program inside each .pte, which is another one, with that rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from priorraw_edge.verify.coreml_device import DeviceProgram, core_ml_available
from priorraw_edge.verify.mil import MilProgram, Observer, delegate_package, open_delegate


@dataclass(frozen=True)
class MilRunner:
    """Runs a bundle's programs in the interpreter; `programs` by name."""

    programs: dict[str, MilProgram]
    rounded: bool

    def __call__(self, program: str, inputs: dict[str, Tensor], observe: Observer | None = None) -> list[Tensor]:
        """Outputs in order; `observe` is called with every value on the way, see `MilProgram.run`."""
        outputs = self.programs[program].run(inputs, rounded=self.rounded, observe=observe)
        return [outputs[name] for name in self.programs[program].output_names]


@dataclass(frozen=True)
class DeviceRunner:
    """Runs a bundle's programs in Core ML."""

    programs: dict[str, DeviceProgram]

    def __call__(self, program: str, inputs: dict[str, Tensor]) -> list[np.ndarray]:
        return self.programs[program].run({name: tensor.numpy() for name, tensor in inputs.items()})


def open_packages(folder: Path, manifest: dict[str, Any]) -> dict[str, MilRunner] | dict[str, DeviceRunner]:
    """Runners by the name of their stage, of packages first; `manifest` is bundle.json's content.

    Raises:
        InputError: a .pte holds no Core ML package.
        UncoveredOpError: a program holds an operator without a rule.
    """
    packages = {name: folder / entry["file"] for name, entry in manifest["programs"].items()}
    delegates = {name: folder / file for name, file in manifest["delegate_programs"].items()}
    package = f"{manifest['precision']} package"
    if core_ml_available():
        return {
            f"{package}, Core ML": DeviceRunner(_each(DeviceProgram, packages)),
            "delegate .pte, Core ML": DeviceRunner(_each(_device_delegate, delegates)),
        }
    saved = _each(MilProgram, packages)
    return {
        package: MilRunner(saved, rounded=False),
        f"{package}, rounded": MilRunner(saved, rounded=True),
        "delegate .pte, rounded": MilRunner(_each(open_delegate, delegates), rounded=True),
    }


def _each(function: Callable[[Path], Any], paths: dict[str, Path]) -> dict[str, Any]:
    return {name: function(path) for name, path in paths.items()}


def _device_delegate(pte: Path) -> DeviceProgram:
    with delegate_package(pte) as package:
        return DeviceProgram(package)
