"""priorraw-edge targets"""

import json
from typing import Any

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def command(as_json: bool) -> None:
    """List the targets: what each is for, writes and takes, and whether this machine lowers and runs it."""
    from priorraw_edge.doctor import describe_target
    from priorraw_edge.export.targets import TARGETS

    targets = [describe_target(target) for target in TARGETS.values()]
    if as_json:
        click.echo(json.dumps(targets, indent=2))
        return
    for target in targets:
        _print_target(target)


def _print_target(target: dict[str, Any]) -> None:
    click.echo(f"{target['name']}  (also: {', '.join(target['aliases'])})")
    least, most = target["tiles"]
    lines = {
        "what": target["description"],
        "for": target["device"],
        "writes": ", ".join(target["files"]),
        "precisions": f"{target['precisions'][0]} (default)" + "".join(f", {p}" for p in target["precisions"][1:]),
        "tile": f"{target['tile']} pixels a side (default), {least} to {most}",
        "needs": f"{', '.join(target['packages'])}: {target['install']}",
        "lowers here": "yes" if target["lowers_here"] else f"no, {target['why_not_lowered']}",
        "runs here": f"yes, {target['runs']}" if target["runs_here"] else f"no, {target['why_not_run']}",
    }
    for name, value in lines.items():
        click.echo(f"  {name + ':':<13} {value}")
    click.echo()
