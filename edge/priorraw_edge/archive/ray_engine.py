"""The workers of a Ray cluster: Ray Data hands photographs out, holds back when rows are not taken, and goes on with
other workers when some die. https://docs.ray.io/en/latest/data/transforming-data.html (stateful transforms)
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, fields
from itertools import islice
from pathlib import Path
from typing import Any

from priorraw.errors import InputError
from priorraw.progress import say
from priorraw.spread import connect

from priorraw_edge.archive.inputs import Task
from priorraw_edge.archive.worker import Attempts, Worker
from priorraw_edge.runtime.outputs import Job
from priorraw_edge.runtime.session import Settings

WINDOW = 50_000  # photographs that Ray knows of at a time: this process's memory does not grow with the archive
BATCH = 4  # photographs that a worker takes at a time, and at most does again when it dies


def rows(
    tasks: Iterable[Task], settings: Settings, *, workers: int | None = None, marks: Path
) -> Iterator[dict[str, Any]]:
    """A row for every task, in the order in which they are done.

    Args:
        workers: how many; None is one for every core of the cluster. The cluster is that of RAY_ADDRESS or of
            `ray start`, else one is started on this machine for as long as this lasts.
        marks: a folder, which all machines see, for the marks of `Attempts`; removed at the end.

    Raises:
        InputError: Ray is not installed, or does not have so many cores.
    """
    ours = connect()
    import ray
    from ray import data

    context = data.DataContext.get_current()
    context.enable_progress_bars = False  # `track` shows it
    context.print_on_execution_start = False
    cores = int(ray.cluster_resources().get("CPU", 1))
    if workers and workers > cores:
        raise InputError(f"--workers {workers}: the cluster has {cores} cores; ask for as many at most")
    workers = workers or cores
    say(f"Ray: {workers} workers, {cores} cores")
    shutil.rmtree(marks, ignore_errors=True)  # of a run that was killed
    marks.mkdir(parents=True)
    remaining = iter(tasks)
    try:
        while window := [{"task": _packed(task)} for task in islice(remaining, WINDOW)]:
            blocks = -(-len(window) // BATCH)
            dataset = data.from_items(window, override_num_blocks=blocks).map_batches(
                RayWorker,
                batch_size=BATCH,
                compute=data.ActorPoolStrategy(size=min(workers, blocks)),
                fn_constructor_args=(_packed_settings(settings), str(marks)),
                num_cpus=1,
            )
            for row in dataset.iter_rows():
                yield json.loads(row["row"])
    finally:
        shutil.rmtree(marks, ignore_errors=True)
        if ours:
            ray.shutdown()


class RayWorker:
    """A process that holds the models: the columns are JSON, so that Ray has no types to guess."""

    def __init__(self, settings: str, marks: str):
        given = json.loads(settings)
        paths = {name: Path(given[name]) for name in ("bundle", "bank", "assets", "public_key") if given[name]}
        given["threads"] = given["threads"] or 1
        self._worker = Worker(Settings(**given | paths), Attempts(Path(marks)))

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        tasks = [_unpacked(str(text)) for text in batch["task"]]
        with closing(self._worker.rows(tasks)) as done:  # type: ignore[type-var]
            return {"row": [json.dumps(row) for row in done]}


def _packed(task: Task) -> str:
    job = {name: str(value) if isinstance(value, Path) else value for name, value in vars(task.job).items()}
    return json.dumps({"name": task.name, "source": task.source, "job": job})


def _unpacked(text: str) -> Task:
    told = json.loads(text)
    job = told["job"]
    paths = {name: Path(job[name]) for name in ("photo", "out", "reliability") if job[name]}
    return Task(told["name"], told["source"], Job(**job | paths))


def _packed_settings(settings: Settings) -> str:
    told = asdict(settings)
    return json.dumps({f.name: str(v) if isinstance(v := told[f.name], Path) else v for f in fields(Settings)})
