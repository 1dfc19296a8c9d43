"""A small result as `sample` writes it, of a potential that is known: no sampling, milliseconds."""

from types import SimpleNamespace

import arviz_base
import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg.inference.curves import potential_curves

CHAINS, DRAWS, KNOTS, CUTOFF = 4, 150, 20, 0.9


def water_like(r):
    """A repulsive core, two wells: the shape of a one-site water potential, kJ/mol."""
    return 40 * np.exp(-(r - 0.25) / 0.018) / 8 - 2.2 * np.exp(-(((r - 0.3) / 0.03) ** 2)) + np.where(
        r < CUTOFF, 1.5 * np.sin((r - 0.35) * 17) * (1 - r / CUTOFF) ** 2, 0
    )


def fitted(type_names, start=0.24):
    """A spline through `water_like` and the design that takes coefficients to energies."""
    count = len(bcg.interfaces.type_pairs(len(type_names)))
    spline = bcg.potentials.PairSpline(cutoff=CUTOFF, knots=KNOTS, start=start)
    spline = spline.prepare(bcg.interfaces.Support(type_names, (start,) * count))
    r = np.linspace(start, CUTOFF - 1e-6, 300)
    from bayescg.numerics import splines
    from bayescg.potentials.spline import basis

    m, t = splines.locate(basis(KNOTS), r, start, spline.widths[0])
    design = np.einsum("np,npk->nk", np.asarray(t)[:, None] ** np.arange(4), basis(KNOTS).polynomials[np.asarray(m)])
    return spline, np.linalg.lstsq(design, water_like(r), rcond=None)[0]


def make_result(type_names=("SOL",), seed=0):
    rng = np.random.default_rng(seed)
    spline, mean = fitted(type_names)
    pairs = len(spline.starts)
    scale = 0.03 + 0.5 * np.exp(-np.arange(KNOTS - 1))
    noise = rng.normal(size=(CHAINS, DRAWS, pairs, KNOTS - 1)) * scale
    topology = SimpleNamespace(type_names=type_names)

    def model(values):
        return bcg.Model(eqx.tree_at(lambda s: s.coefficients, spline, jnp.asarray(values["potential.coefficients"])))

    problem = SimpleNamespace(model=model, topology=topology)
    names = ["-".join(type_names[i] for i in pair) for pair in bcg.interfaces.type_pairs(len(type_names))]
    naive = {
        "potential.coefficients": mean + noise,
        "potential.coefficients.roughness": np.exp(rng.normal(size=(CHAINS, DRAWS, pairs)) * 0.3 + 4),
        "likelihood.noise.scale": 60 + 0.1 * rng.normal(size=(CHAINS, DRAWS, len(type_names))),
    }
    sandwich = {**naive, "potential.coefficients": mean + 2.0 * noise}
    coords = {"type_pair": names, "type": list(type_names), "coefficient": np.arange(KNOTS - 1)}
    dims = {
        "potential.coefficients": ["type_pair", "coefficient"],
        "potential.coefficients.roughness": ["type_pair"],
        "likelihood.noise.scale": ["type"],
    }
    stats = {
        "diverging": np.zeros((CHAINS, DRAWS), bool),
        "lp": rng.normal(size=(CHAINS, DRAWS)),
        "acceptance_rate": np.full((CHAINS, DRAWS), 0.85),
        "tree_depth": np.full((CHAINS, DRAWS), 3),
    }
    tree = arviz_base.from_dict(
        {"posterior": naive, "posterior_sandwich": sandwich, "sample_stats": stats}, coords=coords, dims=dims
    )
    tree["potential_curves"] = xr.DataTree(potential_curves(problem, sandwich, naive=naive))
    bins = 240
    r = (np.arange(bins) + 0.5) * CUTOFF / bins
    counts = np.where(r > 0.245, np.round(3e4 * r**2 * np.exp(-water_like(r) / 2.494)), 0)
    tree["constant_data"] = xr.DataTree(
        xr.Dataset(
            {"pair_distance_count": (("type_pair", "distance"), np.tile(counts, (pairs, 1)))},
            coords={"type_pair": names, "distance": r},
        )
    )
    tree.attrs["temperature"] = 300.0
    return tree


@pytest.fixture(scope="session")
def result():
    return make_result()


@pytest.fixture(scope="session")
def result_of_two_types():
    return make_result(("A", "B"))
