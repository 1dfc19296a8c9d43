"""Which records of a simulation are of its equilibrium, and whether its blocks are long enough.

Every run is judged by its own series (`bayescg.numerics.equilibration`): the kinetic temperature and whatever
else is one number a record, and two principal components of every observable. All runs begin alike, at frames
of the data, and what they lose by and by they lose together: the mean over R runs, each in units of its own
deviation, has sqrt(R) less noise and shows a transient that no run shows alone. Runs that drift by themselves
are left out of that mean, unless half of them do. A run is in equilibrium from the later of both starts on.
"""

import numpy as np
import xarray as xr

from bayescg._typing import NumpyArray
from bayescg.numerics.equilibration import equilibrated, principal_series

LEAST_EFFECTIVE = 10.0
"""Effective samples below which a run is named: an error from fewer is known to no better than a fourth."""

NUMBERS = ("kinetic_temperature", "volume", "own_energy")
"""Looked at beside the observables, as far as a run has it; an energy that is conserved only drifts."""

CORRELATED = 0.15
"""Correlation of neighbouring blocks above which errors are named: they are 14% too small there."""

NAMED = 10
"""Draws named in a warning."""


def equilibrium(run: xr.Dataset, names: list[str]) -> xr.Dataset:
    """When every run is in equilibrium, and how many independent samples it then holds.

    Args:
        run: block means (draw, record, ...).
        names: of the observables.

    Returns:
        Per run (dimension `draw`): `equilibrated_record`, the records before equilibrium, and
        `effective_samples`, after it and of the slowest series; NaN where there are too few records to tell.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(4, 100)) + 8 * np.exp(-np.arange(100) / 5)
        >>> found = equilibrium(xr.Dataset({"kinetic_temperature": (("draw", "record"), x)}), [])
        >>> bool(((found.equilibrated_record > 5) & (found.equilibrated_record < 20)).all())
        True
    """
    blocks = [*_numbers(run), *(_curves(run, name) for name in names)]
    count, length = run.sizes["draw"], run.sizes["record"]
    sound = np.array([all(np.isfinite(values[run, :, 0]).all() for values in blocks) for run in range(count)])
    starts, effective = np.zeros(count, dtype=int), np.full(count, np.nan)
    for index in np.flatnonzero(sound):
        alone = equilibrated(_series([values[index] for values in blocks]))
        starts[index], effective[index] = alone.start, alone.effective / (length - alone.start)
    few = effective * (length - starts) < LEAST_EFFECTIVE
    settled = sound & ~few & (starts <= length / 2)
    asked = settled if 2 * settled.sum() > sound.sum() else sound
    if asked.sum() >= 2:
        mean = [_standard(values[asked]).mean(axis=0) for values in blocks]
        starts[sound] = np.maximum(starts[sound], equilibrated(_series(mean)).start)
    effective *= length - starts
    return xr.Dataset({"equilibrated_record": ("draw", starts), "effective_samples": ("draw", effective)})


def statistics_warnings(checks: xr.Dataset, draws: xr.Dataset, names: list[str]) -> list[str]:
    """Runs that never came to equilibrium, and errors from blocks that are too short.

    Args:
        checks: `diagnostics`.
        draws: from `predictive`.
        names: of the observables.

    Returns:
        Sentences, each with its remedy.

    Example:
        >>> checks = xr.Dataset({"equilibrated_record": ("run", [60]), "effective_samples": ("run", [30.0])})
        >>> checks = checks.assign_coords(draw=("run", [7])).assign_attrs(records=100)
        >>> statistics_warnings(checks, xr.Dataset(), [])[0][:40]
        'No equilibrium for half of its length, o'
    """
    found = []
    if "equilibrated_record" in checks:
        late = checks["equilibrated_record"].to_numpy() > checks.attrs["records"] / 2
        few = checks["effective_samples"].to_numpy() < LEAST_EFFECTIVE
        if (late | few).any():
            which = named_draws(np.unique(checks["draw"].to_numpy()[late | few]))
            found.append(
                f"No equilibrium for half of its length, or fewer than {LEAST_EFFECTIVE:.0f} independent "
                f"samples, in {int((late | few).sum())} of {late.size} simulations: {which}. "
                "Such errors are not to be trusted. Take more steps, or a longer equilibration."
            )
    for name in names:
        r = draws[f"{name}_error"].attrs.get("block_correlation", np.nan)
        error = draws[f"{name}_error"].attrs.get("block_correlation_error", np.nan)
        if r - 2 * error > CORRELATED:
            found.append(
                f"Neighbouring blocks of {name} are correlated ({r:.2f} ± {error:.2f}), so its Monte Carlo "
                f"errors are too small, by a factor of {np.sqrt(1 + 2 * r):.2f} or more. Take more steps."
            )
    return found


def named_draws(draws: NumpyArray) -> str:
    """Draws by their numbers, for a sentence.

    Args:
        draws: numbers, in the order in which they are named; of many the first `NAMED`.

    Example:
        >>> named_draws(np.array([11])), named_draws(np.array([6, 7]))
        ('draw 11', 'draws 6, 7')
    """
    numbers = ", ".join(str(int(draw)) for draw in draws[:NAMED])
    return ("draw " if len(draws) == 1 else "draws ") + numbers + (", ..." if len(draws) > NAMED else "")


def _standard(values: NumpyArray) -> NumpyArray:
    """Every element of every run in units of its own deviation; zero where it never varies."""
    centered = values - values.mean(axis=1, keepdims=True)
    deviation = values.std(axis=1, keepdims=True)
    varies = deviation > 1e-12 * np.abs(values).max(axis=1, keepdims=True)
    return np.divide(centered, deviation, out=np.zeros_like(centered), where=varies)


def _series(blocks: list[NumpyArray]) -> NumpyArray:
    """Side by side, (record, series)."""
    return np.concatenate([principal_series(values) for values in blocks], axis=1)


def _numbers(run: xr.Dataset) -> list[NumpyArray]:
    """What is one number a record, (draw, record, 1)."""
    return [run[name].to_numpy()[..., None] for name in NUMBERS if name in run]


def _curves(run: xr.Dataset, name: str) -> NumpyArray:
    """An observable, (draw, record, element); elements that some block did not sample are left out."""
    values = run[name].to_numpy()
    flat = values.reshape(*values.shape[:2], -1)
    alive = np.all(np.isfinite(flat).any(axis=2), axis=1)
    sampled = np.all(np.isfinite(flat[alive]), axis=(0, 1)) if alive.any() else np.zeros(flat.shape[2], bool)
    return flat[..., sampled] if sampled.any() else np.zeros((*flat.shape[:2], 1))
