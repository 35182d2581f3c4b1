"""Runs the programs of an onnx bundle with ONNX Runtime."""

from collections.abc import Callable
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
        InputError: ONNX Runtime is missing, or does not load a program.
    """
    try:
        import onnxruntime
    except ImportError:
        raise InputError(f"{folder}: needs onnxruntime: pip install 'priorraw-edge[onnx]'") from None

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; it warns of every machine without a GPU
    sessions = {}
    for name, entry in manifest["programs"].items():
        path = folder / entry["file"]
        try:
            sessions[name] = onnxruntime.InferenceSession(path.read_bytes(), options, ["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no base class but this one
            reason = str(error).splitlines()[0]
            raise InputError(f"{path}: ONNX Runtime does not load it ({reason}); export the bundle again") from None

    def run(program: str, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        described = manifest["programs"][program]
        taken = {i["name"]: np.ascontiguousarray(inputs[i["name"]], np.float32) for i in described["inputs"]}
        return sessions[program].run([o["name"] for o in described["outputs"]], taken)

    return run
