"""`import bayescg` stays quick: heavy packages load with the module that needs them."""

import json
import subprocess
import sys

import pytest

HEAVY = ("jax_md", "e3nn_jax", "MDAnalysis", "matplotlib", "openmm", "numba")


def loaded_by(statement):
    """Which of the heavy packages a fresh interpreter holds after this statement."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_import_loads_no_heavy_package():
    assert loaded_by("import bayescg") == []


def test_a_loaded_heavy_package_is_seen():
    assert loaded_by("import bayescg, matplotlib") == ["matplotlib"]


@pytest.mark.parametrize(
    "statement",
    [
        "import bayescg; bayescg.Model(potential=bayescg.potentials.PairSpline(cutoff=0.9, knots=8))",
        "import bayescg.likelihoods",
    ],
    ids=["building a model", "likelihoods"],
)
def test_statistics_need_neither_simulation_nor_trajectory_readers(statement):
    assert not {"jax_md", "MDAnalysis", "openmm"} & set(loaded_by(statement))


def test_import_changes_no_global_setting():
    program = (
        "import jax, logging, warnings, equinox, jaxtyping, numpyro\n"
        "def state(): return dict(jax.config.values), list(warnings.filters), list(logging.root.handlers)\n"
        "before = state()\n"
        "import bayescg\n"
        "assert [a == b for a, b in zip(state(), before)] == [True] * 3, 'jax, warnings or logging changed'\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
