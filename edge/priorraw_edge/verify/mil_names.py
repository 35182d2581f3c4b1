"""Which node of an exported program a value of a Core ML program is, for comparing the two one by one.

MIL's names follow the nodes' names in part only: conversion decomposes, renumbers, merges and drops. So values and
nodes are aligned in order, each known by its kind and shape (slices by where they begin too), as two texts would be.
"""

from difflib import SequenceMatcher
from typing import Any

from torch.export import ExportedProgram
from torch.fx import Node

from priorraw_edge.verify.mil import MilProgram

# MIL operators and torch functions that compute the same kind of value; others are matched by equal names.
KINDS = {
    "avg_pool2d": "avg_pool",
    "cat": "concat",
    "clamp": "clip",
    "conv2d": "conv",
    "div": "real_div",
    "flatten": "reshape",
    "linear": "matmul",
    "mean": "reduce_mean",
    "neg": "mul",
    "permute": "transpose",
    "rsub": "sub",
    "slice": "slice_by_index",
    "unsqueeze": "expand_dims",
    "view": "reshape",
}
UNNAMED = ("cast", "dropout", "getitem", "ones")  # compute nothing, or are constants in the other program

Token = tuple[Any, ...]


def reference_names(program: MilProgram, exported: ExportedProgram) -> dict[str, str]:
    """Name of the value in the Core ML program -> name of the node in `exported.graph`, where one fits.

    Values come in the Core ML program's order. Decomposed or merged operators are left out.
    """
    values = [(o.outputs[0].name, _mil_token(o)) for o in program.operations if o.op_type not in UNNAMED]
    nodes = [(node.name, _torch_token(node)) for node in exported.graph.nodes if _computes(node)]
    matcher = SequenceMatcher(None, [token for _, token in values], [token for _, token in nodes], autojunk=False)
    return {
        values[block.a + i][0]: nodes[block.b + i][0]
        for block in matcher.get_matching_blocks()
        for i in range(block.size)
    }


def _kind(function: str) -> str:
    return KINDS.get(function, function)


def _mil_token(operation: Any) -> Token:
    token = (_kind(operation.op_type), tuple(operation.outputs[0].shape))
    if operation.op_type != "slice_by_index":
        return token
    starts = zip(operation.begin.val, _mask(operation), strict=True)
    return (*token, tuple(0 if masked else int(begin) for begin, masked in starts))


def _mask(operation: Any) -> list[bool]:
    given = operation.begin_mask
    return list(given.val) if given is not None and given.val is not None else [False] * len(operation.begin.val)


def _torch_token(node: Node) -> Token:
    token = (_kind(_function(node)), tuple(node.meta["val"].shape))
    if _function(node) != "slice":
        return token
    arguments = [a if isinstance(a, int) else 0 for a in node.args[1:3]] + [0, 0]  # dim and start, 0 by default
    begin = [0] * len(node.meta["val"].shape)
    begin[arguments[0]] = arguments[1]
    return (*token, tuple(begin))


def _function(node: Node) -> str:
    """Name of the aten function, without its overload."""
    return str(getattr(node.target, "__name__", node.target)).split(".")[0]


def _computes(node: Node) -> bool:
    return node.op == "call_function" and _function(node) not in UNNAMED and hasattr(node.meta.get("val"), "shape")
