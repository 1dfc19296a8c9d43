"""Identified: what data determine, as numbers, as a table and in words."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError
from bayescg._typing import Array, Float, NumpyArray
from bayescg.identifiability.combinations import Combination, combinations_of
from bayescg.identifiability.design import Break, rank_candidates, which_breaks
from bayescg.identifiability.experiment import Experiment
from bayescg.identifiability.fisher import Information
from bayescg.identifiability.manifold_boundary import Boundary, manifold_boundary
from bayescg.identifiability.profile import Profile, profile
from bayescg.identifiability.ranks import BAYESIAN_THRESHOLD, Ranks

NULL = BAYESIAN_THRESHOLD
"""Directions with lambda below this are left to the prior: the data halve its variance at best."""

LARGE = 0.3
"""Loadings above this part of the largest are named."""

NAMED_PARAMETERS = 12
"""Parameters up to which the summary looks for combinations."""

TABLE_ROWS = 12
"""Directions in the table of the summary: the best and the worst where there are more."""


class Identified(eqx.Module):
    """What the data determine at a point.

    Attributes:
        spectrum: Dataset over `direction`, best determined first: `information` (lambda),
            `information_error`, `contraction` (posterior over prior standard deviation), `loadings`
            (direction, parameter) in units of the unconstrained parameters, largest element one, and
            `cluster`, equal for directions that cannot be told apart.
        places: what every parameter of `spectrum` is, in words.
        ranks: numerical, Monte Carlo and Bayesian, each with its threshold.
        directions: (direction, parameter), of prior variance one.
        experiment: the functions behind it.
        informations: Fisher information of every term.
    """

    spectrum: xr.Dataset = eqx.field(static=True)
    places: tuple[str, ...] = eqx.field(static=True)
    ranks: Ranks | None = eqx.field(static=True, default=None)
    directions: Float[NumpyArray, "direction parameter"] | None = None
    experiment: Experiment | None = None
    informations: tuple[Information, ...] = ()

    @property
    def effective_dimension(self) -> float:
        """Σ lambda/(1 + lambda): the number of parameters that the data determine."""
        information = self.spectrum["information"].values
        return float(np.sum(information / (1 + information)))

    @property
    def information_gain(self) -> float:
        """Σ log(1 + lambda)/2, nats."""
        return float(0.5 * np.sum(np.log1p(self.spectrum["information"].values)))

    @property
    def null_directions(self) -> xr.Dataset:
        """The directions that the data leave to the prior.

        Raises:
            BayescgError: only the best directions are known.
        """
        if not self.complete:
            raise BayescgError(
                f"directions left to the prior can be named where all are known, got the best "
                f"{self.spectrum.sizes['direction']} of {len(self.places)}. Ask about fewer parameters."
            )
        return self.spectrum.isel(direction=self.spectrum["information"].values < NULL)

    @property
    def complete(self) -> bool:
        """Whether every direction is known, not the best alone."""
        return self.spectrum.sizes["direction"] == len(self.places)

    @property
    def best(self) -> str:
        """The best determined direction, in words."""
        return self._sentence(0)

    @property
    def worst(self) -> str:
        """The worst determined direction, in words."""
        return self._sentence(-1)

    @functools.cached_property
    def combinations(self) -> tuple[Combination, ...]:
        """What is identified: products of integer powers and sums, each with its certificate."""
        return combinations_of(*self._behind())

    @property
    def paragraph(self) -> str:
        """What the data determine, in a few sentences, one a line.

        Example:
            >>> import bayescg as bcg
            >>> bcg.identify.from_jacobian([[1.0, 1.0]], names=["a", "b"]).paragraph.splitlines()[0][:40]
            'The data determine 0.7 of 2 parameters a'
        """
        lines = [self._verdict(), f"Best determined: {self.best}."]
        if self.complete:
            lines.append(f"Worst determined: {self.worst}.")
        negative = int(self.spectrum.attrs.get("negative", 0))
        if negative:
            lines.append(
                f"{negative} eigenvalue{'s are' if negative > 1 else ' is'} negative: this is no Fisher "
                "information (a noisy estimate, or no maximum). They are shown as zero, and so is all "
                f"below their size, lambda = {self.spectrum.attrs['noise_floor']:.2g}."
            )
        if self.ranks is not None and self.complete and len(self.places) <= NAMED_PARAMETERS:
            lines += self._identified_sentence()
        return "\n".join(lines)

    def summary(self) -> str:
        """A paragraph and a table of directions.

        Example:
            >>> import bayescg as bcg, jax
            >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
            >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
            >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
            >>> summary = bcg.identify(problem, problem.initial(jax.random.key(0))).summary()
            >>> summary[:18]
            'The data determine'
        """
        return f"{self.paragraph}\n\n{self._table()}"

    def profile(
        self, function: Callable[[Array], Array] | int, *, low: float, high: float, points: int = 30
    ) -> Profile:
        """Profile likelihood of a function of the parameters: see `bayescg.identifiability.profile`.

        Args:
            function: of the vector u, to one number, in JAX; or the number of a parameter.
            low: end of the range on the left.
            high: end on the right.
            points: on every side of the maximum.
        """
        return profile(self._behind()[0], function, low=low, high=high, points=points)

    def boundary(self) -> Boundary:
        """The simpler model that the sloppiest direction leads to: see `manifold_boundary`."""
        return manifold_boundary(self._behind()[0])

    def which_breaks(self, candidates: Mapping[str, Any], *, direction: int = -1) -> Break:
        """What would identify a direction: see `bayescg.identifiability.design.which_breaks`.

        Args:
            candidates: name -> further term, information matrix, or result of `bayescg.identify`.
            direction: its number; the worst determined one by default.
        """
        experiment, _ = self._behind()
        assert self.directions is not None
        made_of = self.made_of(direction)
        return which_breaks(experiment, self.directions[direction], candidates, made_of=made_of)

    def rank_candidates(
        self, candidates: Mapping[str, Any], *, criterion: str = "bayesian_d", target: Any = None
    ) -> xr.Dataset:
        """Further data by what they add: see `bayescg.identifiability.design.rank_candidates`.

        Args:
            candidates: name -> further term, information matrix, or result of `bayescg.identify`.
            criterion: `d`, `a`, `e`, `c` or `bayesian_d`.
            target: coefficients of the quantity whose variance is the c criterion.
        """
        experiment, informations = self._behind()
        return rank_candidates(experiment, informations, candidates, criterion=criterion, target=target)

    def _behind(self) -> tuple[Experiment, tuple[Information, ...]]:
        if self.experiment is None or not self.informations:
            raise BayescgError(
                "this needs the derivatives behind the spectrum, got a spectrum alone. Take the result of "
                "bayescg.identify with all directions."
            )
        return self.experiment, self.informations

    def attribution(self) -> dict[str, xr.DataArray]:
        """Which observations carry which direction: its information, block by block, of every term.

        Returns:
            Term -> DataArray (block, direction) whose sum over blocks and terms is lambda. Terms whose
            blocks are not kept apart are left out.

        Example:
            >>> import bayescg as bcg
            >>> found = bcg.identify.from_jacobian([[1.0, 0.0], [0.0, 2.0]], names=["a", "b"])
            >>> found.attribution()["data"].values.round(12).tolist()
            [[0.0, 1.0], [4.0, 0.0]]
        """
        if self.directions is None:
            return {}
        of_terms = {one.term: one.of_blocks(self.directions) for one in self.informations}
        return {
            name: xr.DataArray(values, dims=("block", "direction"), attrs={"long_name": "information"})
            for name, values in of_terms.items()
            if values is not None
        }

    def _verdict(self) -> str:
        if not self.complete:
            return (
                f"The data determine at least {self.effective_dimension:.1f} of {len(self.places)} "
                f"parameters and add at least {self.information_gain:.0f} nats to the prior: the best "
                f"{self.spectrum.sizes['direction']} directions are known, nothing is said of the others."
            )
        null = self.null_directions.sizes["direction"]
        left = "no direction is" if null == 0 else f"{null} direction{'s are' if null > 1 else ' is'}"
        return (
            f"The data determine {self.effective_dimension:.1f} of {len(self.places)} parameters and add "
            f"{self.information_gain:.0f} nats to the prior; {left} left to the prior."
        )

    def _identified_sentence(self) -> list[str]:
        assert self.ranks is not None
        rank = self.ranks.numerical
        if rank is None or rank == len(self.places) or self.experiment is None or not self.informations:
            return []
        if rank == 0:
            return ["Nothing is identified: the data do not depend on the parameters."]
        inert = sorted(
            set(self.spectrum["parameter"].values) - {n for c in self.combinations for n in c.names}
        )
        named = "; ".join(f"{c.text} ({c.label})" for c in self.combinations)
        lines = [f"Of {len(self.places)} parameters only {named} {'is' if rank == 1 else 'are'} identified."]
        if inert:
            lines.append(f"The data do not depend on {', '.join(map(str, inert))}.")
        return lines

    def _table(self) -> str:
        count = self.spectrum.sizes["direction"]
        half = TABLE_ROWS // 2
        shown: list[Any] = list(range(count))
        if count > TABLE_ROWS:
            shown = [*range(half), None, *range(count - half, count)]
        error = self.spectrum.get("information_error")
        lines = [
            f"{'direction':>9}  {'information':>11}  {'± (s.e.)':>8}  {'posterior/prior sd':>18}  made of"
        ]
        for index in shown:
            if index is None:
                lines.append(f"{'...':>9}")
                continue
            row = self.spectrum.isel(direction=index)
            spread = "" if error is None else f"{float(error[index]):8.2g}"
            lines.append(
                f"{index + 1:>9}  {float(row['information']):>11.4g}  {spread:>8}  "
                f"{float(row['contraction']):>18.3g}  {self.made_of(index)}"
            )
        return "\n".join([*lines, *self._rank_lines()])

    def _rank_lines(self) -> list[str]:
        if self.ranks is None:
            return []
        r = self.ranks
        numerical = (
            "not known" if r.numerical is None else f"{r.numerical} (sigma > {r.numerical_threshold:.1e})"
        )
        monte_carlo = (
            "not known (no blocks)"
            if r.monte_carlo is None
            else f"{r.monte_carlo} (> {r.monte_carlo_threshold:g} s.e., {r.blocks} blocks)"
        )
        return [
            f"rank: numerical {numerical}; Monte Carlo {monte_carlo}; "
            f"Bayesian {r.bayesian} (lambda >= {r.bayesian_threshold:g})"
        ]

    def _sentence(self, direction: int) -> str:
        contraction = float(self.spectrum["contraction"].values[direction])
        return f"{self.made_of(direction)} (prior standard deviation divided by {1 / contraction:.3g})"

    def made_of(self, direction: int) -> str:
        """The parameters that a direction is made of, in words.

        Args:
            direction: its number, from zero; negative ones count from the worst.

        Example:
            >>> import bayescg as bcg
            >>> bcg.identify.from_jacobian([[2.0, -1.0]], names=["a", "b"]).made_of(0)
            '+1.00 a, -0.50 b'
        """
        loadings = self.spectrum["loadings"].values[direction]
        sizes = np.abs(loadings) / (1.0 if self.experiment is None else self.experiment.widths)
        large = np.flatnonzero(sizes > LARGE * sizes.max())
        if large.size > 3:
            signs = "with one sign" if np.ptp(np.sign(loadings[large])) == 0 else "with changing sign"
            ends = f"{self.places[large[0]]} to {self.places[large[-1]]}"
            return f"{large.size} parameters together, {ends}, {signs}"
        largest = np.abs(loadings[large]).max()
        return ", ".join(f"{_number(loadings[i] / largest)} {self.places[i]}" for i in large)


def _number(loading: float) -> str:
    """Two decimals, or two digits where that would be zero."""
    return f"{loading:+.2f}" if abs(loading) >= 0.1 else f"{loading:+.2g}"
