"""ONNX programs, fp32, for comparison with other run times."""

from pathlib import Path
from typing import Any

import torch

from priorraw_edge.export.converted import Converted
from priorraw_edge.export.delegation import Delegation
from priorraw_edge.export.programs import Program

OPSET = 20


def convert(programs: list[Program], folder: Path, precision: str) -> Converted:
    """Write NAME.onnx for each program; nothing is delegated, every node counts as outside."""
    files, delegation = {}, {}
    for program in programs:
        exported: Any = torch.onnx.export(
            program.exported,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(program.inputs),
            output_names=list(program.outputs),
            verbose=False,
        )
        model = exported.model_proto
        _drop_metadata(model.graph)
        nodes = [node.op_type for node in model.graph.node]
        delegation[program.name] = Delegation(0, 0, len(nodes), sorted(set(nodes)))
        files[program.name] = f"{program.name}.onnx"
        (folder / files[program.name]).write_bytes(model.SerializeToString(deterministic=True))
    return Converted(files, delegation)


def _drop_metadata(graph: Any) -> None:
    """Take out the notes on where each value came from: they hold file paths of the machine that exported."""
    del graph.metadata_props[:]
    for entries in (graph.node, graph.input, graph.output, graph.value_info, graph.initializer):
        for entry in entries:
            del entry.metadata_props[:]
            if hasattr(entry, "doc_string"):
                entry.ClearField("doc_string")
