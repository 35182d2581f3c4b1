"""Operators rewritten into others that compute the same, for delegates that lack them."""

from collections.abc import Callable

import torch
from torch import Tensor


def row_amax(x: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """`max(dim)` as amax; the indices, which the model never uses, are zeros."""
    peak = torch.amax(x, dim, keepdim)
    return peak, torch.zeros_like(peak, dtype=torch.int64)


def maximum_by_minimum(a: Tensor, b: Tensor) -> Tensor:
    """max(a, b) = -min(-a, -b), exactly."""
    return -torch.minimum(-a, -b)


def log_by_exp(x: Tensor) -> Tensor:
    """Natural logarithm of positive x from square roots and one exponential.

    A first guess, 32 log(x^(1/32)) by the series of artanh, then a step of Halley's method on exp(y) = x, whose
    error is the cube of the guess's. As good in fp32 as `torch.log` (tests/test_targets.py).
    """
    root = x
    for _ in range(5):
        root = torch.sqrt(root)
    t = (root - 1.0) / (root + 1.0)
    guess = t * (1.0 + t * t * (1 / 3 + t * t * (1 / 5))) * 64.0
    power = torch.exp(guess)
    return guess + (x - power) / (x + power) * 2.0


def linear_by_mm(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A linear layer as a matrix product, for weights that are known only at run time, as the bank is."""
    product = torch.mm(x, weight.t())
    return product if bias is None else product + bias


def pixel_shuffle_by_permute(x: Tensor, upscale_factor: int) -> Tensor:
    """`F.pixel_shuffle` of (N, C r r, H, W) by its definition."""
    N, _, H, W = x.shape
    r = upscale_factor
    return x.view(N, -1, r, r, H, W).permute(0, 1, 4, 2, 5, 3).reshape(N, -1, H * r, W * r)


aten = torch.ops.aten
VULKAN: dict[torch._ops.OperatorBase, Callable] = {
    aten.max.dim: row_amax,
    aten.maximum.default: maximum_by_minimum,
    aten.log.default: log_by_exp,
}
TOSA: dict[torch._ops.OperatorBase, Callable] = {aten.max.dim: row_amax, aten.linear.default: linear_by_mm}
OPENVINO: dict[torch._ops.OperatorBase, Callable] = {aten.pixel_shuffle.default: pixel_shuffle_by_permute}
