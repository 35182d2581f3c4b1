"""Options that several commands on photographs share."""

from pathlib import Path

import click

A_PATH = click.Path(path_type=Path)

reliability = click.option("--reliability", type=A_PATH, help="Also write the reliability map (PNG, white = reliable).")
threads = click.option(
    "--threads", type=click.IntRange(1, 1024), metavar="N", help="Threads that compute a tile.  [default: one a core]"
)
max_memory = click.option(
    "--max-memory", type=click.IntRange(1), metavar="MB", help="Refuse pictures that take more memory than this."
)
views = click.option(
    "--views",
    type=click.Choice(["1", "2", "4", "8"]),
    default="1",
    show_default=True,
    callback=lambda _context, _parameter, value: int(value),
    help="bit-depth: take the mean over so many turned and mirrored views of the picture, at so many times the time.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print the results as a JSON list.")
