"""ExecuTorch programs with the VGF delegate: TOSA compiled to SPIR-V for Vulkan's ML extensions (Arm GPUs)."""

import os
from pathlib import Path

from executorch.backends.arm.vgf import VgfCompileSpec, VgfPartitioner

from priorraw_edge.export.arm_tosa import SPECIFICATION
from priorraw_edge.export.converted import Converted
from priorraw_edge.export.decompositions import TOSA
from priorraw_edge.export.lowering import lower_all
from priorraw_edge.export.programs import Program
from priorraw_edge.export.requirements import find_tool


def convert(programs: list[Program], folder: Path, precision: str) -> Converted:
    """Write NAME.pte for each program.

    Raises:
        DelegationError: work would be left outside the delegate.
    """
    # ExecuTorch looks on PATH alone, where the folder of an environment that is not activated is missing.
    os.environ["MODEL_CONVERTER_PATH"] = str(find_tool("model-converter"))
    return lower_all(programs, folder, lambda program: VgfPartitioner(VgfCompileSpec(SPECIFICATION)), TOSA)
