"""ExecuTorch programs with the OpenVINO delegate, for the CPU that exports.

The delegate holds a compiled model. OpenVINO refuses it on a CPU with another instruction set and in another
release of OpenVINO, so a bundle is exported on the kind of machine that will run it. The runtime takes no precision
from the program: it computes in fp32, or in bfloat16 where the CPU multiplies matrices in it (AMX). Hence `auto`.
"""

from pathlib import Path

from executorch.backends.openvino.partitioner import OpenvinoPartitioner
from executorch.exir.backend.backend_details import CompileSpec

from priorraw_edge.export.converted import Converted
from priorraw_edge.export.decompositions import OPENVINO
from priorraw_edge.export.lowering import lower_all
from priorraw_edge.export.programs import Program


def convert(programs: list[Program], folder: Path, precision: str) -> Converted:
    """Write NAME.pte for each program.

    Raises:
        DelegationError: work would be left outside the delegate.
    """
    device = CompileSpec("device", b"CPU")
    return lower_all(programs, folder, lambda program: OpenvinoPartitioner([device]), OPENVINO)
