"""Core ML packages (iOS 17) and ExecuTorch programs with the Core ML delegate.

Precisions of the packages: `fp16`, all that the neural engine runs, and `mixed`, the default: fp16 for convolutions,
where the time goes, and fp32 for the values of the picture itself (decode, closed form, logits, sigmoid). The scene
program is fp32 in both: its error tints a whole picture, and it runs once. `int8`, `pal8`, `pal6` and
`pal4` compute as `mixed` does with compressed weights (coreml_weights.py). Observed raw-RGB against PyTorch on a
photograph, fp16 rounding between ops: fp32 170 dB, mixed 84 dB, fp16 72 dB.

A delegate takes one precision for a whole program, so at `mixed` and below the tile program is fp16 throughout (71 dB).
A scene program in fp16 cost up to 3 dB against the true raw-RGB (51 dB against PyTorch on the worst of 101 test
pictures, 71 dB on the median). Weights are compressed as in the packages. bundle.json has it in
`delegate_precision` (whose bounds hold for the .pte) and `delegate_compute` (by program).
"""

from pathlib import Path
from typing import Any

import coremltools as ct
from executorch.backends.apple.coreml.compiler import CoreMLBackend
from executorch.backends.apple.coreml.partition import CoreMLPartitioner
from executorch.exir import to_edge_transform_and_lower

from priorraw_edge.export.converted import Converted
from priorraw_edge.export.coreml_stable import (
    models_inside,
    parse_model,
    stable_identifiers,
    stable_model,
    stable_models,
)
from priorraw_edge.export.coreml_weights import check_compressed, scheme_of
from priorraw_edge.export.delegation import Delegation, check_delegation, delegation_of
from priorraw_edge.export.programs import Program

DEPLOYMENT_TARGET = ct.target.iOS17
MIXED_FP16_OPS = frozenset({"conv", "relu", "linear", "matmul", "softmax"})
# Fails on `linear(x) + scalar` (the unit norm's epsilon): it indexes the shape of a scalar bias.
UNUSABLE_PASSES = ("common::fuse_linear_bias",)


def convert(programs: list[Program], folder: Path, precision: str) -> Converted:
    """Write NAME.mlpackage and NAME.pte (Core ML delegate) for each program.

    Raises:
        DelegationError: work would be left outside the delegate.
        CompressionError: weights were not compressed as `precision` says.
    """
    files, delegation, delegated, compute = {}, {}, {}, {}
    for program in programs:
        files[program.name] = f"{program.name}.mlpackage"
        delegated[program.name] = f"{program.name}.pte"
        compute[program.name] = delegate_compute(program.name, precision)
        write_package(program, folder / files[program.name], precision)
        data, delegation[program.name] = delegate_program(program, precision)
        (folder / delegated[program.name]).write_bytes(data)
    extra: dict[str, Any] = {
        "delegate_programs": delegated,
        "delegate_precision": delegate_precision(precision),
        "delegate_compute": compute,
    }
    return Converted(files, delegation, extra)


def write_package(program: Program, package: Path, precision: str) -> None:
    """Convert and save one program as .mlpackage; the same program gives the same bytes.

    Raises:
        CompressionError: weights were not compressed as `precision` says.
    """
    model = ct.convert(
        program.exported.run_decompositions({}),
        inputs=[ct.TensorType(name=name, shape=tensor.shape) for name, tensor in program.inputs.items()],
        outputs=[ct.TensorType(name=name) for name in program.outputs],
        minimum_deployment_target=DEPLOYMENT_TARGET,
        compute_precision=compute_precision(program.name, precision),
        pass_pipeline=ct.PassPipeline(pass_names(program.name, precision)),
        skip_model_load=True,
    )
    model.save(str(package))
    specification = package / "Data/com.apple.CoreML/model.mlmodel"
    specification.write_bytes(stable_model(specification.read_bytes()))
    manifest = package / "Manifest.json"
    manifest.write_bytes(stable_identifiers(manifest.read_bytes(), program.name))
    scheme = scheme_of(program.name, precision)
    if scheme:
        check_compressed(program, parse_model(specification.read_bytes()), scheme, package.name)


def pass_names(program: str, precision: str) -> list[str]:
    """The graph passes of coremltools that make a program, in order."""
    scheme = scheme_of(program, precision)
    usable = [name for name in ct.PassPipeline.DEFAULT.passes if name not in UNUSABLE_PASSES]
    return usable + (scheme.passes if scheme else [])


def compute_precision(program: str, precision: str) -> Any:
    """coremltools' form of one of the target's precisions."""
    if precision == "fp32" or program == "scene":
        return ct.precision.FLOAT32
    if precision == "fp16":
        return ct.precision.FLOAT16
    return ct.transform.FP16ComputePrecision(lambda op: op.op_type in MIXED_FP16_OPS)


def delegate_program(program: Program, precision: str) -> tuple[bytes, Delegation]:
    """The .pte of one program with a Core ML delegate.

    Raises:
        DelegationError: work would be left outside the delegate.
        CompressionError: weights were not compressed as `precision` says.
    """
    compute = {"fp32": ct.precision.FLOAT32, "fp16": ct.precision.FLOAT16}
    specs = CoreMLBackend.generate_compile_specs(
        minimum_deployment_target=DEPLOYMENT_TARGET,
        compute_precision=compute[delegate_compute(program.name, precision)],
        pass_names=pass_names(program.name, precision),
    )
    edge = to_edge_transform_and_lower(program.exported, partitioner=[CoreMLPartitioner(compile_specs=specs)])
    delegation = delegation_of(edge)
    check_delegation(program.name, delegation)
    data = stable_identifiers(stable_models(bytes(edge.to_executorch().buffer)), program.name)
    scheme = scheme_of(program.name, precision)
    if scheme:
        (model,) = models_inside(data)
        check_compressed(program, model, scheme, f"{program.name}.pte")
    return data, delegation


def delegate_precision(precision: str) -> str:
    """The target's precision that the .pte of both programs keep to: fp32, fp16 or that of their weights."""
    return "fp16" if precision == "mixed" else precision


def delegate_compute(program: str, precision: str) -> str:
    """What the .pte of a program computes in."""
    return "fp32" if precision == "fp32" or program == "scene" else "fp16"
