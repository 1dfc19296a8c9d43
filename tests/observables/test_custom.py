"""Observables from plain functions, and the recipe for observables over time."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.interfaces import AbstractTimeObservable
from bayescg.observables import RDF, Coordination, Custom, custom
from bayescg.observables.together import check_together
from tests.observables.lattices import frame_of


def extent(frame):
    return jnp.max(frame.positions, axis=0) - jnp.min(frame.positions, axis=0)


FRAME = frame_of(np.array([[0.0, 0.0, 0.0], [0.1, 0.2, 0.4]]), None)


def test_a_function_is_measured_with_its_axes():
    axis = xr.Variable("edge", [1.0, 2.0, 3.0], {"units": "nm"})
    size = Custom("size", extent, units="nm", coordinates={"edge": axis})
    np.testing.assert_allclose(size.measure(FRAME), [0.1, 0.2, 0.4])
    assert size.coordinates(FRAME.topology)["edge"].attrs["units"] == "nm"
    assert (size.name, size.units) == ("size", "nm")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "my size"}, "name must be a Python identifier"),
        ({"name": "volume"}, "must not be 'volume'"),
        ({"coordinates": {"band": [1.0]}}, "must not be 'band'"),
        ({"function": 3.0}, "function must take a Configuration"),
        ({"coordinates": {"edge": [[1.0]]}}, "a row of labels for 'edge'"),
    ],
)
def test_what_is_no_observable_is_refused(settings, words):
    with pytest.raises(BayescgError, match=words):
        Custom(**{"name": "size", "function": extent} | settings)


def test_an_array_of_another_shape_is_refused():
    with pytest.raises(BayescgError, match=r"edge of 2.*got the shape \(3,\)"):
        Custom("size", extent, coordinates={"edge": [1, 2]}).measure(FRAME)


def test_checkpoints_tell_functions_apart_and_know_the_same_one_again():
    """The text of an observable is what a checkpoint's fingerprint is made of: no address may stand in it."""

    def make(number):
        return {1: lambda frame: 1.0 * extent(frame), 2: lambda frame: 2.0 * extent(frame)}[number]

    first, again, other = (repr(Custom("size", make(number))) for number in (1, 1, 2))
    assert first == again
    assert first != other
    assert " at 0x" not in first


def test_the_recipe_for_an_observable_over_time_works():
    """The example in the documentation of the module, against NumPy."""
    text = custom.__doc__.split("for example::")[1]
    names = {"bcg": bcg, "eqx": eqx, "jnp": jnp}
    exec("\n".join(line[4:] for line in text.splitlines()), names)
    change = names["VelocityChange"]()
    assert isinstance(change, AbstractTimeObservable)
    v = np.random.default_rng(0).normal(size=(6, 2, 3))
    beads = xr.Dataset(
        {
            "position": (("frame", "bead", "dim"), np.cumsum(v, axis=0), {"units": "nm"}),
            "velocity": (("frame", "bead", "dim"), v, {"units": "nm/ps"}),
            "mass": ("bead", [1.0, 1.0], {"units": "amu"}),
        },
        {"time": ("frame", np.arange(6.0), {"units": "ps"}), "dim": list("xyz")},
        {"temperature": 120.0},  # of unit mass and velocities of 1 nm/ps
    )
    found = bcg.predict.evaluate(change, beads, blocks=2)
    expected = np.mean(np.sum(np.diff(v, axis=0) ** 2, axis=-1))
    assert float(found.velocity_change) == pytest.approx(expected)


def test_observables_that_cannot_stand_beside_each_other_are_named():
    with pytest.raises(BayescgError, match="'radial_distribution' more than once"):
        check_together([RDF(maximum=0.5), RDF(maximum=0.5, bins=3)], FRAME.topology)
    one = Custom("a", extent, coordinates={"distance": [1.0, 2.0, 3.0]})
    with pytest.raises(BayescgError, match="agree on the points of distance"):
        check_together([RDF(maximum=0.5), one], FRAME.topology)
    check_together([RDF(maximum=0.5), Coordination(0.3)], FRAME.topology)
