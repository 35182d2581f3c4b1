"""Commands killed at random moments and before random file operations, and started again.

    python -m reliability.crash [COMMAND...] [--kills N] [--operations N] [--json FILE]

An undisturbed run says how long the command takes (later ones correct it), how many file operations it does below its
output folder, and what it leaves. Then it is killed with SIGKILL: N times at a moment drawn from that time, and N
times just before one of those operations, where a uniform moment hardly ever falls. After each kill its results are
looked at, and it runs again, to its end. It fails where

- a result that is there after the kill is neither that of the undisturbed run nor the one that was there before;
- something that is no result, no checkpoint and not marked as unfinished lies where results are;
- the second run does not end with exit code 0 and the bytes of the undisturbed run;
- what the killed run left unfinished is still there when the second has ended.

Every second trial begins with the results of another run in place, which are to be replaced.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from priorraw.files import UNFINISHED

from reliability import forked
from reliability.subjects import SUBJECTS, Inputs, Subject, make_inputs, state

State = dict[str, str | None]


@dataclass
class Tally:
    """What became of one command's kills."""

    command: str
    killed: str  # at moments, or before operations
    of: float  # seconds of the undisturbed run, or its file operations
    kills: int = 0
    nothing: int = 0  # kills after which there was no new result
    partly: int = 0  # of several results, some were there
    complete: int = 0  # all were there already
    unfinished: int = 0  # kills that left something marked as unfinished
    failed: list[str] = field(default_factory=list)

    def line(self) -> str:
        return (
            f"{self.command:<18} {self.kills:4} killed {self.killed} of {self.of:g}: no result {self.nothing}, "
            f"some {self.partly}, all {self.complete}; left unfinished {self.unfinished}; failed {len(self.failed)}"
        )


class Trial:
    """One command, its undisturbed result, and a place to kill it in."""

    def __init__(self, subject: Subject, inputs: Inputs, folder: Path):
        self.subject, self.inputs = subject, inputs
        self.log = folder / "log"
        self.place = folder / "out"
        # What an undisturbed run leaves, twice: a command that differs from itself could not be judged.
        self.wanted, _, usual = self._undisturbed(subject.arguments)
        again, self.seconds, _ = self._undisturbed(subject.arguments)
        if again != self.wanted:
            raise SystemExit(f"{subject.name}: two undisturbed runs differ; nothing can be compared")
        self.operations = int(self.log.with_suffix(".operations").read_text())
        self._nothing: State = dict.fromkeys(subject.results)
        self._before, self._other, self._usual = self._nothing, folder / "other", usual
        if subject.other:
            self._before, _, others = self._undisturbed(subject.other)
            self.place.rename(self._other)
            self._usual |= others

    def begin(self, *, replacing: bool) -> None:
        """An empty place, or one with the results of another run."""
        shutil.rmtree(self.place, ignore_errors=True)
        if replacing and self._other.is_dir():
            shutil.copytree(self._other, self.place)
        self.place.mkdir(exist_ok=True)

    def kill(self, moment: float | None, operation: int | None) -> tuple[bool, State, list[str]]:
        """Run until it is killed: whether it was, what is seen of the results, and what is wrong."""
        operations = forked.Operations(self.place, operation) if operation else None
        ended = forked.run(self.subject.arguments(self.inputs, self.place), self.log, moment, operations)
        if not ended.code:  # it was faster than the moment: the machine is less busy than before
            self.seconds = ended.seconds
        seen = state(self.place, self.subject.results)
        allowed = [(None, self._before[name], self.wanted[name]) for name in seen]
        faults = [
            f"{name} is neither the old nor the new one"
            for (name, digest), digests in zip(seen.items(), allowed, strict=True)
            if digest not in digests
        ]
        strays = sorted(p for p in _files(self.place) - self._usual if not set(self.subject.own) & set(p.parts))
        faults += [f"{path} is a stray" for path in strays]
        return ended.code == -9, seen, faults

    def restart(self) -> list[str]:
        """Run to the end what was killed; what is wrong then."""
        ended = forked.run(self.subject.arguments(self.inputs, self.place), self.log)
        self.seconds = max(self.seconds, ended.seconds)
        if ended.code:
            return [f"started again it ends with {ended.code}: {' '.join(ended.err.strip().splitlines()[-1:])}"]
        seen = state(self.place, self.subject.results)
        faults = [f"started again, {name} differs" for name in seen if seen[name] != self.wanted[name]]
        return faults + [f"{path.relative_to(self.place)} is left" for path in unfinished(self.place)]

    def _undisturbed(self, arguments) -> tuple[State, float, set[Path]]:
        """What a run leaves in an empty place, its seconds, and its files."""
        self.begin(replacing=False)
        operations = forked.Operations(self.place)
        ended = forked.run(arguments(self.inputs, self.place), self.log, operations=operations)
        if ended.code:
            raise SystemExit(f"{self.subject.name}: undisturbed it ends with {ended.code}: {ended.err.strip()}")
        return state(self.place, self.subject.results), ended.seconds, _files(self.place)


