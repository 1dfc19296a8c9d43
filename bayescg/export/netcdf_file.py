"""netcdf: draws of a posterior as one NetCDF file that any program can read, without bayescg.

    variable                         dims                              unit
    <path of every parameter>        draw, ...                         its own
    pair_energy, pair_force          draw, type_pair, distance         kJ/mol, kJ/mol/nm
    bond_energy, bond_force          draw, bond_type, bond_length      kJ/mol, kJ/mol/nm
    angle_energy, angle_force        draw, angle_type, angle           kJ/mol, kJ/mol/rad
    dihedral_energy, dihedral_force  draw, dihedral_type, dihedral     kJ/mol, kJ/mol/rad
    memory_kernel                    draw, lag                         amu/ps²
    memory_spectrum                  draw, frequency                   amu/ps
    memory_matrix, memory_coupling   draw, mode, ...                   1/ps, sqrt(amu)/ps
    memory_friction                  draw                              amu/ps

Energies and forces are those of the model at one temperature, summed over all terms that are curves; others
are named in the attribute `not_tabulated`. The kernel is K(t) = 2 gamma0 delta(t) + a' exp(-A_s t) a with
A_s the matrix, a the coupling and gamma0 the friction; `memory_kernel` leaves the delta out.
"""

import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, require
from bayescg._typing import NumpyArray
from bayescg.export.chosen_draws import ChosenDraws, choose_draws
from bayescg.export.curves import CHAINS, Terms, chain_curves, kinds_in, pair_curves, terms_of
from bayescg.inference import Problem, group_of
from bayescg.interfaces import AbstractMemory, AbstractPairPotential, LinearSum, Sum, type_pairs
from bayescg.model import Model
from bayescg.numerics.internal_coordinates import kind_names
from bayescg.potentials.bonded import AbstractBondedPotential

POINTS = 200
"""Of every grid, where none is given."""

SHORTEST = 0.2
"""Part of the cutoff at which the grid of distances begins, where none is given."""

ROOM = 0.25
"""Part of the sampled range of bonds that their grid reaches beyond it."""

LONGEST_TIMES = 5.0
"""Lags reach this many of the slowest decay times, where e^-5 of that mode is left."""

GRIDS = {"bond": ("bond_length", "nm"), "angle": ("angle", "rad"), "dihedral": ("dihedral", "rad")}
"""Name and unit of what the curves of a chain are functions of."""


def netcdf(
    problem: Problem,
    posterior: xr.DataTree,
    path: str | Path,
    *,
    draws: int = 32,
    temperature: float | None = None,
    distances: Sequence[float] | NumpyArray | None = None,
    lags: Sequence[float] | NumpyArray | None = None,
    frequencies: Sequence[float] | NumpyArray | None = None,
    group: str | None = None,
) -> xr.Dataset:
    """Write draws of a posterior, their curves and memories, as a NetCDF file.

    Args:
        problem: that the posterior belongs to; it holds the model and the beads.
        posterior: from `bayescg.sample`.
        path: of the file, in a folder that exists; an older file is replaced when the new one is complete.
        draws: how many, evenly thinned over chains.
        temperature: K; None for that of the data.
        distances: of pairs, nm, above zero; None for 200 from a fifth of the cutoff to the cutoff.
        lags: ps; None for zero and a logarithmic grid up to five of the slowest decay times of all draws.
        frequencies: 1/ps; None for a logarithmic grid over the rates of all draws.
        group: of the posterior; None for `posterior_sandwich` where there is one, else `posterior`.

    Returns:
        What was written; `xarray.open_dataset(path)` gives the same.

    Raises:
        BayescgError: another problem's posterior, more draws than there are, a `Thermodynamic` potential
            without a temperature, distances not above zero, or a file that cannot be written.

    Example:
        >>> import bayescg as bcg, jax, tempfile
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> posterior = bcg.sample(problem, bcg.Conjugate(draws=50), key=jax.random.key(0), progress=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = bcg.export.netcdf(problem, posterior, f"{folder}/draws.nc", draws=2)
        >>> written["pair_energy"].dims, written["pair_energy"].attrs["units"]
        (('draw', 'type_pair', 'distance'), 'kJ/mol')
    """
    chosen = choose_draws(problem, posterior, draws=draws, temperature=temperature, group=group)
    name = group_of(posterior, group)
    result = _parameters(posterior[name].to_dataset(), chosen)
    terms, left_out = _split(chosen.models[0])
    result = result.assign(_pairs(chosen, terms, distances)).assign(_chains(chosen, terms))
    if chosen.models[0].memory is not None:
        result = result.assign(_memories(chosen.models, lags, frequencies))
    result.attrs = {
        "title": "draws of a coarse-grained model",
        "source": f"bayescg {version('bayescg')}",
        "temperature": chosen.temperature,
        "temperature_units": "K",
        "fingerprint": problem.fingerprint,
        "group": name,
        "bead_types": ", ".join(chosen.topology.type_names),
        "not_tabulated": ", ".join(left_out),
    }
    _save(result, Path(path))
    return result


