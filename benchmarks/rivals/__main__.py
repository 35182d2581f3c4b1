"""python -m benchmarks.rivals: train and measure rival methods on a pair dataset.

Exit codes: 0 done, 2 the call or its input was wrong (one line on stderr).
"""

import json
import sys
from pathlib import Path

import click
from priorraw.errors import InputError


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--dataset", required=True, type=click.Path(path_type=Path), help="Pair dataset with a train split.")
@click.option("--camera", help="Refuse a dataset of another camera.")
@click.option("--rows", default="all", show_default=True, help="Rows of the table, with commas between, or all.")
@click.option(
    "--budget-minutes", type=float, default=4.0, show_default=True, help="Processor time to train a learned row."
)
@click.option("--steps", type=int, help="Train for so many steps instead: the same call gives the same figures.")
@click.option("--split", default="test", show_default=True, help="The split to measure.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--bits", default="8,16", show_default=True, help="Bits of the sRGB picture: 8, 16 or both.")
@click.option("--out", type=click.Path(path_type=Path), help="Result file; rows it holds already are not done again.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    dataset: Path,
    camera: str | None,
    rows: str,
    budget_minutes: float,
    steps: int | None,
    split: str,
    seed: int,
    bits: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Train rival methods on DATASET's train split and measure them on another, under one protocol."""
    from priorraw.dataset import PairDataset

    from benchmarks.rivals.registry import parse_rows
    from benchmarks.rivals.rival import Budget

    wanted = parse_rows(rows)
    if bits not in ("8", "16", "8,16"):
        raise InputError(f"--bits {bits}: is one of 8, 16 and 8,16")
    if steps is not None and steps < 1:
        raise InputError(f"--steps {steps}: training takes at least one step")
    if not 0 < budget_minutes < float("inf"):
        raise InputError(f"--budget-minutes {budget_minutes:g}: is a number of minutes above 0")
    if seed < 0:
        raise InputError(f"--seed {seed}: is 0 or above")
    if split == "train":
        raise InputError("--split train: rows learn from it; measure another split")
    budget = Budget(steps=steps, seed=seed) if steps is not None else Budget(minutes=budget_minutes, seed=seed)
    test = PairDataset.open(dataset, split, camera)

    from benchmarks.rivals.report import show
    from benchmarks.rivals.run import run

    document = run(test, wanted, budget, [int(b) for b in bits.split(",")], _call(), out)
    if as_json:
        click.echo(json.dumps(document, indent=2, sort_keys=True))
    else:
        show(document)


def _call() -> str:
    return " ".join(["python -m benchmarks.rivals", *sys.argv[1:]])


def main(args: list[str] | None = None) -> None:
    """Run the command; every foreseen failure leaves one line on stderr and exit code 2."""
    try:
        command.main(args=args, prog_name="python -m benchmarks.rivals", standalone_mode=False)
    except (click.ClickException, InputError) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        print(f"benchmarks.rivals: {message}", file=sys.stderr)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        print("benchmarks.rivals: stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
