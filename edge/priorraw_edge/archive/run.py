"""An archive from its first photograph to the report, on the engine that is asked for."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any

from priorraw.errors import InputError
from priorraw.files import sha256, write_json
from priorraw.progress import track

from priorraw_edge.archive.inputs import Plan, Task
from priorraw_edge.archive.manifest import FAILED, Manifest
from priorraw_edge.archive.worker import Worker, unchanged
from priorraw_edge.runtime.session import Settings

MANIFEST, REPORT = "manifest.sqlite", "report.json"

Rows = Iterator[dict[str, Any]]
Engine = Callable[[Iterable[Task], Settings], Rows]


def local(tasks: Iterable[Task], settings: Settings) -> Rows:
    """One photograph after the other in this process."""
    with closing(Worker(settings)) as worker:
        worker.load()
        yield from worker.rows(tasks)


def run(plan: Plan, settings: Settings, *, resume: bool = False, engine: Engine = local) -> dict[str, Any]:
    """Rebuild all photographs of a plan; write the manifest as they are done, and the report at the end.

    A photograph that cannot be used is a row of the manifest and a line of the report. With `resume` those that are
    done already are left as they are: the same size and time, the output still there. Failed ones are tried again.

    Returns:
        The report: `photos`, `done`, `failed`, `kept` from before, `megapixels`, `reliability_mean`, `seconds`,
        `failures` (photo and error).

    Raises:
        InputError: nothing to rebuild, the model cannot be used, or see `Plan.check` and `Manifest`.
    """
    plan.check()
    count = sum(1 for _ in track(plan.tasks(), "list photographs"))
    if count == 0:
        raise InputError(f"{plan.inputs[0]}: holds no JPEG, PNG or TIFF photographs")
    start, kept = time.monotonic(), 0
    with Manifest(plan.out / MANIFEST, _identity(plan, settings), resume=resume) as manifest:

        def pending() -> Iterator[Task]:
            nonlocal kept
            for task in plan.tasks():
                row = manifest.done(task.name)
                if row and unchanged(task, row):
                    kept += 1
                else:
                    yield task

        for _ in track(_recorded(engine(pending(), settings), manifest), "reconstruct", total=count):
            pass
        failures = [{"photo": photo, "error": error} for photo, error in manifest.failed()]
        report = manifest.totals() | {"kept": kept, "seconds": time.monotonic() - start}
        report |= {"manifest": str(manifest.path), "failures": failures}
    write_json(plan.out / REPORT, report)
    return report


def _recorded(rows: Rows, manifest: Manifest) -> Rows:
    with closing(rows):  # type: ignore[type-var]  # a generator: its workers end here, whatever happens
        for row in rows:
            if row["status"] == FAILED:
                row = {**row, "output": None}
            manifest.record(row)
            yield row


def _identity(plan: Plan, settings: Settings) -> dict[str, Any]:
    """What all rows of a manifest share: the options and the model that shape the results."""
    return {
        "model": _model_sha256(settings),
        "bank": sha256(settings.bank) if settings.bank else None,
        "camera": settings.camera,
        "hint": settings.hint,
        "keep_gps": settings.keep_gps,
        "format": plan.file_format,
        "cfa": plan.cfa,
        "reliability": str(plan.reliability) if plan.reliability else None,
    }


def _model_sha256(settings: Settings) -> str:
    from priorraw.assets import ENCODER, RECONSTRUCTOR, shipped_assets

    folder = settings.bundle or settings.assets or shipped_assets()
    names = ("bundle.json",) if settings.bundle else (ENCODER, RECONSTRUCTOR)
    try:
        hashes = [sha256(folder / name) for name in names]
    except OSError as error:
        raise InputError(f"{folder}: holds no model ({error.filename}: {error.strerror})") from None
    return hashlib.sha256(json.dumps(hashes).encode()).hexdigest()
