"""Worked models, the demo and notebooks run small, from top to bottom, and are what they say they are.

They run in this very process, one after the other: what one has imported and compiled serves the next.
"""

import ast
import re
import runpy
import warnings
from pathlib import Path

import jupytext
import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot

from bayescg.cli import main

ROOT = Path(__file__).parents[2]
MODELS = sorted((ROOT / "models").glob("*/model.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


def run_small(script, folder, monkeypatch):
    """Run a script in an empty folder with BAYESCG_SMALL=1, which asks it for its smallest size.

    Args:
        script: its path.
        folder: to work in.
        monkeypatch: pytest's, which takes the changes back.
    """
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BAYESCG_SMALL", "1")
    monkeypatch.setattr("sys.argv", [str(script)])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")  # as in a process of its own
            runpy.run_path(str(script), run_name="__main__")
    finally:
        pyplot.close("all")


def private_names(source):
    """Private modules or names a script imports, and private attributes it touches."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bayescg"):
            found += [word for word in (node.module or "").split(".") if word.startswith("_")]
            found += [alias.name for alias in node.names if alias.name.startswith("_")]
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__"):
            found.append(node.attr)
    return found


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.parent.name)
def test_model_runs_small(model, tmp_path, monkeypatch):
    run_small(model, tmp_path, monkeypatch)


def test_small_demo_writes_everything_and_says_what_it_found(tmp_path, capsys):
    output = tmp_path / "demo"
    assert main(["demo", "--small", "--output", str(output)]) == 0
    shown = capsys.readouterr()
    assert "warnings" in shown.out
    assert "%|" in shown.err  # progress bars
    assert {path.name for path in output.iterdir()} == {
        ".bayescg-output", "posterior.nc", "simulated.nc", "report.html", "summary.txt", "settings.toml",
        "potential.png", "rank.png", "trace.png", "identifiability.png", "radial_distribution.png",
        "memory.nc", "motion.nc", "memory.png", "velocity_correlation.png",
    }  # fmt: skip
    posterior = xr.load_datatree(output / "posterior.nc")
    assert posterior["posterior"].sizes["chain"] == 2
    assert np.isfinite(posterior["potential_curves"]["pair_energy"].values).all()
    # 32 frames and 12 knots already explain what the pair force of SPC/E explains, 0.55-0.60
    assert 0.5 < float(posterior["explained_force"]["r_squared"].values[0]) < 0.62
    assert "Simulations with posterior draws" in (output / "report.html").read_text(encoding="utf-8")
    assert (output / "summary.txt").read_text(encoding="utf-8").strip() in shown.out
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]  # the checkpoint is gone


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.parent.name)
def test_model_uses_public_names_only(model):
    assert private_names(model.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("program", [*MODELS, *NOTEBOOKS], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_program_asks_for_float64_itself(program):
    # this process has it on already, a reader's has not
    assert re.search(r"^bcg\.enable_x64\(\)$", program.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.parent.name)
def test_model_names_source_units_and_known_truth(model):
    text = (model.parent / "README.md").read_text(encoding="utf-8").lower()
    assert [word for word in ("source", "unit", "known truth") if word not in text] == []


def test_a_private_name_is_seen():
    assert private_names("from bayescg._checks import require") == ["_checks"]
    assert private_names("import bayescg as bcg\nbcg.model._leaves") == ["_leaves"]
    assert private_names("import bayescg as bcg\nbcg.Model") == []


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
