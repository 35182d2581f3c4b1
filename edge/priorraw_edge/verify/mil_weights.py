"""Compressed weights of a Core ML program, unpacked as the documentation of the `constexpr_*` operators says.

Arrays in, arrays out: quantised and palettised weights become fp16 or fp32, the type that the program computes with.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from priorraw_edge.verify.mil_ops import UncoveredOpError

Array = np.ndarray


def unpack(op_type: str, name: str, inputs: dict[str, Any]) -> Array:
    """The weight that a `constexpr_*` operator stands for; `inputs` by their MIL names, None where not given.

    Raises:
        UncoveredOpError: an operator or a form of it without a rule.
    """
    given = {key: value for key, value in inputs.items() if value is not None}
    for form, function in FORMS.get(op_type, {}).items():
        if set(given) == set(form):
            return function(**given)
    raise UncoveredOpError(f"{name}: {op_type} with inputs {', '.join(sorted(given))} has no rule")


def unpack_bits(packed: Array, bits: int, count: int) -> Array:
    """`count` unsigned integers of `bits` bits, packed in bytes from the least significant bit upward."""
    stream = np.unpackbits(packed.reshape(-1).view(np.uint8), bitorder="little")
    return stream[: bits * count].reshape(count, bits) @ (1 << np.arange(bits))


def affine_dequantize(quantized_data: Array, zero_point: Array, scale: Array, axis: Any) -> Array:
    """scale * (data - zero_point), both one number or one a slice along `axis`."""
    along = [1] * quantized_data.ndim
    along[int(axis)] = -1

    def spread(value: Array) -> Array:
        return np.asarray(value, np.float32).reshape(along if np.ndim(value) else ())

    return (spread(scale) * (quantized_data.astype(np.float32) - spread(zero_point))).astype(np.asarray(scale).dtype)


def blockwise_shift_scale(data: Array, scale: Array, offset: Array | None = None) -> Array:
    """scale * (data - offset), one scale a block of data.shape[i] / scale.shape[i] elements along axis i."""
    block = np.ix_(*(np.arange(n) // (n // m) for n, m in zip(data.shape, scale.shape, strict=True)))
    shifted = data.astype(np.float32) - (0 if offset is None else offset[block].astype(np.float32))
    return (scale[block].astype(np.float32) * shifted).astype(scale.dtype)


def lut_to_dense(indices: Array, lut: Array, shape: Array) -> Array:
    """iOS 16 and 17: one table for the tensor; indices packed to as many bits as the table needs."""
    count, bits = int(np.prod(shape)), int(np.log2(lut.size))
    return lut.reshape(-1)[unpack_bits(indices, bits, count)].reshape([int(n) for n in shape])


def block_lut_to_dense(indices: Array, lut: Array, vector_axis: Any = None) -> Array:
    """iOS 18: a table (..., palette, vector) a block; entries are vectors that lie along `vector_axis`."""
    where = np.ix_(*(np.arange(n) // (n // m) for n, m in zip(indices.shape, lut.shape, strict=False)))
    vectors = lut[(*where, indices)]
    if vector_axis is None:
        return vectors[..., 0]
    axis = int(vector_axis) % indices.ndim
    merged = list(indices.shape)
    merged[axis] *= lut.shape[-1]
    return np.moveaxis(vectors, -1, axis + 1).reshape(merged)


def sparse_to_dense(nonzero_data: Array, mask: Array, shape: Array) -> Array:
    """iOS 16 and 17: a bit an element, set where the next of `nonzero_data` goes."""
    count = int(np.prod(shape))
    dense = np.zeros(count, nonzero_data.dtype)
    dense[unpack_bits(mask, 1, count).astype(bool)] = nonzero_data
    return dense.reshape([int(n) for n in shape])


def as_fp32(source_val: Array, output_dtype: str) -> Array:
    return source_val.astype({"fp32": np.float32}[output_dtype])


# By operator, then by the inputs that are given.
FORMS: dict[str, dict[tuple[str, ...], Callable[..., Array]]] = {
    "constexpr_affine_dequantize": {("quantized_data", "zero_point", "scale", "axis"): affine_dequantize},
    "constexpr_blockwise_shift_scale": {
        ("data", "scale"): blockwise_shift_scale,
        ("data", "scale", "offset"): blockwise_shift_scale,
    },
    "constexpr_cast": {("source_val", "output_dtype"): as_fp32},
    "constexpr_lut_to_dense": {
        ("indices", "lut", "shape"): lut_to_dense,
        ("indices", "lut"): block_lut_to_dense,
        ("indices", "lut", "vector_axis"): block_lut_to_dense,
    },
    "constexpr_sparse_to_dense": {("nonzero_data", "mask", "shape"): sparse_to_dense},
}
