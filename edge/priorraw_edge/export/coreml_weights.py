"""Compressed weights of Core ML programs: which scheme for which program, the graph passes, and the count afterwards.

Convolutions and linear layers with more than `LEAST` weights are compressed. Palettes of fewer than 256 entries leave
8 bits to what hurts: the scene program, whose error tints the whole picture, and the tile program's first and last
layers, 3 % of its weights. Observed with sony-imx135, dB of raw-RGB against PyTorch, fp16 rounding between ops; "truth"
is the change of the PSNR against the true raw-RGB, mean over 101 test pictures, when the scene program alone is so:

| weights | tile, sample photograph | tile, saturated throughout | scene, least and median of 101 | truth |
|---|---|---|---|---|
| as in `mixed` | 83.6 | 72.0 | 151, 160 | 0 |
| int8 | 83.3 | 63.4 | 58, 81 | +0.01 |
| pal8 | 83.3 | 64.3 | 64, 86 | -0.03 |
| pal6 | 83.2 (81.6 in all layers) | 54.0 (51.7) | 37, 65: pal8 in its place | -0.22 |
| pal4 | 75.7 (70.4 in all layers) | 42.8 (40.3) | 20, 39: pal8 in its place | -4.96 |
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import coremltools.optimize.coreml as cto
from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass, PassOption
from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY, register_pass

from priorraw_edge.errors import CheckError
from priorraw_edge.export.programs import Program

LEAST = 512  # weights of a layer: below, tables and scales take what the codes save
LAYERS = ("conv", "linear")  # MIL
TORCH_LAYERS = ("conv2d", "linear")  # the same, in an exported program
NAMESPACE = "priorraw"


class CompressionError(CheckError):
    """A program holds fewer compressed weights than its precision says."""


@dataclass(frozen=True)
class Scheme:
    """How weights are stored: by linear steps, symmetric, a scale a channel; or as codes of a palette a layer."""

    name: str
    bits: int
    palette: bool
    kept: tuple[str, ...] = ()  # layers that keep 8 bits

    @property
    def operator(self) -> str:
        """The MIL operator that unpacks such a weight."""
        return "constexpr_lut_to_dense" if self.palette else "constexpr_affine_dequantize"

    @property
    def passes(self) -> list[str]:
        """Graph passes to run last; the second drops the weights that the first replaced."""
        return [f"{NAMESPACE}::{self.name}", "common::dead_code_elimination"]

    def bits_of(self, weight: str) -> int:
        """Of a parameter of the model, or of the constant that it becomes (dots are _ there)."""
        return 8 if any(f"{layer}_weight" in weight.replace(".", "_") for layer in self.kept) else self.bits

    def compress(self, program: Any) -> None:
        """Compress the weights of a MIL program in place."""
        few, eight = self._layer_config(self.bits), self._layer_config(8)
        constants = [o.name for f in program.functions.values() for o in f.operations if o.op_type == "const"]
        config = cto.OptimizationConfig(
            op_type_configs=dict.fromkeys(LAYERS, few),
            op_name_configs={name: eight for name in constants if self.bits_of(name) != self.bits},
        )
        graph_pass = PASS_REGISTRY[
            "compression::palettize_weights" if self.palette else "compression::linear_quantize_weights"
        ]
        graph_pass.set_options([PassOption("config", config)])
        graph_pass.apply(program)

    def _layer_config(self, bits: int) -> Any:
        if self.palette:
            return cto.OpPalettizerConfig(mode="kmeans", nbits=bits, weight_threshold=LEAST)
        return cto.OpLinearQuantizerConfig(
            mode="linear_symmetric", dtype="int8", granularity="per_channel", weight_threshold=LEAST
        )


INT8 = Scheme("int8", 8, palette=False)
PAL8 = Scheme("pal8", 8, palette=True)
FIRST = ("reconstructor_stem",)  # the last layers are smaller than `LEAST`
PAL6, PAL4 = (Scheme(f"pal{bits}", bits, palette=True, kept=FIRST) for bits in (6, 4))
SCHEMES: dict[str, dict[str, Scheme]] = {
    "int8": {"scene": INT8, "tile": INT8},
    "pal8": {"scene": PAL8, "tile": PAL8},
    "pal6": {"scene": PAL8, "tile": PAL6},
    "pal4": {"scene": PAL8, "tile": PAL4},
}


def _register(scheme: Scheme) -> None:
    """Make the scheme a graph pass by name: a delegate's compile specs carry names of passes, without options."""

    def apply(_: AbstractGraphPass, program: Any) -> None:
        scheme.compress(program)

    register_pass(namespace=NAMESPACE, override=True)(type(scheme.name, (AbstractGraphPass,), {"apply": apply}))


for _scheme in (INT8, PAL8, PAL6, PAL4):
    _register(_scheme)


def scheme_of(program: str, precision: str) -> Scheme | None:
    """How the weights of a program are compressed at one of the target's precisions; None: not at all."""
    return SCHEMES.get(precision, {}).get(program)


def large_weights(program: Program) -> list[str]:
    """Parameters of the model that are to be compressed, as the exported program has them."""
    signature = program.exported.graph_signature.inputs_to_parameters
    weights = {
        signature[node.args[1].name]
        for node in program.exported.graph.nodes
        if node.op == "call_function"
        and node.target.__name__.split(".")[0] in TORCH_LAYERS
        and node.args[1].name in signature
    }
    return sorted(name for name in weights if program.exported.state_dict[name].numel() > LEAST)


def compressed_weights(model: Any, scheme: Scheme) -> dict[int, int]:
    """Number of weights that a Core ML model (protobuf message) stores by the operator of `scheme`, by their bits."""
    function = model.mlProgram.functions["main"]
    operations = function.block_specializations[function.opset].operations
    return dict(Counter(_bits(operation) for operation in operations if operation.type == scheme.operator))


def _bits(operation: Any) -> int:
    """Bits of a code: a palette has a power of two of entries; linear steps are int8."""
    if "lut" not in operation.attributes:
        return 8
    return int(operation.attributes["lut"].type.tensorType.dimensions[0].constant.size).bit_length() - 1


def check_compressed(program: Program, model: Any, scheme: Scheme, file: str) -> None:
    """Refuse a model with other compressed weights than the program has large ones.

    Raises:
        CompressionError: it is so, or there are none.
    """
    expected = dict(Counter(scheme.bits_of(weight) for weight in large_weights(program)))
    found = compressed_weights(model, scheme)
    if found != expected or not found:
        listed = [
            ", ".join(f"{n} of {bits} bits" for bits, n in sorted(c.items())) or "none" for c in (found, expected)
        ]
        raise CompressionError(f"{file}: weights stored as {scheme.name}: {listed[0]}; expected {listed[1]}")
