"""Thousands of reconstructions in one process, and several engines at once: memory flat, results identical.

    python -m reliability.soak [--rounds N] [--engines N] [--bundle FOLDER] [--json FILE]

The whole way of `priorraw-edge reconstruct`: a decoder's process, the engine, a DNG and a map written. Memory is the
process's own (RSS), looked at after every reconstruction; the first tenth fills caches and does not count.
"""

import argparse
import hashlib
import json
import resource
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

GROWTH = 16  # MiB that memory may differ between the second tenth and the last; an engine's own tiles are as large


@dataclass
class Soak:
    rounds: int = 0
    engines: int = 1
    results: int = 0  # different ones, of all rounds
    first: float = 0.0  # MiB, median of the second tenth
    last: float = 0.0  # MiB, median of the last tenth
    peak: float = 0.0  # MiB
    open_files: int = 0  # more than at the start
    failed: list[str] = field(default_factory=list)

    def line(self) -> str:
        return (
            f"{self.rounds} reconstructions, {self.engines} at once: {self.results} different results, memory "
            f"{self.first:.1f} MiB, at the end {self.last:.1f}, peak {self.peak:.1f}; failed {len(self.failed)}"
        )


def _memory() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def soak(rounds: int, engines: int, bundle: Path | None = None, assets: Path | None = None) -> Soak:
    """Reconstruct one small picture again and again, with `engines` threads of an engine each."""
    from PIL import Image
    from priorraw_edge.runtime.engine import open_engine
    from skimage.data import coffee

    told = Soak(rounds=rounds, engines=engines)
    digests: set[str] = set()
    memory: list[float] = []
    lock = threading.Lock()
    with tempfile.TemporaryDirectory(prefix="priorraw-soak-") as name:
        photo = Path(name) / "photo.jpg"
        Image.fromarray(np.asarray(coffee()[:96, :128])).save(photo, quality=95)
        opened = [
            open_engine("olympus-e-pl6" if assets else None, bundle=bundle, assets=assets) for _ in range(engines)
        ]
        handles = len(list(Path("/proc/self/fd").iterdir()))
        left = iter(range(rounds))

        def work(engine, place: Path) -> None:
            place.mkdir()
            while True:
                with lock:
                    if next(left, None) is None:
                        return
                try:
                    found = _reconstruct(engine, photo, place / "out.dng")
                except Exception as error:  # counted, and the others go on
                    with lock:
                        told.failed.append(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
                    return
                with lock:
                    digests.add(found)
                    memory.append(_memory())
                    if sys.stderr.isatty() or len(memory) % 200 == 0:
                        print(f"{len(memory)}/{rounds}, {memory[-1]:.1f} MiB", file=sys.stderr, flush=True)

        threads = [threading.Thread(target=work, args=(engine, Path(name) / str(i))) for i, engine in enumerate(opened)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told.open_files = len(list(Path("/proc/self/fd").iterdir())) - handles
    tenth = max(1, len(memory) // 10)
    told.results = len(digests)
    if memory:
        told.first, told.last = (
            float(np.median(part)) for part in (memory[tenth : 2 * tenth] or memory, memory[-tenth:])
        )
        told.peak = max(memory)
    if len(memory) != rounds:
        told.failed.append(f"{rounds - len(memory)} reconstructions are missing")
    if told.results != 1:
        told.failed.append(f"{told.results} different results of one picture")
    if told.last - told.first > GROWTH:
        told.failed.append(f"memory grew by {told.last - told.first:.1f} MiB")
    if told.open_files > 0:
        told.failed.append(f"{told.open_files} files were left open")
    return told


def _reconstruct(engine, photo: Path, out: Path) -> str:
    """Rebuild the photograph into a DNG; a hash of its bytes."""
    from priorraw_edge.runtime.outputs import Job, write_stream
    from priorraw_edge.runtime.spool import Spool
    from priorraw_edge.runtime.stream import Stream

    with Spool(photo, out.parent) as spool:
        decoded = spool.wait()
        stream = Stream(decoded.source, engine, photo.name)
        write_stream(stream, Job(photo, out, "dng", out.with_suffix(".png")), decoded.facts)
    return hashlib.sha256(out.read_bytes() + out.with_suffix(".png").read_bytes()).hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m reliability.soak", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=2000, metavar="N")
    parser.add_argument("--engines", type=int, default=1, metavar="N", help="as many threads, an engine each")
    parser.add_argument("--bundle", type=Path, help="a bundle; without one a small PyTorch model")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="priorraw-soak-assets-") as name:
        assets = None
        if options.bundle is None:
            import tiny

            assets = tiny.assets(Path(name))
        told = soak(options.rounds, options.engines, options.bundle, assets)
    print(told.line())
    for line in told.failed[:20]:
        print(f"FAIL {line}")
    if options.json:
        options.json.write_text(json.dumps(asdict(told), indent=2) + "\n")
    return 1 if told.failed else 0


if __name__ == "__main__":
    sys.exit(main())
