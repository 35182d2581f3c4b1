"""The notebook docs/tour.ipynb, run from top to bottom by a Jupyter kernel as a reader would."""

from pathlib import Path

import pytest

TOUR = Path(__file__).parents[1] / "docs" / "tour.ipynb"


def test_the_tour_runs(tmp_path):
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat: pip install 'priorraw-edge[docs]'")
    client = pytest.importorskip("nbclient", reason="needs nbclient: pip install 'priorraw-edge[docs]'")
    pytest.importorskip("ipykernel", reason="needs ipykernel: pip install 'priorraw-edge[docs]'")
    notebook = nbformat.read(TOUR, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "outputs are not committed: they are made anew"
    client.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    texts = [
        output.get("text", "") or output.get("data", {}).get("text/plain", "")
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]
    assert any("Raw(600x400, sony-imx135" in text for text in texts)
    assert texts[-1] == "True"
    pictures = sum("image/png" in o.get("data", {}) for c in notebook.cells for o in c.get("outputs", []))
    assert pictures == 2
