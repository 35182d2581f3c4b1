"""Static int8 for convolutions (PT2E): ranges from photographs, weights per channel, everything else fp32.

The bank stays fp32: int8 keys cost 20 to 40 dB. The ranges are plain numbers in the bundle, so that the quantised
graph can be made again and compared.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import get_symmetric_quantization_config
from torch import Tensor
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e import MinMaxObserver, ObserverBase
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, Quantizer

from priorraw_edge.errors import CheckError
from priorraw_edge.export.programs import Program

CONVOLUTION = torch.ops.aten.conv2d.default
# int8 goes where the time goes, the tile program, all but its head of a thousand weights. The scene program runs once a
# picture and its error tints all of it: two layers that bear it are int8, for their bytes (docs/parity.md).
INT8_IN_SCENE = frozenset({"light.encode2.spatial", "encoder.blocks.0.spatial"})
FLOAT_IN_TILE = frozenset({"reconstructor.head.spread"})
EPS = 2**-12  # least step of an activation, XNNPACK's own

Ranges = dict[str, tuple[float, float]]  # of each quantised activation, by the name of its observer


class QuantizationError(CheckError):
    """A layer that was to be int8 stayed float, or the other way round."""


@dataclass(frozen=True)
class Recipe:
    """What is int8 in one program: layers by module path, and the ranges of their activations."""

    layers: tuple[str, ...]
    ranges: Ranges


def convolutions(program: Program) -> list[str]:
    """Module paths of the convolutions of a traced program, in order of use."""
    return list(dict.fromkeys(layer for _, layer in _convolutions(program.exported.module())))


def default_layers(program: Program) -> list[str]:
    """The convolutions that int8 pays for."""
    if program.name == "scene":
        return [layer for layer in convolutions(program) if layer in INT8_IN_SCENE]
    return [layer for layer in convolutions(program) if layer not in FLOAT_IN_TILE]


def calibrate(program: Program, layers: list[str], pictures: list[dict[str, Tensor]]) -> Recipe:
    """Measure the ranges of the activations around `layers` on photographs.

    Args:
        pictures: the program's inputs by name, as PyTorch feeds them; a few dozen are enough.
    """
    prepared = _prepare(program, layers)
    with torch.no_grad():
        for inputs in pictures:
            prepared(*(inputs[name] for name in program.inputs))
    ranges = {}
    for name, observer in _activation_observers(prepared):
        scale, zero_point = (float(value) for value in observer.calculate_qparams())
        ranges[name] = ((observer.quant_min - zero_point) * scale, (observer.quant_max - zero_point) * scale)
    return Recipe(tuple(layers), ranges)


def quantise(program: Program, recipe: Recipe) -> GraphModule:
    """The program with int8 convolutions; the same recipe gives the same graph.

    Raises:
        QuantizationError: the recipe does not fit the program, or a layer stayed float.
    """
    prepared = _prepare(program, list(recipe.layers))
    observers = dict(_activation_observers(prepared))
    if observers.keys() != recipe.ranges.keys():
        raise QuantizationError(f"program {program.name}: its ranges are those of another graph; calibrate again")
    with torch.no_grad():
        prepared(*program.inputs.values())  # the observers of the weights look at them in passing
    for name, observer in observers.items():
        prepared.set_submodule(name, _fixed(observer, *recipe.ranges[name]))
    quantised = convert_pt2e(prepared)
    found = {layer for layer, count in int8_weights(quantised).items() if count}
    if found != set(recipe.layers):
        wrong = ", ".join(sorted(found ^ set(recipe.layers)))
        raise QuantizationError(f"program {program.name}: asked for int8 and not so, or the reverse: {wrong}")
    return quantised


def quantised_program(program: Program, recipe: Recipe) -> torch.export.ExportedProgram:
    """`quantise`, traced again for lowering."""
    with torch.no_grad():
        return torch.export.export(quantise(program, recipe), tuple(program.inputs.values()))


def to_json(recipes: dict[str, Recipe]) -> dict[str, Any]:
    """The entry `quantization` of bundle.json."""
    return {name: {"layers": list(r.layers), "ranges": r.ranges} for name, r in recipes.items()}


def from_json(entry: dict[str, Any]) -> dict[str, Recipe]:
    return {
        name: Recipe(tuple(r["layers"]), {k: tuple(v) for k, v in r["ranges"].items()}) for name, r in entry.items()
    }


def int8_weights(graph: GraphModule) -> dict[str, int]:
    """Of each convolution, how many of its weights are stored as int8: all or none."""
    constants = dict(graph.named_buffers()) | dict(graph.named_parameters())
    counts = {}
    for node, layer in _convolutions(graph):
        source = node.args[1]
        while isinstance(source, Node) and source.op == "call_function":
            source = source.args[0]
        weight = constants[str(source.target)] if isinstance(source, Node) else None
        counts[layer] = weight.numel() if weight is not None and weight.dtype == torch.int8 else 0
    return counts


class _LayerQuantizer(Quantizer):
    """Annotates the convolutions of the named layers: activations per tensor, weights per output channel.

    XNNPACK's own quantizer takes every convolution or none: by module name it finds none in this model.
    """

    def __init__(self, layers: list[str]):
        self._layers = frozenset(layers)
        config = get_symmetric_quantization_config(is_per_channel=True)
        self._weights = config.weight
        # The whole range seen: the histogram observer of the default cuts its ends off, which left 37 dB of a
        # photograph unlike those of the calibration, where the whole range leaves 59.
        self._activation = replace(
            config.input_activation, observer_or_fake_quant_ctr=MinMaxObserver.with_args(eps=EPS)
        )

    def annotate(self, model: GraphModule) -> GraphModule:
        activation = self._activation
        for node, layer in _convolutions(model):
            if layer not in self._layers:
                continue
            source, weight = node.args[:2]
            end = _fused_relu(node) or node  # XNNPACK computes the relu within the convolution
            annotation = {"input_qspec_map": {source: activation, weight: self._weights}, "_annotated": True}
            if end is node:
                annotation["output_qspec"] = activation
            else:
                end.meta["quantization_annotation"] = QuantizationAnnotation(output_qspec=activation, _annotated=True)
            node.meta["quantization_annotation"] = QuantizationAnnotation(**annotation)
        return model

    def validate(self, model: GraphModule) -> None:
        """Nothing beyond what `quantise` checks at the end."""


def _fused_relu(node: Node) -> Node | None:
    users = list(node.users)
    return users[0] if len(users) == 1 and users[0].target == torch.ops.aten.relu.default else None


def _prepare(program: Program, layers: list[str]) -> GraphModule:
    return prepare_pt2e(program.exported.module(), _LayerQuantizer(layers))


def _convolutions(graph: GraphModule) -> Iterator[tuple[Node, str]]:
    for node in graph.graph.nodes:
        if node.target == CONVOLUTION:
            yield node, layer_of(node)


def layer_of(node: Node) -> str:
    """Module path of the layer that a node of a traced program comes from, "" for none: `encoder.stem`."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    return str(stack[-1][0]).removeprefix("L['self'].").removeprefix("model.") if stack else ""


def _activation_observers(prepared: GraphModule) -> list[tuple[str, ObserverBase]]:
    """Per-tensor observers; those of the weights are per channel and follow from the weights."""
    return [
        (name, module)
        for name, module in prepared.named_modules(remove_duplicate=False)
        if isinstance(module, ObserverBase) and module.qscheme == torch.per_tensor_affine
    ]


def _fixed(observer: ObserverBase, low: float, high: float) -> MinMaxObserver:
    fixed = MinMaxObserver(
        dtype=observer.dtype,
        qscheme=observer.qscheme,
        quant_min=observer.quant_min,
        quant_max=observer.quant_max,
        eps=observer.eps,
    )
    fixed.min_val, fixed.max_val = torch.tensor(low), torch.tensor(high)
    return fixed
