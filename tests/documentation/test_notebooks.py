"""Every notebook runs from top to bottom, small, and is a notebook: jupytext reads text and code in it."""

from pathlib import Path

import jupytext
import pytest

from tests.documentation.programs import run_small

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_small(notebook, tmp_path, monkeypatch):
    run_small(notebook, tmp_path, monkeypatch)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_has_text_and_code(notebook):
    cells = jupytext.read(notebook, fmt="py:percent").cells
    assert {"markdown", "code"} <= {cell.cell_type for cell in cells}


def test_a_failing_notebook_is_seen(tmp_path, monkeypatch):
    script = tmp_path / "broken.py"
    script.write_text("import os\nassert os.environ['BAYESCG_SMALL'] == '2', 'known answer missed'\n")
    with pytest.raises(AssertionError, match="known answer missed"):
        run_small(script, tmp_path, monkeypatch)
