"""What the conversions to ExecuTorch programs share: rewrite, partition, check, write NAME.pte."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from executorch.exir import to_edge_transform_and_lower
from executorch.exir.passes.constant_prop_pass import constant_prop_pass
from torch.export import ExportedProgram

from priorraw_edge.export.converted import Converted
from priorraw_edge.export.delegation import Delegation, check_delegation, delegation_of
from priorraw_edge.export.programs import Program


def rewritten(exported: ExportedProgram, decompositions: dict[Any, Callable[..., Any]]) -> ExportedProgram:
    """The program with operators replaced, and with what follows from constants alone computed now.

    Else the ones of the unit norm would be made anew at run time, outside the delegate.
    """
    return constant_prop_pass(exported.run_decompositions(decompositions))


def lower(name: str, exported: ExportedProgram, partitioner: Any) -> tuple[Any, Delegation]:
    """The edge program (EdgeProgramManager) of one program, in a delegate, and its delegation.

    Raises:
        DelegationError: work would be left outside the delegate.
    """
    edge = to_edge_transform_and_lower(exported, partitioner=[partitioner])
    delegation = delegation_of(edge)
    check_delegation(name, delegation)
    return edge, delegation


def lower_all(
    programs: list[Program],
    folder: Path,
    partitioner: Callable[[Program], Any],
    decompositions: dict[Any, Callable[..., Any]],
) -> Converted:
    """Write NAME.pte for each program, lowered with the partitioner that is made for it.

    Raises:
        DelegationError: work would be left outside the delegate.
    """
    files, delegation = {}, {}
    for program in programs:
        exported = rewritten(program.exported, decompositions)
        edge, delegation[program.name] = lower(program.name, exported, partitioner(program))
        files[program.name] = f"{program.name}.pte"
        (folder / files[program.name]).write_bytes(edge.to_executorch().buffer)
    return Converted(files, delegation)
