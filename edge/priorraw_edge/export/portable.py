"""ExecuTorch programs without a delegate, fp32: the reference kernels, for comparison and for bare devices."""

from pathlib import Path

from executorch.exir import to_edge_transform_and_lower

from priorraw_edge.export.converted import Converted
from priorraw_edge.export.delegation import delegation_of
from priorraw_edge.export.programs import Program


def convert(programs: list[Program], folder: Path, precision: str) -> Converted:
    """Write NAME.pte for each program; nothing is delegated, every node counts as outside."""
    files, delegation = {}, {}
    for program in programs:
        edge = to_edge_transform_and_lower(program.exported)
        delegation[program.name] = delegation_of(edge)
        files[program.name] = f"{program.name}.pte"
        (folder / files[program.name]).write_bytes(edge.to_executorch().buffer)
    return Converted(files, delegation)
