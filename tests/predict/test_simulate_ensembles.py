"""Ensembles through `simulate`: what the result says of them, and what is named when one goes wrong."""

import json
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from bayescg._checks import BayescgError
from bayescg._typing import Array
from bayescg.interfaces import AbstractPairPotential
from bayescg.model import Model
from bayescg.predict import simulate
from bayescg.predict.run_warnings import _ensemble_warnings

EDGE, SIDE = 1.6, 3


class SoftSphere(AbstractPairPotential):
    stiffness: Array
    cutoff: float = eqx.field(static=True, default=0.6)

    def prepare(self, support):
        return self

    def coordinates(self):
        return {"stiffness": {}}

    def pair_energy(self, distance, first_type, second_type):
        return self.stiffness * jnp.maximum(1 - distance / self.cutoff, 0.0) ** 3


@pytest.fixture(scope="module")
def spheres():
    """What `simulate` asks of a problem and of a posterior."""
    line = (np.arange(SIDE) + 0.5) * EDGE / SIDE
    lattice = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)
    variables = {
        "position": (("frame", "bead", "dim"), np.tile(lattice, (4, 1, 1)), {"units": "nm"}),
        "mass": ("bead", np.full(SIDE**3, 18.0), {"units": "amu"}),
        "box": (("frame", "dim"), np.full((4, 3), EDGE), {"units": "nm"}),
    }
    beads = xr.Dataset(variables, {"dim": list("xyz")}, {"temperature": 300.0})
    problem = SimpleNamespace(
        temperature=300.0,
        fingerprint="spheres",
        beads=beads,
        model=lambda values: Model(SoftSphere(jnp.asarray(values["potential.stiffness"]))),
    )
    stiffness = {"potential.stiffness": (("chain", "draw"), np.full((1, 4), 30.0))}
    return problem, xr.DataTree.from_dict({"posterior": xr.Dataset(stiffness)})


@pytest.mark.parametrize(
    ("settings", "thermostat", "adds"),
    [
        ({"ensemble": "NPT", "pressure": 1500.0, "thermostat": "csvr"}, "csvr", {"volume", "volume_error"}),
        ({"ensemble": "NVE"}, "none", {"energy_drift"}),
    ],
)
def test_result_says_which_ensemble_it_is_of(settings, thermostat, adds, spheres, tmp_path):
    found = simulate(
        *spheres, draws=2, steps=600, timestep=0.01, key=jax.random.key(0), progress=False, **settings
    )
    for name in ("ensemble", "pressure"):
        assert found.attrs.get(name) == settings.get(name)
    assert found.attrs["thermostat"] == thermostat
    checks = found["diagnostics"].to_dataset()
    assert adds <= set(checks.data_vars)
    assert not checks["exploded"].any()
    # nothing is said of a temperature that nobody keeps
    assert not [w for w in json.loads(found.attrs["warnings"]) if "drifts" in w or "shrank" in w]
    assert found["posterior_predictive"].distance.max() < 0.5 * EDGE * (0.9 if "volume" in adds else 1.0)
    found.to_netcdf(tmp_path / "simulated.nc", engine="h5netcdf")


def test_ensembles_that_do_not_go_together_are_refused(spheres):
    for settings, words in (
        ({"ensemble": "NPT"}, "pressure must be a finite number"),
        ({"pressure": 1.0}, "pressure must not be given"),
        ({"ensemble": "NVE", "friction": 1.0}, "friction must not be given"),
        ({"thermostat": "berendsen"}, "thermostat must be one of"),
    ):
        with pytest.raises(BayescgError, match=words):
            simulate(*spheres, draws=2, steps=100, key=jax.random.key(0), progress=False, **settings)


def test_what_went_wrong_with_an_ensemble_is_named():
    """Boxes that collapse or shrink, energies that drift; and none of it where all is well."""

    def checks(collapsed=False, volume=4.0, drift=0.0):
        about = {"units": "nm^3", "start": 4.0, "smallest": 2.9}
        return xr.Dataset(
            {
                "collapsed": ("run", [False, collapsed]),
                "volume": ("run", [4.0, volume], about),
                "energy_drift": ("run", [0.0, drift], {"duration": 0.1}),
            },
            {"draw": ("run", [3, 5])},
        )

    assert _ensemble_warnings(checks(), 300.0) == []
    (sentence,) = _ensemble_warnings(checks(collapsed=True), 300.0)
    assert "shrank below twice the cutoff in draw 5" in sentence
    (sentence,) = _ensemble_warnings(checks(volume=2.5), 300.0)
    assert "shrank to 2.5 nm^3 from 4" in sentence
    # 1.5 kB 6 K = 0.0748 kJ/mol per bead in 0.1 ns is 2% of 300 K
    assert _ensemble_warnings(checks(drift=0.74), 300.0) == []
    (sentence,) = _ensemble_warnings(checks(drift=-0.76), 300.0)
    assert "0.76 kJ/mol per bead and ns" in sentence
