"""The tasks that one pipeline serves. What differs between them is here: the model, and where its files lie.

Every model has the parts `scene` and `tile`, and says what it is: `task`, `halo`, and `inputs`, the names of what
each part takes in order: `thumbnail`, `tile`, `scene`, and those of `Bank.named`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from priorraw import bit_depth
from priorraw.depth_model import BitDepth, DepthConfig
from priorraw.model import ModelConfig, PriorRAW

Model = PriorRAW | BitDepth


@dataclass(frozen=True)
class Task:
    """`encoder` and `reconstructor` are paths in an asset folder, NAME that of a bank."""

    config: type[ModelConfig] | type[DepthConfig]
    model: Any  # called with a config
    reconstructor_parts: tuple[str, ...]
    encoder: str
    reconstructor: str

    def files(self, name: str) -> tuple[str, str, str]:
        """Encoder, reconstructor and bank of `name`, relative to the asset folder."""
        return (
            self.encoder.replace("NAME", name),
            self.reconstructor.replace("NAME", name),
            f"{name}/bank.safetensors",
        )


RAW = "raw"
TASKS = {
    RAW: Task(
        ModelConfig,
        PriorRAW,
        ("light", "reconstructor"),
        "shared/encoder.safetensors",  # all cameras share one model
        "shared/reconstructor.safetensors",
    ),
    bit_depth.TASK: Task(
        DepthConfig, BitDepth, ("reconstructor",), "NAME/encoder.safetensors", "NAME/reconstructor.safetensors"
    ),
}


def run_part(model: Model, part: str, known: Mapping[str, Tensor]) -> Any:
    """The result of `model.scene` or `model.tile` on what it takes of `known`."""
    return getattr(model, part)(*(known[name] for name in model.inputs[part]))
