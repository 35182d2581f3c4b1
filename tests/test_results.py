"""The shipped pages hold what the shipped figures say, and a page without markers is refused."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from priorraw.errors import InputError
from priorraw.files import read_json
from priorraw.results import BLIND, columns_table, fill, main

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results.json"
PAGES = (ROOT / "README.md", ROOT / "docs" / "results.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_pages_hold_the_measured_figures(page, tmp_path):
    """Filled anew from the JSON, nothing changes."""
    copy = tmp_path / page.name
    copy.write_text(page.read_text())
    result = CliRunner().invoke(main, [str(RESULTS), str(ROOT / "benchmarks" / "results"), str(copy)])
    assert result.exit_code == 0, result.output
    assert copy.read_text() == page.read_text()


def test_the_model_cards_say_the_same_as_the_results():
    results = read_json(RESULTS)
    for camera in ("olympus-e-pl6", "samsung-nx2000", "sony-imx135", "sony-slt-a57"):
        shipped = read_json(ROOT / "prior_assets" / camera / "asset.json")["measured"]["test"][camera]
        for stage in ("reconstructed", "hinted", "mean-light", "true-light"):
            # Measured twice, by `make assets` and by `make results`; seen: 0.
            assert shipped[stage]["psnr"] == pytest.approx(results[camera][stage]["psnr"], abs=0.01)


def test_a_table_has_a_row_for_each_test_set_and_no_empty_column():
    figures = {"psnr": 40.123, "ssim": 0.98765}
    table = columns_table({"a": {"pictures": 3, "mean-light": figures}, "b": {"pictures": 4}}, BLIND)
    assert table.splitlines() == [
        "| test set (pictures) | closed form, mean light |",
        "| --- | --- |",
        "| a (3) | 40.12 / 0.9877 |",
        "| b (4) |  |",
    ]


def test_a_page_without_markers_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(InputError, match="has no markers"):
        fill(page, {"blind": lambda: "x"})
    assert page.read_text() == "nothing"
