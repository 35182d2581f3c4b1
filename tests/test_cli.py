"""The command line as a user meets it: help, mistakes, exit codes; each in its own process."""

import json
import os
import subprocess
import sys
import time

import pytest
from priorraw_edge.cli import COMMANDS
from random_assets import CAMERAS, write_random_assets

SUBCOMMANDS = [("train", "search"), ("train", "reconstruct"), ("bank", "build")]


def run(*args: object) -> subprocess.CompletedProcess[str]:
    code = "import sys; from priorraw_edge.cli import main; main(sys.argv[1:])"
    return subprocess.run([sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, check=False)


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    """The error of a call that was wrong: exit code 2, one line, nothing on standard output."""
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("priorraw-edge: ")
    return lines[0]


def test_help_lists_every_command_and_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from priorraw_edge.cli import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit as stop:\n"
        "    assert not stop.code\n"
        "heavy = {'torch', 'cv2', 'numpy', 'coremltools', 'executorch', 'faiss', 'rawpy', 'rich'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    start = time.monotonic()
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    seconds = time.monotonic() - start
    assert result.returncode == 0, result.stderr
    assert all(f"  {name} " in result.stdout for name in COMMANDS)
    assert seconds < 5  # 0.15 on an idle machine; what keeps it so is the check above


@pytest.mark.parametrize("command", [(name,) for name in COMMANDS] + SUBCOMMANDS, ids=" ".join)
def test_help_of_every_command(cli, command):
    code, out, _ = cli(*command, "--help")
    assert code == 0
    assert out.startswith(f"Usage: priorraw-edge {' '.join(command)} ")


def test_a_name_nearly_right_is_suggested():
    assert "did you mean 'reconstruct'?" in one_line(run("reconstuct", "a.jpg"))
    assert "see priorraw-edge --help" in one_line(run("xyzzy"))


def test_version(cli):
    code, out, _ = cli("--version")
    assert (code, out.split(",")[0]) == (0, "priorraw-edge")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_program(cli, shell):
    code, out, _ = cli("completion", shell)
    assert code == 0
    assert "_PRIORRAW_EDGE_COMPLETE" in out


def test_a_shell_completes_commands_and_options():
    code = "from priorraw_edge.cli import main; main()"
    for words, expected in (
        ("priorraw-edge rec", "plain,reconstruct"),
        ("priorraw-edge export --targ", "plain,--target"),
    ):
        variables = {
            **os.environ,
            "_PRIORRAW_EDGE_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=variables
        )
        assert result.stdout.split() == [expected], result.stderr


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["evaluate"], "Missing argument 'DATASET'"),
        (["reconstruct", "a.jpg"], "Missing option '-o'"),
        (["prepare", "a.npz", "--out", "d", "--srgb-bits", "12"], "'12' is not one of '8', '16'"),
        (["info", "--bogus"], "No such option"),
    ],
)
def test_wrong_calls(cli, args, reason):
    code, out, err = cli(*args)
    assert (code, out) == (2, "")
    assert reason in err
    assert len(err.splitlines()) == 1


def test_what_the_system_refuses_is_one_line(cli, monkeypatch):
    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied", "/somewhere/weights")

    monkeypatch.setattr("priorraw_edge.verify.inventory.list_cameras", refuse)
    code, _, err = cli("info")
    assert code == 2
    assert err == "priorraw-edge: /somewhere/weights: Permission denied; mend that and run it again\n"


@pytest.fixture(scope="module")
def assets(tmp_path_factory):
    return write_random_assets(tmp_path_factory.mktemp("assets"))


def test_info_lists_the_cameras(cli, assets):
    code, out, _ = cli("info", "--assets", assets)
    assert code == 0
    assert all(camera in out for camera in CAMERAS)
    code, out, _ = cli("info", "--assets", assets, "--json")
    assert [camera["camera"] for camera in json.loads(out)] == list(CAMERAS)


def test_info_shows_a_camera_and_a_bank(cli, assets):
    code, out, _ = cli("info", CAMERAS[0], "--assets", assets, "--json")
    shown = json.loads(out)
    assert (code, shown["bank"]["K"], shown["bank"]["d"]) == (0, 300, 32)
    bank = assets / CAMERAS[0] / "bank.safetensors"
    code, out, _ = cli("info", bank)
    assert code == 0
    assert f"sha256: {shown['files'][f'{CAMERAS[0]}/bank.safetensors']['sha256']}" in out


def test_info_refuses_what_is_neither(cli, assets, tmp_path):
    for what, reason in (
        ("olympus", f"did you mean {CAMERAS[0]}?"),
        (tmp_path, "holds no bundle.json"),
        (assets / CAMERAS[0] / "asset.json", "not a prior bank"),
        (tmp_path / "a.safetensors", "not found"),
    ):
        code, out, err = cli("info", what, "--assets", assets)
        assert (code, out) == (2, "")
        assert reason in err
        assert len(err.splitlines()) == 1
    code, _, err = cli("info", "--assets", tmp_path)
    assert code == 2
    assert "holds no camera" in err
