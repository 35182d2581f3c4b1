"""python -m benchmarks.scaling: time and memory of `priorraw-edge reconstruct` from 1 to 48 megapixels.

The command runs as a user runs it, from a JPEG to a DNG; its processes are watched from outside.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import click
from priorraw.errors import InputError
from priorraw.files import write_json
from priorraw.progress import say
from priorraw_edge.bench.machine import Company, cores, describe, load_average, warnings

from benchmarks.calls import main

MEGAPIXELS = (1.0, 2.0, 4.0, 8.0, 12.0, 24.0, 48.0)
CLI = "import sys; from priorraw_edge.cli import main; main(sys.argv[1:])"
EVERY = 0.02  # seconds between looks at the processes
JPEG_QUALITY = 92


def processes(root: int) -> Iterator[int]:
    """A process and its descendants, from /proc; those that end meanwhile are left out."""
    yield root
    for task in Path(f"/proc/{root}/task").glob("*"):
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            yield from processes(int(child))


def resident(process: int) -> tuple[int, int]:
    """Bytes of a process's resident set, now and at its largest; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0, 0
    sizes = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
    now, most = (int(sizes[name][0]) * 1024 if name in sizes else 0 for name in ("VmRSS", "VmHWM"))
    return now, most


def watch(
    command: list[str], environment: dict[str, str] | None = None, output: Path | None = None
) -> dict[str, float]:
    """Run a command: `seconds`, `cpu_seconds`, `peak_rss` and `peak_rss_together`, in bytes.

    `peak_rss` is the largest of its processes, as `/usr/bin/time -v` reports it, but from /proc, looked at fifty times
    a second: what the system reports at the end also remembers this process, from which the command was started.
    `peak_rss_together` is the largest sum over all of them at one time.

    `output` is a file for what it prints.

    Raises:
        InputError: it fails; the message is the last line that it wrote.
    """
    with tempfile.TemporaryFile("w+") as errors, (output or Path(os.devnull)).open("w") as printed:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=printed, stderr=errors, env=environment)
        peak, together, done = 0, 0, threading.Event()

        def look() -> None:
            nonlocal peak, together
            while not done.wait(EVERY):
                sizes = [resident(p) for p in processes(process.pid)]
                peak = max(peak, *(most for _, most in sizes))
                together = max(together, sum(now for now, _ in sizes))

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        finally:
            done.set()
            watcher.join()
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise InputError((errors.read().strip().splitlines() or [f"exit code {process.returncode}"])[-1])
    return {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_rss": peak,
        "peak_rss_together": max(peak, together),
    }


def write_picture(megapixels: float, folder: Path) -> tuple[Path, int]:
    """A JPEG of that size, and its pixels; written by a process of its own, so that this one stays small."""
    path = folder / f"{megapixels:g}mp.jpg"
    code = (
        "import sys, cv2; from priorraw_edge.bench.pictures import photograph\n"
        "p = photograph(float(sys.argv[1]))\n"
        f"assert cv2.imwrite(sys.argv[2], p[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, {JPEG_QUALITY}])\n"
        "print(p.shape[0] * p.shape[1])"
    )
    call = [sys.executable, "-W", "ignore", "-c", code, str(megapixels), str(path)]
    return path, int(subprocess.run(call, check=True, capture_output=True, text=True).stdout.split()[-1])


def measure(bundles: dict[str, Path], megapixels: tuple[float, ...], rounds: int) -> dict[str, Any]:
    """Every bundle on every size, in turn, round by round; medians."""
    before, company, spent = load_average(), Company(), 0.0
    runs: dict[str, dict[float, list[dict[str, float]]]] = {name: {m: [] for m in megapixels} for name in bundles}
    pixels = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = {}
        for m in megapixels:
            pictures[m], pixels[m] = write_picture(m, folder)
        for round_ in range(rounds):
            for m in megapixels:
                for name, bundle in bundles.items():
                    call = [sys.executable, "-c", CLI, "reconstruct", str(pictures[m]), "-o", str(folder / "out.dng")]
                    runs[name][m].append(watch([*call, "--bundle", str(bundle)]))
                    spent += runs[name][m][-1]["cpu_seconds"]
                    say(f"round {round_ + 1}, {m:g} MP, {name}: {runs[name][m][-1]['seconds']:.1f} s")
    others = company.others_share(spent + time.process_time())
    rows = {
        name: [
            {"megapixels": pixels[m] / 1e6, **{k: median(run[k] for run in of_size) for k in of_size[0]}}
            for m, of_size in sizes.items()
        ]
        for name, sizes in runs.items()
    }
    load = {"before": before, "others_share": others}
    return {"rows": rows, "rounds": rounds, "load": load, "warnings": warnings(before, others)} | describe(cores())


def memory_growth(rows: list[dict[str, float]], small: float = 12.0, large: float = 48.0) -> float | None:
    """Peak RSS at `large` megapixels in parts of that at `small`; None where one was not measured."""

    def at(size: float) -> float | None:
        return next((row["peak_rss"] for row in rows if abs(row["megapixels"] / size - 1) < 0.05), None)

    of_small, of_large = at(small), at(large)
    return of_large / of_small if of_small and of_large else None


def _sizes(_: click.Context, __: click.Parameter, value: str) -> tuple[float, ...]:
    try:
        sizes = tuple(float(part) for part in value.split(","))
    except ValueError:
        sizes = (0.0,)
    if min(sizes) <= 0:
        raise click.BadParameter(f"{value!r} is not a list such as 1,12,48")
    return sizes


@click.command()
@click.option("--bundle", "bundles", multiple=True, required=True, type=click.Path(path_type=Path), help="Repeatable.")
@click.option("--megapixels", default=",".join(f"{m:g}" for m in MEGAPIXELS), show_default=True, callback=_sizes)
@click.option("--rounds", default=1, show_default=True, type=click.IntRange(1))
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("benchmarks/results/scaling.json"), show_default=True
)
def command(bundles: tuple[Path, ...], megapixels: tuple[float, ...], rounds: int, out: Path) -> None:
    """Measure `priorraw-edge reconstruct --bundle` on larger and larger pictures."""
    from priorraw.files import read_json

    named = {}
    for folder in bundles:
        manifest = read_json(folder / "bundle.json")
        named[f"{manifest['target']} {manifest['precision']}, tile {manifest['tile']}"] = folder
    document = measure(named, megapixels, rounds)
    write_json(out, document)
    for name, rows in document["rows"].items():
        for row in rows:
            click.echo(
                f"{name}: {row['megapixels']:.1f} MP, {row['seconds']:.1f} s, {row['peak_rss'] / 1e6:.0f} MB, "
                f"{row['peak_rss_together'] / 1e6:.0f} MB together"
            )


if __name__ == "__main__":
    main(command, "scaling")
