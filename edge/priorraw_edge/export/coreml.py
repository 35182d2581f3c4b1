"""Core ML packages (iOS 17) and ExecuTorch programs with the Core ML delegate.

Precisions of the packages: `fp16` is all that the neural engine runs; `mixed`, the default, keeps fp16 for
convolutions and the lookup, where the time goes, and fp32 for the values of the picture itself (decode, closed
form, logits, sigmoid) and for the scene program, whose error would tint a whole picture. Observed raw-RGB
against PyTorch on a photograph, fp16 rounding between ops: fp32 170 dB, mixed 84 dB, fp16 72 dB.
"""

import json
import re
import uuid
from pathlib import Path
from typing import Any

import coremltools as ct
from executorch.backends.apple.coreml.compiler import CoreMLBackend
from executorch.backends.apple.coreml.partition import CoreMLPartitioner
from executorch.exir import to_edge_transform_and_lower

from priorraw_edge.export.converted import Converted
from priorraw_edge.export.delegation import Delegation, check_delegation, delegation_of
from priorraw_edge.export.programs import Program

DEPLOYMENT_TARGET = ct.target.iOS17
MIXED_FP16_OPS = frozenset({"conv", "conv_transpose", "relu", "linear", "matmul", "softmax"})
# Fails on `linear(x) + scalar` (the unit norm's epsilon): it indexes the shape of a scalar bias.
UNUSABLE_PASSES = ("common::fuse_linear_bias",)
MODEL_START = b"\x08\x08\x12"  # a serialised Core ML model: specificationVersion 8 (iOS 17), then its description
UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MANIFEST = re.compile(rb'\{\s*"fileFormatVersion".*?"rootModelIdentifier"[^}]*\}', re.DOTALL)


def convert(programs: list[Program], folder: Path, precision: str) -> Converted:
    """Write NAME.mlpackage and NAME.pte (Core ML delegate, fp16) for each program.

    Raises:
        DelegationError: work would be left outside the delegate.
    """
    files, delegation, delegated = {}, {}, {}
    for program in programs:
        files[program.name] = f"{program.name}.mlpackage"
        delegated[program.name] = f"{program.name}.pte"
        write_package(program, folder / files[program.name], precision)
        data, delegation[program.name] = delegate_program(program)
        (folder / delegated[program.name]).write_bytes(data)
    return Converted(files, delegation, {"delegate_programs": delegated})


def write_package(program: Program, package: Path, precision: str) -> None:
    """Convert and save one program as .mlpackage; the same program gives the same bytes."""
    # A fresh pipeline each time: `ct.convert` takes the fp16 pass out of the one it is given for fp32.
    passes = ct.PassPipeline.DEFAULT
    passes.remove_passes(UNUSABLE_PASSES)
    model = ct.convert(
        program.exported.run_decompositions({}),
        inputs=[ct.TensorType(name=name, shape=tensor.shape) for name, tensor in program.inputs.items()],
        outputs=[ct.TensorType(name=name) for name in program.outputs],
        minimum_deployment_target=DEPLOYMENT_TARGET,
        compute_precision=compute_precision(program.name, precision),
        pass_pipeline=passes,
        skip_model_load=True,
    )
    model.save(str(package))
    specification = package / "Data/com.apple.CoreML/model.mlmodel"
    specification.write_bytes(stable_model(specification.read_bytes()))
    manifest = package / "Manifest.json"
    manifest.write_bytes(stable_identifiers(manifest.read_bytes(), program.name))


def compute_precision(program: str, precision: str) -> Any:
    """coremltools' form of one of the target's precisions."""
    if precision == "fp32" or (precision == "mixed" and program == "scene"):
        return ct.precision.FLOAT32
    if precision == "fp16":
        return ct.precision.FLOAT16
    return ct.transform.FP16ComputePrecision(lambda op: op.op_type in MIXED_FP16_OPS)


def delegate_program(program: Program) -> tuple[bytes, Delegation]:
    """The .pte of one program with a Core ML delegate, whole fp16: the delegate takes no finer choice."""
    specs = CoreMLBackend.generate_compile_specs(
        minimum_deployment_target=DEPLOYMENT_TARGET,
        compute_precision=ct.precision.FLOAT16,
        pass_names=[name for name in ct.PassPipeline.DEFAULT.passes if name not in UNUSABLE_PASSES],
    )
    edge = to_edge_transform_and_lower(program.exported, partitioner=[CoreMLPartitioner(compile_specs=specs)])
    delegation = delegation_of(edge)
    check_delegation(program.name, delegation)
    return stable_identifiers(stable_models(bytes(edge.to_executorch().buffer)), program.name), delegation


def stable_model(data: bytes) -> bytes:
    """A serialised Core ML model with its maps in order of their keys; the length stays.

    Protobuf writes maps in an order that changes from process to process, unless told not to.
    """
    model = ct.proto.Model_pb2.Model()
    model.ParseFromString(data)
    return model.SerializeToString(deterministic=True)


def stable_models(data: bytes) -> bytes:
    """The same for each model inside `data`, a .pte: found by its first fields, its end by walking the fields."""
    start = data.find(MODEL_START)
    while start >= 0:
        end = _model_end(data, start)
        if end:
            model = stable_model(data[start:end])
            assert len(model) == end - start
            data = data[:start] + model + data[end:]
        start = data.find(MODEL_START, end or start + 1)
    return data


def _model_end(data: bytes, at: int) -> int | None:
    """End of the message that starts at `at`: after its field 502, `mlProgram`; None where there is no model."""

    def varint(at: int) -> tuple[int, int]:
        value = shift = 0
        while at < len(data):
            value |= (data[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if data[at - 1] < 0x80 or shift > 63:
                break
        return value, at

    at += 2
    while at < len(data):
        tag, at = varint(at)
        length, at = varint(at)
        if tag >> 3 not in (2, 502) or tag & 7 != 2 or at + length > len(data):
            return None
        at += length
        if tag >> 3 == 502:
            return at
    return None


def stable_identifiers(data: bytes, name: str) -> bytes:
    """`data` with its random UUIDs replaced by ones that follow from `name`, at the same length.

    Package manifests list their items by UUID, so the items are put in order of their paths first, and the new
    UUIDs ascend: coremltools sorts and writes the manifest anew whenever it opens a package.
    """
    data = MANIFEST.sub(lambda match: _sorted_manifest(match.group()), data)
    found = list(dict.fromkeys(UUID.findall(data)))
    stable = sorted(str(uuid.uuid5(uuid.NAMESPACE_URL, f"priorraw:{name}:{n}")) for n in range(len(found)))
    replacement = dict(zip(found, (text.encode() for text in stable), strict=True))
    return UUID.sub(lambda match: replacement[match.group()], data)


def _sorted_manifest(text: bytes) -> bytes:
    manifest = json.loads(text)
    items = sorted(manifest["itemInfoEntries"].items(), key=lambda item: item[1]["path"])
    ordered = json.dumps(manifest | {"itemInfoEntries": dict(items)}, indent=4).encode()
    assert len(ordered) == len(text), "a manifest written in another style would change the program's length"
    return ordered