def unfinished(place: Path) -> list[Path]:
    """What is marked as unfinished below a folder."""
    return [path for path in place.rglob("*") if UNFINISHED.fullmatch(path.name)]


def _files(place: Path) -> set[Path]:
    """All files below a folder, relative to it, but those marked as unfinished."""
    files = (path.relative_to(place) for path in place.rglob("*") if path.is_file())
    return {path for path in files if not any(UNFINISHED.fullmatch(part) for part in path.parts)}


def crash(trial: Trial, tally: Tally, kills: int, draws: Iterator[tuple[float | None, int | None]]) -> None:
    """Kill a command as often; `draws` says when: after so many seconds, or before which operation."""
    told, rounds = time.monotonic(), 0
    while tally.kills < kills:
        trial.begin(replacing=rounds % 2 == 1)
        rounds += 1
        for _ in range(min(trial.subject.in_a_row, kills - tally.kills)):
            moment, operation = next(draws)
            killed, seen, faults = trial.kill(moment, operation)
            if killed:
                tally.kills += 1
                done = sum(seen[name] == trial.wanted[name] for name in seen)
                tally.nothing += not done
                tally.complete += done == len(seen)
                tally.partly += 0 < done < len(seen)
                tally.unfinished += bool(unfinished(trial.place))
            when = f"after {moment:.3f} s" if moment is not None else f"before operation {operation}"
            tally.failed += [f"{trial.subject.name}, killed {when}: {fault}" for fault in faults]
        tally.failed += [f"{trial.subject.name}, killed {when}: {fault}" for fault in trial.restart()]
        if time.monotonic() - told > 60:
            told = time.monotonic()
            print(f"{trial.subject.name}: {tally.kills}/{kills} kills", file=sys.stderr, flush=True)


def moments(trial: Trial, seed: int) -> Iterator[tuple[float | None, int | None]]:
    """Uniform in the time of the undisturbed run."""
    draw = random.Random(f"{seed} {trial.subject.name}")
    while True:
        yield draw.uniform(0, trial.seconds), None


def operations(trial: Trial, seed: int) -> Iterator[tuple[float | None, int | None]]:
    """Every operation once in random order, again and again."""
    draw = random.Random(f"{seed} {trial.subject.name}")
    while True:
        order = list(range(1, trial.operations + 1))
        draw.shuffle(order)
        yield from ((None, operation) for operation in order)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m reliability.crash", description=__doc__.split("\n", 1)[0])
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=f"{', '.join(SUBJECTS)}; all by default")
    parser.add_argument("--kills", type=int, default=10, metavar="N", help="of each command at random moments; 10")
    parser.add_argument("--operations", type=int, default=10, metavar="N", help="and before file operations; 10")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args()
    if unknown := [name for name in options.commands if name not in SUBJECTS]:
        parser.error(f"no command {unknown[0]}; there are {', '.join(SUBJECTS)}")
    forked.preload()
    tallies = []
    with tempfile.TemporaryDirectory(prefix="priorraw-crash-") as name:
        inputs = make_inputs(Path(name))
        for command in options.commands or SUBJECTS:
            folder = Path(name) / command
            folder.mkdir()
            trial = Trial(SUBJECTS[command], inputs, folder)
            for tally, kills, draws in (
                (Tally(command, "at moments", round(trial.seconds, 2)), options.kills, moments),
                (Tally(command, "before operations", trial.operations), options.operations, operations),
            ):
                crash(trial, tally, kills, draws(trial, options.seed))
                tallies.append(tally)
                print(tally.line(), flush=True)
                for line in tally.failed[:20]:
                    print(f"FAIL {line}", flush=True)
            if options.json:
                options.json.write_text(json.dumps([asdict(t) for t in tallies], indent=2) + "\n")
    failed = sum(len(tally.failed) for tally in tallies)
    print(f"killed {sum(t.kills for t in tallies)}, failed {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
