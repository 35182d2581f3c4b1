"""A pixel shuffle between convolutions is one transposition of the lowered program; it computes what PyTorch's does."""

from contextlib import nullcontext

import pytest
import torch
from priorraw_edge.export import xnnpack
from priorraw_edge.runtime.executorch import Program
from priorraw_edge.verify.xnn import read_graph
from torch import Tensor, nn

# Transpositions with the pass and without: one into channels last, and out of them for the result.
CASES = {"then a convolution": (3, 5), "then the result": (2, 3)}


class Shuffled(nn.Module):
    def __init__(self, after: nn.Module):
        super().__init__()
        self.spread, self.after = nn.Conv2d(3, 20, 1), after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(nn.functional.pixel_shuffle(self.spread(x), 2))


@pytest.fixture(params=CASES)
def case(request):
    torch.manual_seed(0)
    after = nn.Conv2d(5, 4, 3, padding=1) if "convolution" in request.param else nn.Identity()
    return Shuffled(after).eval(), torch.rand(1, 3, 12, 16), CASES[request.param]


def transpositions(data: bytes, folder) -> int:
    path = folder / "program.pte"
    path.write_bytes(data)
    return sum(node.kind == "XNNStaticTranspose" for node in read_graph(path))


def test_one_transposition_shuffles(case, tmp_path, monkeypatch):
    module, x, (with_pass, without) = case
    exported = torch.export.export(module, (x,))
    data, _ = xnnpack.lower("program", exported)
    assert transpositions(data, tmp_path) == with_pass
    with torch.no_grad():
        torch.testing.assert_close(Program(data, "xnnpack")([x])[0], module(x), rtol=0, atol=1e-6)  # seen: 1.2e-7

    monkeypatch.setattr(xnnpack, "shuffles_channels_last", nullcontext)
    plain, _ = xnnpack.lower("program", exported)
    assert transpositions(plain, tmp_path) == without
    torch.testing.assert_close(Program(data, "xnnpack")([x])[0], Program(plain, "xnnpack")([x])[0], rtol=0, atol=0)
