"""Imports point down only: import-linter holds the contract of pyproject.toml, and it can fail."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "bayescg"

HEAVY_OWNERS = {
    "jax_md": {"dynamics"},
    "MDAnalysis": {"data"},
    "e3nn_jax": {"potentials"},
    "matplotlib": {"viz", "reporting"},
    "arviz_plots": {"viz", "reporting"},
    "openmm": {"dynamics", "predict", "export"},
    "vesin": {"numerics"},
}
"""Which floors may import a heavy package: one owner, so that nothing else pays for it."""

LINT = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"


def lint(folder):
    """Run import-linter on the package lying in this folder."""
    return subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"], cwd=folder, capture_output=True, text=True, timeout=120
    )


def modules():
    return sorted(PACKAGE.rglob("*.py"))


def imported(source):
    """Full dotted names of everything a source imports, at any depth: a lazy import counts too."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def floor(path):
    """The part of the package a file belongs to: `viz` for bayescg/viz/potential.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def takes_from_the_top(source, children):
    """Names taken from `bayescg` itself: all but its modules, which import-linter watches."""
    names = {name for name in imported(source) if name.split(".")[0] == "bayescg"}
    return sorted(name for name in names if name == "bayescg" or name.split(".")[1] not in children)


@pytest.fixture
def copied(tmp_path):
    """A copy of the package with its contract, free to be broken."""
    shutil.copytree(PACKAGE, tmp_path / "bayescg", ignore=shutil.ignore_patterns("files", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_point_down_only(copied):
    result = lint(copied)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("importer", "imported_name"),
    [
        ("_typing.py", "bayescg._checks"),
        ("interfaces/potential.py", "bayescg.model"),
        ("numerics/__init__.py", "bayescg.potentials"),
        ("potentials/__init__.py", "bayescg.observables"),  # siblings on one floor
    ],
)
def test_a_planted_upward_or_sideways_import_is_refused(copied, importer, imported_name):
    planted = copied / "bayescg" / importer
    # inside a function: an import that runs late is an import all the same
    planted.write_text(planted.read_text() + f"\n\ndef planted():\n    import {imported_name}\n")
    result = lint(copied)
    assert result.returncode != 0
    assert imported_name in result.stdout


def test_a_module_without_a_floor_is_refused(copied):
    (copied / "bayescg" / "attic.py").write_text('"""Belongs nowhere."""\n')
    result = lint(copied)
    assert result.returncode != 0
    assert "attic" in result.stdout


def test_every_folder_is_a_package():
    # import-linter does not see a folder without __init__.py, so its imports would go unwatched
    folders = {path.parent for path in modules()}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_nothing_below_the_command_line_imports_the_top():
    children = {floor(path) for path in modules()}
    taken = {
        str(path.relative_to(ROOT)): takes_from_the_top(path.read_text(), children)
        for path in modules()
        if floor(path) not in {"cli", "__main__", "__init__"}
    }
    assert {path: names for path, names in taken.items() if names} == {}


def test_an_import_of_the_top_is_seen():
    children = {"model", "viz"}
    assert takes_from_the_top("def late():\n    import bayescg as bcg", children) == ["bayescg"]
    assert takes_from_the_top("from bayescg import Model", children) == ["bayescg.Model"]
    assert takes_from_the_top("from bayescg import model\nfrom bayescg.viz import bands", children) == []


def test_heavy_packages_are_imported_by_their_owners_only():
    strangers = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules()
        for name in imported(path.read_text())
        if floor(path) not in HEAVY_OWNERS.get(name.split(".")[0], {floor(path)})
    ]
    assert strangers == []
