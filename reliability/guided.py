"""Coverage-guided fuzzing of the readers that are Python, with atheris: what reaches new lines is changed further.

    python -m reliability.guided READER [--seconds N]

It begins with the sound files of `reliability.readers` and gives each changed file to every kind that the reader knows.
An error that is no InputError ends it, and its file is kept. Decoders in C and C++ are not watched from within.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

GUIDED = ("pictures", "exif", "icc", "packs", "png folders", "datasets", "bundles", "banks")
PACKAGES = ("priorraw", "priorraw_edge")


def run(name: str, corpus: Path, seconds: int) -> None:
    """Fuzz one reader in this process, which libFuzzer ends."""
    import atheris
    from priorraw.errors import InputError

    with atheris.instrument_imports(include=list(PACKAGES)):
        from reliability.readers import READERS

        reader = READERS[name]
        sound = Path(tempfile.mkdtemp(prefix="sound-", dir=corpus.parent))
        places = sorted(reader.make(sound))
        for place in places:  # what is imported at the first call is watched too
            reader.read(sound, place)
    originals = {place: (sound / place).read_bytes() for place in places}
    for i, data in enumerate(originals.values()):
        (corpus / str(i)).write_bytes(bytes([i]) + data)

    def one_input(data: bytes) -> None:
        if not data:
            return
        place = places[data[0] % len(places)]
        (sound / place).write_bytes(data[1:])
        try:
            reader.read(sound, place)
        except InputError as error:
            if "\n" in str(error):
                raise ValueError("not one line") from error
        finally:
            (sound / place).write_bytes(originals[place])

    limits = [
        f"-max_total_time={seconds}",
        "-timeout=60",
        "-rss_limit_mb=3072",
        "-max_len=65536",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], str(corpus), *limits, f"-artifact_prefix={corpus.parent}/"], one_input)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m reliability.guided", description=__doc__.split("\n", 1)[0])
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"{', '.join(GUIDED)}; all by default")
    parser.add_argument("--seconds", type=int, default=30, metavar="N", help="for each reader; 30 by default")
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)  # the child's corpus
    options = parser.parse_args()
    if unknown := [name for name in options.readers if name not in GUIDED]:
        parser.error(f"no reader {unknown[0]}; there are {', '.join(GUIDED)}")
    if options.here:
        run(options.readers[0], options.here, options.seconds)
        return 0
    failed = 0
    for name in options.readers or GUIDED:
        folder = Path(tempfile.mkdtemp(prefix="priorraw-guided-"))
        (folder / "corpus").mkdir()
        command = [sys.executable, "-m", "reliability.guided", name, "--seconds", str(options.seconds)]
        done = subprocess.run(
            [*command, "--here", str(folder / "corpus")], capture_output=True, text=True, errors="replace", check=False
        )
        tried = [line.split()[-1] for line in done.stderr.splitlines() if "number_of_executed_units" in line]
        cover = [line for line in done.stderr.splitlines() if " cov: " in line][-1:]
        told = cover[0].split(" cov: ")[1].split()[0] if cover else "?"
        print(
            f"{name:<12} tried {tried[0] if tried else '?':>7}, points reached {told}, exit code {done.returncode}",
            flush=True,
        )
        if done.returncode:
            failed += 1
            kept = ", ".join(str(p) for p in folder.glob("crash-*")) or "no file"
            print("\n".join(done.stderr.strip().splitlines()[-25:]))
            print(f"FAIL {name}: {kept}", flush=True)
        else:
            shutil.rmtree(folder)
    print(f"failed {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
