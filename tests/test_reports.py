"""Reports: one look, one whole file each, the same bytes for the same figures, nothing from elsewhere."""

import base64
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html import escape
from pathlib import Path

import pytest
from priorraw_edge.report.benchmark import write_benchmark
from priorraw_edge.report.evaluation import write_evaluation
from priorraw_edge.report.page import Page, figure, heading, paragraph, table, verdict
from priorraw_edge.report.plots import against_bounds, bars, scatter, sorted_curves
from priorraw_edge.report.verification import write_verification
from priorraw_edge.verify.stages import Comparison
from priorraw_edge.verify.verify import Report, Summary

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def image(name: str, psnr: float, **figures: float) -> dict:
    keys = ("ssim", "psnr_clipped", "psnr_unclipped", "psnr_known_gains", "light_error")
    return {"name": name, "psnr": psnr, **dict.fromkeys(keys), "ssim": 0.9, **figures}


EVALUATION = {
    "camera": "sony-imx135",
    "split": "test",
    "stage": "reconstructed",
    "hint": False,
    "input": {"bits": None, "jpeg": 95, "subsampling": "4:4:4"},
    **image("", 35.0, light_error=2.0),
    "psnr_median": 35.0,
    "light_error_median": 2.0,
    "sparsification": 0.4,
    "sparsification_oracle": 0.3,
    "worst": ["<b>"],
    "images": [image("<b>", 30.0, light_error=3.0, psnr_unclipped=31.0), image("two", 40.0, light_error=1.0)],
}


def comparison(picture: str, psnr: float | None) -> Comparison:
    return Comparison(picture, picture == "coffee", "tile.pte", "raw", 1e-4, 1e-6, psnr, 90.0)


VERIFICATION = Report(
    target="xnnpack",
    precision="fp32",
    comparisons={"sony-imx135": [comparison("coffee", 120.0), comparison("edge", 80.0), comparison("black", None)]},
    summaries=[Summary("sony-imx135", "tile.pte", 80.0, None, 100.0, 0.001, False)],
    faults=["scene.pte: <two> delegates"],
    notes=["a note"],
    culprits=["conv 3"],
)


def check(text: str) -> list[str]:
    """The report is whole, with no script and nothing from elsewhere; its SVGs."""
    assert text.startswith("<!doctype html>") and text.endswith("</html>\n")
    assert not re.search(r"<(script|link|iframe)|http", re.sub(r'"data:[^"]*"', "", text))
    assert "prefers-color-scheme: dark" in text
    plots = [base64.b64decode(code).decode() for code in re.findall(r"image/svg\+xml;base64,([^\"]+)", text)]
    for svg in plots:
        assert ET.fromstring(svg).tag.endswith("svg")
    return plots


def test_a_verification_as_a_page(tmp_path):
    write_verification(VERIFICATION, "my <bundle>", tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    (svg,) = check(text)
    assert "tile.pte" in svg
    for part in (
        "Parity of my &lt;bundle&gt;",
        "Verification failed",
        "&lt;two&gt;",
        "First to depart: conv 3",
        "a note",
    ):
        assert part in text
    assert "<td class=fail>FAIL</td>" in text
    write_verification(VERIFICATION, "my <bundle>", tmp_path / "b.html")
    assert (tmp_path / "b.html").read_text() == text
    passed = replace(VERIFICATION, comparisons={"sony-imx135": [comparison("black", None)]}, faults=[], culprits=[])
    write_verification(passed, "b", tmp_path / "c.html")
    assert check((tmp_path / "c.html").read_text()) == []  # nothing differs: nothing to plot


def test_an_evaluation_as_a_page(tmp_path):
    write_evaluation(EVALUATION, tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert len(check(text)) == 2
    assert "JPEG 95 4:4:4" in text and "&lt;b&gt;" in text and "<b>," not in text
    assert "mean of 2" in text and "35.00" in text


def test_a_bench_as_a_page(tmp_path):
    result = json.loads((RESULTS / "bench.json").read_text())
    write_benchmark(result, tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    time, _memory = check(text)
    assert all(escape(row["label"]) in text for row in result["rows"].values())
    assert "seconds a megapixel" in time


def test_evaluate_writes_the_page(cli, pack, tmp_path):
    from random_assets import CAMERAS, write_random_assets

    assets = write_random_assets(tmp_path / "assets")
    cli("prepare", pack, "--camera", CAMERAS[1], "--split", "test", "--out", tmp_path / "d")
    code, out, _ = cli("evaluate", tmp_path / "d", "--assets", assets, "--html", tmp_path / "e.html", "--json")
    assert code == 0
    text = (tmp_path / "e.html").read_text()
    check(text)
    assert all(i["name"] in text and f"{i['psnr']:.2f}" in text for i in json.loads(out)["images"])


def test_words_are_words(tmp_path):
    page = Page("<t>", "a & b", "me")
    page.add(heading("<h>"), paragraph("<p>"), verdict(True, "<v>"), table(["<c>", "n"], [["<x>", "1.5"]]))
    page.add(figure("data:,", '"q"', "<f>"))
    page.write(tmp_path / "p.html")
    text = (tmp_path / "p.html").read_text()
    for tag in ("<t>", "<h>", "<p><p>", "<v>", "<c>", "<x>", "<f>"):
        assert tag not in text
    assert "<td class=number>1.5</td>" in text


@pytest.mark.parametrize(
    "draw",
    [
        lambda: bars(["a", "b"], [1, 20], "x", ours=[True, False], log=True),
        lambda: sorted_curves({"a": [3, 1, 2]}, "y"),
        lambda: scatter([1, 2], [3, 4], "x", "y"),
        lambda: against_bounds({"a": ([1, 2], 1.5)}, "x"),
    ],
    ids=["bars", "curves", "scatter", "bounds"],
)
def test_plots_are_the_same_twice(draw):
    assert draw() == draw()
    assert ET.fromstring(draw()).tag.endswith("svg")
