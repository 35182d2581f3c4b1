"""The Core ML interpreter's operators, each in its forms, against coremltools' own NumPy and against plain loops."""

import itertools
from typing import Any

import coremltools as ct
import numpy as np
import pytest
import torch
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813
from coremltools.converters.mil.mil import Function
from priorraw_edge.verify.mil import OPS, UncoveredOpError
from priorraw_edge.verify.mil import _to_torch as to_torch
from priorraw_edge.verify.mil_ops import apply_op

random = np.random.default_rng(0)


def array(*shape: int, low: float = -2.0) -> np.ndarray:
    return random.uniform(low, 2, shape).astype(np.float32)


def operation(op_type: str, opset: Any = ct.target.iOS17, **inputs: Any) -> Any:
    """The value of a MIL operator with constant inputs; `.val` is what coremltools computes, None where it cannot."""
    with Function({"unused": mb.placeholder(shape=(1,))}, opset_version=opset):
        return getattr(mb, op_type)(**inputs)


def interpreted(value: Any) -> np.ndarray:
    """The same operator through the interpreter, with the arguments that a loaded program has."""

    def argument(given: Any) -> Any:
        return [argument(g) for g in given] if isinstance(given, tuple | list) else to_torch(given.val)

    inputs = {name: None if v is None else argument(v) for name, v in value.op.inputs.items()}
    return np.asarray(apply_op(value.op.op_type, value.name, inputs))


X = array(2, 3, 4, 5)
FORMS: list[tuple[str, dict[str, Any]]] = [
    *[(name, {"x": X}) for name in ("abs", "exp", "relu", "sigmoid")],
    *[(name, {"x": array(3, 4, low=0.01)}) for name in ("log", "rsqrt")],
    *[(name, {"x": array(3, 4, low=0.01), "epsilon": np.float32(0.5)}) for name in ("log", "rsqrt")],
    ("clip", {"x": X, "alpha": np.float32(-0.5), "beta": np.float32(0.25)}),
    ("cast", {"x": X, "dtype": "fp32"}),
    *[
        (name, {"x": x, "y": y})
        for name in ("add", "maximum", "minimum", "mul", "real_div", "sub")
        for x, y in (
            (X, array(2, 3, 4, 5, low=0.5)),
            (X, array(4, 1, low=0.5)),  # broadcast upward, and along an axis
            (array(3, 1, 1), array(1, 4, 5, low=0.5)),  # both sides
            (X, np.float32(1.5)),
            (np.float32(1.5), array(2, 3, low=0.5)),
        )
    ],
    *[
        ("concat", {"values": [X, array(*shape)], "axis": axis})
        for shape, axis in (((2, 3, 4, 5), 0), ((2, 7, 4, 5), 1))
    ],
    ("concat", {"values": [X, X, X], "axis": -1}),
    *[("expand_dims", {"x": array(3, 4), "axes": axes}) for axes in ([0], [-1], [0, 2], [-1, 0], [-3, -1], [3, 0])],
    *[("squeeze", {"x": array(1, 3, 1, 4), "axes": axes}) for axes in ([0], [2], [0, 2], [-2], [-4, -2])],
    ("squeeze", {"x": array(1, 3, 1, 4)}),
    *[("reshape", {"x": X, "shape": shape}) for shape in ([6, 20], [-1, 5], [2, 3, -1], [1, 120])],
    *[("transpose", {"x": X, "perm": perm}) for perm in ([0, 2, 3, 1], [3, 2, 1, 0], [0, -1, 1, -2])],
    *[("softmax", {"x": X, "axis": axis}) for axis in (0, 1, -1)],
    *[
        (name, {"x": X, "keep_dims": keep} | axes)
        for name in ("reduce_max", "reduce_mean")
        for keep in (False, True)
        for axes in ({"axes": [1]}, {"axes": [-1]}, {"axes": [2, 3]}, {"axes": [-3, 0]}, {})
    ],
    ("linear", {"x": array(7, 5), "weight": array(4, 5), "bias": array(4)}),
    ("linear", {"x": array(2, 7, 5), "weight": array(4, 5)}),
    *[
        ("matmul", {"x": x, "y": y, "transpose_x": tx, "transpose_y": ty})
        for x, y, tx, ty in (
            (array(6, 5), array(5, 4), False, False),
            (array(5, 6), array(5, 4), True, False),
            (array(6, 5), array(4, 5), False, True),
            (array(2, 5, 6), array(4, 5), True, True),
        )
    ],
    *[
        ("slice_by_index", {"x": X} | form)
        for form in (
            {"begin": [0, 1, 0, 2], "end": [2, 3, 4, 5]},
            {"begin": [0, 0, 1, 0], "end": [2, 3, 4, 5], "stride": [1, 2, 2, 3]},
            {"begin": [0, -2, 0, -3], "end": [2, 3, 4, -1]},
            {
                "begin": [1, 1, 1, 1],
                "end": [0, 2, 0, 3],
                "begin_mask": [True, False] * 2,
                "end_mask": [True, False] * 2,
            },
            {"begin": [1, 0, -1, 0], "end": [2, 3, 0, 5], "squeeze_mask": [True, False, True, False]},
        )
    ],
]


@pytest.mark.parametrize(("op_type", "inputs"), FORMS, ids=lambda v: v if isinstance(v, str) else "")
def test_an_operator_is_coremltools_own(op_type, inputs):
    value = operation(op_type, **inputs)
    found = interpreted(value)
    assert value.val is not None and found.shape == value.val.shape
    np.testing.assert_allclose(
        found, value.val, rtol=2e-6, atol=2e-6
    )  # observed 1.9e-7 of the larger of 1 and the value


