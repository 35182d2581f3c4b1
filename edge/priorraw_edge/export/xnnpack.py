"""ExecuTorch programs with the XNNPACK delegate, fp32.

Rules that keep each program in one delegate: slices instead of split, bank operands as inputs of fully
connected nodes, and the affinity's peak as pairwise maxima, since XNNPACK has no maximum over a row.
"""

from pathlib import Path
from typing import Any

import torch
from executorch.backends.xnnpack.partition.config import ALL_PARTITIONER_CONFIGS
from executorch.backends.xnnpack.partition.config.gemm_configs import LinearConfig
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.utils.utils import is_param_node
from executorch.exir import to_edge_transform_and_lower
from executorch.exir.passes.constant_prop_pass import constant_prop_pass
from torch import Tensor

from priorraw_edge.export.converted import Converted
from priorraw_edge.export.delegation import check_delegation, delegation_of
from priorraw_edge.export.programs import Program


class BankLinearConfig(LinearConfig):
    """Takes linear layers whose weight is computed or given at run time, as the bank is, into the delegate.

    The partitioner's own switch for this, `force_non_static_weights_for_f32_linear`, also makes the biases of
    convolutions run-time values, which XNNPACK refuses when the program is loaded.
    """

    def _get_weight_deps(self, node: torch.fx.Node, ep: Any, precision: Any) -> tuple[bool, list[torch.fx.Node]]:
        if not is_param_node(ep, node.args[1]):
            return True, []
        return super()._get_weight_deps(node, ep, precision)


def row_peak(affinity: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """`max(dim=-1, keepdim=True)` of (P, K) as a tree of pairwise maxima; the indices are never used.

    Halves overlap by one column when their length is odd, which leaves the maximum as it is.
    """
    assert keepdim and dim in (-1, 1) and affinity.dim() == 2
    peak = affinity
    while peak.shape[1] > 1:
        half = (peak.shape[1] + 1) // 2
        peak = torch.maximum(peak[:, :half], peak[:, -half:])
    return peak, torch.zeros_like(peak, dtype=torch.int64)


def convert(programs: list[Program], folder: Path, precision: str) -> Converted:
    """Write NAME.pte for each program; `precision` is fp32, the only one offered.

    Raises:
        DelegationError: work would be left outside the delegate.
    """
    configs = [BankLinearConfig if c is LinearConfig else c for c in ALL_PARTITIONER_CONFIGS]
    files, delegation = {}, {}
    for program in programs:
        exported = program.exported.run_decompositions({torch.ops.aten.max.dim: row_peak})
        # Folds the created ones (unit norm, spread of the peak), which would be made anew outside the delegate.
        edge = to_edge_transform_and_lower(
            constant_prop_pass(exported), partitioner=[XnnpackPartitioner(configs=configs)]
        )
        delegation[program.name] = delegation_of(edge)
        check_delegation(program.name, delegation[program.name])
        files[program.name] = f"{program.name}.pte"
        (folder / files[program.name]).write_bytes(edge.to_executorch().buffer)
    return Converted(files, delegation)
