"""Nothing of the project unpickles, evaluates or runs what it reads: the sources are scanned, and what is shipped."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Modules that run code of the file that they read, and calls that may.
MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle"}
CALLS = {"torch.load", "torch.jit.load", "torch.hub.load", "pandas.read_pickle", "yaml.load", "yaml.unsafe_load"}
BUILT_IN = {"eval", "exec", "__import__"}
ALLOWS = "allow_pickle"  # argument of numpy.load
SHIPPED = {".safetensors", ".json", ".md", ".jpg", ".png", ".py"}
PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")  # torch.save writes a zip of pickles


def tracked(*patterns: str) -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("needs a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def offences(source: str) -> Iterator[str]:
    names = {"np": "numpy", "pd": "pandas"}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
            yield from (f"line {node.lineno}: import {a.name}" for a in node.names if a.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield f"line {node.lineno}: from {node.module} import"
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            head, _, tail = called.partition(".")
            full = f"{names.get(head, head)}.{tail}" if tail else called
            allows = any(k.arg == ALLOWS and ast.unparse(k.value) != "False" for k in node.keywords)
            if full in CALLS or called in BUILT_IN or allows:
                yield f"line {node.lineno}: {called}({ALLOWS if allows else ''})"


def test_no_source_unpickles():
    sources = [path for path in tracked("*.py") if path.parts[-2] != "tests"]
    assert len(sources) > 150
    found = [f"{path.relative_to(ROOT)}, {line}" for path in sources for line in offences(path.read_text())]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from dill import loads",
        "import torch as t\nt.load('a')",
        f"import numpy as np\nnp.load('a', {ALLOWS}=True)",
        "eval('1')",
        "import yaml\nyaml.load(x)",
    ],
)
def test_the_scan_finds_what_it_looks_for(source):
    assert len(list(offences(source))) == 1


def test_jvm_and_native_code_deserialises_no_objects():
    words = ("ObjectInputStream", "readObject(", "XMLDecoder", "ScriptEngine", "dlopen(", "system(", "popen(")
    for path in tracked("*.kt", "*.java", "*.cpp", "*.h"):
        assert [word for word in words if word in path.read_text()] == [], path


def test_what_is_shipped_is_data_of_known_kinds():
    files = tracked("prior_assets")
    assert {path.suffix for path in files} <= SHIPPED
    for path in files:
        assert not path.read_bytes().startswith(PICKLES), path
