"""What the partitioner left outside the delegate: counted, shown, and refused when it is too much."""

from dataclasses import asdict, dataclass
from typing import Any

from priorraw_edge.errors import CheckError

# Work that must not fall back to portable kernels: they are tens of times slower.
HEAVY = ("convolution", "linear", "mm", "softmax")
LARGEST_SHARE_LEFT = 0.05


class DelegationError(CheckError):
    """The program would lower, but too much of it would run outside the delegate."""


@dataclass(frozen=True)
class Delegation:
    """Of one program: delegates, nodes in them, nodes outside, and the operators outside."""

    delegates: int
    delegated_nodes: int
    left_nodes: int
    left: list[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def delegation_of(edge_program: Any) -> Delegation:
    """Count the nodes of an edge program (EdgeProgramManager after partitioning).

    `getitem` picks an output of a call and computes nothing, so it does not count as left out.
    """
    from executorch.devtools.backend_debug import get_delegation_info

    info = get_delegation_info(edge_program.exported_program().graph_module)
    left = {
        name: counts.non_delegated
        for name, counts in info.delegation_by_operator.items()
        if counts.non_delegated and name != "getitem"
    }
    return Delegation(info.num_delegated_subgraphs, info.num_delegated_nodes, sum(left.values()), sorted(left))


def check_delegation(program: str, delegation: Delegation) -> None:
    """Refuse a program with heavy operators outside, or more than `LARGEST_SHARE_LEFT` of its nodes.

    Raises:
        DelegationError: it is so; the message lists the operators.
    """
    heavy = [name for name in delegation.left if any(word in name.split("_") for word in HEAVY)]
    share = delegation.left_nodes / max(1, delegation.left_nodes + delegation.delegated_nodes)
    if heavy or share > LARGEST_SHARE_LEFT or delegation.delegates == 0:
        names = ", ".join(heavy or delegation.left)
        raise DelegationError(
            f"program {program}: {delegation.left_nodes} nodes stay outside the delegate ({share:.1%}): {names}"
        )
