"""What the project depends on: a bill of materials (CycloneDX), its licences, and what pip-audit knows of it.

    python -m reliability.audit [--out build/sbom.json]

pip-audit asks PyPI for known vulnerabilities, and says of each package whether it could. Where it could not ask, this
says so and does not call the packages sound.
"""

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def bill_of_materials(out: Path) -> list[dict[str, Any]]:
    """Write the bill of this environment with the tool cyclonedx-py; its components."""
    out.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "cyclonedx_py", "environment", sys.executable, "--output-reproducible"]
    subprocess.run([*command, "--pyproject", str(ROOT / "pyproject.toml"), "-o", str(out)], check=True)
    return json.loads(out.read_text())["components"]


def licence_of(component: dict[str, Any]) -> str:
    """SPDX where the package says so, else its own words in short."""
    found = []
    for entry in component.get("licenses", []):
        licence = entry.get("license", {})
        found.append(entry.get("expression") or licence.get("id") or _short(licence.get("name", "")))
    return ", ".join(sorted(filter(None, set(found)))) or "not stated"


def _short(name: str) -> str:
    """The first line of a licence that a package names in words or in a trove classifier."""
    return name.split("\n")[0].removeprefix("License :: ").removeprefix("OSI Approved :: ")[:80]


def audit(constraints: Path) -> tuple[int, list[str], list[str]]:
    """Packages that could be asked about, those that could not, and the vulnerabilities that are known."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(constraints), "--no-deps", "--disable-pip", "-f", "json"]
    done = subprocess.run([*command, "--progress-spinner", "off"], capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return 0, [" ".join(done.stderr.strip().splitlines()[-1:])[:200] or "pip-audit said nothing"], []
    skipped = [f"{p['name']}: {p['skip_reason']}" for p in packages if "skip_reason" in p]
    known = [f"{p['name']} {p['version']}: {v['id']}" for p in packages for v in p.get("vulns", [])]
    return len(packages) - len(skipped), skipped, known


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m reliability.audit", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=Path("build/sbom.json"), help="build/sbom.json by default")
    options = parser.parse_args()
    components = bill_of_materials(options.out)
    print(f"{options.out}: {len(components)} components (CycloneDX)")
    counts = Counter(licence_of(component) for component in components)
    for licence, count in counts.most_common():
        names = sorted(c["name"] for c in components if licence_of(c) == licence)
        print(f"  {count:3} {licence}: {', '.join(names[:6])}{' ...' if count > 6 else ''}")
    asked, skipped, known = audit(ROOT / "constraints.txt")
    print(f"pip-audit: {asked} packages audited, {len(skipped)} not, {len(known)} known vulnerabilities")
    if skipped:
        print(f"  not audited, for instance: {skipped[0]}")
    for line in known:
        print(f"FAIL {line}")
    return 1 if known else 0


if __name__ == "__main__":
    sys.exit(main())
