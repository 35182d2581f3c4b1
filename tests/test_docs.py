"""Every command that the documentation shows: it must parse as the program parses it, and the cheap ones run."""

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
from priorraw_edge.cli import cli as program

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))

# First words of other programs: their own documentation says what they take (priorraw-native: tests/test_native.py).
OTHERS = {"priorraw-native", "apt-get", "eval", "exiftool", "gradle", "java", "pip", "docker", "curl", "torchrun"}
# Ours that run here, on a small photograph and the shipped assets.
CHEAP = {"targets", "doctor", "info", "reconstruct"}
DEAR = ("--assets", "--bank", "--bundle", "--resume", "--workers", "*")  # of those, what needs something made before


def blocks(page: Path, language: str) -> list[str]:
    return [body for name, body in FENCE.findall(page.read_text()) if name == language]


def commands(page: Path) -> list[str]:
    """Commands of a page's fenced blocks, a line each, without comments."""
    lines = []
    for body in blocks(page, "sh"):
        for line in re.sub(r"\\\n\s*", " ", body).splitlines():
            text = re.sub(r"(^|\s)#.*", "", line).strip()
            if text:
                lines.append(text)
    return lines


SHOWN = [(page.relative_to(ROOT).as_posix(), line) for page in PAGES for line in commands(page)]


def words_of(line: str) -> list[str]:
    """The first command of a line, without variables before it, what is optional, and where its output goes."""
    line = re.split(r"\s(?:&&|\||;|>)\s", line)[0]
    words = shlex.split(line.replace("[", "").replace("]", ""))
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    return words


def parse(words: list[str]) -> click.Context:
    """The context of one of our commands, as click makes it from these words."""
    command, context, rest = program, click.Context(program, info_name="priorraw-edge"), words
    while isinstance(command, click.Group):
        assert rest, f"{' '.join(words)}: a command is missing"
        name, rest = rest[0], rest[1:]
        if name == "--version":
            return context
        found = command.get_command(context, name)
        assert found is not None, f"no command {name!r}"
        command = found
        if not isinstance(command, click.Group):
            return command.make_context(name, rest, parent=context)
        context = click.Context(command, parent=context, info_name=name)
    raise AssertionError("not reached")


def test_the_pages_show_commands():
    assert len(SHOWN) > 50
    assert {page for page, _ in SHOWN} >= {
        "README.md",
        "docs/index.md",
        "docs/export.md",
        "docs/page.md",
        "docs/train.md",
    }


@pytest.mark.parametrize(("page", "line"), SHOWN, ids=[f"{page}: {line}" for page, line in SHOWN])
def test_a_shown_command_parses(page, line):
    words = words_of(line)
    if words[0] == "priorraw-edge":
        parse(words[1:])
    elif words[0] == "torchrun":  # the same command in several processes
        module = words.index("-m") + 1
        assert words[module] == "priorraw.train"
        parse(["train", *words[module + 1 :]])
    elif words[0] == "make":
        asked = [word for word in words[1:] if "=" not in word and not word.startswith("-")]
        assert set(asked) <= TARGETS, asked
    elif words[0].endswith("python") or words[0] == "python3":
        if words[1] == "-m":
            module = ROOT / words[2].replace(".", "/")
            known = module.with_suffix(".py").exists() or (module / "__main__.py").exists()
            assert known or words[2].startswith(("priorraw", "pip", "pytest")), words[2]
        else:
            assert (ROOT / words[1]).exists(), words[1]
    elif "/" in words[0]:
        made = words[0].startswith(("build/", ".venv/", "./build/"))  # what a build leaves
        assert made or (ROOT / words[0]).exists() or list(ROOT.rglob(words[0].removeprefix("./"))), words[0]
    else:
        assert words[0] in OTHERS, f"{words[0]}: neither ours nor one of {', '.join(sorted(OTHERS))}"


def test_a_wrong_command_would_be_seen():
    for line in ("priorraw-edge reconstruct photo.jpg", "priorraw-edge export --target xnnpack --tiles 9"):
        with pytest.raises(click.UsageError):
            parse(words_of(line)[1:])
    with pytest.raises(AssertionError, match="no command"):
        parse(words_of("priorraw-edge reconstuct photo.jpg -o photo.dng")[1:])


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with a small photo.jpg, to be in."""
    from PIL import Image

    sample = Image.open(ROOT / "prior_assets/samples/coffee.jpg")
    sample.resize((96, 64)).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


RUN = sorted(
    {
        line
        for _, line in SHOWN
        if (words := words_of(line))[0] == "priorraw-edge"
        and words[1] in CHEAP
        and not any(dear in line for dear in DEAR)
        and (words[1] != "reconstruct" or words[2] == "photo.jpg")
    }
)


@pytest.mark.parametrize("line", RUN)
def test_a_cheap_command_runs(cli, place, line):
    code, _, err = cli(*words_of(line)[1:])
    assert code == 0, err
    for word in words_of(line):
        if word in ("photo.dng", "trust.png"):
            assert (place / word).stat().st_size > 1000


@pytest.mark.parametrize(
    ("page", "code"),
    [(p.name, code) for p in PAGES for code in blocks(p, "python")],
    ids=lambda value: value if value.endswith(".md") else "",
)
def test_shown_python_runs(place, page, code):
    """Each block by itself, with what the text around it names: a photograph, and its sRGB as an array."""
    from priorraw_edge.runtime.picture import read_picture

    names = {"srgb": read_picture(place / "photo.jpg").srgb}
    exec(compile(code, page, "exec"), names)
    if "raw.save" in code:
        assert (place / "photo.dng").stat().st_size > 1000


def test_links_and_pictures_exist():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_no_page_names_a_program_that_is_gone():
    """`priorraw-edge NAME` in running text too."""
    from priorraw_edge.cli import COMMANDS

    for page in PAGES:
        for name in re.findall(r"`priorraw-edge ([a-z][a-z-]+)", page.read_text()):
            assert name in COMMANDS, f"{page.name}: {name}"


def test_data_sets_keep_the_test_scenes_of_those_before_them(tmp_path):
    """Whatever is asked for first: make hands a target's variables on to what the target needs, unless told not to."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    ask = ["make", "-n", "DATA=somewhere", "data/samsung-nx2000"]
    printed = subprocess.run(ask, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    lines = [line for line in printed.splitlines() if "priorraw-edge prepare" in line]
    cameras = [re.findall(r"--camera (\S+)", line)[0] for line in lines]
    assert sorted(cameras) == ["olympus-e-pl6", "samsung-nx2000", "sony-slt-a57"]
    for i, line in enumerate(lines):
        assert set(re.findall(r"--like data/(\S+)", line)) == set(cameras[:i])
