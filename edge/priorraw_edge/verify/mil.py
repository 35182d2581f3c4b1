"""A Core ML program, read back from a package or from the delegate of a .pte, and computed op by op in PyTorch.

Core ML itself runs on Apple systems alone. What was saved (graph, weights, types) does load anywhere, so it is what
is checked here. With `rounded`, every value that the program types as fp16 is rounded to fp16 after its op, which is
the least that a device loses; accumulation stays fp32.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from priorraw.errors import InputError, reason
from torch import Tensor

from priorraw_edge.verify.coreml_files import write_folder
from priorraw_edge.verify.flatbuffer import delegate_blob
from priorraw_edge.verify.mil_ops import OPS, UncoveredOpError, apply_op
from priorraw_edge.verify.mil_weights import FORMS, unpack

__all__ = ["OPS", "MilProgram", "Observer", "UncoveredOpError", "delegate_package", "open_delegate"]

Observer = Callable[[str, str, Tensor], None]  # name of the value, type of its op, the value


class MilProgram:
    """The function `main` of a saved .mlpackage; `name` is what messages call it."""

    def __init__(self, package: Path, name: str | None = None):
        import coremltools as ct
        from coremltools.converters.mil.frontend.milproto.load import load

        # Not through MLModel(), which writes the package's manifest anew each time it opens one.
        data = package / "Data" / "com.apple.CoreML"
        spec = ct.proto.Model_pb2.Model.FromString((data / "model.mlmodel").read_bytes())
        function = load(spec, spec.specificationVersion, str(data / "weights")).functions["main"]
        self.name = name or package.name
        self.operations = [o for o in function.operations if not _is_constant(o)]
        self.inputs = list(function.inputs)
        self.output_names = [str(output.name) for output in spec.description.output]
        missing = sorted({o.op_type for o in function.operations} - set(OPS) - set(FORMS) - {"const"})
        if missing:
            raise UncoveredOpError(f"{self.name}: no rule for {', '.join(missing)}")
        self.compressed = sorted(o.outputs[0].name for o in function.operations if o.op_type in FORMS)
        self._constants = {name: _to_torch(value) for name, value in _constants(function.operations).items()}

    def fp16_share(self) -> float:
        """Share of the computed values that are typed fp16."""
        computed = [v for o in self.operations for v in o.outputs]
        return sum(_is_fp16(v) for v in computed) / max(1, len(computed))

    @torch.no_grad()
    def run(self, inputs: dict[str, Tensor], *, rounded: bool, observe: Observer | None = None) -> dict[str, Tensor]:
        """float32 tensors by input name to float32 tensors by output name.

        Args:
            inputs: more than the program takes may be given.
            rounded: round to fp16 what the program types so.
            observe: called with every value that is computed, in the program's order.

        Raises:
            ValueError: an input is missing.
            UncoveredOpError: an op in a form without a rule.
        """
        absent = [name for name in self.inputs if name not in inputs]
        if absent:
            raise ValueError(f"{self.name}: inputs {', '.join(absent)} are missing")
        values = self._constants | {name: inputs[name] for name in self.inputs}
        for operation in self.operations:
            arguments = {name: _value(argument, values) for name, argument in operation.inputs.items()}
            output = operation.outputs[0]
            result = apply_op(operation.op_type, f"{self.name}, {output.name}", arguments)
            values[output.name] = _round(result) if rounded and _is_fp16(output) else result
            if observe is not None and isinstance(result, Tensor):
                observe(output.name, operation.op_type, values[output.name])
        return {name: values[name] for name in self.output_names}


def open_delegate(pte: Path) -> MilProgram:
    """The Core ML program inside a .pte.

    Raises:
        InputError: the .pte holds something else.
    """
    with delegate_package(pte) as package:
        return MilProgram(package, pte.name)


@contextmanager
def delegate_package(pte: Path) -> Iterator[Path]:
    """The .mlpackage that a .pte with a Core ML delegate carries, in a temporary folder.

    Raises:
        InputError: the .pte carries none.
    """
    blob = delegate_blob(pte)
    with TemporaryDirectory() as folder:
        try:
            write_folder(blob, Path(folder))
        except ValueError as error:
            raise InputError(f"{pte}: its delegate holds no Core ML package ({reason(error)}); export again") from None
        package = Path(folder, "model.mlpackage")
        if not package.is_dir():
            raise InputError(f"{pte}: its delegate holds no Core ML model.mlpackage; export the bundle again")
        yield package


def _is_constant(operation: Any) -> bool:
    return operation.op_type == "const" or operation.op_type in FORMS


def _constants(operations: list[Any]) -> dict[str, Any]:
    """Constants as saved, compressed ones unpacked, by the name of the value."""
    values: dict[str, Any] = {}
    for operation in operations:
        output = operation.outputs[0]
        if operation.op_type == "const":
            values[output.name] = output.val
        elif operation.op_type in FORMS:
            given = {key: None if v is None else values.get(v.name, v.val) for key, v in operation.inputs.items()}
            values[output.name] = unpack(operation.op_type, output.name, given)
    return values


def _is_fp16(variable: Any) -> bool:
    from coremltools.converters.mil.mil import types

    return bool(variable.dtype == types.fp16)


def _round(value: Any) -> Any:
    return value.half().float() if isinstance(value, Tensor) and value.is_floating_point() else value


def _to_torch(array: Any) -> Any:
    """Floating arrays as float32 tensors; everything else (shapes, flags, names) as Python values."""
    if isinstance(array, np.floating) or (isinstance(array, np.ndarray) and array.dtype.kind == "f"):
        return torch.from_numpy(np.array(array, np.float32))
    return array.tolist() if isinstance(array, np.ndarray | np.generic) else array


def _value(argument: Any, values: dict[str, Any]) -> Any:
    if isinstance(argument, list | tuple):
        return [_value(item, values) for item in argument]
    if argument is None or argument.name in values:
        return None if argument is None else values[argument.name]
    return _to_torch(argument.val)
