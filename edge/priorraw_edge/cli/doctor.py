"""priorraw-edge doctor"""

import json
from pathlib import Path

import click


@click.command()
@click.option("--assets", type=click.Path(path_type=Path), help="Asset folder; the shipped one by default.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(assets: Path | None, as_json: bool) -> int:
    """Check this installation: versions, tools, assets, and what each target would need.

    Exit code 1: the default target, xnnpack, does not work here, or the assets are damaged.
    """
    from priorraw_edge.doctor import DEFAULT_TARGET, diagnose

    report = diagnose(assets)
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return 0 if report["healthy"] else 1
    machine = report["machine"]
    click.echo(f"{machine['system']}, {machine['processor']}, {machine['architecture']}, {machine['cores']} cores")
    click.echo(f"SIMD: {', '.join(machine['simd']) or 'none known'}")
    for check in report["checks"]:
        cure = f"; {check['cure']}" if check["cure"] else ""
        click.echo(f"{'ok  ' if check['good'] else 'FAIL'} {check['name']}: {check['found']}{cure}")
    click.echo()
    for target in report["targets"]:
        lowers = "lowers" if target["lowers_here"] else target["why_not_lowered"]
        runs = f"runs ({target['runs']})" if target["runs_here"] else "does not run"
        click.echo(f"{target['name']:<9} {lowers}" + (f", {runs}" if target["lowers_here"] else ""))
        if target["lowers_here"] and not target["runs_here"]:
            click.echo(f"{'':<9} {target['why_not_run']}")
    click.echo()
    click.echo(f"{DEFAULT_TARGET} works" if report["healthy"] else "not all is well: mend the lines marked FAIL")
    return 0 if report["healthy"] else 1