def convolution(x, weight, bias, strides, pads, dilations, groups) -> np.ndarray:
    """By the definition: one product at a time."""
    x = np.pad(x, ((0, 0), (0, 0), pads[:2], pads[2:])).astype(np.float64)
    N, _, H, W = x.shape
    O, I, h, w = weight.shape  # noqa: E741
    size = [(n - d * (k - 1) - 1) // s + 1 for n, d, k, s in zip((H, W), dilations, (h, w), strides, strict=True)]
    out = np.zeros((N, O, *size)) + bias[:, None, None]
    for o, i, u, v in itertools.product(range(O), range(I), range(h), range(w)):
        rows = np.arange(size[0]) * strides[0] + u * dilations[0]
        columns = np.arange(size[1]) * strides[1] + v * dilations[1]
        out[:, o] += weight[o, i, u, v] * x[:, o // (O // groups) * I + i][:, rows][:, :, columns]
    return out


CONVOLUTIONS = [  # strides, pads (top, bottom, left, right), dilations, groups
    ((1, 1), (0, 0, 0, 0), (1, 1), 1),
    ((2, 2), (1, 1, 1, 1), (1, 1), 1),
    ((1, 2), (0, 1, 2, 0), (1, 1), 1),
    ((1, 1), (2, 2, 1, 1), (2, 1), 1),
    ((2, 1), (1, 1, 1, 1), (1, 1), 2),
]


@pytest.mark.parametrize(("strides", "pads", "dilations", "groups"), CONVOLUTIONS)
@pytest.mark.parametrize("with_bias", [True, False])
def test_convolution(strides, pads, dilations, groups, with_bias):
    x, weight, bias = array(2, 4, 7, 8), array(6, 4 // groups, 3, 3), array(6) * with_bias
    padding = {"pad_type": "custom", "pad": list(pads)} if any(pads) else {"pad_type": "valid"}
    form = {"strides": list(strides), "dilations": list(dilations), "groups": groups} | padding
    value = operation("conv", x=x, weight=weight, **({"bias": bias} if with_bias else {}), **form)
    expected = convolution(x, weight, bias, strides, pads, dilations, groups)
    found = interpreted(value)
    assert found.shape == value.shape  # coremltools knows the shape only
    np.testing.assert_allclose(found, expected, atol=2e-5)  # observed 5.5e-6


@pytest.mark.parametrize("strides", [(2, 2), (1, 3)])
@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 1, 0)])
@pytest.mark.parametrize("excluded", [True, False])
def test_average_pooling(strides, pads, excluded):
    x, (h, w) = array(1, 2, 6, 7), (2, 3)
    padding = {"pad_type": "custom", "pad": list(pads)} if any(pads) else {"pad_type": "valid"}
    form = {"kernel_sizes": [h, w], "strides": list(strides), "exclude_padding_from_average": excluded} | padding
    value = operation("avg_pool", x=x, **form)
    widths = ((0, 0), (0, 0), pads[:2], pads[2:])
    values, counted = np.pad(x, widths), np.pad(np.ones_like(x), widths, constant_values=0.0 if excluded else 1.0)
    found = interpreted(value)
    assert found.shape == value.shape
    for i, j in np.ndindex(found.shape[2:]):
        window = np.s_[:, :, i * strides[0] : i * strides[0] + h, j * strides[1] : j * strides[1] + w]
        expected = values[window].sum((2, 3)) / counted[window].sum((2, 3))
        np.testing.assert_allclose(found[:, :, i, j], expected, atol=1e-6)  # observed 1.2e-7


@pytest.mark.parametrize("r", [2, 3])
def test_pixel_shuffle(r):
    """By the definition; coremltools computes none of its values."""
    x = array(2, 3 * r * r, 4, 5)
    found = interpreted(operation("pixel_shuffle", x=x, upscale_factor=r))
    for n, c, row, column in np.ndindex(2, 3, 4 * r, 5 * r):
        assert found[n, c, row, column] == x[n, c * r * r + row % r * r + column % r, row // r, column // r]


def test_every_operator_is_tested():
    assert {op_type for op_type, _ in FORMS} | {"conv", "avg_pool", "pixel_shuffle"} == set(OPS)


PICTURE = torch.zeros(1, 2, 4, 4)
UNKNOWN: list[tuple[str, dict[str, Any], str]] = [
    ("topk", {"x": PICTURE, "k": 2}, "topk has no rule"),
    ("relu", {"x": PICTURE, "slope": 0.1}, "relu in a form without a rule: got an unexpected keyword argument 'slope'"),
    ("conv", {"x": PICTURE, "weight": PICTURE, "pad_type": "same"}, "conv in a form without a rule: pad_type same"),
    ("conv", {"x": PICTURE[0], "weight": PICTURE}, "rank 3"),
    ("avg_pool", {"x": PICTURE, "kernel_sizes": [2, 2], "ceil_mode": True}, "ceil_mode"),
    ("concat", {"values": [PICTURE], "axis": 1, "interleave": True}, "interleave"),
    ("cast", {"x": PICTURE, "dtype": "int32"}, "dtype int32"),
    ("cast", {"x": 3, "dtype": "fp16"}, "dtype fp16"),
    ("reshape", {"x": PICTURE, "shape": [0, -1]}, r"shape \[0, -1\]"),
    ("slice_by_index", {"x": PICTURE, "begin": [0] * 4, "end": [1] * 4, "stride": [1, 1, 1, -1]}, "stride"),
]


@pytest.mark.parametrize(("op_type", "inputs", "words"), UNKNOWN)
def test_what_has_no_rule_is_refused_by_name(op_type, inputs, words):
    with pytest.raises(UncoveredOpError, match=f"value_7: .*{words}"):
        apply_op(op_type, "value_7", inputs)
