"""Where a lowered program departs from PyTorch first: the layer or operator to look at.

Three questions in turn. Does the file hold the graph and the weights that lowering gives? Does an operator of it,
computed one by one, depart? Does a kernel of the run time depart, on programs that end at ever later operators?
"""

import copy
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from priorraw_edge.export.programs import Program
from priorraw_edge.export.targets import TARGETS
from priorraw_edge.verify.runners import run_pte
from priorraw_edge.verify.stages import errors

LAYERS = (torch.ops.aten.conv2d.default, torch.ops.aten.linear.default)

# dB of its own range that any value keeps when nothing is wrong; compressed weights move values far more than fp16.
VALUE_BOUND = {"fp32": 80.0, "mixed": 45.0, "fp16": 45.0, "int8": 25.0, "pal8": 25.0, "pal6": 20.0, "pal4": 10.0}


def find_culprits(
    folder: Path, manifest: dict[str, Any], programs: list[Program], tensors: dict[str, Tensor]
) -> list[str]:
    """A line for each program that departs, `tensors` being `run_eager`'s on the golden picture."""
    find = {"xnnpack": _in_xnnpack, "coreml": _in_packages}.get(manifest["target"], _by_weights)
    lines = [find(folder, manifest, program, tensors) for program in programs]
    return [line for line in lines if line]


def layers(program: Program) -> list[str]:
    """Module paths of the convolutions and linear layers of a traced program, in order of use."""
    from priorraw_edge.export.quantize import layer_of

    return [layer_of(node) for node in program.exported.module().graph.nodes if node.target in LAYERS]


def _by_weights(folder: Path, manifest: dict[str, Any], program: Program, tensors: dict[str, Tensor]) -> str | None:
    """The first layer whose weights a fresh lowering stores as they are, and this file does not."""
    target, name = TARGETS[manifest["target"]], manifest["programs"][program.name]["file"]
    with tempfile.TemporaryDirectory() as scratch:
        target.convert([program], Path(scratch), manifest["precision"])
        fresh, found = Path(scratch, name).read_bytes(), (folder / name).read_bytes()
    for layer in dict.fromkeys(layers(program)):
        for key in ("weight", "bias"):
            tensor = program.exported.state_dict.get(f"model.{layer}.{key}")
            data = b"" if tensor is None else tensor.detach().numpy().tobytes()
            if data in fresh and data not in found:
                return f"{name}: {layer}: its {key} is not the model's"
    return None


def _in_xnnpack(folder: Path, manifest: dict[str, Any], program: Program, tensors: dict[str, Tensor]) -> str | None:
    from priorraw_edge.export.quantize import from_json, quantised_program
    from priorraw_edge.export.xnnpack import lower

    name = manifest["programs"][program.name]["file"]
    recipes = from_json(manifest.get("quantization", {}))
    exported = quantised_program(program, recipes[program.name]) if recipes else program.exported
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch, name)
        fresh.write_bytes(lower(program.name, exported)[0])
        place = first_difference(folder / name, fresh, layers(program))
    if place:
        return f"{name}: {place}"
    if recipes:
        return None  # int8 kernels round as they may: a difference is no fault before the bound, and has no one place
    inputs = [tensors[name].contiguous() for name in program.inputs]
    operator = first_bad_prefix(program, lambda exported: run_pte(lower(program.name, exported)[0], inputs))
    return operator and f"{name}: {operator}, in the run time's kernels: the file is as lowering gives it"


def first_difference(found: Path, expected: Path, names: Sequence[str]) -> str | None:
    """The first operator of an XNNPACK program that is not as in `expected`; `names` are `layers` of the program."""
    from priorraw_edge.verify.xnn import read_graph

    ours, theirs = read_graph(found), read_graph(expected)
    layer = -1
    for i, node in enumerate(theirs):
        layer += node.has_weights
        place = names[layer] if node.has_weights and layer < len(names) else f"after {names[max(0, layer)]}"
        if i >= len(ours) or ours[i].kind != node.kind:
            return f"{place}: operator {i} is {ours[i].kind if i < len(ours) else 'missing'}, not {node.kind}"
        if ours[i].constants != node.constants:
            return f"{place}: the constants of {node.kind} (operator {i}) are not the model's"
        if ours[i].attributes != node.attributes:
            return f"{place}: {node.kind} (operator {i}) computes something else"
    return None


