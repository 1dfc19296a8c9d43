"""Trajectories asked of `simulate`: in this process and of another program, measured again from the file."""

import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.interfaces import Support
from bayescg.model import Model
from bayescg.observables import ADF, RDF, Pressure

SIDE, EDGE = 3, 1.2
OBSERVABLES = [RDF(bins=10), Pressure(), ADF(cutoff=0.55, bins=6, neighbors=2)]


def fluid(values):
    core = bcg.potentials.WCA(epsilon=1.0, sigma=0.35, cutoff=0.5).prepare(Support(("bead",), (0.3,)))
    return Model(bcg.model.with_values(core, {"epsilon": jnp.atleast_1d(values["potential.epsilon"])}))


@pytest.fixture(scope="module")
def problem():
    """What `simulate` asks of a problem."""
    line = (np.arange(SIDE) + 0.5) * EDGE / SIDE
    lattice = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(1, -1, 3)
    beads = xr.Dataset(
        {
            "position": (("frame", "bead", "dim"), lattice, {"units": "nm"}),
            "box": (("frame", "dim"), np.full((1, 3), EDGE), {"units": "nm"}),
            "mass": ("bead", np.full(SIDE**3, 18.0), {"units": "amu"}),
        },
        {"dim": list("xyz")},
        {"temperature": 300.0},
    )
    return SimpleNamespace(
        temperature=300.0, fingerprint="fluid", beads=bcg.data.validate(beads), model=fluid
    )


@pytest.fixture(scope="module")
def posterior():
    group = xr.Dataset({"potential.epsilon": (("chain", "draw"), [[1.0, 2.0]])})
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs={"fingerprint": "fluid"}), "posterior": group})


@pytest.fixture
def simulated(problem, posterior):
    def go(path, **settings):
        return bcg.simulate(
            problem,
            posterior,
            draws=2,
            steps=100,
            equilibration=20,
            measure_every=10,
            observables=OBSERVABLES,
            key=jax.random.key(0),
            progress=False,
            trajectory=path,
            **settings,
        )

    return go


def check(result, store):
    """The file holds the frames that the observables were measured on, in the order of the draws."""
    assert store.frames_written.values.tolist() == [10, 10]
    found = result["posterior_predictive"]
    for draw, epsilon in enumerate((1.0, 2.0)):
        frames = store.isel(draw=draw)
        potential = fluid({"potential.epsilon": epsilon}).potential
        g, pressure = (
            bcg.predict.evaluate(observable, frames, potential=potential) for observable in OBSERVABLES[:2]
        )
        np.testing.assert_allclose(found.radial_distribution[draw], g.radial_distribution, atol=0.02)
        assert float(found.pressure[draw]) == pytest.approx(float(pressure.pressure), rel=1e-5)


@pytest.mark.parametrize("engine", ["jax-md", "lammps"])
def test_a_simulation_writes_the_frames_that_it_measures(simulated, tmp_path, engine):
    result = simulated(tmp_path / "run.zarr", engine=engine)
    check(result, xr.open_zarr(tmp_path / "run.zarr").load())
    # two neighbours are not enough for an ADF here: it is no number, and the result says so
    assert np.isnan(result["posterior_predictive"].angular_distribution).all()
    (warning,) = [text for text in json.loads(result.attrs["warnings"]) if "neighbors" in text]
    assert "angular_distribution is not a number in 2 of 2 simulations" in warning
    with pytest.raises(BayescgError, match="must name a file that does not exist"):
        simulated(tmp_path / "run.zarr", engine=engine)


def test_a_draw_that_another_program_runs_again_is_written_once(simulated, tmp_path):
    settings = {"engine": "lammps", "checkpoint": tmp_path / "checkpoint"}
    simulated(tmp_path / "run.zarr", **settings)
    before = xr.open_zarr(tmp_path / "run.zarr").load()
    (tmp_path / "checkpoint" / "draw_0001.nc").unlink()  # as if the run had ended before the second was done
    result = simulated(tmp_path / "run.zarr", **settings)
    after = xr.open_zarr(tmp_path / "run.zarr").load()
    check(result, after)
    xr.testing.assert_identical(after, before)
