"""The same bytes for the same program: what coremltools and ExecuTorch write at random is put in order."""

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import coremltools as ct

MODEL_START = b"\x08\x08\x12"  # a serialised Core ML model: specificationVersion 8 (iOS 17), then its description
UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MANIFEST = re.compile(rb'\{\s*"fileFormatVersion".*?"rootModelIdentifier"[^}]*\}', re.DOTALL)


def stable_model(data: bytes) -> bytes:
    """A serialised Core ML model with its maps in order of their keys; the length stays.

    Protobuf writes maps in an order that changes from process to process, unless told not to.
    """
    return parse_model(data).SerializeToString(deterministic=True)


def stable_models(data: bytes) -> bytes:
    """The same for each model inside `data`, a .pte."""
    for start, end in list(_model_spans(data)):
        model = stable_model(data[start:end])
        assert len(model) == end - start
        data = data[:start] + model + data[end:]
    return data


def parse_model(data: bytes) -> Any:
    """A serialised Core ML model as coremltools' protobuf message."""
    model = ct.proto.Model_pb2.Model()
    model.ParseFromString(data)
    return model


def models_inside(data: bytes) -> list[Any]:
    """The Core ML models inside a .pte, as coremltools' protobuf messages."""
    return [parse_model(data[start:end]) for start, end in _model_spans(data)]


def _model_spans(data: bytes) -> Iterator[tuple[int, int]]:
    """Models inside `data`: found by their first fields, their ends by walking the fields."""
    start = data.find(MODEL_START)
    while start >= 0:
        end = _model_end(data, start)
        if end:
            yield start, end
        start = data.find(MODEL_START, end or start + 1)


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
