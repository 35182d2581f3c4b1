"""Compressed weights of Core ML programs: which scheme for which program, the graph passes, and the count afterwards.

Convolutions and linear layers with more than `LEAST` weights are compressed. The scene program's error tints the
whole picture, so it keeps 8 bits when the tile program has fewer. Observed with sony-imx135, raw-RGB against PyTorch;
"truth" is the change of the PSNR against the true raw-RGB over 101 test pictures when the scene program alone is so:

| weights | tile program, sample photograph | scene program, least and median of 101 pictures | truth, mean |
|---|---|---|---|
| fp16 tile, fp32 scene (`mixed`) | 83.6 dB | 151, 160 dB | 0 |
| int8 | 83.3 dB | 58, 81 dB | +0.01 dB |
| pal8 | 83.3 dB | 64, 86 dB | -0.03 dB |
| pal6 | 81.6 dB | 37, 65 dB | -0.22 dB: pal8 in its place |
| pal4 | 70.4 dB | 20, 39 dB | -4.96 dB: pal8 in its place |
"""

from dataclasses import dataclass
from typing import Any

import coremltools.optimize.coreml as cto
from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass, PassOption
from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY, register_pass

from priorraw_edge.export.programs import Program

LEAST = 512  # weights of a layer: below, tables and scales take what the codes save
LAYERS = ("conv", "conv_transpose", "linear")  # MIL
TORCH_LAYERS = ("conv2d", "conv_transpose2d", "linear")  # the same, in an exported program
NAMESPACE = "priorraw"


class CompressionError(RuntimeError):
    """A program holds fewer compressed weights than its precision says."""


@dataclass(frozen=True)
class Scheme:
    """How weights are stored: by linear steps, symmetric, a scale a channel; or as codes of a palette a layer."""

    name: str
    bits: int
    palette: bool

    @property
    def operator(self) -> str:
        """The MIL operator that unpacks such a weight."""
        return "constexpr_lut_to_dense" if self.palette else "constexpr_affine_dequantize"

    @property
    def passes(self) -> list[str]:
        """Graph passes to run last; the second drops the weights that the first replaced."""
        return [f"{NAMESPACE}::{self.name}", "common::dead_code_elimination"]

    def compress(self, program: Any) -> None:
        """Compress the weights of a MIL program in place."""
        if self.palette:
            name = "compression::palettize_weights"
            layer: Any = cto.OpPalettizerConfig(mode="kmeans", nbits=self.bits, weight_threshold=LEAST)
        else:
            name = "compression::linear_quantize_weights"
            layer = cto.OpLinearQuantizerConfig(
                mode="linear_symmetric", dtype="int8", granularity="per_channel", weight_threshold=LEAST
            )
        graph_pass = PASS_REGISTRY[name]
        config = cto.OptimizationConfig(op_type_configs=dict.fromkeys(LAYERS, layer))
        graph_pass.set_options([PassOption("config", config)])
        graph_pass.apply(program)


INT8 = Scheme("int8", 8, palette=False)
PAL8, PAL6, PAL4 = (Scheme(f"pal{bits}", bits, palette=True) for bits in (8, 6, 4))
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


def large_weights(program: Program) -> int:
    """Layers whose weight is to be compressed, counted in the exported program."""
    signature = program.exported.graph_signature.inputs_to_parameters
    weights = {
        signature[node.args[1].name]
        for node in program.exported.graph.nodes
        if node.op == "call_function"
        and node.target.__name__.split(".")[0] in TORCH_LAYERS
        and node.args[1].name in signature
    }
    return sum(program.exported.state_dict[name].numel() > LEAST for name in weights)


def compressed_weights(model: Any, scheme: Scheme) -> int:
    """Weights of a Core ML model (protobuf message) that are stored by `scheme`."""
    function = model.mlProgram.functions["main"]
    operations = function.block_specializations[function.opset].operations
    return sum(operation.type == scheme.operator and _bits(operation) == scheme.bits for operation in operations)


def _bits(operation: Any) -> int:
    """Bits of a code: a palette has a power of two of entries; linear steps are int8."""
    if "lut" not in operation.attributes:
        return 8
    return int(operation.attributes["lut"].type.tensorType.dimensions[0].constant.size).bit_length() - 1


def check_compressed(program: Program, model: Any, scheme: Scheme, file: str) -> None:
    """Refuse a model with another number of compressed weights than the program has large ones.

    Raises:
        CompressionError: it is so, or there are none.
    """
    expected, found = large_weights(program), compressed_weights(model, scheme)
    if found != expected or not found:
        raise CompressionError(f"{file}: {found} weights are stored as {scheme.name}, of {expected} that should be")
