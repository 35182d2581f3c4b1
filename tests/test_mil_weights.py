"""Compressed weights of Core ML programs: our unpacking against coremltools' own, and against integers of any size."""

from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813
from coremltools.converters.mil.mil import Function, types
from hypothesis import given, settings
from hypothesis import strategies as st
from priorraw_edge.verify.mil_ops import UncoveredOpError
from priorraw_edge.verify.mil_weights import FORMS, unpack, unpack_bits

random = np.random.default_rng(0)
UINT4, UINT2, UINT1 = (types.nptype_from_builtin(t) for t in (types.uint4, types.uint2, types.uint1))
INT4 = types.nptype_from_builtin(types.int4)


def codes(shape: tuple[int, ...], low: int, high: int, dtype: Any) -> np.ndarray:
    return random.integers(low, high, shape, endpoint=True).astype(np.int16).astype(dtype)


def floats(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return random.uniform(-2, 2, shape).astype(dtype)


def lut(bits: int, shape: tuple[int, ...], dtype: Any) -> dict[str, Any]:
    """iOS 16's form: what is in the packed bytes does not matter, any bits are codes."""
    packed = codes((-(-bits * int(np.prod(shape)) // 8),), 0, 255, np.uint8)
    return {"indices": packed, "lut": floats(2**bits, dtype=dtype), "shape": np.array(shape, np.uint32)}


def sparse(shape: tuple[int, ...], dtype: Any) -> dict[str, Any]:
    bits = random.integers(0, 2, int(np.prod(shape))).astype(np.uint8)
    mask = np.packbits(bits, bitorder="little")
    return {"nonzero_data": floats(int(bits.sum()), dtype=dtype), "mask": mask, "shape": np.array(shape, np.uint32)}


def affine(data: np.ndarray, zero_point: Any, scale: Any, axis: int) -> dict[str, Any]:
    return {"quantized_data": data, "zero_point": zero_point, "scale": scale, "axis": np.int32(axis)}


INT8, UINT8 = codes((4, 3, 2, 2), -127, 127, np.int8), codes((4, 3), 0, 255, np.uint8)
CASES: list[tuple[str, Any, dict[str, Any]]] = [
    *[
        ("constexpr_affine_dequantize", ct.target.iOS17, inputs)
        for inputs in (
            affine(INT8, np.zeros(4, np.int8), floats(4, dtype=np.float16), 0),
            affine(INT8, codes((3,), -9, 9, np.int8), floats(3), 1),
            affine(INT8, np.int8(3), np.float32(0.02), -1),
            affine(UINT8, codes((3,), 0, 255, np.uint8), floats(3, dtype=np.float16), -1),
            affine(UINT8, np.uint8(127), np.float16(0.02), 0),
        )
    ],
    *[
        ("constexpr_lut_to_dense", ct.target.iOS17, lut(bits, shape, dtype))
        for bits in (1, 2, 4, 6, 8)
        for shape, dtype in (((5, 3), np.float16), ((7, 2, 3, 3), np.float32))
    ],
    *[
        ("constexpr_lut_to_dense", ct.target.iOS18, inputs)
        for inputs in (
            {"indices": codes((6, 2), 0, 15, UINT4), "lut": floats(2, 1, 16, 1)},
            {"indices": codes((4, 6), 0, 3, UINT2), "lut": floats(2, 3, 4, 1, dtype=np.float16)},
            {"indices": codes((2, 2, 2), 0, 1, UINT1), "lut": floats(1, 1, 1, 2, 3), "vector_axis": np.int32(1)},
            {"indices": codes((4, 3), 0, 3, UINT2), "lut": floats(2, 1, 4, 2), "vector_axis": np.int32(-1)},
        )
    ],
    *[
        ("constexpr_blockwise_shift_scale", ct.target.iOS18, inputs)
        for inputs in (
            {"data": codes((4, 6), -127, 127, np.int8), "scale": floats(2, 3)},
            {"data": codes((4, 6), -8, 7, INT4), "scale": floats(4, 1, dtype=np.float16)},
            {"data": codes((4, 6), 0, 255, np.uint8), "scale": floats(1, 2), "offset": codes((1, 2), 0, 255, np.uint8)},
        )
    ],
    ("constexpr_sparse_to_dense", ct.target.iOS17, sparse((5, 3), np.float32)),
    ("constexpr_sparse_to_dense", ct.target.iOS17, sparse((4, 2, 3), np.float16)),
    ("constexpr_cast", ct.target.iOS17, {"source_val": floats(3, 4, dtype=np.float16), "output_dtype": "fp32"}),
]


@pytest.mark.parametrize(("op_type", "opset", "inputs"), CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_a_weight_unpacks_as_coremltools_does(op_type, opset, inputs):
    with Function({"unused": mb.placeholder(shape=(1,))}, opset_version=opset):
        op = getattr(mb, op_type)(**inputs).op
    expected = op.materialized_val_inference()
    found = unpack(op_type, "w", {name: None if v is None else v.val for name, v in op.inputs.items()})
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


def test_every_form_is_tested():
    tested = {(op_type, frozenset(inputs)) for op_type, _, inputs in CASES}
    assert tested == {(op_type, frozenset(form)) for op_type, forms in FORMS.items() for form in forms}


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.lists(st.integers(0, 255), min_size=1, max_size=24))
def test_bits_are_digits_of_one_large_integer(bits, packed):
    """Least significant byte first: the packing is a number in base 2^bits."""
    number, count = int.from_bytes(bytes(packed), "little"), 8 * len(packed) // bits
    expected = [number >> (bits * i) & (2**bits - 1) for i in range(count)]
    assert unpack_bits(np.array(packed, np.uint8), bits, count).tolist() == expected


@pytest.mark.parametrize(
    ("op_type", "inputs"),
    [("constexpr_lut_to_sparse", {"lut": 1}), ("constexpr_cast", {"source_val": 1, "output_dtype": "fp32", "axis": 0})],
)
def test_what_has_no_rule_is_refused_by_name(op_type, inputs):
    with pytest.raises(UncoveredOpError, match=f"w_3: {op_type} with inputs {', '.join(sorted(inputs))} has no rule"):
        unpack(op_type, "w_3", inputs)
