"""ExecuTorch programs with the Qualcomm delegate, fp16 on the Hexagon NPU.

Written from ExecuTorch's documentation (backends-qualcomm): the SDK asks for an account, so no test lowers or runs
this. `check_delegation` still refuses a program that would not lie in one delegate.
"""

from pathlib import Path

from executorch.backends.qualcomm.serialization.qc_schema import QcomChipset
from executorch.backends.qualcomm.utils.utils import (
    generate_htp_compiler_spec,
    generate_qnn_executorch_compiler_spec,
    to_edge_transform_and_lower_to_qnn,
)

from priorraw_edge.export.converted import Converted
from priorraw_edge.export.delegation import check_delegation, delegation_of
from priorraw_edge.export.programs import Program

SOC = "SM8650"  # Snapdragon 8 Gen 3; the compiled program is for this one


def convert(programs: list[Program], folder: Path, precision: str) -> Converted:
    """Write NAME.pte for each program.

    Raises:
        DelegationError: work would be left outside the delegate.
    """
    files, delegation = {}, {}
    for program in programs:
        specs = generate_qnn_executorch_compiler_spec(
            soc_model=getattr(QcomChipset, SOC), backend_options=generate_htp_compiler_spec(use_fp16=True)
        )
        edge = to_edge_transform_and_lower_to_qnn(program.module, tuple(program.inputs.values()), specs)
        delegation[program.name] = delegation_of(edge)
        check_delegation(program.name, delegation[program.name])
        files[program.name] = f"{program.name}.pte"
        (folder / files[program.name]).write_bytes(edge.to_executorch().buffer)
    return Converted(files, delegation, {"device": {"soc": SOC}})
