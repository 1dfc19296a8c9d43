"""Rules of the house that a machine can hold; each has a negative control on a planted source."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "bayescg").rglob("*.py"))

FILE_LINES = 350
FUNCTION_LINES = 70
"""Outer walls, a function's docstring not counted; most files stay under 250 and bodies under 40."""

UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XXX)\b")

# folders that exist on somebody's machine only, and addresses of package indexes
MACHINE = re.compile(
    rb"(?<![\w.~-])/(?:ho"
    rb"me|ro"
    rb"ot|Us"
    rb"ers|mnt|scratch)/\w|[A-Z]:\\Us"
    rb"ers\\"
    rb"|--(?:extra-)?index"
    rb"-url|\bhttps?://\S*/simp"
    rb"le\b"
)


def long_file(source):
    lines = len(source.splitlines())
    limit = FILE_LINES
    return [f"{lines} lines"] if lines > limit else []


def long_functions(source):
    functions = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return [
        f"line {node.lineno}: {node.name} has {length} lines"
        for node in functions
        if (length := _lines(node) - _docstring_lines(node)) > FUNCTION_LINES
    ]


def _lines(node):
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _docstring_lines(function):
    return _lines(function.body[0]) if ast.get_docstring(function) else 0


def unfinished(source):
    return [f"line {i}" for i, line in enumerate(source.splitlines(), 1) if UNFINISHED.search(line)]


def swallowed_errors(source):
    """Handlers that catch everything, or that catch something and do nothing."""
    handlers = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ExceptHandler))
    return [f"line {node.lineno}" for node in handlers if node.type is None or all(map(_is_empty, node.body))]


def _is_empty(statement):
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def prints(source):
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [f"line {c.lineno}" for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]


def undocumented(source):
    return [] if ast.get_docstring(ast.parse(source)) else ["no module docstring"]


RULES = [long_file, long_functions, unfinished, swallowed_errors, prints, undocumented]


def may_print(path):
    """The command line talks to a terminal; nothing else in the library does."""
    return path.relative_to(ROOT / "bayescg").parts[0] in {"cli", "cli.py"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps_the_rule(rule):
    broken = [
        f"{path.relative_to(ROOT)}: {finding}"
        for path in MODULES
        if not (rule is prints and may_print(path))
        and not (rule is undocumented and not path.read_text().strip())
        for finding in rule(path.read_text())
    ]
    assert broken == []


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (long_file, "x = 1\n" * (FILE_LINES + 1)),
        (long_functions, "def f():\n" + "    x = 1\n" * FUNCTION_LINES),
        (unfinished, "x = 1  # TO" + "DO: finish"),
        (swallowed_errors, "try:\n    x = 1\nexcept:\n    raise"),
        (swallowed_errors, "try:\n    x = 1\nexcept ValueError:\n    pass"),
        (swallowed_errors, "try:\n    x = 1\nexcept ValueError:\n    ..."),
        (prints, "def f():\n    print('x')"),
        (undocumented, "x = 1"),
    ],
)
def test_a_broken_rule_is_seen(rule, source):
    assert len(rule(source)) == 1


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_good_source_passes(rule):
    source = (
        '"""One line."""\n\ntry:\n    x = 1\nexcept ValueError as error:\n    raise TypeError from error\n'
    )
    assert rule(source) == []


def listed_files():
    """Files under version control, and new ones that are not ignored; without git, the folders shipped."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode == 0:
        return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]
    return [path for name in ("bayescg", "tests") for path in (ROOT / name).rglob("*") if path.is_file()]


def test_no_file_holds_a_path_of_one_machine_or_an_index_address():
    found = {
        str(path.relative_to(ROOT)): match.group().decode(errors="replace")
        for path in listed_files()
        if path != Path(__file__) and (match := MACHINE.search(path.read_bytes()))
    }
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        b"path = '/ho" + b"me/someone/data'",
        b"see /ro" + b"ot/x",
        b"C:\\Us" + b"ers\\someone",
        b"pip install --index" + b"-url x",
        b"https://host/" + b"simple",
    ],
)
def test_a_machine_path_is_seen(text):
    assert MACHINE.search(text)


@pytest.mark.parametrize(
    "text", [b"notebooks/home/run", b"../work/x", b"#!/usr/bin/env bash", b"a simple https://host/x"]
)
def test_an_innocent_path_passes(text):
    assert not MACHINE.search(text)


def test_constraints_hold_versions_only():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.+!]*", pin)] == []
