"""Values that are no kernel are refused with the value, the rule and the remedy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescg._checks import BayescgError
from bayescg.interfaces import Timescales
from bayescg.memory import DriftMatrix, Markovian, Mori, OscillatoryProny, PowerLaw, Prony

WAVE = {"times": [0.1], "frequencies": [2.0], "frictions": [10.0], "asymmetries": [0.0]}
REFUSED = {
    "negative friction": (lambda: Markovian(-3.0), ("friction", "-3", "must not be negative", "heats")),
    "no number": (lambda: Markovian([1.0, 2.0]), ("friction must have shape ()", "(2,)", "one number")),
    "infinite": (lambda: Markovian(np.inf), ("friction must be finite", "inf")),
    "no modes": (lambda: Prony(0), ("modes", "at least 1", "got 0", "Markovian()")),
    "negative prony": (
        lambda: Prony(2, [0.1, 1.0], [3.0, -1.0]),
        ("frictions must be positive", "[3, -1] amu/ps", "OscillatoryProny"),
    ),
    "zero time": (lambda: Prony(1, [0.0], [3.0]), ("times must be positive", "[0] ps", "decay times")),
    "unordered": (
        lambda: Prony(2, [1.0, 0.1], [3.0, 1.0]),
        ("times must increase strictly", "[1, 0.1] ps", "Sort the modes"),
    ),
    "equal": (lambda: Prony(2, [1.0, 1.0], [3.0, 1.0]), ("times must increase strictly", "merge")),
    "too few": (lambda: Prony(3, [0.1, 1.0]), ("times must have shape (3,)", "(2,)", "None")),
    "nan": (lambda: Prony(1, [np.nan], [3.0]), ("times must be finite", "nan")),
    "asymmetry": (
        lambda: OscillatoryProny(1, **(WAVE | {"asymmetries": [1.0]})),
        ("asymmetries must lie strictly between -1 and 1", "[1]", "|b| w = g", "negative"),
    ),
    "frequency": (
        lambda: OscillatoryProny(1, **(WAVE | {"frequencies": [0.0]})),
        ("frequencies must be positive", "[0] 1/ps", "Take Prony"),
    ),
    "chain": (lambda: Mori(3, [1.0, -1.0], 2.0, 3.0), ("rates must be positive", "[1, -1] 1/ps")),
    "undamped chain": (lambda: Mori(2, [1.0], 0.0, 3.0), ("damping must be positive", "0 1/ps", "decay")),
    "one level": (lambda: Mori(1), ("levels", "at least 2", "Prony(1)")),
    "exponent": (
        lambda: PowerLaw(4, [0.1, 1.0], 2.5, 3.0),
        ("exponent must lie strictly between 0 and 2", "2.5", "Take Prony"),
    ),
    "ends": (lambda: PowerLaw(4, [1.0, 0.1], 0.5, 3.0), ("times must increase strictly", "[1, 0.1] ps")),
    "matrix": (lambda: DriftMatrix(2, [1.0, 2.0]), ("factor must have shape (3,)", "(2,)")),
    "interval": (lambda: Prony(1).prepare(Timescales(0.0, 1.0, 5.0)), ("timescales.interval", "positive")),
    "duration": (
        lambda: Prony(1).prepare(Timescales(1.0, 1.0, 5.0)),
        ("timescales.duration must exceed the interval of 1 ps", "got 1 ps", "several frames"),
    ),
    "friction": (lambda: Prony(1).prepare(Timescales(0.1, 1.0, -5.0)), ("timescales.friction", "-5.0")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_kernel_is_refused(case):
    build, parts = REFUSED[case]
    with pytest.raises(BayescgError) as error:
        build()
    for part in parts:
        assert part in str(error.value)


def test_what_is_a_kernel_is_taken():
    Markovian(0.0)
    Prony(2, [0.1, 1.0], [3.0, 1.0])
    OscillatoryProny(1, **(WAVE | {"asymmetries": [-0.999]}))
    Mori(2, [1.0], 1.0, 3.0)
    PowerLaw(4, [0.1, 1.0], 1.99, 3.0)


def test_a_memory_may_be_built_of_traced_numbers():
    """Values cannot be looked at there; shapes still are."""
    integral = jax.jit(lambda t: Prony(2, t, [3.0, 1.0]).integral())(jnp.array([0.1, 1.0]))
    assert float(integral) == pytest.approx(4.0)
    with pytest.raises(BayescgError, match="shape"):
        jax.jit(lambda t: Prony(3, t, [3.0, 1.0, 1.0]).integral())(jnp.array([0.1, 1.0]))


def test_a_power_law_falls_as_its_exponent_between_its_ends():
    """Two modes a decade ripple by 0.2%; modes beyond the far end would add (10/1e5)^alpha ~ 1%."""
    memory = PowerLaw(17, [1e-3, 1e5], 0.5, 100.0)
    times = jnp.geomspace(1.0, 10.0, 5)
    slope = np.polyfit(np.log(times), np.log(memory.kernel(times)), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.01)
    steeper = PowerLaw(17, [1e-3, 1e5], 0.7, 100.0)
    assert np.polyfit(np.log(times), np.log(steeper.kernel(times)), 1)[0] == pytest.approx(-0.7, abs=0.01)


def test_odd_derivatives_of_a_chain_vanish_at_zero_one_more_per_level():
    """K^(n)(0) = (-1)^n a' A^n a."""
    for levels in (2, 3, 4):
        matrix, a, _ = Mori(levels, np.arange(2.0, levels + 1), 3.0, 10.0).drift()
        odd = [abs(float(a @ jnp.linalg.matrix_power(matrix, n) @ a)) for n in (1, 3, 5, 7)]
        assert odd[: levels - 1] == [0.0] * (levels - 1)
        assert odd[levels - 1] > 1.0
