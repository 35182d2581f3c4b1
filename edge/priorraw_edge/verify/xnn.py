"""The graph inside an XNNPACK delegate: its operators in order, with what each computes and on which constants.

Read by flatc with the schema that comes with ExecuTorch; the weights are looked up by key in the .pte.
"""

import hashlib
import json
import re
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from priorraw_edge.verify.flatbuffer import delegate_blob, named_data

WEIGHTED = ("XNNConv2d", "XNNDepthwiseConv2d", "XNNFullyConnected")


@dataclass(frozen=True)
class XnnNode:
    """An operator: two that compute the same have equal `attributes` (numbers, ranges) and `constants` (sha256)."""

    kind: str
    attributes: str
    constants: tuple[str, ...]

    @property
    def has_weights(self) -> bool:
        return self.kind in WEIGHTED


def read_graph(pte: Path) -> list[XnnNode]:
    """The operators of the one XNNPACK delegate of a .pte.

    Raises:
        InputError: it is no such .pte.
    """
    data = named_data(pte)
    graph = _graph_json(delegate_blob(pte))
    digests = {
        index: hashlib.sha256(data.get(entry.get("named_key", ""), b"")).hexdigest()
        for index, entry in enumerate(graph["constant_data"])
        if entry.get("named_key")
    }
    values = {}
    for value in (v["xvalue_union"] for v in graph["xvalues"]):
        tensor = value.get("tensor_value", value)
        values[tensor.get("id_out", 0)] = value, digests.get(tensor.get("constant_buffer_idx", 0))
    return [_node(node, values) for node in graph["xnodes"]]


def _node(node: dict[str, Any], values: dict[int, tuple[dict[str, Any], str | None]]) -> XnnNode:
    described = {key: value for key, value in node["xnode_union"].items() if not key.endswith("_id")}
    described["range"] = node.get("output_min_max")
    constants = []
    for key, index in sorted(node["xnode_union"].items()):
        if key.endswith("_id") and index in values:
            value, digest = values[index]
            tensor = value.get("tensor_value", value)
            described[key] = [tensor.get("datatype"), tensor.get("dims"), value.get("quant_params")]
            constants += [digest] if digest else []
    return XnnNode(node["xnode_union_type"], json.dumps(described, sort_keys=True), tuple(constants))


def _graph_json(blob: bytes) -> dict[str, Any]:
    from executorch.backends.xnnpack import serialization
    from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import XNNHeader
    from executorch.exir._serialize._flatbuffer import _flatc_decompile

    header = XNNHeader.from_bytes(blob[: XNNHeader.EXPECTED_LENGTH])
    with tempfile.TemporaryDirectory() as folder:
        schema, binary = Path(folder, "schema.fbs"), Path(folder, "graph.bin")
        schema.write_bytes(files(serialization).joinpath("schema.fbs").read_bytes())
        binary.write_bytes(blob[header.flatbuffer_offset :][: header.flatbuffer_size])
        _flatc_decompile(folder, str(schema), str(binary), ["--raw-binary"])
        text = Path(folder, "graph.json").read_text()
    return json.loads(re.sub(r":\s*([-+]?(?:inf|nan))\b", r': "\1"', text))
