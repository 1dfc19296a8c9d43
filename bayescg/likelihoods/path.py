"""Path: potential and memory from the motion itself, at a cost that does not grow with its length.

The log density of a trajectory under the generalized Langevin equation, observed at its frames: exact for
a harmonic potential at any interval; with any other, what its force differs by from a spring's of the mean
curvature is split off (Strang). Velocities that are not
recorded are integrated out, never replaced by finite differences, whose noise is correlated: for a pure
friction they give 2/3 of its value at any interval.

Where forces are linear in their coefficients the trajectory is reduced to lagged sums, once
(`path_correlations`): a log density and its gradient take about a millisecond, whatever the number of
frames, and the coefficients can be integrated out. Otherwise every frame is filtered anew (`path_filter`).

Every component of every bead has its own memory, independent of the others. In a liquid, whose fast
forces act between beads, that is an approximation; then take the potential from forces or structure
first, and the memory given it.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import xarray as xr

from bayescg._checks import BayescgError, one_of, positive, require, require_x64
from bayescg._typing import Array, Float, NumpyArray
from bayescg.interfaces import AbstractConjugateLikelihood, AbstractLinearPotential, Quadratic
from bayescg.likelihoods.frames import frames_per_block
from bayescg.likelihoods.path_builder import Group
from bayescg.likelihoods.path_correlations import PathSums, gather_groups
from bayescg.likelihoods.path_forces import Forces, forces_of
from bayescg.likelihoods.path_frames import FrameStretch, Members, PathFrames, gather_path_frames
from bayescg.likelihoods.path_model import state_space
from bayescg.likelihoods.path_scales import apparent_mass, mean_curvature, support, timescales
from bayescg.likelihoods.path_series import Stretch, check_enough, stretches
from bayescg.memory import Pairwise, check_stable
from bayescg.model import Model
from bayescg.numerics.innovations import (
    InnovationFilter,
    innovation_filter,
    log_likelihood_blocks,
    log_likelihood_form,
    neglected,
)
from bayescg.numerics.statespace import Filtered, StateSpace

MOST_NEGLECTED = 0.01
"""Largest bound on what lags left out may add to a log likelihood; beyond it the density is zero."""

SPREAD = 1.0
"""Standard deviation of the log of a mass or of a noise of measurement under its default prior."""


class Path(AbstractConjugateLikelihood):
    """Positions or velocities at every frame, as the generalized Langevin equation moves them.

    Attributes:
        observed: "positions" or "velocities".
        mass: amu; None for that of the beads in the data. A collective variable without a mass gets one
            as the parameter `likelihood.mass`.
        noise: scale of the noise of measured positions, in their unit, the parameter `likelihood.noise`;
            None where positions are exact. Forces are taken at measured positions: exact for a harmonic
            potential; elsewhere biased, by about s² u'''/2 of the force.
        infers_mass: whether mass is a parameter; set by `prepare`.

    Example:
        >>> import bayescg as bcg
        >>> bcg.likelihoods.Path(observed="velocities").observed
        'velocities'
    """

    observed: str = eqx.field(static=True)
    mass: Float[Array, ""] | None
    noise: Float[Array, ""] | None
    infers_mass: bool = eqx.field(static=True)

    def __init__(
        self,
        observed: str = "positions",
        *,
        mass: Any = None,
        measurement_noise: Any = None,
        infers_mass: bool = False,
    ) -> None:
        self.observed = one_of("observed", observed, ("positions", "velocities"))
        self.mass = None if mass is None else jnp.asarray(positive("mass", mass, unit="amu"))
        self.noise = None
        if measurement_noise is not None:
            require(
                observed == "positions",
                "measurement_noise must be None for velocities, whose noise cannot be told from that of an "
                "instantaneous friction. Leave it out, or observe positions.",
            )
            self.noise = jnp.asarray(positive("measurement_noise", measurement_noise))
        self.infers_mass = infers_mass

    def prepare(self, model: Model, data: Any) -> tuple[Model, "Path"]:
        """Allocate the memory for the timescales of the data, and the potential for what they sample.

        Args:
            model: with a memory.
            data: beads with time: a Dataset, several, or a DataTree of state points.

        Raises:
            BayescgError: the model has no memory, or the data are bad.
        """
        require_x64("A path likelihood")
        if model.memory is None:
            raise BayescgError(
                "model must have a memory, got none. Write for example "
                "bayescg.Model(potential, memory=bayescg.memory.Prony(modes=2))."
            )
        require(
            not isinstance(model.memory, Pairwise),
            "memory must be one of single beads, got Pairwise, whose noise is shared by pairs. Take it for "
            "simulations: bayescg.inference.with_memory and bayescg.refine.",
        )
        parts = stretches(data, self.observed)
        memory = model.memory.prepare(timescales(parts))
        check_stable(memory)
        potential = model.potential
        if potential is not None:
            potential = potential.prepare(support(parts, data, potential))
        infers = self.infers_mass or (self.mass is None and not _have_mass(parts))
        mass = apparent_mass(parts) if infers and self.mass is None else self.mass
        return Model(potential, memory), Path(
            self.observed, mass=mass, measurement_noise=self.noise, infers_mass=infers
        )

    def observe(self, model: Model, data: Any) -> PathSums | PathFrames:
        """Reduce the data to lagged sums where forces are linear in their coefficients; else keep the frames.

        Args:
            model: prepared.
            data: as for `prepare`.

        Raises:
            BayescgError: fewer frames than the memory needs, or a spring on a variable that turns over.
        """
        parts = stretches(data, self.observed)
        forces = forces_of(model.potential)
        check_enough(parts, model.memory.drift().coupling.size + 1)  # type: ignore[union-attr]
        _check_springs(forces, parts)
        if forces.other is not None:
            return self._frames(model, parts)
        choices = self._choices(forces, parts)
        return PathSums(gather_groups(parts, forces, observed=self.observed, **choices))

    def log_likelihood(self, model: Model, observations: Any) -> Float[Array, ""]:
        """Log density of all frames, each segment's first given; in jit."""
        if isinstance(observations, PathFrames):
            return jnp.sum(self.blocks(model, observations))
        total = jnp.zeros(())
        for group in observations.groups:
            innovations, theta = self.filter_of(model, group)
            form = log_likelihood_form(innovations, group.total, group.pieces, theta[:, None])
            total += form.constant - 0.5 * form.matrix[0, 0] + _penalty(innovations, group)
        return total

    def blocks(self, model: Model, observations: Any) -> Float[Array, " block"]:
        """Log density of every block: contiguous frames where segments are few, else groups of segments."""
        if isinstance(observations, PathFrames):
            return observations.log_densities(self.kicks_of(model), self.spaces_of(model, observations))
        found = []
        for group in observations.groups:
            innovations, theta = self.filter_of(model, group)
            of_group = log_likelihood_blocks(innovations, group.sums, group.pieces, theta)
            found.append(of_group + _penalty(innovations, group) / of_group.size)
        return jnp.concatenate(found)

    def left_out(self, model: Model, observations: PathSums) -> Float[Array, ""]:
        """Bound on what lags left out may add to the log likelihood; pure.

        Lags are kept singly to some hundred, then on a grid, and not at all beyond 2^16: a filter that rings
        on for longer, or oscillates there, is not known well enough, and the log likelihood is minus infinity
        where the bound is above 0.01.
        """
        bounds = [
            neglected(self.filter_of(model, group)[0], group.total, group.pieces)
            for group in observations.groups
        ]
        return jnp.max(jnp.stack(bounds))

    def quadratic_form(self, model: Model, observations: Any) -> Quadratic:
        """The log likelihood in the linear coefficients, memory and mass given.

        Raises:
            BayescgError: the potential is not linear in its coefficients.
        """
        if not isinstance(model.potential, AbstractLinearPotential):
            raise BayescgError(
                "conjugate inference needs a potential that is linear in its coefficients, got "
                f"{type(model.potential).__name__}. Sample with bayescg.NUTS() instead."
            )
        count = forces_of(model.potential).features
        mixing = jnp.concatenate([jnp.zeros((count, 1)), jnp.eye(count)], axis=1)
        constant, matrix = jnp.zeros(()), jnp.zeros((count + 1, count + 1))
        for group in observations.groups:
            innovations, _ = self.filter_of(model, group)
            form = log_likelihood_form(innovations, group.total, group.pieces, mixing)
            constant, matrix = constant + form.constant + _penalty(innovations, group), matrix + form.matrix
        return Quadratic(matrix[1:, 1:], -matrix[0, 1:], constant - 0.5 * matrix[0, 0])

    def default_priors(self, observations: Any) -> dict[str, Any]:
        """Mass around kT/<v²>, and the noise around the scale given, a factor e either way."""
        priors = {}
        if self.infers_mass:
            assert self.mass is not None
            priors["mass"] = dist.LogNormal(jnp.log(self.mass), SPREAD)
        if self.noise is not None:
            priors["noise"] = dist.LogNormal(jnp.log(self.noise), SPREAD)
        return priors

    def coordinates(self, observations: Any) -> dict[str, dict[str, Any]]:
        """Mass and noise are numbers."""
        return {}

    def datasets(self, observations: Any) -> dict[str, xr.Dataset]:
        """Frames of every block; attributes say what is observed, and how the log likelihood is computed."""
        in_frames = isinstance(observations, PathFrames)
        constant = frames_per_block(observations.frames())
        constant.attrs |= {
            "path_form": "filter" if in_frames else "correlations",
            "path_observed": self.observed,
        }
        return {"constant_data": constant}

    def innovations(self, model: Model, data: Any) -> list[NumpyArray]:
        """Standardized innovations: independent and of unit variance where the model holds.

        Args:
            model: prepared, with values.
            data: as for `prepare`; they may be others, held out.

        Returns:
            For every stretch without a gap (bead, dim, frame), the first frame left out.

        Example:
            >>> import bayescg as bcg
            >>> beads = bcg.data.water_dynamics(frames=20)
            >>> path = bcg.likelihoods.Path(observed="velocities")
            >>> model = bcg.Model(None, memory=bcg.memory.Markovian(friction=500.0))
            >>> model, path = path.prepare(model, beads)
            >>> path.innovations(model, beads)[0].shape
            (510, 3, 19)
        """
        frames = self._frames(model, stretches(data, self.observed))
        return frames.standardized(_filtered(self, model, frames))

    def filter_of(self, model: Model, group: Group) -> tuple[InnovationFilter, Float[Array, " feature"]]:
        """The filter of a group, and the coefficients of its features."""
        forces = forces_of(model.potential)
        theta = forces.theta()
        if forces.springs and self.observed == "velocities":
            k, c = forces.spring()
            theta = jnp.concatenate([theta, jnp.stack([-k, k * (c - group.origin)])])
        space = self.space_of(model, forces, group.mass, group, group)
        return innovation_filter(space, group.grid, group.pieces), theta

    def _frames(self, model: Model, parts: list[Stretch]) -> PathFrames:
        forces = forces_of(model.potential)
        spring = bool(forces.springs) and self.observed == "positions"
        choices = self._choices(forces, parts)
        kicks = self.kicks_of(model)
        return gather_path_frames(parts, kicks, observed=self.observed, spring=spring, **choices)

    def _choices(self, forces: Forces, parts: list[Stretch]) -> dict[str, Any]:
        """Where positions are measured from, the spring for reference, and whose the mass is."""
        takes = self.observed == "positions" and _takes_reference(forces, parts)
        reference = mean_curvature(parts) if takes else 0.0  # zero where there is no well
        measured = forces.springs or reference > 0
        return {
            "origin": float(np.mean([part.positions.mean() for part in parts])) if measured else 0.0,
            "reference": reference if reference > 0 else None,
            "mass": None if self.mass is None else float(self.mass),
            "infer": self.infers_mass,
        }

    def kicks_of(self, model: Model) -> Any:
        """The forces that kick: all but springs, which are exact between positions."""
        return forces_of(model.potential).kicks if self.observed == "positions" else model.potential

    def spaces_of(self, model: Model, frames: PathFrames) -> Callable[[FrameStretch, Members], StateSpace]:
        """The state space of some beads of a stretch, as a function of the two."""
        forces = forces_of(model.potential)

        def space(stretch: FrameStretch, members: Members) -> StateSpace:
            return self.space_of(model, forces, members.mass, stretch, frames)

        return space

    def space_of(self, model: Model, forces: Forces, mass: Any, run: Any, frame: Any) -> StateSpace:
        """Temperature and interval are those of `run`, origin and spring for reference those of `frame`."""
        mass = self.mass if mass is None else mass
        assert model.memory is not None
        assert mass is not None
        return state_space(
            model.memory,
            mass,
            forces,
            observed=self.observed,
            noise=self.noise,
            temperature=run.temperature,
            interval=run.interval,
            origin=frame.origin,
            reference=frame.reference,
        )


@eqx.filter_jit
def _filtered(path: Path, model: Model, frames: PathFrames) -> list[list[Filtered]]:
    """One program for forces, state spaces and filters: op by op they would compile a hundred."""
    return frames.filtered(path.kicks_of(model), path.spaces_of(model, frames))


def _penalty(innovations: InnovationFilter, group: Group) -> Float[Array, ""]:
    """Zero, or minus infinity where lags left out could change the log likelihood."""
    left_out = neglected(innovations, group.total, group.pieces)
    return jnp.where(left_out <= MOST_NEGLECTED, 0.0, -jnp.inf)


def _takes_reference(forces: Forces, parts: list[Stretch]) -> bool:
    """Whether a spring makes kicks smaller: in a well of a variable that does not turn over."""
    free = all(part.boxes is None and part.period is None for part in parts)
    return free and not forces.springs and forces.kicks is not None and forces.kicks.cutoff == 0


def _check_springs(forces: Forces, parts: list[Stretch]) -> None:
    require(
        not forces.springs or all(part.period is None and part.boxes is None for part in parts),
        "a Harmonic needs a variable without period in an open system, got a period or a box. Take Spline1D "
        "for a periodic variable, or drop the variable box where positions are not wrapped.",
    )


def _have_mass(parts: list[Stretch]) -> bool:
    known = [bool(np.all(np.isfinite(np.asarray(part.topology.masses)))) for part in parts]
    require(
        all(known) or not any(known),
        "mass must be given for all data or for none. Set the variable mass, in amu, or give mass= to Path.",
    )
    return all(known)
