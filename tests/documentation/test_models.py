"""Every worked model runs small with public names only and says where its data come from."""

import ast
from pathlib import Path

import pytest

from tests.documentation.programs import run_small

ROOT = Path(__file__).parents[2]
MODELS = sorted((ROOT / "models").glob("*/model.py"))


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


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.parent.name)
def test_model_uses_public_names_only(model):
    assert private_names(model.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.parent.name)
def test_model_names_source_units_and_known_truth(model):
    text = (model.parent / "README.md").read_text(encoding="utf-8").lower()
    assert [word for word in ("source", "unit", "known truth") if word not in text] == []


def test_a_private_name_is_seen():
    assert private_names("from bayescg._checks import require") == ["_checks"]
    assert private_names("import bayescg as bcg\nbcg.model._leaves") == ["_leaves"]
    assert private_names("import bayescg as bcg\nbcg.Model") == []
