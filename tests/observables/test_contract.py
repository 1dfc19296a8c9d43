"""Every public observable: the same numbers from a simulation and from the frames that it wrote, and a
figure.

One run of two draws with every observable at once, its trajectory in a file, and each observable measured on
the frames of that file. A new observable that is not in the list fails the first test.
"""

import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg import observables as public
from bayescg import viz
from bayescg.dynamics import Trajectory, simulate_ensemble
from bayescg.interfaces import AbstractEnergyObservable, AbstractTimeObservable
from bayescg.numerics.host_loop import HostLoop
from bayescg.predict.ratio import ratio_of_sums
from bayescg.predict.summary import predictive, summary
from bayescg.viz.observable_layout import curve_axis

EDGE, LENGTH = 2.0, 0.28
TYPES = ("A", "B")


def squared_size(frame):
    return jnp.mean((frame.positions - frame.positions.mean(axis=0)) ** 2, axis=0)


CASES = [
    public.ADF(cutoff=0.5, bins=9),
    public.BondAngle(bins=8),
    public.BondLength(minimum=0.1, maximum=0.5, bins=8),
    public.Coordination(cutoff=0.5, smooth_from=0.4),
    public.Custom("squared_size", squared_size, units="nm^2", coordinates={"edge": ["x", "y", "z"]}),
    public.Density(minimum=0.0, maximum=EDGE, bins=8),
    public.Diffusion(minimum=0.05, maximum=0.1),
    public.DihedralAngle(bins=6),
    public.FirstPassage(start=0.8, end=0.82),
    public.MSD(maximum=0.1),
    public.PotentialEnergy(),
    public.Pressure(),
    public.RDF(maximum=0.9, bins=9),
    public.VACF(maximum=0.1, by_type=True),
]
NAMES = [observable.name for observable in CASES]

UNPREPARED = {
    "RDF": "no maximum yet",
    "BondAngle": "no kinds of angles yet",
    "MSD": "no interval yet",
    "VACF": "no interval yet",
}
"""What those that take something from the system say where they were not given it."""


def forgotten(cases):
    exported = {one for name in public.__all__ if inspect.isclass(one := getattr(public, name))}
    return {one.__name__ for one in exported} - {type(case).__name__ for case in cases}


def test_every_public_observable_stands_under_the_contract():
    assert forgotten(CASES) == set()
    assert forgotten(CASES[1:]) == {"ADF"}  # negative control: one that is missing is seen


@pytest.fixture(scope="module")
def beads():
    """Six chains A-B-B-A on a lattice, away from the faces of the box."""
    line = np.arange(4) * LENGTH + 0.5
    chains = np.stack(np.meshgrid([0.5, 1.0, 1.5], [0.7, 1.3], line, indexing="ij"), -1).reshape(-1, 3)
    chains += np.random.default_rng(0).normal(scale=0.02, size=chains.shape)
    bonds = np.array([[4 * m + k, 4 * m + k + 1] for m in range(6) for k in range(3)])
    dims = ("frame", "bead", "dim")
    return bcg.data.validate(
        xr.Dataset(
            {
                "position": (dims, chains[None], {"units": "nm"}),
                "box": (("frame", "dim"), np.full((1, 3), EDGE), {"units": "nm"}),
                "type": ("bead", np.tile(["A", "B", "B", "A"], 6)),
                "mass": ("bead", np.tile([15.0, 14.0, 14.0, 15.0], 6), {"units": "amu"}),
                "molecule": ("bead", np.repeat(np.arange(6), 4)),
                "bond": (("bond", "end"), bonds),
            },
            {"dim": list("xyz")},
            {"temperature": 300.0},
        )
    )


def force_field(depth):
    kinds = [bcg.interfaces.Sampled("bond", kind, 0.2, 0.4, LENGTH, 5e3) for kind in ((0, 1), (1, 1))]
    bonds = bcg.potentials.HarmonicBond().prepare(bcg.interfaces.Support(TYPES, (), internal=tuple(kinds)))
    return bonds + bcg.potentials.WCA([depth] * 3, [0.4] * 3, cutoff=0.6, type_names=TYPES)


