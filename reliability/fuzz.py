"""Damaged files for every reader: each must be read or refused with one line, in 5 s and 1 GiB.

    python -m reliability.fuzz [READER...] [--inputs N] [--seed S] [--json FILE]
    python -m reliability.fuzz READER --only NUMBER          one input again; its file is kept and named

An input is read by a child that serves many. One that dies, hangs or grows is a failure, and another child goes on
behind it. An input follows from its reader, its number and the seed.
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from priorraw.errors import InputError

from reliability.readers import READERS, Reader

SECONDS = 5  # of a processor
PATIENCE = 600  # s without an answer of a child that waits for something
MEMORY = 1 << 30
READ, REFUSED = "read", "refused"


@dataclass
class Tally:
    """What became of one reader's inputs."""

    reader: str
    tried: int = 0
    read: int = 0  # the damage did not matter, or made another sound file
    refused: int = 0
    slowest: float = 0.0  # s
    most: float = 0.0  # MiB above what the child began with
    seconds: float = 0.0
    failed: list[str] = field(default_factory=list)

    def line(self) -> str:
        return (
            f"{self.reader:<13} tried {self.tried:6}, read {self.read:6}, refused {self.refused:6}, "
            f"failed {len(self.failed)}; slowest {self.slowest:.2f} s, most memory {self.most:.0f} MiB"
        )


def _damaged(reader: Reader, places: dict, sound: dict[str, bytes], number: int, seed: int) -> tuple[str, bytes]:
    """The name of the file that input `number` damages, and its bytes."""
    draw = random.Random(f"{seed} {reader.name} {number}")
    name = draw.choice(sorted(places))
    return name, draw.choice(places[name])(draw, sound[name])


def _rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _judge(reader: Reader, folder: Path, name: str) -> str:
    try:
        reader.read(folder, name)
    except InputError as error:
        line = str(error)
        return REFUSED if line and "\n" not in line and len(line) < 1000 else f"not one line: {line[:300]!r}"
    except BaseException as error:  # what a user would see as a traceback
        import traceback

        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return f"{type(error).__name__} at {place}: {' '.join(str(error).split())[:150]}"
    return READ


