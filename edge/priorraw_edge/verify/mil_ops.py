"""The MIL operators that exported programs hold, in PyTorch: one function each, named as its operator.

Arguments are the operator's inputs by their MIL names (coremltools documentation, "MIL Ops"): floating tensors as
float32, everything else as Python values. An input that a function does not name is a form without a rule.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from priorraw_edge.errors import CheckError

Rule = Callable[..., Any]


class UncoveredOpError(CheckError):
    """The program holds an operator that the interpreter does not know, or a form of it."""


OPS: dict[str, Rule] = {}


def _rule(function: Rule) -> Rule:
    OPS[function.__name__] = function
    return function


def apply_op(op_type: str, name: str, arguments: dict[str, Any]) -> Any:
    """The value of one operator; inputs that are None count as not given.

    Raises:
        UncoveredOpError: an operator or a form of it without a rule; names both.
    """
    if op_type not in OPS:
        raise UncoveredOpError(f"{name}: {op_type} has no rule")
    given = {key: value for key, value in arguments.items() if value is not None}
    try:
        inspect.signature(OPS[op_type]).bind(**given)
        return OPS[op_type](**given)
    except (UncoveredOpError, TypeError) as error:
        raise UncoveredOpError(f"{name}: {op_type} in a form without a rule: {error}") from None


def _refuse(condition: Any, form: str) -> None:
    if condition:
        raise UncoveredOpError(form)


def _pads(x: Tensor, pad_type: str, pad: list[int] | None) -> list[int]:
    """Padding as [top, bottom, left, right]."""
    _refuse(x.dim() != 4, f"input of rank {x.dim()}")
    _refuse(pad_type not in ("valid", "custom"), f"pad_type {pad_type}")
    return [0, 0, 0, 0] if pad_type == "valid" or pad is None else list(pad)


def _padded(x: Tensor, pads: list[int]) -> Tensor:
    top, bottom, left, right = pads
    return F.pad(x, (left, right, top, bottom)) if any(pads) else x


@_rule
def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    strides: list[int] | int = 1,
    pad_type: str = "valid",
    pad: list[int] | None = None,
    dilations: list[int] | int = 1,
    groups: int = 1,
) -> Tensor:
    return F.conv2d(_padded(x, _pads(x, pad_type, pad)), weight, bias, strides, 0, dilations, groups)


@_rule
def pixel_shuffle(x: Tensor, upscale_factor: int) -> Tensor:
    return F.pixel_shuffle(x, upscale_factor)


@_rule
def avg_pool(
    x: Tensor,
    kernel_sizes: list[int],
    strides: list[int] | int = 1,
    pad_type: str = "valid",
    pad: list[int] | None = None,
    exclude_padding_from_average: bool = False,
    ceil_mode: bool = False,
) -> Tensor:
    _refuse(ceil_mode, "ceil_mode")
    pads = _pads(x, pad_type, pad)
    mean = F.avg_pool2d(_padded(x, pads), kernel_sizes, strides)
    if not exclude_padding_from_average:
        return mean
    return mean / F.avg_pool2d(_padded(torch.ones_like(x), pads), kernel_sizes, strides)


@_rule
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.linear(x, weight, bias)


@_rule
def matmul(x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    return (x.transpose(-1, -2) if transpose_x else x) @ (y.transpose(-1, -2) if transpose_y else y)


@_rule
def softmax(x: Tensor, axis: int = -1) -> Tensor:
    return x.softmax(axis)


@_rule
def reduce_max(x: Tensor, axes: list[int] | None = None, keep_dims: bool = False) -> Tensor:
    return x.amax(tuple(range(x.dim())) if axes is None else tuple(axes), keep_dims)


@_rule
def reduce_mean(x: Tensor, axes: list[int] | None = None, keep_dims: bool = False) -> Tensor:
    return x.mean(tuple(range(x.dim())) if axes is None else tuple(axes), keep_dims)


@_rule
def clip(x: Tensor, alpha: Any, beta: Any) -> Tensor:
    return x.clamp(float(alpha), float(beta))


@_rule
def log(x: Tensor, epsilon: Any = 1e-45) -> Tensor:
    return (x + float(epsilon)).log()


@_rule
def rsqrt(x: Tensor, epsilon: Any = 1e-12) -> Tensor:
    return (x + float(epsilon)).rsqrt()


@_rule
def cast(x: Any, dtype: str) -> Any:
    """Between fp32 and fp16 the rounding of the result does it."""
    _refuse(not isinstance(x, Tensor) or dtype not in ("fp16", "fp32"), f"dtype {dtype}")
    return x


@_rule
def reshape(x: Tensor, shape: list[int]) -> Tensor:
    _refuse(0 in shape, f"shape {shape}")
    return x.reshape(shape)


@_rule
def transpose(x: Tensor, perm: list[int]) -> Tensor:
    return x.permute(perm)


@_rule
def expand_dims(x: Tensor, axes: list[int]) -> Tensor:
    for axis in sorted(axis % (x.dim() + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


@_rule
def squeeze(x: Tensor, axes: list[int] | None = None) -> Tensor:
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


@_rule
def concat(values: list[Tensor], axis: int, interleave: bool = False) -> Tensor:
    _refuse(interleave, "interleave")
    return torch.cat(values, axis)


@_rule
def slice_by_index(
    x: Tensor,
    begin: list[int],
    end: list[int],
    stride: list[int] | None = None,
    begin_mask: list[bool] | None = None,
    end_mask: list[bool] | None = None,
    squeeze_mask: list[bool] | None = None,
) -> Tensor:
    none = [False] * x.dim()
    steps = stride or [1] * x.dim()
    _refuse(any(step < 1 for step in steps), f"stride {stride}")
    where: list[int | slice] = []
    for axis, step in enumerate(steps):
        if (squeeze_mask or none)[axis]:
            where.append(begin[axis])
            continue
        first = None if (begin_mask or none)[axis] else begin[axis]
        last = None if (end_mask or none)[axis] else end[axis]
        where.append(slice(first, last, step))
    return x[tuple(where)]


def _element_wise(op_type: str, function: Callable[[Tensor], Tensor]) -> None:
    def rule(x: Tensor) -> Tensor:
        return function(x)

    OPS[op_type] = rule


def _binary(op_type: str, function: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Broadcasts as NumPy does; a constant side may be a plain number."""

    def rule(x: Any, y: Any) -> Tensor:
        return function(torch.as_tensor(x), torch.as_tensor(y))

    OPS[op_type] = rule


for _name, _unary in (
    ("abs", torch.abs),
    ("exp", torch.exp),
    ("relu", torch.relu),
    ("sigmoid", torch.sigmoid),
):
    _element_wise(_name, _unary)

for _name, _function in (
    ("add", torch.add),
    ("maximum", torch.maximum),
    ("minimum", torch.minimum),
    ("mul", torch.mul),
    ("real_div", torch.div),
    ("sub", torch.sub),
):
    _binary(_name, _function)
