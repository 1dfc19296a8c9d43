"""Real trajectories that lie beside the checkout, at ../shared/data."""

import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "shared" / "data"


def shared(name: str) -> Path:
    """Path of a reference file; without it a test fails under CI and is skipped in a stranger's clone."""
    path = FOLDER / name
    if path.is_file():
        return path
    if os.environ.get("CI"):
        pytest.fail(f"reference file {name} is missing")
    pytest.skip(f"reference file {name} does not come with a clone")
