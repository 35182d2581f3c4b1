"""What a row computes: FLOPs and bytes of its convolutions and matrix products, counted on shapes alone.

FLOPs are the energy proxy. A multiplication with its addition counts as two; exponentials and other work done
pixel by pixel are not counted. Bytes are those of the operands and results of the same operations, each touched
once: the traffic that remains when everything else is fused into them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from priorraw.model import THUMBNAIL, ModelConfig, PriorRAW
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

K = 5000
SCENE_VALUES = 10
CAMERA_VALUES = 13
BYTES = {"fp32": 4, "int8": 1}


@dataclass(frozen=True)
class Work:
    """FLOPs, and elements that go in and out of what was counted; of a picture or of a tile."""

    flops: float
    elements: float

    def times(self, n: float) -> "Work":
        return Work(self.flops * n, self.elements * n)

    def plus(self, other: "Work") -> "Work":
        return Work(self.flops + other.flops, self.elements + other.elements)


class _Elements(TorchDispatchMode):
    """Adds up the elements of tensors that go into and come out of counted operations."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            tensors = [t for t in (*args, out) if isinstance(t, Tensor)]
            self.total += sum(t.numel() for t in tensors)
        return out


def count(make: Callable[[], Callable[[], Any]]) -> Work:
    """`make` builds a network and returns the call to count; both happen on the meta device."""
    with torch.device("meta"), torch.no_grad():
        call = make()
        with FlopCounterMode(display=False) as flops, _Elements() as elements:
            call()
    return Work(float(flops.get_total_flops()), float(elements.total))


def _picture(side: int, channels: int = 3) -> Tensor:
    return torch.empty(1, channels, side, side)


def _scene() -> Callable[[], Any]:
    model = PriorRAW(ModelConfig()).eval()
    d = model.config.encoder.dim
    return lambda: model.scene(_picture(THUMBNAIL), torch.empty(K, d), torch.empty(6, K), torch.empty(1, CAMERA_VALUES))


def _tile(side: int) -> Callable[[], Any]:
    model = PriorRAW(ModelConfig()).eval()
    return lambda: model.tile(_picture(side), torch.empty(1, SCENE_VALUES))


def _convolutions(side: int) -> Callable[[], Any]:
    from priorraw_edge.bench.convolutions import INPUTS, Convolutions

    network: nn.Module = Convolutions(PriorRAW(ModelConfig()).eval().reconstructor)
    return lambda: network(_picture(side, INPUTS))


def _exact(side: int) -> Callable[[], Any]:
    from priorraw_edge.bench.exact import ExactOneScale

    model = PriorRAW(ModelConfig()).eval()
    network = ExactOneScale(model, torch.empty(K, model.config.encoder.dim), torch.empty(6, K)).eval()
    return lambda: network(_picture(side), _picture(THUMBNAIL))


def _cam(side: int) -> Callable[[], Any]:
    from benchmarks.rivals.cam import reconstructor_network

    network = reconstructor_network().eval()
    return lambda: network(_picture(side, 7))


def _flow(side: int) -> Callable[[], Any]:
    from benchmarks.flow import Flow

    network = Flow().eval()
    return lambda: network(_picture(side))


WORKS: dict[str, Callable[[int], Callable[[], Any]]] = {
    "tile": _tile,
    "convolutions": _convolutions,
    "exact": _exact,
    "cam": _cam,
    "flow": _flow,
}


@cache
def work_of(name: str, side: int) -> Work:
    """One run of a work of `WORKS` on a square picture or tile of `side` pixels."""
    return count(lambda: WORKS[name](side))


@cache
def work_of_scene() -> Work:
    """The scene part, once a picture."""
    return count(_scene)
