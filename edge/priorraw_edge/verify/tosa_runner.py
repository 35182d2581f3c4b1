"""Runs the programs of an arm-tosa bundle with Arm's TOSA reference model."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from priorraw.errors import InputError


def open_runner(folder: Path, manifest: dict[str, Any]) -> Callable[[str, dict[str, np.ndarray]], list[np.ndarray]]:
    """A function that runs a program by name: run("tile", inputs by name) -> outputs in bundle.json's order.

    Args:
        folder: the bundle, its files checked against their hashes.
        manifest: its bundle.json.

    Raises:
        InputError: the reference model is missing, or refuses a program when it is run.
    """
    try:
        import tosa_reference_model
    except ImportError:
        raise InputError(f"{folder}: needs tosa-tools: pip install 'priorraw-edge[arm]'") from None

    graphs = {name: (folder / entry["file"]).read_bytes() for name, entry in manifest["programs"].items()}

    def run(program: str, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        arrays = [np.ascontiguousarray(inputs[n], np.float32) for n in manifest["tosa_inputs"][program].split()]
        with _stdout_to_stderr():
            outputs, status = tosa_reference_model.run(
                graphs[program], arrays, verbosity="LOW", initialize_variable_tensor_from_numpy=True
            )
        if status != tosa_reference_model.GraphStatus.TOSA_VALID:
            file = folder / manifest["programs"][program]["file"]
            raise InputError(f"{file}: not a valid TOSA graph ({status}); export the bundle again")
        return [np.asarray(output) for output in outputs]

    return run


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """The model's C++ side prints warnings to standard output, where `--json` would meet them."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
