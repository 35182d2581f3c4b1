"""TOSA 1.0 programs, FP profile: the operator set that Arm's compilers read.

The bank reaches the scene program at run time, and TOSA's convolutions, which linear layers become, want constant
weights: `decompositions.TOSA` makes those layers matrix products. A TOSA graph takes its inputs in the order of
their first use, so bundle.json says that order in `tosa_inputs`.
"""

from pathlib import Path
from typing import Any

from executorch.backends.arm.tosa.compile_spec import TosaCompileSpec
from executorch.backends.arm.tosa.partitioner import TOSAPartitioner
from executorch.exir.lowered_backend_module import get_lowered_submodules

from priorraw_edge.export.converted import Converted
from priorraw_edge.export.decompositions import TOSA
from priorraw_edge.export.delegation import DelegationError
from priorraw_edge.export.lowering import lower, rewritten
from priorraw_edge.export.programs import Program

SPECIFICATION = "TOSA-1.0+FP"


def convert(programs: list[Program], folder: Path, precision: str) -> Converted:
    """Write NAME.tosa, a TOSA flatbuffer, for each program.

    Raises:
        DelegationError: work would be left outside TOSA.
    """
    files, delegation, order = {}, {}, {}
    for program in programs:
        partitioner = TOSAPartitioner(TosaCompileSpec(SPECIFICATION))
        edge, delegation[program.name] = lower(program.name, rewritten(program.exported, TOSA), partitioner)
        lowered, order[program.name] = the_delegate(edge.exported_program().graph_module)
        files[program.name] = f"{program.name}.tosa"
        (folder / files[program.name]).write_bytes(lowered.processed_bytes)
    return Converted(files, delegation, {"tosa_inputs": order})


def the_delegate(graph_module: Any) -> tuple[Any, str]:
    """The one delegate of a lowered graph, and the names of its inputs in order, with spaces between.

    Raises:
        DelegationError: it gives its outputs in another order than the program.
    """
    ((_, lowered, call),) = get_lowered_submodules(graph_module)
    (results,) = graph_module.graph.output_node().args
    if [result.args[1] for result in results] != list(range(len(results))):
        raise DelegationError(f"the delegate {call.name} gives its outputs in another order than the program")
    return lowered, " ".join(argument.name for argument in call.args[1:])
