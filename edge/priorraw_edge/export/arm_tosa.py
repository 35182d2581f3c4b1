"""TOSA 1.0 programs, FP profile: the operator set that Arm's compilers read.

The bank reaches the scene program at run time, and TOSA's convolutions, which linear layers become, want constant
weights: `decompositions.TOSA` makes those layers matrix products.
"""

from pathlib import Path

from executorch.backends.arm.tosa.compile_spec import TosaCompileSpec
from executorch.backends.arm.tosa.partitioner import TOSAPartitioner
from executorch.exir.lowered_backend_module import get_lowered_submodules

from priorraw_edge.export.converted import Converted
from priorraw_edge.export.decompositions import TOSA
from priorraw_edge.export.lowering import lower, rewritten
from priorraw_edge.export.programs import Program

SPECIFICATION = "TOSA-1.0+FP"


def convert(programs: list[Program], folder: Path, precision: str) -> Converted:
    """Write NAME.tosa, a TOSA flatbuffer, for each program.

    Raises:
        DelegationError: work would be left outside TOSA.
    """
    files, delegation = {}, {}
    for program in programs:
        partitioner = TOSAPartitioner(TosaCompileSpec(SPECIFICATION))
        edge, delegation[program.name] = lower(program.name, rewritten(program.exported, TOSA), partitioner)
        ((_, lowered, _),) = get_lowered_submodules(edge.exported_program().graph_module)
        files[program.name] = f"{program.name}.tosa"
        (folder / files[program.name]).write_bytes(lowered.processed_bytes)
    return Converted(files, delegation)
