"""Core ML itself, through coremltools' `MLModel.predict`: on macOS alone."""

import platform
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

FIRST_MACOS = 14  # what runs iOS 17's programs


def core_ml_available() -> bool:
    """Whether this system runs the programs of a bundle."""
    release = platform.mac_ver()[0].split(".")[0]
    return platform.system() == "Darwin" and release.isdigit() and int(release) >= FIRST_MACOS


class DeviceProgram:
    """A .mlpackage, compiled and loaded by Core ML for any of the device's processors."""

    def __init__(self, package: Path):
        import coremltools as ct

        # A copy: MLModel() writes into the package that it opens.
        self._folder = TemporaryDirectory()
        copy = shutil.copytree(package, Path(self._folder.name) / package.name)
        self._model = ct.models.MLModel(str(copy), compute_units=ct.ComputeUnit.ALL)
        description = self._model.get_spec().description
        self.inputs = [str(entry.name) for entry in description.input]
        self.output_names = [str(entry.name) for entry in description.output]

    def run(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """float32 arrays by input name, more than needed may be given, to float32 arrays in order."""
        outputs = self._model.predict({name: inputs[name] for name in self.inputs})
        return [np.asarray(outputs[name], np.float32) for name in self.output_names]
