"""Pixel shuffles where convolutions left them: channels last, in one transposition.

ExecuTorch lowers `pixel_shuffle` after a convolution to three: from channels last, the shuffle of six dimensions, and
back to channels last for what follows. Each reads and writes the whole feature map; on a CPU they take a tenth of the
tile program's time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from executorch.backends.xnnpack import xnnpack_preprocess
from executorch.backends.xnnpack._passes import XNNPACKPassManager
from executorch.backends.xnnpack._passes.channels_last_tagged_reshape_pass import ChannelsLastTaggedReshapePass
from executorch.backends.xnnpack._passes.xnnpack_pass import XNNPACKPass
from executorch.backends.xnnpack.utils.quant_utils import is_dequant
from executorch.exir.dialects._ops import ops
from executorch.exir.pass_base import PassResult
from torch.fx import GraphModule

VIEW, PERMUTE, COPY = (getattr(ops.edge.aten, name).default for name in ("view_copy", "permute_copy", "_to_copy"))
SHUFFLE = [0, 1, 4, 2, 5, 3]  # (N, C, r, r, H, W) to (N, C, H, r, W, r)
TO_CHANNELS_LAST, TO_CHANNELS_FIRST = [0, 3, 1, 4, 2], [2, 0, 3, 1, 4]  # from (H, W, C, r, r)
Node = Any  # torch.fx.Node, whose arguments have a type too wide to be of use
is_channels_last = ChannelsLastTaggedReshapePass.is_nhwc_node


class ShuffleChannelsLast(XNNPACKPass):
    """Replaces the three transpositions by one, for a batch of one. Dimensions are those in memory."""

    def call(self, graph_module: GraphModule) -> PassResult:
        graph = graph_module.graph
        permutes: list[Node] = [n for n in graph.nodes if n.target == PERMUTE and n.args[1] == SHUFFLE]
        for permute in permutes:
            split, (joined,) = permute.args[0], permute.users
            N, C, r, _, H, W = split.args[1]
            source = _channels_last_source(split) if N == 1 else None
            if source is None:
                continue
            after = list(joined.users)
            last = len(after) == 1 and after[0].target == COPY and is_channels_last(after[0])
            with graph.inserting_before(joined):
                blocks = _like(graph.call_function(VIEW, (source, [H, W, C, r, r])), source, (H, W, C, r, r))
                order = TO_CHANNELS_LAST if last else TO_CHANNELS_FIRST
                shape = tuple(blocks.meta["val"].shape[d] for d in order)
                shuffled = _like(graph.call_function(PERMUTE, (blocks, order)), source, shape)
                result = _like(graph.call_function(VIEW, (shuffled, joined.args[1])), joined, joined.args[1])
            if last:
                ChannelsLastTaggedReshapePass.mark_as_nhwc_node(result)
            (after[0] if last else joined).replace_all_uses_with(result)
        graph.eliminate_dead_code()
        graph_module.recompile()
        return PassResult(graph_module, True)


def _channels_last_source(split: Node) -> Node | None:
    """The feature map, channels last, that was brought to channels first for `split`."""
    source = split.args[0]
    if is_dequant(source):  # quantised: a copy between two pairs, of which the outer ones stay
        copy = source.args[0].args[0]
        if copy.target != COPY or not is_dequant(copy.args[0]):
            return None
        source.args = (copy.args[0].args[0], *source.args[1:])
        return source
    return source.args[0] if source.target == COPY and is_channels_last(source.args[0]) else None


def _like(node: Node, model: Node, shape: tuple[int, ...]) -> Node:
    node.meta = {"val": model.meta["val"].new_empty(shape)}
    return node


class _Passes(XNNPACKPassManager):
    def __init__(self, exported_program: torch.export.ExportedProgram, passes: list | None = None):
        super().__init__(exported_program, passes)
        if not passes:
            self.passes.append(ShuffleChannelsLast)


@contextmanager
def shuffles_channels_last() -> Iterator[None]:
    """Lowering within it has `ShuffleChannelsLast` as its last pass; ExecuTorch has no setting for passes."""
    with patch.object(xnnpack_preprocess, "XNNPACKPassManager", _Passes):
        yield
