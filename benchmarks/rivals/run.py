"""All rows of a comparison, one after the other; what is finished in the result file is not done again."""

import hashlib
import os
import platform
from pathlib import Path
from typing import Any

import torch
from priorraw.dataset import PairDataset
from priorraw.errors import InputError
from priorraw.files import read_json, write_json
from priorraw.progress import say

from benchmarks.rivals.cam import Cam, FineTunedCam
from benchmarks.rivals.measure import costs, in_16_bits, load_shots, measure
from benchmarks.rivals.registry import rival_class
from benchmarks.rivals.rival import Budget, Fitting, Rival, Shot

PROTOCOL = (
    "PSNR and SSIM on linear raw-RGB, means over pictures, masked pixels left out (priorraw.metrics). Learned rows "
    "train once, for as long as the budget of processor time lasts, on 8-bit sRGB of the train split, batches of 16 "
    "crops of 64x64; U-Nets in bfloat16 where the processor has it, measured in float32. The 16-bit figures feed the "
    "16-bit picture to the same fit. Cost in the camera is that of a 1000x1000 picture."
)


def run(
    test: PairDataset, rows: list[str], budget: Budget, bits: list[int], command: str, out: Path | None
) -> dict[str, Any]:
    """Train and measure `rows` on the camera of `test`, whose train split they learn from.

    Args:
        test: the split to measure.
        bits: of the sRGB picture, out of 8 and 16.
        command: the call, for the record.
        out: result file; rows that it holds already with the same key are kept, others are added or replaced.

    Returns:
        The document that `out` holds.

    Raises:
        InputError: a split is missing or unusable, or `out` is no result file.
    """
    train = PairDataset.open(test.folder, "train", test.camera)
    names = hashlib.sha256("\n".join([test.camera, test.split, *test.names, "train", *train.names]).encode())
    document: dict[str, Any] = {
        "command": command,
        "protocol": PROTOCOL,
        "machine": _machine(),
        "torch": torch.__version__,
        "budget": str(budget),
        "seed": budget.seed,
        "bits": bits,
        "camera": test.camera,
        "split": test.split,
        "pictures": {"train": len(train), test.split: len(test)},
        "names_sha256": names.hexdigest(),
        "rows": [],
    }
    keys = {row: _key(row, document) for row in rows}
    done = {row["name"]: row for row in _rows_of(out, document) if keys.get(row["name"], row["key"]) == row["key"]}
    missing = [row for row in rows if row not in done]
    if missing:
        pictures = _pictures(test, bits)
        shots = load_shots(train)
        trained: dict[type[Rival], tuple[Rival, Fitting]] = {}
        for name in missing:
            done[name] = {"name": name, "key": keys[name]} | _row(name, test, shots, pictures, budget, trained)
            document["rows"] = _in_order(done, rows)
            if out:
                write_json(out, document)
    document["rows"] = _in_order(done, rows)
    return document


def _row(
    name: str,
    test: PairDataset,
    shots: list[Shot],
    pictures: dict[int, list[Shot] | None],
    budget: Budget,
    trained: dict[type[Rival], tuple[Rival, Fitting]],
) -> dict[str, Any]:
    say(f"{name}: {rival_class(name).paper}")
    rival = rival_class(name)(test.color_matrix)
    if isinstance(rival, FineTunedCam) and Cam in trained:
        donor, fitting = trained[Cam]
        assert isinstance(donor, Cam)
        rival.adopt(donor)
    else:
        fitting = rival.fit(shots, budget)
    trained[type(rival)] = rival, fitting
    figures = {
        str(bits): None if several is None else measure(rival, several, f"{name}, {bits}-bit sRGB")
        for bits, several in pictures.items()
    }
    training = {"steps": fitting.steps, "minutes": round(fitting.minutes, 2)} if rival.learned else None
    about = {"paper": rival.paper, "learned": rival.learned, "blind": rival.blind, "training": training}
    return about | costs(rival) | {"bits": figures}


def _pictures(test: PairDataset, bits: list[int]) -> dict[int, list[Shot] | None]:
    """Bits of sRGB to the pictures of the split; None where the software ISP does not give the stored ones."""
    stored = load_shots(test)
    pictures: dict[int, list[Shot] | None] = {8: stored} if 8 in bits else {}
    if 16 in bits:
        pictures[16] = in_16_bits(stored, test.color_matrix)
        if pictures[16] is None:
            say(f"{test.folder}: rendering the RAW anew does not give the stored sRGB; there is no 16-bit column")
    return pictures


def _key(row: str, document: dict[str, Any]) -> str:
    """What a finished row must agree with to be kept."""
    budget = document["budget"] if rival_class(row).learned else "closed form"
    parts = [row, document["names_sha256"], budget, document["seed"], document["split"], document["bits"]]
    return " ".join(str(part) for part in parts)


def _rows_of(out: Path | None, document: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows that `out` holds already."""
    if out is None or not out.exists():
        return []
    before = read_json(out)
    rows = before.get("rows")
    if not isinstance(rows, list) or not all(isinstance(r, dict) and {"name", "key"} <= r.keys() for r in rows):
        raise InputError(f"{out}: is no result file of this comparison; name another file")
    if before.get("names_sha256") != document["names_sha256"]:
        raise InputError(f"{out}: holds results on other pictures; name another file")
    return rows


def _in_order(done: dict[str, dict[str, Any]], rows: list[str]) -> list[dict[str, Any]]:
    return [done[row] for row in rows if row in done] + [done[row] for row in done if row not in rows]


def _machine() -> dict[str, Any]:
    """Cores and the processor's own generic name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cpu": names[0] if names else platform.processor() or platform.machine(),
    }
