"""What docs/performance.md is made of: the watched command, tables, plots."""

import subprocess
import sys
from pathlib import Path

import pytest
from priorraw.errors import InputError

from benchmarks import performance, scaling

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
CHILD = "import sys, time; data = bytearray(120_000_000); print(len(data)); time.sleep(0.3)"
LOOKUP = {
    "quality": {
        "a": {"exact": {"assembled": 33.0, "reconstructed": 40.0}, "fast": {"assembled": 32.0, "reconstructed": 39.9}},
        "b": {"exact": {"assembled": 30.0, "reconstructed": 38.0}, "fast": {"assembled": 30.0, "reconstructed": 38.3}},
    },
    "cost": {
        name: {
            "flops_per_token": flops,
            "bytes_per_token": 80_000.0,
            "seconds_per_picture": 0.01,
            "seconds_per_megapixel": 2.5,
        }
        for name, flops in (("exact", 380_000.0), ("fast", 95_000.0))
    },
    "order": ["exact", "fast"],
    "chunks": {"2048": 3.0, "128": 2.0},
    "warnings": [],
}
SCALING = {
    "rows": {
        "xnnpack fp32, tile 256": [
            {"megapixels": m, "seconds": 2 * m, "cpu_seconds": m, "peak_rss": r * 1e6, "peak_rss_together": r * 2e6}
            for m, r in ((1.0, 300.0), (11.99, 400.0), (48.02, 440.0))
        ]
    },
    "warnings": ["busy"],
}


def test_watch_sees_a_command_and_its_children():
    """The parent holds little, its child 120 MB: the largest is the child's, together they have more."""
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CHILD!r}], check=True)"
    found = scaling.watch([sys.executable, "-c", code])
    assert 120e6 < found["peak_rss"] < found["peak_rss_together"]  # 131 and 143 MB seen
    assert found["seconds"] > 0.3 and found["cpu_seconds"] < found["seconds"] + 1


def test_watch_tells_why_a_command_failed():
    with pytest.raises(InputError, match=r"^the cure$"):
        scaling.watch([sys.executable, "-c", "import sys; sys.exit('chatter\\nthe cure')"])


def test_growth_is_between_12_and_48_megapixels():
    (rows,) = SCALING["rows"].values()
    assert scaling.memory_growth(rows) == pytest.approx(1.1)
    assert scaling.memory_growth(rows[:2]) is None


def test_scaling_table():
    text = performance.scaling_table(SCALING)
    assert "| xnnpack fp32, tile 256 | 12.0 | 24 | 2 | 400 | 800 |" in text
    assert "| 48 against 12 |  |  | 1.10 times (at most 1.15) |" in text


def test_lookups_table():
    lines = performance.lookups_table(LOOKUP).splitlines()
    assert lines[2] == "| exact | 380 | 80 | 10.0 | 2.5 | 0 | 0 |"
    assert lines[3] == "| fast | 95 | 80 | 10.0 | 2.5 | +0.50 (+0.00 to +1.00) | -0.10 (-0.30 to +0.10) |"


def test_share_of_the_lookup():
    row = {"seconds": 0.5}  # 6 s for 12 megapixels
    text = performance.lookup_share(LOOKUP, {"rows": {performance.default_bundle(): row}})
    assert "takes 10 ms a picture, 0.17% of the 6 s" in text and "30 s" in text
    assert performance.lookup_share(LOOKUP, {"rows": {}}) == "The exact lookup takes 10 ms a picture."


def test_chunks_go_up():
    assert performance.chunks_table(LOOKUP).splitlines()[2:] == ["| 128 | 2 |", "| 2048 | 3 |"]


def test_page_has_the_markers_of_every_table():
    text = PAGE.read_text()
    names = ("machine", "limits", "work", "rows", "ratios", "sizes", "scales", "lookups", "chunks", "scaling")
    assert all(f"<!-- {name} -->\n" in text and f"<!-- end of {name} -->\n" in text for name in names)


def test_plots_are_the_same_for_the_same_figures(tmp_path):
    from benchmarks import plots

    row = {"of": "rival", "label": "a net", "precision": "fp32", "gflop": 40.0, "gigabytes": 1.0, "gflops": 50.0}
    result = {"limits": {"fp32": 200e9, "int8": None, "copy": 12e9}, "rows": {"a": row, "b": {"skipped": "why"}}}
    for name in ("one", "two"):
        plots.roofline(result, tmp_path / f"{name}-roofline.svg")
        plots.scaling(SCALING, tmp_path / f"{name}-scaling.svg")
    for plot in ("roofline", "scaling"):
        first, second = ((tmp_path / f"{name}-{plot}.svg").read_bytes() for name in ("one", "two"))
        assert first == second and first.startswith(b"<?xml")
    assert "rival: a net" in (tmp_path / "one-roofline.svg").read_text()


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("performance", ["no-such-folder"], "bench.json: not found"),
        ("scaling", ["--bundle", "no-such-folder"], "bundle.json: not found"),
        ("scaling", ["--bundle", ".", "--megapixels", "1,x"], "1,12,48"),
        ("lookup", ["no-such-folder"], "no such folder"),
    ],
)
def test_bad_calls_are_one_line(name, arguments, words):
    call = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    done = subprocess.run(call, capture_output=True, text=True, cwd=PAGE.parents[1])
    assert done.returncode == 2 and words in done.stderr and len(done.stderr.splitlines()) == 1