def _parameters(dataset: xr.Dataset, chosen: ChosenDraws) -> xr.Dataset:
    """The draws' own values, with their labels."""
    chain, draw = (xr.DataArray(a, dims="chosen") for a in (chosen.selection.chain, chosen.selection.draw))
    picked = dataset.isel(chain=chain, draw=draw).reset_coords(drop=False)
    picked = picked.rename({"chain": "posterior_chain", "draw": "posterior_draw"})
    picked = picked.set_coords(["posterior_chain", "posterior_draw"]).rename({"chosen": "draw"})
    return picked.assign_coords(draw=np.arange(len(chosen.models)))


def _split(model: Model) -> tuple[Terms, list[str]]:
    """Terms that are curves, and the names of those that are not."""
    potential = model.potential
    terms = potential.terms if isinstance(potential, Sum | LinearSum) else (potential,)
    curved = [term for term in terms if isinstance(term, AbstractPairPotential | AbstractBondedPotential)]
    left_out = [type(term).__name__ for term in terms if term not in curved]
    if not curved:
        return Terms((), (), 0.0), left_out
    return terms_of(Sum(max(term.cutoff for term in curved), tuple(curved)), program="a file"), left_out


def _pairs(chosen: ChosenDraws, terms: Terms, distances: Any) -> dict[str, xr.DataArray]:
    if not terms.pairs:
        return {}
    names = chosen.topology.type_names
    r = np.linspace(SHORTEST * terms.cutoff, terms.cutoff, POINTS) if distances is None else distances
    r = np.asarray(r, float)
    require(
        r.ndim == 1 and bool((r > 0).all()),
        "distances must be numbers above zero, in nm, got others. Give np.linspace(0.2, 0.9, 100), say.",
    )
    curves = [pair_curves(_split(model)[0].pairs, len(names), r) for model in chosen.models]
    labels = {
        "draw": np.arange(len(curves)),
        "type_pair": ["-".join(names[index] for index in pair) for pair in type_pairs(len(names))],
        "distance": ("distance", r, {"units": "nm"}),
    }
    return _energy_and_force("pair", curves, labels, "nm")


def _chains(chosen: ChosenDraws, terms: Terms) -> dict[str, xr.DataArray]:
    found = {}
    for chain in CHAINS:
        kinds = kinds_in(terms.chains, chain, chosen.topology)
        if not kinds:
            continue
        grid, unit = GRIDS[chain]
        q = _chain_grid(terms, chain)
        curves = [chain_curves(_split(model)[0].chains, chain, kinds, q) for model in chosen.models]
        labels = {
            "draw": np.arange(len(curves)),
            f"{chain}_type": kind_names(kinds, chosen.topology.type_names),
            grid: (grid, q, {"units": unit}),
        }
        found |= _energy_and_force(chain, curves, labels, unit)
    return found


