"""ExecuTorch programs with the XNNPACK delegate, fp32 or with int8 convolutions.

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
from priorraw_edge.export.delegation import Delegation, check_delegation, delegation_of
from priorraw_edge.export.programs import Program
from priorraw_edge.export.quantize import Recipe, quantised_program, to_json
from priorraw_edge.export.xnnpack_shuffle import shuffles_channels_last

DEQUANTIZE = {torch.ops.quantized_decomposed.dequantize_per_channel.default}


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


def convert(
    programs: list[Program],
    folder: Path,
    precision: str,
    recipes: dict[str, Recipe] | None = None,
) -> Converted:
    """Write NAME.pte for each program.

    Args:
        precision: fp32 or int8.
        recipes: for int8, of each program.

    Raises:
        DelegationError: work would be left outside the delegate.
        QuantizationError: a layer would not be what the recipe says.
    """
    assert (recipes is not None) == (precision == "int8")
    files, delegation = {}, {}
    for program in programs:
        exported = quantised_program(program, recipes[program.name]) if recipes else program.exported
        data, delegation[program.name] = lower(program.name, exported)
        files[program.name] = f"{program.name}.pte"
        (folder / files[program.name]).write_bytes(data)
    return Converted(files, delegation, {"quantization": to_json(recipes)} if recipes else {})


def lower(name: str, exported: torch.export.ExportedProgram) -> tuple[bytes, Delegation]:
    """One traced program, float or quantised, to a .pte with the XNNPACK delegate.

    Raises:
        DelegationError: work would be left outside the delegate.
    """
    configs = [BankLinearConfig if c is LinearConfig else c for c in ALL_PARTITIONER_CONFIGS]
    exported = exported.run_decompositions({torch.ops.aten.max.dim: row_peak})
    # Folds the created ones (unit norm, spread of the peak), which would be made anew outside the delegate; not
    # int8 weights, which would become float.
    folded = constant_prop_pass(exported, custom_skip_targets=DEQUANTIZE)
    with shuffles_channels_last():
        edge = to_edge_transform_and_lower(folded, partitioner=[XnnpackPartitioner(configs=configs)])
    delegation = delegation_of(edge)
    check_delegation(name, delegation)
    return bytes(edge.to_executorch().buffer), delegation
