"""How a benchmark is called: a foreseen failure leaves one line on stderr and exit code 2."""

import sys

import click
from priorraw.errors import InputError


def main(command: click.Command, name: str) -> None:
    """Run the command of `python -m benchmarks.NAME`."""
    try:
        command.main(prog_name=f"python -m benchmarks.{name}", standalone_mode=False)
    except (click.ClickException, InputError) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        print(f"benchmarks.{name}: {message}", file=sys.stderr)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        print(f"benchmarks.{name}: stopped", file=sys.stderr)
        sys.exit(130)