def _serve(reader: Reader, folder: Path, places: dict, numbers: range, seed: int, out: int) -> None:
    """The child: one line of JSON for every input, after it."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.dup2(devnull, 2)
    base = _rss()
    data = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (data + MEMORY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sound = {name: (folder / name).read_bytes() for name in places}
    for number in numbers:
        name, data_bytes = _damaged(reader, places, sound, number, seed)
        (folder / name).write_bytes(data_bytes)
        begun = time.process_time()
        verdict = _judge(reader, folder, name)
        seconds = time.process_time() - begun
        (folder / name).write_bytes(sound[name])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        answer = {"number": number, "verdict": verdict, "seconds": seconds, "grown": max(0, max(peak, _rss()) - base)}
        os.write(out, json.dumps(answer).encode() + b"\n")


def fuzz(reader: Reader, inputs: int, seed: int, first: int = 0) -> Tally:
    """Give `inputs` damaged files to a reader."""
    tally = Tally(reader.name)
    begun = time.monotonic()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="priorraw-fuzz-", dir=memory if memory.is_dir() else None) as name:
        sound = Path(name) / "sound"
        sound.mkdir()
        places = reader.make(sound)
        for place in places:
            reader.read(sound, place)  # what is sound is read
        number = first
        while number < first + inputs:
            folder = Path(name) / "damaged"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(sound, folder)
            number = _watch(reader, folder, places, range(number, first + inputs), seed, tally)
    tally.seconds = round(time.monotonic() - begun, 1)
    return tally


def _cpu_seconds(child: int) -> float:
    """What a process has used of processors, also one that has ended and was not waited for."""
    fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _watch(reader: Reader, folder: Path, places: dict, numbers: range, seed: int, tally: Tally) -> int:
    """Follow one child until it has served all numbers, or failed; the number to go on with."""
    import select

    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            _serve(reader, folder, places, numbers, seed, writing)
        finally:
            os._exit(0)
    os.close(writing)
    number, fault, buffer = numbers.start, "", b""
    heard, spent = time.monotonic(), 0.0
    with os.fdopen(reading, "rb", buffering=0) as answers:
        while number < numbers.stop and not fault:
            if not select.select([answers], [], [], SECONDS)[0]:
                # Time of a processor tells a hang from a machine that does other things too.
                if _cpu_seconds(child) - spent > 2 * SECONDS or time.monotonic() - heard > PATIENCE:
                    fault = "hangs"
                continue
            part = answers.read(1 << 16)
            heard, spent = time.monotonic(), _cpu_seconds(child)
            if not part:
                fault = "dies"
            *lines, buffer = (buffer + part).split(b"\n")
            for line in lines:
                answer = json.loads(line)
                _count(tally, answer)
                number = answer["number"] + 1
    if fault == "hangs":
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if fault:
        signalled = f" ({signal.Signals(-code).name})" if code < 0 and fault == "dies" else ""
        tally.tried += 1
        tally.failed.append(f"{reader.name} --only {number}: {fault}{signalled}")
        number += 1
    return number


def _count(tally: Tally, answer: dict) -> None:
    tally.tried += 1
    tally.slowest = max(tally.slowest, answer["seconds"])
    tally.most = max(tally.most, answer["grown"] / 2**20)
    verdict = answer["verdict"]
    if answer["seconds"] > SECONDS:
        verdict = f"takes {answer['seconds']:.1f} s"
    elif answer["grown"] > MEMORY:
        verdict = f"takes {answer['grown'] >> 20} MiB"
    if verdict == READ:
        tally.read += 1
    elif verdict == REFUSED:
        tally.refused += 1
    else:
        tally.failed.append(f"{tally.reader} --only {answer['number']}: {verdict}")


def _again(reader: Reader, number: int, seed: int) -> int:
    """One input in this process, for whoever mends what it shows."""
    folder = Path(tempfile.mkdtemp(prefix="priorraw-fuzz-"))
    places = reader.make(folder)
    sound = {name: (folder / name).read_bytes() for name in places}
    name, data = _damaged(reader, places, sound, number, seed)
    (folder / name).write_bytes(data)
    print(f"{folder / name}: {len(data)} bytes", flush=True)
    try:
        reader.read(folder, name)
        print(READ)
    except InputError as error:
        print(f"{REFUSED}: {error}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m reliability.fuzz", description=__doc__.split("\n", 1)[0])
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"{', '.join(READERS)}; all by default")
    parser.add_argument("--inputs", type=int, default=2000, metavar="N", help="for all readers together; 2000")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, metavar="NUMBER", help="one input of a reader again")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args()
    if unknown := [name for name in options.readers if name not in READERS]:
        parser.error(f"no reader {unknown[0]}; there are {', '.join(READERS)}")
    chosen = [READERS[name] for name in options.readers or READERS]
    from priorraw_edge.quiet import quiet_libraries

    os.environ["OMP_NUM_THREADS"] = "1"  # a fork waits for the threads that OpenMP began before it, and has none
    with quiet_libraries():
        if options.only is not None:
            return _again(chosen[0], options.only, options.seed)
        parts = sum(reader.share for reader in chosen)
        tallies = []
        for reader in chosen:
            tally = fuzz(reader, max(1, options.inputs * reader.share // parts), options.seed)
            tallies.append(tally)
            print(tally.line(), flush=True)
            for line in tally.failed[:20]:
                print(f"FAIL {line}", flush=True)
            if options.json:
                options.json.write_text(json.dumps([asdict(t) for t in tallies], indent=2) + "\n")
    tried, refused = sum(t.tried for t in tallies), sum(t.refused for t in tallies)
    failed = sum(len(t.failed) for t in tallies)
    print(f"tried {tried}, read {tried - refused - failed}, refused {refused}, failed {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
