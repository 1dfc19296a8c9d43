"""A small result as `sample`, `identify` and `simulate` write them, of a known potential: no sampling."""

import json
from types import SimpleNamespace

import arviz_base
import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr

import bayescg as bcg
from bayescg.identifiability import Identified
from bayescg.inference.curves import potential_curves
from bayescg.inference.diagnostics import convergence, named_warnings
from bayescg.numerics import splines
from bayescg.potentials.spline import basis
from bayescg.predict.summary import summary

CHAINS, DRAWS, KNOTS, CUTOFF = 4, 150, 20, 0.9


def water_like(r):
    """A repulsive core, two wells: the shape of a one-site water potential, kJ/mol."""
    return (
        40 * np.exp(-(r - 0.25) / 0.018) / 8
        - 2.2 * np.exp(-(((r - 0.3) / 0.03) ** 2))
        + np.where(r < CUTOFF, 1.5 * np.sin((r - 0.35) * 17) * (1 - r / CUTOFF) ** 2, 0)
    )


def fitted(type_names, start=0.24):
    """A spline through `water_like` and the design that takes coefficients to energies."""
    count = len(bcg.interfaces.type_pairs(len(type_names)))
    spline = bcg.potentials.PairSpline(cutoff=CUTOFF, knots=KNOTS, start=start)
    spline = spline.prepare(bcg.interfaces.Support(type_names, (start,) * count))
    r = np.linspace(start, CUTOFF - 1e-6, 300)
    m, t = splines.locate(basis(KNOTS), r, start, spline.widths[0])
    design = np.einsum(
        "np,npk->nk", np.asarray(t)[:, None] ** np.arange(4), basis(KNOTS).polynomials[np.asarray(m)]
    )
    return spline, np.linalg.lstsq(design, water_like(r), rcond=None)[0]


def make_result(type_names=("SOL",), seed=0):
    rng = np.random.default_rng(seed)
    spline, mean = fitted(type_names)
    pairs = len(spline.starts)
    scale = 0.03 + 0.5 * np.exp(-np.arange(KNOTS - 1))
    noise = rng.normal(size=(CHAINS, DRAWS, pairs, KNOTS - 1)) * scale
    topology = SimpleNamespace(type_names=type_names)

    def model(values):
        return bcg.Model(
            eqx.tree_at(lambda s: s.coefficients, spline, jnp.asarray(values["potential.coefficients"]))
        )

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
    table = convergence(tree["posterior"].to_dataset())
    tree["convergence"] = xr.DataTree(table)
    tree["explained_force"] = xr.DataTree(explained(type_names, 0.57, 0.58))
    tree.attrs |= {
        "temperature": 300.0,
        "frames": 151,
        "beads": 510,
        "source": "water.trr",
        "mapping": "center of mass of each residue",
        "versions": json.dumps({"bayescg": "0", "jax": "1"}),
        "warnings": json.dumps(named_warnings(table, tree["sample_stats"].to_dataset())),
    }
    return tree


def explained(type_names, r_squared, ceiling, error=0.002):
    """The group `explained_force`."""
    numbers = {
        "r_squared": r_squared,
        "r_squared_held_out": r_squared,
        "r_squared_held_out_error": error,
        "ceiling_at_least": ceiling,
        "ceiling_at_least_error": error,
    }
    return xr.Dataset(
        {name: ("type", np.full(len(type_names), value)) for name, value in numbers.items()},
        coords={"type": list(type_names)},
    )


def make_identified(pairs=1):
    """A spectrum whose directions are the coefficients themselves, the best first."""
    labels = [f"potential.coefficients[{pair}, {k}]" for pair in range(pairs) for k in range(KNOTS - 1)]
    information = np.geomspace(1e6, 1e-2, len(labels))
    spectrum = xr.Dataset(
        {
            "information": ("direction", information),
            "contraction": ("direction", 1 / np.sqrt(1 + information)),
            "loadings": (("direction", "parameter"), np.eye(len(labels))),
        },
        coords={"parameter": labels},
    )
    return Identified(spectrum, tuple(labels))


def g_of(distance, height):
    """A curve like a g(r), with this height at 0.3 nm."""
    rise = 1 / (1 + np.exp(-(distance - 0.27) / 0.004))
    return np.where(
        distance < 0.22, 0.0, rise * (1 + (height - 1) * np.exp(-(((distance - 0.3) / 0.05) ** 2)))
    )


def make_simulated(pairs=("SOL-SOL",), draws=40, seed=0):
    """Draws whose curves differ only in the height of their peak, 2.5 ± 0.05; no Monte Carlo error."""
    distance = (np.arange(120) + 0.5) * 0.01
    heights = np.random.default_rng(seed).normal(2.5, 0.05, (draws, len(pairs), 1))
    curves = g_of(distance, heights)
    draw = xr.Dataset(
        {
            "radial_distribution": (("draw", "type_pair", "distance"), curves, {"units": "1"}),
            "radial_distribution_error": (("draw", "type_pair", "distance"), np.zeros_like(curves)),
        },
        coords={"type_pair": list(pairs), "distance": distance},
    )
    tree = xr.DataTree.from_dict(
        {
            "posterior_predictive": draw,
            "summary/radial_distribution": summary(draw, "radial_distribution"),
            "diagnostics": xr.Dataset({"exploded": ("run", np.zeros(draws, bool))}),
        }
    )
    tree.attrs |= {"warnings": "[]", "steps": 100, "timestep": 0.005, "equilibration": 20}
    tree.attrs |= {"temperature": 300.0, "friction": 1.0}
    return tree


def make_reference(height, pairs=("SOL-SOL",), error=0.01):
    """The observable of the data, with this height of the peak."""
    distance = (np.arange(120) + 0.5) * 0.01
    curve = np.tile(g_of(distance, height), (len(pairs), 1))
    return xr.Dataset(
        {
            "radial_distribution": (("type_pair", "distance"), curve, {"units": "1"}),
            "radial_distribution_error": (("type_pair", "distance"), np.full_like(curve, error)),
        },
        coords={"type_pair": list(pairs), "distance": distance},
    )
