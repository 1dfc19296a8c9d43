"""Observable: an average over configurations as data, compared with what a model gives, by reweighting.

    A_obs = <A>_theta + e,        <A>_theta = Σ_n w_theta(n) A(x_n),        e ~ N(0, S_obs + S_mc(theta)),

over frames x_n that a few models sampled (`sampled_frames`), so that a density takes no simulation; its
gradient is that of d<A> = <dA> - cov(A, dU)/kT. S_obs is the covariance of the measured mean. S_mc is that of
the reweighted one, cov(A)/N_eff(theta), N_eff being the effective samples of the weights: where the frames no
longer resemble what the model would sample, the data say less. A posterior that lies mostly there is named in
its warnings; simulate draws of it, and use their frames.

References:
    S. Thaler, J. Zavadlav, Nat. Commun. 12, 6884 (2021), doi:10.1038/s41467-021-27241-4.
    M. R. Shirts, J. D. Chodera, J. Chem. Phys. 129, 124105 (2008), doi:10.1063/1.2978177.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax.scipy.linalg import solve_triangular

from bayescg._checks import BayescgError, require, require_x64, whole
from bayescg._typing import Array, Float, NumpyArray
from bayescg.data import topology, validate
from bayescg.interfaces import AbstractEnergyObservable, AbstractLikelihood, AbstractObservable
from bayescg.likelihoods.observable_data import ObservableData, has_frames, measured, tabulated
from bayescg.likelihoods.reading import support_of
from bayescg.likelihoods.sampled_frames import gather_sampled
from bayescg.model import Model
from bayescg.numerics.covariance import shrunk_covariance


class Sources:
    """Models with frames that they sampled; read once, by no compiled function.

    Any two are equal: likelihoods that differ in nothing else share compiled programs.

    Attributes:
        runs: (model, beads).
    """

    def __init__(self, runs: Sequence[tuple[Model, xr.Dataset]]) -> None:
        self.runs = tuple(runs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sources)

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return f"{len(self.runs)} models with frames"


class Comparison(NamedTuple):
    """A model beside the data.

    Attributes:
        predicted: <A> of the model.
        misfit: of the measured mean, in standard deviations of independent combinations of elements.
        log_density: of the measured mean.
        lower: L, with L L' the covariance of the difference.
        log_weights: of the sampled frames.
        effective: effective samples.
    """

    predicted: Float[Array, " element"]
    misfit: Float[Array, " element"]
    log_density: Float[Array, ""]
    lower: Float[Array, "element element"]
    log_weights: Float[Array, " frame"]
    effective: Float[Array, ""]


class Observable(AbstractLikelihood):
    """An observable of single configurations: a g(r), an angle distribution, a pressure, one of your own.

    Attributes:
        observable: from `bayescg.observables`, the object that simulations are measured with. Curves over
            time belong to `Correlation` and `Path`.
        sampled: models with values and frames that each sampled at the temperature of the data, (model,
            beads); `bayescg.predict.sampled_frames` gives them for draws of a posterior.
        blocks_kept: contiguous blocks of frames of the data kept apart.

    Raises:
        BayescgError: an observable over time, or no sampled frames.

    Example:
        >>> import bayescg as bcg
        >>> argon = bcg.potentials.LennardJones([0.65], [0.3], 0.9, ("SOL",))
        >>> frames = bcg.data.water(frames=8)
        >>> near = bcg.observables.Coordination(cutoff=0.35)
        >>> term = bcg.likelihoods.Observable(near, sampled=[(bcg.Model(argon), frames)]).on(frames)
        >>> term.likelihood.observable.name
        'coordination_number'
    """

    observable: AbstractObservable | AbstractEnergyObservable
    sampled: Sources = eqx.field(static=True)
    blocks_kept: int = eqx.field(static=True)

    def __init__(
        self,
        observable: AbstractObservable | AbstractEnergyObservable,
        *,
        sampled: Sequence[tuple[Model, xr.Dataset]],
        blocks_kept: int = 32,
    ) -> None:
        if not isinstance(observable, AbstractObservable | AbstractEnergyObservable):
            raise BayescgError(
                "observable must be an average over configurations, got "
                f"{getattr(observable, 'name', observable)!r}. Use bayescg.likelihoods.Correlation or Path "
                "for what depends on time."
            )
        runs = list(sampled)
        require(
            bool(runs) and all(isinstance(model, Model) for model, _ in runs),
            "sampled must hold models and the frames that they sampled, [(model, beads), ...], got "
            f"{[type(one).__name__ for one in runs]}. Take them from bayescg.predict.sampled_frames.",
        )
        self.observable, self.sampled = observable, Sources(runs)
        self.blocks_kept = whole("blocks_kept", blocks_kept)

    def prepare(self, model: Model, data: Any) -> tuple[Model, "Observable"]:
        """Allocate the potential's parameters for the sampled frames, and those of the data.

        Args:
            model: with a potential.
            data: beads, on whose frames the observable is measured; or a Dataset of the observable under its
                name and of its standard error under `<name>_error`, with `attrs["temperature"]`, K. What
                `bayescg.predict.evaluate` returns is such a Dataset.

        Raises:
            BayescgError: several state points, no temperature, other bead types than those of the model.
        """
        require_x64("An observable likelihood")
        points = [validate(beads) for _, beads in self.sampled.runs]
        if has_frames(data):
            points.append(validate(data))
        names = {topology(beads).type_names for beads in points}
        require(
            len(names) == 1,
            f"data and sampled frames must have the same bead types in the same order, got {sorted(names)}. "
            "Map them alike.",
        )
        prepared = model.potential.prepare(support_of(points, model.potential))
        return Model(prepared, model.memory), self

    def observe(self, model: Model, data: Any) -> ObservableData:
        """Measure data and sampled frames, once.

        Args:
            model: prepared.
            data: as for `prepare`.

        Raises:
            BayescgError: a table of another shape, or without an error; fewer than two frames; an observable
                that never varies.
        """
        beads = validate(data if has_frames(data) else self.sampled.runs[0][1])
        shared = topology(beads)
        ready = self.observable.prepare(shared, beads["box"].to_numpy() if "box" in beads else None)
        found = (
            measured(ready, data, self.blocks_kept) if has_frames(data) else tabulated(ready, data, shared)
        )
        frames = gather_sampled(self.sampled.runs, ready, model.potential, found.temperature)
        settled = np.asarray(frames.values)[np.asarray(frames.settled)]
        scatter = shrunk_covariance(settled, inefficiency=float(frames.inefficiency))
        varies = (np.diag(found.covariance) > 0) | (np.diag(scatter) > 0)
        kept = np.flatnonzero(varies & np.isfinite(found.mean))
        require(
            kept.size > 0,
            f"observable must vary from frame to frame, got the same {ready.name} throughout. Choose another "
            "range.",
        )
        chosen = np.ix_(kept, kept)
        return ObservableData(
            mean=jnp.asarray(found.mean[kept]),
            covariance=jnp.asarray(found.covariance[chosen]),
            deviations=jnp.asarray(found.deviations[:, kept]),
            scatter=jnp.asarray(scatter[chosen]),
            frames=frames,
            kept=jnp.asarray(kept),
            observable=ready,
        )

    def compared(self, model: Model, observations: ObservableData) -> Comparison:
        """The model's average beside the measured one; pure.

        Args:
            model: prepared.
            observations: of the data.
        """
        seen, frames = observations, observations.frames
        logs = frames.log_weights(model.potential)
        values = frames.measured(seen.observable, model.potential)[:, seen.kept]
        predicted = jnp.exp(logs) @ values
        effective = jnp.exp(-jax.nn.logsumexp(2 * logs)) / frames.inefficiency
        lower = jnp.linalg.cholesky(seen.covariance + seen.scatter / effective)
        misfit = solve_triangular(lower, seen.mean - predicted, lower=True)
        volume = jnp.sum(jnp.log(2 * jnp.pi * jnp.diag(lower) ** 2))
        density = -0.5 * (jnp.sum(misfit**2) + volume)
        return Comparison(predicted, misfit, density, lower, logs, effective)

    def log_likelihood(self, model: Model, observations: ObservableData) -> Float[Array, ""]:
        """Log density of the measured mean."""
        return self.compared(model, observations).log_density

    def blocks(self, model: Model, observations: ObservableData) -> Float[Array, " block"]:
        """The log density shared out over blocks of the data's frames and of the sampled ones.

        Every block has an equal share, and what it adds to the difference of the means, so that scores of
        blocks scatter as the mean's errors do. Of a table there is one block.
        """
        seen, found = observations, self.compared(model, observations)
        if not seen.deviations.shape[0]:
            return found.log_density[None]
        values = seen.frames.measured(seen.observable, model.potential)[:, seen.kept]
        away = jnp.exp(found.log_weights)[:, None] * (values - found.predicted)
        of_sampled = jax.ops.segment_sum(away, seen.frames.block, seen.frames.block_count)
        parts = jnp.concatenate([seen.deviations, -of_sampled])
        # the gap at this point is a number, the average that moves it a function of the parameters
        gap = solve_triangular(found.lower, found.predicted - seen.mean, lower=True)
        white = solve_triangular(found.lower, parts.T, lower=True)
        return found.log_density / parts.shape[0] + gap @ white

    def default_priors(self, observations: ObservableData) -> dict[str, Any]:
        """It has no parameters of its own."""
        return {}

    def coordinates(self, observations: ObservableData) -> dict[str, dict[str, Any]]:
        """It has no parameters of its own."""
        return {}

    def datasets(self, observations: ObservableData) -> dict[str, xr.Dataset]:
        """The measured mean and its standard error, and the number of sampled frames."""
        seen, name = observations, observations.observable.name
        labels = seen.observable.coordinates(seen.frames.topology)
        shape = tuple(len(getattr(values, "values", values)) for values in labels.values())

        def whole_curve(elements: Array) -> NumpyArray:
            flat = np.full(int(np.prod(shape)), np.nan)
            flat[np.asarray(seen.kept)] = np.asarray(elements)
            return flat.reshape(shape)

        units, dims = {"units": seen.observable.units}, tuple(labels)
        error = jnp.sqrt(jnp.diag(seen.covariance))
        return {
            "observed_data": xr.Dataset(
                {
                    name: (dims, whole_curve(seen.mean), units),
                    f"{name}_error": (dims, whole_curve(error), units),
                },
                coords=labels,
            ),
            "constant_data": xr.Dataset({"sampled_frames": ((), int(seen.frames.settled.sum()))}),
        }