def _chain_grid(terms: Terms, chain: str) -> NumpyArray:
    """All angles, or the sampled range of bonds and some room."""
    if chain != "bond":
        return np.linspace(0.0 if chain == "angle" else -np.pi, np.pi, POINTS)
    sampled = [one for term in terms.chains for one in term.sampled if one.coordinate == "bond"]
    lowest, highest = min(one.lowest for one in sampled), max(one.highest for one in sampled)
    room = ROOM * (highest - lowest)
    return np.linspace(max(lowest - room, 1e-3), highest + room, POINTS)


def _energy_and_force(
    name: str, curves: Sequence[Any], labels: dict[str, Any], unit: str
) -> dict[str, xr.DataArray]:
    return {
        f"{name}_{part}": xr.DataArray(
            np.stack([getattr(curve, part) for curve in curves]), labels, list(labels), attrs={"units": units}
        )
        for part, units in (("energy", "kJ/mol"), ("force", f"kJ/mol/{unit}"))
    }


def _memories(models: Sequence[Model], lags: Any, frequencies: Any) -> dict[str, xr.DataArray]:
    memories = [model.memory for model in models if model.memory is not None]
    drifts = [tuple(np.asarray(part) for part in memory.drift()) for memory in memories]
    slowest, fastest = _rates([drift[0] for drift in drifts])
    longest = LONGEST_TIMES / slowest
    if lags is None:
        lags = np.concatenate([[0.0], np.geomspace(0.01 / fastest, longest, POINTS - 1)])
    if frequencies is None:
        frequencies = np.geomspace(1 / longest, 10 * fastest, POINTS) / (2 * np.pi)
    lags, frequencies = np.asarray(lags, float), np.asarray(frequencies, float)
    kernels, spectra = zip(*(_memory_curves(memory, lags, frequencies) for memory in memories), strict=True)
    matrix, coupling, friction = (np.stack([drift[part] for drift in drifts]) for part in range(3))
    modes = ("mode", np.arange(coupling.shape[1]))
    draw = ("draw", np.arange(len(memories)))
    columns = ("mode_column", np.arange(coupling.shape[1]))
    lag = ("lag", ("lag", lags, {"units": "ps"}))
    frequency = ("frequency", ("frequency", frequencies, {"units": "1/ps"}))
    rows = (
        ("memory_kernel", kernels, (draw, lag), "amu/ps²"),
        ("memory_spectrum", spectra, (draw, frequency), "amu/ps"),
        ("memory_matrix", matrix, (draw, modes, columns), "1/ps"),
        ("memory_coupling", coupling, (draw, modes), "sqrt(amu)/ps"),
        ("memory_friction", friction, (draw,), "amu/ps"),
    )
    return {
        name: xr.DataArray(
            np.asarray(values), dict(labels), [label for label, _ in labels], attrs={"units": unit}
        )
        for name, values, labels, unit in rows
    }


@eqx.filter_jit
def _memory_curves(memory: AbstractMemory, lags: Any, frequencies: Any) -> tuple[Any, Any]:
    return memory.kernel(jnp.asarray(lags)), memory.spectrum(jnp.asarray(frequencies))


def _rates(matrices: Sequence[NumpyArray]) -> tuple[float, float]:
    """Slowest decay and fastest motion of all draws, 1/ps; 1 where there are no modes."""
    values = np.concatenate([np.linalg.eigvals(matrix) for matrix in matrices if matrix.size] or [np.ones(1)])
    return float(np.min(values.real)), float(np.max(np.abs(values)))


def _save(dataset: xr.Dataset, path: Path) -> None:
    """Whole or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        dataset.to_netcdf(part, engine="h5netcdf")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise BayescgError(
            f"path {path} cannot be written: {error}. Free some space, or give a folder that exists."
        ) from error
