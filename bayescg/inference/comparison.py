"""Samplers side by side: held-out scores, calibration, convergence and cost of every method in one table.

What an approximation leaves out of a posterior shows where it counts, on frames that nothing was fitted to:
in the log predictive density per frame, paired with the best method's, and in how often predictive intervals
hold the forces (`inference.held_out_forces`). A method that is overconfident covers too little and scores
too low. Beside them stand R-hat and effective sample size of the parameters (weights of a network have
symmetries, so chains that predict alike may disagree there), Pareto k of approximations and the time to draw.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, require, whole
from bayescg._typing import NumpyArray, PRNGKeyArray
from bayescg.inference.held_out_forces import (
    Predicted,
    held_out_frames,
    mean_and_error,
    predicted_forces,
)
from bayescg.inference.problem import Problem
from bayescg.inference.result import check_same_problem, draw_values, sample
from bayescg.inference.sampler import AbstractSampler
from bayescg.inference.thinning import evenly
from bayescg.numerics.blocks import MINIMUM_BLOCKS
from bayescg.numerics.host_loop import HostLoop

LEVELS = (0.5, 0.9, 0.95)
"""Levels of the predictive intervals."""

COLUMNS = (
    ("log density", "score", "{:.2f} ± {:.2f}"),
    ("to the best", "difference", "{:.2f} ± {:.2f}"),
    ("R-hat", "r_hat", "{:.3f}"),
    ("ESS", "ess", "{:.0f}"),
    ("k", "pareto_k", "{:.2f}"),
    ("explained %", "explained", "{:.1f}"),
    ("s", "seconds", "{:.1f}"),
)
"""Of the text: heading, variable, format of the value, and of its error where there is one."""


class Comparison(eqx.Module):
    """Methods side by side.

    Attributes:
        table: Dataset over `sampler`, best score first: `score` (log predictive density per held-out frame),
            `score_error`, `difference` from the best and `difference_error` from paired frames; `coverage`
            and `coverage_error` over `level`; `explained` part of the mean square force, `r_hat` (largest),
            `ess` (smallest, bulk), `pareto_k` (NaN for what is no approximation), `seconds`.
        posteriors: what `bayescg.sample` returned for every method.
    """

    table: xr.Dataset
    posteriors: dict[str, xr.DataTree]

    def summary(self) -> str:
        """The table as text, best first: log density per frame, how many forces lie in predictive intervals.

        Example:
            >>> names = ("score", "score_error", "difference", "difference_error", "r_hat", "ess", "pareto_k",
            ...     "explained", "seconds")
            >>> table = xr.Dataset({name: ("sampler", [1.0]) for name in names}, coords={"sampler": ["NUTS"]})
            >>> table["coverage"] = ("sampler", "level"), [[0.49, 0.9, 0.951]]
            >>> print(Comparison(table.assign_coords(level=list(LEVELS)), {}).summary())
            sampler  log density  to the best  in 50 90 95 %   R-hat  ESS  k     explained %  s
            NUTS     1.00 ± 1.00  1.00 ± 1.00  49.0 90.0 95.1  1.000  1    1.00  100.0        1.0
        """
        methods = [str(name) for name in self.table["sampler"].values]
        columns = [["sampler", *methods]]
        for heading, name, form in COLUMNS:
            columns.append([heading, *(self._cell(index, name, form) for index in range(len(methods)))])
        levels = " ".join(f"{100 * level:g}" for level in self.table["level"].values)
        held = 100 * self.table["coverage"].transpose("sampler", "level").values
        columns.insert(3, [f"in {levels} %", *(" ".join(f"{v:.1f}" for v in row) for row in held)])
        widths = [max(map(len, column)) for column in columns]
        rows = zip(*columns, strict=True)
        return "\n".join(
            "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )

    def _cell(self, index: int, name: str, form: str) -> str:
        value = float(self.table[name][index])
        if not np.isfinite(value):
            return "-"
        if f"{name}_error" not in self.table:
            return form.format(100 * value if name == "explained" else value)
        return form.format(value, float(self.table[f"{name}_error"][index]))


def compare(
    problem: Problem | Callable[[str], Problem],
    samplers: Mapping[str, AbstractSampler | xr.DataTree],
    *,
    held_out: Any,
    key: PRNGKeyArray,
    draws: int = 200,
    blocks: int = 20,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> Comparison:
    """Sample with every method and score all on the same held-out frames.

    Args:
        problem: the posterior, with a `ForceMatching` term; or a function of the method's name that makes it,
            where methods need problems of their own.
        samplers: name -> sampler, or what `bayescg.sample` returned for one.
        held_out: mapped beads with forces, of the same bead types, in order of time.
        key: source of all randomness; the same key gives the same bits.
        draws: of every method, spread evenly over its chains, with which frames are scored.
        blocks: contiguous blocks of held-out frames that standard errors come from.
        checkpoint: folder with one of its own for every method.
        progress: whether to show bars.

    Returns:
        Table and posteriors.

    Raises:
        BayescgError: no method, no force matching term, or held-out frames that do not fit.
        Interrupted: Ctrl-C; the checkpoints keep what was drawn.

    Example:
        >>> import bayescg as bcg, jax
        >>> beads = bcg.data.water(frames=24)
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.7, knots=10))
        >>> term = bcg.likelihoods.ForceMatching().on(beads.isel(frame=slice(0, 16)))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> methods = {"exact": bcg.Conjugate(draws=100)}
        >>> held_out = beads.isel(frame=slice(16, 24))
        >>> found = bcg.compare(problem, methods, held_out=held_out, key=jax.random.key(0), draws=20,
        ...     progress=False)
        >>> found.table["coverage"].shape
        (1, 3)
    """
    require(len(samplers) > 0, "samplers must hold at least one method, got none. Give name -> sampler.")
    whole("draws", draws)
    whole("blocks", blocks, minimum=MINIMUM_BLOCKS)
    posteriors: dict[str, xr.DataTree] = {}
    scored: dict[str, Predicted] = {}
    for (name, sampler), own in zip(samplers.items(), jax.random.split(key, len(samplers)), strict=True):
        posed = problem if isinstance(problem, Problem) else problem(name)
        frames = held_out_frames(posed, held_out)
        folder = None if checkpoint is None else Path(checkpoint) / name
        posteriors[name] = _posterior(posed, sampler, name, key=own, checkpoint=folder, progress=progress)
        positions = _thinned(posed, posteriors[name], draws)
        scored[name] = predicted_forces(posed, positions, frames, loop=HostLoop(progress=progress))
    return Comparison(_table(posteriors, scored, blocks), posteriors)


def _posterior(
    problem: Problem,
    sampler: AbstractSampler | xr.DataTree,
    name: str,
    *,
    key: PRNGKeyArray,
    checkpoint: Path | None,
    progress: bool,
) -> xr.DataTree:
    if isinstance(sampler, xr.DataTree):
        check_same_problem(problem, sampler)
        return sampler
    if not isinstance(sampler, AbstractSampler):
        raise BayescgError(
            f"samplers must hold samplers or results of bayescg.sample, got {type(sampler).__name__} for "
            f"{name!r}."
        )
    return sample(problem, sampler, key=key, checkpoint=checkpoint, progress=progress)


def _thinned(problem: Problem, tree: xr.DataTree, wanted: int) -> NumpyArray:
    """Unconstrained draws, spread evenly over chains and draws."""
    values = {name: array.reshape(-1, *array.shape[2:]) for name, array in _flat_sites(problem, tree).items()}
    total = len(next(iter(values.values())))
    picked = {name: jnp.asarray(array[evenly(total, wanted)]) for name, array in values.items()}
    return np.asarray(_unconstrained(problem, picked))


def _flat_sites(problem: Problem, tree: xr.DataTree) -> dict[str, NumpyArray]:
    values = draw_values(tree, group="posterior")
    missing = [site for site in problem.sites if site not in values]
    require(not missing, f"a posterior must hold all random variables, got none for {', '.join(missing)}.")
    return {site: values[site] for site in problem.sites}


@eqx.filter_jit
def _unconstrained(problem: Problem, values: dict[str, Any]) -> Any:
    return jax.vmap(problem.unconstrain)(values)


def _table(posteriors: dict[str, xr.DataTree], scored: dict[str, Predicted], blocks: int) -> xr.Dataset:
    names = sorted(scored, key=lambda name: -float(scored[name].score.mean()))
    best = scored[names[0]].score
    columns: dict[str, list[Any]] = {}
    for name in names:
        for column, value in _row(posteriors[name], scored[name], best, blocks).items():
            columns.setdefault(column, []).append(value)
    wide = ("coverage", "coverage_error")
    table = xr.Dataset(
        {
            column: (("sampler", "level") if column in wide else "sampler", np.array(values))
            for column, values in columns.items()
        },
        coords={"sampler": names, "level": list(LEVELS)},
        attrs={"frames": int(best.size), "blocks": min(blocks, best.size)},
    )
    table["seconds"].attrs["units"] = "s"
    return table


def _row(tree: xr.DataTree, predicted: Predicted, best: NumpyArray, blocks: int) -> dict[str, Any]:
    """What the table says of one method."""
    score, score_error = mean_and_error(predicted.score, blocks)
    difference, difference_error = mean_and_error(predicted.score - best, blocks)
    off = np.abs(predicted.place - 0.5)
    coverage = [mean_and_error((off < level / 2).mean(axis=(1, 2)), blocks) for level in LEVELS]
    found = tree["convergence"].to_dataset()
    return {
        "score": score,
        "score_error": score_error,
        "difference": difference,
        "difference_error": difference_error,
        "coverage": [mean for mean, _ in coverage],
        "coverage_error": [error for _, error in coverage],
        "explained": predicted.explained,
        "r_hat": float(found["r_hat"].max()),
        "ess": float(found["ess_bulk"].min()),
        "pareto_k": float(tree.attrs.get("pareto_k", np.nan)),
        "seconds": float(tree.attrs.get("drawing_seconds", tree.attrs.get("sampling_seconds", np.nan))),
    }