@pytest.fixture(scope="module")
def simulated(beads, tmp_path_factory):
    """The run, and what it wrote."""
    path = tmp_path_factory.mktemp("contract") / "run.zarr"
    run = simulate_ensemble(
        [bcg.Model(force_field(depth)) for depth in (1.0, 2.0)],
        np.tile(beads["position"].to_numpy(), (2, 1, 1)),
        box=[EDGE] * 3,
        topology=bcg.data.topology(beads),
        temperature=300.0,
        timestep=0.005,
        steps=240,
        equilibration=0,
        observables=CASES,
        measure_every=5,
        key=jax.random.key(0),
        loop=HostLoop(progress=False),
        friction=1.0,
        records=4,
        trajectory=Trajectory(path, velocities=True),
        beads=beads,
    )
    return run.assign_coords(draw=[0, 1]), xr.open_zarr(path).load()


@pytest.fixture(scope="module")
def measured(simulated):
    """Every observable on the frames of the second draw, with its potential."""
    frames = simulated[1].isel(draw=1)
    return {o.name: bcg.predict.evaluate(o, frames, potential=force_field(2.0)) for o in CASES}


@pytest.mark.parametrize("observable", CASES, ids=NAMES)
def test_data_and_simulation_give_the_same_numbers(observable, simulated, measured):
    """Where a float32 of the simulation falls beside the edge of a bin, one count of hundreds may move."""
    run, name = simulated[0].isel(draw=1), observable.name
    if isinstance(observable, AbstractTimeObservable):
        expected = ratio_of_sums(run[f"{name}_sum"].to_numpy(), run[f"{name}_weight"].to_numpy()).value
    else:
        expected = run[name].mean("record").to_numpy()
    found = measured[name][name]
    assert found.dims == run[name].dims[1:]
    assert found.attrs["units"] == run[name].attrs["units"] == observable.units
    for dim in found.dims:
        np.testing.assert_array_equal(found[dim], run[dim])
    assert np.isfinite(expected).all()
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-3 * np.abs(expected).max())
    # negative control: the other draw, with another potential, gives others
    if not isinstance(observable, AbstractTimeObservable):
        other = simulated[0].isel(draw=0)[name].mean("record").to_numpy()
        assert not np.allclose(found, other, rtol=2e-5, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("observable", CASES, ids=NAMES)
def test_names_units_and_labels_are_whole_and_preparing_twice_changes_nothing(observable, beads):
    topology = bcg.data.topology(beads)
    over_time = isinstance(observable, AbstractTimeObservable)
    given = 0.025 if over_time else np.full(3, EDGE)
    once = observable.prepare(topology, given)
    assert repr(once.prepare(topology, given)) == repr(once)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", observable.name)
    assert observable.units == once.units != ""
    labels = once.coordinates(topology)
    if over_time:
        shape = jax.eval_shape(once.result, jax.eval_shape(lambda: once.begin(24, 3))).shape
    elif isinstance(observable, AbstractEnergyObservable):
        shape = ()
    else:
        nobody = jnp.zeros((24, 0), int)
        x = jnp.asarray(beads.position.values[0])
        frame = bcg.interfaces.Configuration(x, jnp.full(3, EDGE), nobody, topology)
        shape = jax.eval_shape(once.measure, frame).shape
    assert shape == tuple(len(getattr(values, "values", values)) for values in labels.values())


@pytest.mark.parametrize("kind", UNPREPARED)
def test_an_observable_that_was_not_prepared_says_so(kind, beads):
    observable = next(case for case in CASES if type(case).__name__ == kind)
    unprepared = public.RDF() if kind == "RDF" else observable
    topology = bcg.data.topology(beads)
    frame = bcg.interfaces.Configuration(
        jnp.asarray(beads.position.values[0]), jnp.full(3, EDGE), jnp.zeros((24, 0), int), topology
    )
    with pytest.raises(bcg.BayescgError, match=UNPREPARED[kind]):
        unprepared.coordinates(topology) if kind in ("MSD", "VACF", "RDF") else unprepared.measure(frame)


def test_every_observable_has_a_figure_with_its_unit(simulated, measured):
    per_draw = predictive(simulated[0], NAMES)
    tree = xr.DataTree.from_dict({f"summary/{name}": summary(per_draw, name) for name in NAMES})
    for observable in CASES:
        figure = viz.plot_observable(tree, observable.name, reference=measured[observable.name])
        node = tree[f"summary/{observable.name}"].to_dataset()
        unit = viz.style.printed_unit(observable.units)
        if curve_axis(node) is None:
            assert figure.axes[0].get_xlabel().endswith(f"({unit})")
        else:
            assert figure.subfigs[0].axes[0].get_ylabel().endswith(f"({unit})")
            assert figure.subfigs[0].axes[0].get_xlabel()[-1] == ")"
