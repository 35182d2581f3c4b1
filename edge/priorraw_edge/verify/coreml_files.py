"""The folder that a Core ML delegate keeps as one run of bytes: the files' contents, then their tree, backwards.

The tree is JSON, written from its last byte to its first so that a reader finds it from the end: nodes with a name, a
kind (0 file, 1 folder), a region of the bytes, and children by name as numbers of nodes. The last node is the root.
ExecuTorch's own reader (`executorchcoreml.unflatten_directory_contents`) ends the process on bytes of another kind.
"""

import json
from pathlib import Path
from typing import Any


def folder_contents(blob: bytes) -> dict[str, bytes]:
    """Contents of the files by their paths below the root.

    Raises:
        ValueError: the bytes are something else.
    """
    try:
        tree, _ = json.JSONDecoder().raw_decode(blob[::-1].decode("latin-1"))
        nodes: list[dict[str, Any]] = tree["nodes"]
        return dict(_files(blob, nodes, len(nodes) - 1, ""))
    except (KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no folder of a Core ML delegate ({error!r})") from None


def write_folder(blob: bytes, folder: Path) -> None:
    """Write those files into an existing folder.

    Raises:
        ValueError: the bytes are something else.
    """
    for name, content in folder_contents(blob).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _files(blob: bytes, nodes: list[dict[str, Any]], number: int, path: str) -> list[tuple[str, bytes]]:
    node = nodes[number]
    if node["kind"] == 0:
        start, size = node["dataRegion"]["offset"], node["dataRegion"]["size"]
        if not 0 <= start <= start + size <= len(blob):
            raise ValueError(f"{path or 'root'} lies outside the delegate's bytes")
        return [(path, blob[start : start + size])]
    found = []
    for name, child in node["children"].items():
        if not name or name.startswith(".") or "/" in name or "\\" in name:
            raise ValueError(f"{name!r} is no file name")
        if not 0 <= child < number:  # children come before their folder, so a tree has no cycles
            raise ValueError(f"{path or 'root'} holds node {child}, of {number} before it")
        found += _files(blob, nodes, child, f"{path}/{name}".lstrip("/"))
    return found
