"""Identified: what data determine, as numbers, as a table and in words."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path as FilePath
from typing import Any

import equinox as eqx
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, require
from bayescg._typing import Array, Float, NumpyArray
from bayescg.identifiability import verdict
from bayescg.identifiability.combinations import Combination, combinations_of
from bayescg.identifiability.design import Break, rank_candidates, which_breaks
from bayescg.identifiability.experiment import LOGARITHM, Experiment
from bayescg.identifiability.information import Information
from bayescg.identifiability.manifold_boundary import Boundary, manifold_boundary
from bayescg.identifiability.profile import Profile, profile
from bayescg.identifiability.ranks import BAYESIAN_THRESHOLD, Ranks, common_clusters, subspace_distance

NULL = BAYESIAN_THRESHOLD
"""Directions with lambda below this are left to the prior: the data halve its variance at best."""


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
    def matrix(self) -> Float[NumpyArray, "parameter parameter"]:
        """Fisher information of all terms, in the parameters of `spectrum`.

        Raises:
            BayescgError: only the best directions are known.
        """
        return np.sum([one.matrix for one in self._behind()[1]], axis=0)

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
        return verdict.known_so_well(self, 0)

    @property
    def worst(self) -> str:
        """The worst determined direction, in words."""
        return verdict.known_so_well(self, -1)

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
            'The data determine 0.7 of 2 parameters ('
        """
        return verdict.paragraph(self)

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
        return f"{self.paragraph}\n\n{verdict.table(self)}"

    def profile(
        self,
        function: Callable[[Array], Array] | int,
        *,
        low: float,
        high: float,
        points: int = 30,
        checkpoint: str | FilePath | None = None,
        progress: bool = False,
    ) -> Profile:
        """Profile likelihood of a function of the parameters: see `bayescg.identifiability.profile`.

        Args:
            function: of the vector u, to one number, in JAX; or the number of a parameter.
            low: end of the range on the left.
            high: end on the right.
            points: on every side of the maximum.
            checkpoint: folder; a call with the same arguments goes on where it was stopped.
            progress: whether to show a bar.
        """
        experiment, _ = self._behind()
        settings: dict[str, Any] = {"points": points, "checkpoint": checkpoint, "progress": progress}
        return profile(experiment, function, low=low, high=high, **settings)

    def boundary(self) -> Boundary:
        """The simpler model that the sloppiest direction leads to: see `manifold_boundary`."""
        return manifold_boundary(self._behind()[0])

    def which_breaks(self, candidates: Mapping[str, Any], *, direction: int = -1) -> Break:
        """What would identify a direction: see `bayescg.identifiability.design.which_breaks`.

        Args:
            candidates: name -> further term, `Information` (as of an `Ensemble`), matrix, or result of
                `bayescg.identify`.
            direction: its number; the worst determined one by default.
        """
        experiment, informations = self._behind()
        assert self.directions is not None
        made_of = self.made_of(direction)
        return which_breaks(experiment, informations, self.directions[direction], candidates, made_of=made_of)

    def rank_candidates(
        self, candidates: Mapping[str, Any], *, criterion: str = "bayesian_d", target: Any = None
    ) -> xr.Dataset:
        """Further data by what they add: see `bayescg.identifiability.design.rank_candidates`.

        Args:
            candidates: name -> further term, `Information` (as of an `Ensemble`), matrix, or result of
                `bayescg.identify`.
            criterion: `d`, `a`, `e`, `c` or `bayesian_d`.
            target: coefficients of the quantity whose variance is the c criterion.
        """
        experiment, informations = self._behind()
        return rank_candidates(experiment, informations, candidates, criterion=criterion, target=target)

    def distance(self, other: "Identified") -> xr.DataArray:
        """How far directions of another result are from these: largest sine of an angle, cluster by cluster.

        Directions whose eigenvalues cannot be told apart, in either result, have no meaning one by one: what
        is compared is the projectors onto their spans, in units of this result's prior.

        Args:
            other: of the same parameters and as many directions: other data, another point.

        Returns:
            DataArray over `cluster`, zero where spans are equal, one where a direction is missing, with the
            coordinates `first` and `last` of its directions.

        Raises:
            BayescgError: other parameters, or directions that are not known.

        Example:
            >>> import bayescg as bcg
            >>> one = bcg.identify.from_jacobian([[3.0, 0.0], [0.0, 1.0]], names=["a", "b"])
            >>> two = bcg.identify.from_jacobian([[0.0, 3.0], [1.0, 0.0]], names=["a", "b"])
            >>> one.distance(one).values.round(12).tolist(), one.distance(two).values.tolist()
            ([0.0, 0.0], [1.0, 1.0])
        """
        experiment, _ = self._behind()
        theirs, _ = other._behind()
        require(
            theirs.names == experiment.names,
            f"other must have the parameters {', '.join(experiment.names)} in this order, got "
            f"{', '.join(theirs.names)}.",
        )
        assert self.directions is not None
        assert other.directions is not None
        root = np.linalg.cholesky(experiment.precision)
        ours, others = self.directions @ root, other.directions @ root
        ranges = common_clusters(self.spectrum["cluster"].values, other.spectrum["cluster"].values)
        distances = [subspace_distance(ours[part], others[part]) for part in ranges]
        return xr.DataArray(
            distances,
            dims="cluster",
            coords={
                "first": ("cluster", [part.start + 1 for part in ranges]),
                "last": ("cluster", [part.stop for part in ranges]),
            },
            attrs={"long_name": "largest sine of an angle between the spans"},
        )

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

    def made_of(self, direction: int) -> str:
        """The parameters that a direction is made of, in words.

        Args:
            direction: its number, from zero; negative ones count from the worst.

        Example:
            >>> import bayescg as bcg
            >>> bcg.identify.from_jacobian([[2.0, -1.0]], names=["a", "b"]).made_of(0)
            'a - 0.50 b'
        """
        loadings = self.spectrum["loadings"].values[direction]
        experiment = self.experiment
        if experiment is None:
            return verdict.direction_in_words(loadings, self.places, widths=1.0, logarithmic=())
        logarithmic = [scale == LOGARITHM for scale in experiment.scales]
        return verdict.direction_in_words(
            loadings, self.places, widths=experiment.widths, logarithmic=logarithmic
        )
