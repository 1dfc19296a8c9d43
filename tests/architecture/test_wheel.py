"""The wheel holds what a user needs, stays small, and runs from any folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED_LIMIT = 10_000_000  # bytes, unpacked: all shipped files together


def run(*arguments, **options):
    result = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=300, **options
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def pip(*arguments):
    run("-m", "pip", "--disable-pip-version-check", "--quiet", *arguments)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this tree, built with the hatchling that is installed: nothing is fetched."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, ROOT)
    (built,) = folder.glob("bayescg-*.whl")
    return built


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory):
    """Run a program with the wheel's package in front of every other, far from its source."""
    target, folder = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("elsewhere")
    pip("install", "--no-deps", "--no-index", "--target", target, wheel)
    environment = os.environ | {"PYTHONPATH": str(target)}

    def run_elsewhere(*arguments):
        return run(*arguments, cwd=folder, env=environment)

    location = Path(run_elsewhere("-c", "import bayescg; print(bayescg.__file__)").strip())
    assert location.is_relative_to(target)
    return run_elsewhere


def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_holds_every_module_and_data_file_of_the_package(wheel):
    source = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "bayescg").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"bayescg/py.typed", "bayescg/__main__.py"} <= source
    assert any(name.startswith("bayescg/data/files/") and name.endswith(".nc") for name in source)
    assert source - names(wheel) == set()


def test_wheel_holds_nothing_but_the_package_and_its_licence(wheel):
    others = {name for name in names(wheel) if not name.startswith("bayescg/")}
    assert all(".dist-info/" in name for name in others)
    assert any(name.endswith("/licenses/LICENSE") for name in others)


def test_shipped_files_stay_under_ten_megabytes(wheel):
    with zipfile.ZipFile(wheel) as archive:
        assert sum(member.file_size for member in archive.infolist()) < SHIPPED_LIMIT


def test_data_files_are_read_from_the_wheel(elsewhere):
    program = (
        "import xarray\n"
        "from importlib import resources\n"
        "folder = resources.files('bayescg').joinpath('data/files')\n"
        "file = next(file for file in folder.iterdir() if file.name.endswith('.nc'))\n"
        "with resources.as_file(file) as path: print(dict(xarray.open_dataset(path).sizes))\n"
    )
    assert "frame" in elsewhere("-c", program)


def test_command_runs_from_another_folder(elsewhere):
    assert "demo" in elsewhere("-m", "bayescg", "--help")
