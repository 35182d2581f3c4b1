"""A Core ML program, read back from its package and computed op by op in PyTorch.

Core ML itself runs on Apple systems alone. The package does load anywhere, so what was saved (graph, weights,
types) is what is checked here. With `rounded`, every value that the program types as fp16 is rounded to fp16
after its op, which is the least that a device loses; accumulation stays fp32.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Inputs = dict[str, Any]  # of one op: tensors, lists of them, or Python values of constants


class UncoveredOpError(RuntimeError):
    """The program holds an op that this interpreter does not know, or a form of it."""


class MilProgram:
    """The function `main` of a saved .mlpackage."""

    def __init__(self, package: Path):
        import coremltools as ct
        from coremltools.converters.mil.frontend.milproto.load import load

        # Not through MLModel(), which writes the package's manifest anew each time it opens one.
        data = package / "Data" / "com.apple.CoreML"
        spec = ct.proto.Model_pb2.Model.FromString((data / "model.mlmodel").read_bytes())
        function = load(spec, spec.specificationVersion, str(data / "weights")).functions["main"]
        self.package = package
        self.operations = list(function.operations)
        self.inputs = list(function.inputs)
        self.output_names = [str(output.name) for output in spec.description.output]
        self._outputs = {output.name: output for output in function.outputs}
        missing = sorted({o.op_type for o in self.operations} - set(OPS) - {"const"} - _constexpr(self.operations))
        if missing:
            raise UncoveredOpError(f"{package.name}: no rule for {', '.join(missing)}")

    def fp16_share(self) -> float:
        """Share of the computed values that are typed fp16."""
        computed = [v for o in self.operations if o.op_type != "const" for v in o.outputs]
        return sum(_is_fp16(v) for v in computed) / max(1, len(computed))

    @torch.no_grad()
    def run(self, inputs: dict[str, Tensor], *, rounded: bool) -> dict[str, Tensor]:
        """float32 tensors by input name to float32 tensors by output name.

        Raises:
            ValueError: an input is missing.
            UncoveredOpError: an op in a form without a rule.
        """
        absent = [name for name in self.inputs if name not in inputs]
        if absent:
            raise ValueError(f"{self.package.name}: inputs {', '.join(absent)} are missing")
        values: dict[str, Any] = {name: inputs[name] for name in self.inputs}
        for operation in self.operations:
            if operation.op_type == "const":
                continue
            arguments = {name: _value(argument, values) for name, argument in operation.inputs.items()}
            if operation.op_type.startswith("constexpr_"):
                result = _from_numpy(operation.materialized_val_inference())
            else:
                result = OPS[operation.op_type](arguments)
            output = operation.outputs[0]
            values[output.name] = _round(result) if rounded and _is_fp16(output) else result
        return {name: values[name] for name in self._outputs}


def _constexpr(operations: list[Any]) -> set[str]:
    return {o.op_type for o in operations if o.op_type.startswith("constexpr_")}


def _is_fp16(variable: Any) -> bool:
    from coremltools.converters.mil.mil import types

    return bool(variable.dtype == types.fp16)


def _round(value: Any) -> Any:
    return value.half().float() if isinstance(value, Tensor) and value.is_floating_point() else value


def _from_numpy(array: Any) -> Any:
    """Floating arrays as float32 tensors; everything else (shapes, flags, names) as Python values."""
    if isinstance(array, np.floating) or (isinstance(array, np.ndarray) and array.dtype.kind == "f"):
        return torch.from_numpy(np.array(array, np.float32))
    return array.tolist() if isinstance(array, np.ndarray | np.generic) else array


def _value(argument: Any, values: dict[str, Any]) -> Any:
    if isinstance(argument, list | tuple):
        return [_value(item, values) for item in argument]
    if argument is None or argument.name in values:
        return None if argument is None else values[argument.name]
    return _from_numpy(argument.val)


def _number(value: Any, default: float = 0.0) -> float:
    return default if value is None else float(value)


def _padding(i: Inputs) -> list[int]:
    """Custom padding as (top, left) of the symmetric form that torch takes."""
    if i.get("pad_type", "valid") == "valid":
        return [0, 0]
    top, bottom, left, right = i["pad"]
    if i["pad_type"] != "custom" or top != bottom or left != right:
        raise UncoveredOpError(f"padding {i['pad_type']} {i['pad']} has no rule")
    return [top, left]


def _conv(i: Inputs) -> Tensor:
    return F.conv2d(i["x"], i["weight"], i.get("bias"), i["strides"], _padding(i), i["dilations"], i["groups"])


def _conv_transpose(i: Inputs) -> Tensor:
    padding, no_extra = _padding(i), 0
    return F.conv_transpose2d(
        i["x"], i["weight"], i.get("bias"), i["strides"], padding, no_extra, i["groups"], i["dilations"]
    )


def _avg_pool(i: Inputs) -> Tensor:
    if i.get("ceil_mode"):
        raise UncoveredOpError("avg_pool with ceil_mode has no rule")
    counted = not i["exclude_padding_from_average"]
    return F.avg_pool2d(i["x"], i["kernel_sizes"], i["strides"], _padding(i), False, counted)


def _matmul(i: Inputs) -> Tensor:
    x = i["x"].transpose(-1, -2) if i.get("transpose_x") else i["x"]
    y = i["y"].transpose(-1, -2) if i.get("transpose_y") else i["y"]
    return x @ y


def _slice_by_index(i: Inputs) -> Tensor:
    rank = i["x"].dim()
    masks = {name: i.get(name) or [False] * rank for name in ("begin_mask", "end_mask", "squeeze_mask")}
    stride = i.get("stride") or [1] * rank
    where: list[Any] = []
    for axis, (begin, end) in enumerate(zip(i["begin"], i["end"], strict=True)):
        if masks["squeeze_mask"][axis]:
            where.append(begin)
            continue
        first = None if masks["begin_mask"][axis] else begin
        last = None if masks["end_mask"][axis] else end
        where.append(slice(first, last, stride[axis]))
    return i["x"][tuple(where)]


def _expand_dims(i: Inputs) -> Tensor:
    x = i["x"]
    for axis in sorted(i["axes"]):
        x = x.unsqueeze(axis)
    return x


def _concat(i: Inputs) -> Tensor:
    if i.get("interleave"):
        raise UncoveredOpError("interleaved concat has no rule")
    return torch.cat(i["values"], i["axis"])


def _binary(function: Callable[[Any, Any], Any]) -> Callable[[Inputs], Tensor]:
    def apply(i: Inputs) -> Tensor:
        return function(torch.as_tensor(i["x"]), torch.as_tensor(i["y"]))

    return apply


# By MIL op, as in the coremltools documentation of the MIL ops.
OPS: dict[str, Callable[[Inputs], Any]] = {
    "abs": lambda i: i["x"].abs(),
    "add": _binary(torch.add),
    "avg_pool": _avg_pool,
    "cast": lambda i: i["x"],  # between fp32 and fp16: the rounding of the output does it
    "clip": lambda i: i["x"].clamp(_number(i["alpha"]), _number(i["beta"])),
    "concat": _concat,
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "exp": lambda i: i["x"].exp(),
    "expand_dims": _expand_dims,
    "linear": lambda i: F.linear(i["x"], i["weight"], i.get("bias")),
    "log": lambda i: (i["x"] + _number(i.get("epsilon"))).log(),
    "matmul": _matmul,
    "maximum": _binary(torch.maximum),
    "minimum": _binary(torch.minimum),
    "mul": _binary(torch.mul),
    "real_div": _binary(torch.div),
    "reduce_max": lambda i: i["x"].amax(i["axes"], i["keep_dims"]),
    "reduce_mean": lambda i: i["x"].mean(i["axes"], i["keep_dims"]),
    "relu": lambda i: i["x"].relu(),
    "reshape": lambda i: i["x"].reshape(i["shape"]),
    "rsqrt": lambda i: (i["x"] + _number(i.get("epsilon"))).rsqrt(),
    "sigmoid": lambda i: i["x"].sigmoid(),
    "slice_by_index": _slice_by_index,
    "softmax": lambda i: i["x"].softmax(i["axis"]),
    "squeeze": lambda i: i["x"].squeeze(i["axes"]),
    "sub": _binary(torch.sub),
    "transpose": lambda i: i["x"].permute(i["perm"]),
}
