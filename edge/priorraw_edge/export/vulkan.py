"""ExecuTorch programs with the Vulkan delegate.

Vulkan has no logarithm, maximum or max over a row: `decompositions.VULKAN` gives it the same from what it has.
`fp16` holds weights and values of the tile program in half precision. The scene program stays fp32: it fits the
light with weights that fall below what half precision can hold, and its error would tint a whole picture. Observed
on the sample photograph, the rewritten programs in PyTorch with every value rounded to half precision: raw-RGB
71.5 dB, reliability 72 dB, and the scene vector, were it fp16, 56 dB.
"""

from pathlib import Path

from executorch.backends.vulkan.partitioner.vulkan_partitioner import VulkanPartitioner

from priorraw_edge.export.converted import Converted
from priorraw_edge.export.decompositions import VULKAN
from priorraw_edge.export.lowering import lower_all
from priorraw_edge.export.programs import Program


def convert(programs: list[Program], folder: Path, precision: str) -> Converted:
    """Write NAME.pte for each program.

    Raises:
        DelegationError: work would be left outside the delegate.
    """

    def partitioner(program: Program) -> VulkanPartitioner:
        return VulkanPartitioner({"force_fp16": precision == "fp16" and program.name == "tile"})

    return lower_all(programs, folder, partitioner, VULKAN)
