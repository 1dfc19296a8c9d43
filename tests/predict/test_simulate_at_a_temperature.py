"""A Thermodynamic through dynamics: <x²> = kT/(a - T b), and the temperature must be said."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from bayescg._checks import BayescgError
from bayescg.model import Model
from bayescg.potentials import Thermodynamic
from bayescg.predict import simulate
from bayescg.units import thermal_energy
from tests.predict.test_simulate import MeanSquare, Tether, beads_of

A, B = 8000.0, 20.0
"""Of springs: a - T b is 2000 kJ/mol/nm² at 300 K and 1000 at 350 K."""


@pytest.fixture(scope="module")
def problem():
    return SimpleNamespace(
        temperature=300.0,
        fingerprint="thermodynamic springs",
        beads=beads_of(np.zeros((5, 32, 3))),
        model=lambda values: Model(Thermodynamic(Tether(jnp.asarray(values["a"])), Tether(jnp.asarray(B)))),
    )


@pytest.fixture(scope="module")
def posterior():
    values = {"a": (("chain", "draw"), np.full((2, 4), A))}
    return xr.DataTree.from_dict({"posterior": xr.Dataset(values)})


def test_beads_spread_as_the_potential_at_that_temperature_says(problem, posterior):
    kelvin = 350.0  # the data's is 300 K
    result = simulate(
        problem, posterior, temperature=kelvin, draws=4, steps=4000, friction=10.0, equilibration=1000,
        observables=[MeanSquare()], measure_every=5, key=jax.random.key(3), progress=False,
    )  # fmt: skip
    found = result["posterior_predictive"].to_dataset()
    spread, error = (found[name].mean("dim") for name in ("mean_square", "mean_square_error"))
    mean, error = float(spread.mean()), float(np.sqrt((error**2).mean() / 4))
    # BAOAB samples a harmonic well's positions exactly; the error is of the mean of four draws
    assert abs(mean - thermal_energy(kelvin) / (A - kelvin * B)) < 5 * error
    # control: a potential 20 K away gives a spread a fifth off or more
    for wrong in (kelvin - 20.0, kelvin + 20.0):
        assert abs(mean - thermal_energy(kelvin) / (A - wrong * B)) > 5 * error
    assert result.attrs["temperature"] == kelvin


def test_the_temperature_must_be_said(problem, posterior):
    with pytest.raises(
        BayescgError, match="temperature must be given where the potential is a Thermodynamic"
    ):
        simulate(problem, posterior, draws=2, steps=100, progress=False, key=jax.random.key(0))
    with pytest.raises(BayescgError, match="temperature must be positive"):
        simulate(
            problem, posterior, temperature=0.0, draws=2, steps=100, progress=False, key=jax.random.key(0)
        )
