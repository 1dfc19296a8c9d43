"""What README.md promises runs: its Python in order in one fresh interpreter, its commands as spelled."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TIMEOUT = 600  # s, a guard against hanging, not a measurement

BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(text, language):
    """Fenced blocks of one language, in order."""
    return [body for name, body in BLOCK.findall(text) if name == language]


def commands(text):
    """Command lines of the console blocks: prompts dropped, continued lines joined, output left out."""
    lines = "\n".join(blocks(text, "console")).replace("\\\n", " ").splitlines()
    prompted = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [shlex.split(line, comments=True) for line in (prompted or lines) if line.strip()]


def bayescg_commands(text):
    return [words[1:] for words in commands(text) if Path(words[0]).name == "bayescg"]


def make_targets(text):
    return [word for words in commands(text) if words[0] == "make" for word in words[1:] if "=" not in word]


README = (ROOT / "README.md").read_text(encoding="utf-8")


def run_quickstart(text, folder):
    script = folder / "quickstart.py"
    script.write_text("\n".join(blocks(text, "python")), encoding="utf-8")
    return subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env=os.environ | {"MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


def test_quickstart_runs_as_written(tmp_path):
    assert blocks(README, "python"), "README.md has no ```python block"
    result = run_quickstart(README, tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_broken_quickstart_is_seen(tmp_path):
    text = "```python\nx = 1\n```\nand then\n```python\nassert x == 2\n```\n"
    result = run_quickstart(text, tmp_path)
    assert result.returncode != 0
    assert "AssertionError" in result.stderr


def test_commands_are_read_from_console_blocks():
    text = (
        "```console\n$ make test\n$ .venv/bin/bayescg fit --map a \\\n    --cutoff 0.9  # nm\nwritten\n```\n"
    )
    assert make_targets(text) == ["test"]
    assert bayescg_commands(text) == [["fit", "--map", "a", "--cutoff", "0.9"]]


def test_make_targets_of_the_readme_exist():
    rules = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(make_targets(README)) <= set(rules)


@pytest.mark.parametrize("words", bayescg_commands(README), ids=" ".join)
def test_command_of_the_readme_exists_with_its_options(words):
    verb = [word for word in words[:1] if not word.startswith("-")]
    result = subprocess.run(
        [sys.executable, "-m", "bayescg", *verb, "--help"], capture_output=True, text=True, timeout=TIMEOUT
    )
    assert result.returncode == 0, result.stderr
    options = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert options <= set(re.findall(r"--[\w-]+", result.stdout))