def first_bad_prefix(
    program: Program, run: Callable[[torch.export.ExportedProgram], list[np.ndarray]], bound: float = 90.0
) -> str | None:
    """By bisection, the first operator whose value departs when the program is lowered up to it and run.

    Args:
        run: lowers and runs a traced program on the program's example inputs.
        bound: dB that a value must reach, relative to its own largest magnitude.
    """
    module = program.exported.module()
    nodes = [
        node
        for node in module.graph.nodes
        if node.op == "call_function"
        and isinstance(node.meta.get("val"), Tensor)
        and node.meta["val"].is_floating_point()
    ]

    def departs(index: int) -> bool:
        prefix = _prefix(module, nodes[index].name)
        with torch.no_grad():
            expected = prefix(*program.inputs.values())
        (found,) = run(torch.export.export(prefix, tuple(program.inputs.values())))
        scale = float(expected.abs().max()) or 1.0
        psnr = errors(torch.as_tensor(found) / scale, expected / scale)[2]
        return not (psnr is None or psnr >= bound)

    low, high = 0, len(nodes) - 1
    if not departs(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if departs(middle) else (middle + 1, high)
    from priorraw_edge.export.quantize import layer_of

    node = nodes[low]
    return f"{layer_of(node) or 'model'}: {node.name}"


def _prefix(module: torch.fx.GraphModule, name: str) -> torch.fx.GraphModule:
    """A copy of the graph that returns the value of one of its nodes."""
    prefix = copy.deepcopy(module)
    graph = prefix.graph
    node = next(n for n in graph.nodes if n.name == name)
    output = next(n for n in graph.nodes if n.op == "output")
    output.args = (node,)
    graph._codegen = torch.fx.graph.CodeGen()
    graph.eliminate_dead_code()
    prefix.recompile()
    return prefix


def _in_packages(folder: Path, manifest: dict[str, Any], program: Program, tensors: dict[str, Tensor]) -> str | None:
    """The first value of a Core ML program, package or delegate, that its precision does not explain."""
    from priorraw_edge.verify.mil import MilProgram, open_delegate

    files: dict[str, Callable[[Path], MilProgram]] = {
        manifest["programs"][program.name]["file"]: MilProgram,
        manifest["delegate_programs"][program.name]: open_delegate,
    }
    bound = VALUE_BOUND[manifest["precision"]]
    for name, opened in files.items():
        place = _first_value(opened(folder / name), program, tensors, bound)
        if place:
            return f"{name}: {place}"
    return None


def _first_value(mil: Any, program: Program, tensors: dict[str, Tensor], bound: float) -> str | None:
    from priorraw_edge.export.quantize import layer_of
    from priorraw_edge.verify.mil_names import reference_names

    module = program.exported.module()
    expected = NodeValues(module)
    with torch.no_grad():
        expected.run(*(tensors[name] for name in program.inputs))
    nodes = {node.name: node for node in module.graph.nodes}
    names = reference_names(mil, program.exported)
    found: list[tuple[str, Tensor]] = []
    mil.run(tensors, rounded=False, observe=lambda name, _, value: found.append((name, value)))
    for name, value in found:
        node = names.get(name)
        if node is None:
            continue
        reference = expected.values[node]
        scale = float(reference.abs().max()) or 1.0
        psnr = errors(value / scale, reference / scale)[2]
        if psnr is not None and not psnr >= bound:
            return f"{layer_of(nodes[node]) or 'model'}: {node} departs, {psnr:.0f} dB of its own range"
    return None


class NodeValues(torch.fx.Interpreter):
    """Runs a traced graph and keeps the value of every node, by its name."""

    def __init__(self, module: torch.fx.GraphModule):
        super().__init__(module)
        self.values: dict[str, Tensor] = {}

    def run_node(self, node: torch.fx.Node) -> Any:
        self.values[node.name] = super().run_node(node)
        return self.values[node.name]
