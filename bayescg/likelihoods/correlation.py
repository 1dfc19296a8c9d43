"""Correlation: time-correlation functions of a linear variable with memory, as data in their own right.

For the linear system of the extended variables (`bayescg.memory.extended`), du = -A u dt + noise,

    <x(0) x(t)> = (kT/k) [exp(-A t)]_xx,        <v(0) v(t)> = (kT/m) [exp(-A t)]_vv,

exactly; of free beads the second, without the position. Data are a trajectory, whose estimates scatter
with Bartlett's covariance (`correlation_data`), or a table with a covariance of its own. Normalized
functions are compared after division by c(0) of the data, and know nothing of k_B T/k. What a correlation
function determines, and what it does not, is the subject of `bayescg.identify`; other terms add what is
missing.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import xarray as xr
from jax.scipy.linalg import expm

from bayescg._checks import BayescgError, positive, require, require_x64, whole
from bayescg._typing import Array, Float, NumpyArray
from bayescg.interfaces import AbstractLikelihood, Support, Timescales
from bayescg.likelihoods.correlation_data import (
    BLOCK_LAGS,
    CorrelationData,
    correlation_data,
    default_times,
    kind_of,
    series_of,
)
from bayescg.likelihoods.correlation_fit import fitted_shape
from bayescg.likelihoods.correlation_from_table import check_kind, is_table, table_data, table_scales
from bayescg.likelihoods.path_scales import apparent_mass, timescales
from bayescg.likelihoods.path_series import Stretch, stretches
from bayescg.memory import extended_drift, with_spring
from bayescg.model import Model
from bayescg.observables import VACF
from bayescg.potentials import Harmonic
from bayescg.units import thermal_energy

SQUARINGS = 32
"""Doublings in exp(-A t), for memories much faster than the lags."""

SPREAD = 1.0
"""Standard deviation of the log of a mass under its default prior."""


class Correlation(AbstractLikelihood):
    """Time-correlation function of beads in a harmonic well, or of the velocities of free ones.

    Attributes:
        of: "position" (fluctuations about the mean) or "velocity"; or a `bayescg.observables.VACF`, whose
            largest lag and normalization are taken; of one component, so 1/d of it in d dimensions.
        normalized: whether its value at zero is divided out.
        times: lags, ps; None for 16 up to where the correlation has decayed. (0.0,) alone, not normalized,
            is the variance.
        overdamped: whether the mass is left out; the memory must then have an instantaneous friction.
        mass: amu; None for that of the beads in the data, and where they have none for the parameter
            `likelihood.mass`.
        blocks_kept: contiguous blocks of frames kept apart, at most.
        infers_mass: whether mass is a parameter by default; set by `prepare`.

    Raises:
        BayescgError: an unknown variable, or times that are negative.

    Example:
        >>> import bayescg as bcg
        >>> from bayescg.likelihoods.correlation import Correlation
        >>> Correlation(of="position", normalized=False, times=(0.0,)).times
        (0.0,)
    """

    of: str = eqx.field(static=True)
    maximum: float | None = eqx.field(static=True)
    normalized: bool = eqx.field(static=True)
    times: tuple[float, ...] | None = eqx.field(static=True)
    overdamped: bool = eqx.field(static=True)
    mass: Float[Array, ""] | None
    blocks_kept: int = eqx.field(static=True)
    infers_mass: bool = eqx.field(static=True)

    def __init__(
        self,
        of: str | VACF = "position",
        *,
        normalized: bool = True,
        times: Sequence[float] | None = None,
        overdamped: bool = False,
        mass: Any = None,
        blocks_kept: int = 32,
        infers_mass: bool = False,
    ) -> None:
        self.of, self.normalized, self.maximum = kind_of(of, normalized)
        self.times = None if times is None else tuple(float(t) for t in times)
        require(
            self.times is None or (len(self.times) > 0 and min(self.times) >= 0),
            f"times must be lags of at least zero ps, got {self.times}. Give one or more, or None.",
        )
        require(
            not (overdamped and self.of == "velocity"),
            "of must be 'position' where the motion is overdamped: velocities have no correlation in time.",
        )
        self.overdamped = overdamped
        self.mass = None if mass is None else jnp.asarray(positive("mass", mass, unit="amu"))
        self.blocks_kept = whole("blocks_kept", blocks_kept)
        self.infers_mass = infers_mass

    def prepare(self, model: Model, data: Any) -> tuple[Model, "Correlation"]:
        """Allocate potential and memory for the data, and find the lags.

        Args:
            model: with a memory, and a `Harmonic` potential; of velocities also without one.
            data: beads with time, and velocities where theirs are meant; or a function at some lags with its
                covariance, from `bayescg.data.correlation_table`.

        Raises:
            BayescgError: another potential, no memory, several temperatures or masses, or bad data.
        """
        require_x64("A correlation likelihood")
        free = model.potential is None and self.of == "velocity"
        if not (free or isinstance(model.potential, Harmonic)) or model.memory is None:
            raise BayescgError(
                "model must be a bayescg.potentials.Harmonic with a memory, or for velocities a memory "
                "alone, whose correlation functions are known exactly, got "
                f"{type(model.potential).__name__} and {type(model.memory).__name__}. "
                "Compare other models by simulation, or by bayescg.likelihoods.Path."
            )
        read = self._read_table(data) if is_table(data) else self._read(data)
        memory, potential = model.memory.prepare(read.timescales), model.potential
        if potential is not None:
            potential = potential.prepare(read.support)
        require(
            not self.overdamped or float(memory.drift().friction) > 0,
            "memory must have an instantaneous friction where the motion is overdamped, got none. Add "
            "bayescg.memory.Markovian().",
        )
        prepared = Correlation(
            self.of,
            normalized=self.normalized,
            times=read.times,
            overdamped=self.overdamped,
            mass=read.mass,
            blocks_kept=self.blocks_kept,
            infers_mass=read.infers_mass,
        )
        return Model(potential, memory), prepared

    def observe(self, model: Model, data: Any) -> CorrelationData:
        """Correlation functions of all blocks, and their covariance.

        Args:
            model: prepared.
            data: as for `prepare`.

        Raises:
            BayescgError: lags that are no multiple of the interval, or too long for the data.
        """
        if is_table(data):
            return table_data(data)
        parts, times = self._parts(data), self.times
        assert times is not None
        interval = parts[0].interval
        steps = np.round(np.array(times) / interval).astype(int)
        require(
            bool(np.allclose(steps * interval, times, rtol=1e-3, atol=1e-6)),
            f"times must be multiples of the interval of {interval:g} ps, got {times}. Round them.",
        )
        steps = np.unique(np.append(steps, 0) if self.normalized else steps)
        series = [series_of(part, self.of) for part in parts]
        temperature = parts[0].temperature

        def smooth(estimate: NumpyArray, span: int, frames: float) -> NumpyArray:
            def shape(model: Model, times: Array) -> Array:
                return self.function(model, times, temperature=temperature)[0]

            return fitted_shape(model, shape, estimate, span=span, frames=frames, interval=interval)

        kept = self.blocks_kept
        settings: dict[str, Any] = {"normalized": self.normalized, "blocks_kept": kept, "smooth": smooth}
        found = correlation_data(series, steps, interval=interval, **settings)
        require(
            found is not None,
            f"lags and decay must be at most 1/{BLOCK_LAGS} of the data, got lags up to {times[-1]:g} ps in "
            f"{max(map(len, series)) * interval:g} ps. Give shorter times, or a longer trajectory.",
        )
        return CorrelationData(**found, temperature=temperature)  # type: ignore[arg-type]

    def log_likelihood(self, model: Model, observations: CorrelationData) -> Float[Array, ""]:
        """Log density of the correlation functions of all blocks."""
        return jnp.sum(self.blocks(model, observations))

    def blocks(self, model: Model, observations: CorrelationData) -> Float[Array, " block"]:
        """Log density of every block."""
        predicted = self.predicted(model, observations)
        values, n = observations.values, observations.frames
        gap = values - predicted * (observations.scale if self.normalized else 1.0)
        white = gap @ observations.whitening.T
        volume = 2 * jnp.sum(jnp.log(jnp.diag(observations.whitening)))
        lags = observations.times.size
        return -0.5 * n * jnp.sum(white**2, axis=1) + 0.5 * (volume + lags * jnp.log(n / (2 * jnp.pi)))

    def predicted(self, model: Model, observations: CorrelationData) -> Float[Array, " lag"]:
        """The model's correlation function at the lags, normalized or in squares of the variable's unit.

        Args:
            model: prepared.
            observations: for lags and temperature.
        """
        decay, scale = self.function(model, observations.times, temperature=observations.temperature)
        return decay if self.normalized else scale * decay

    def function(
        self, model: Model, times: Float[Array, " lag"], *, temperature: float
    ) -> tuple[Float[Array, " lag"], Float[Array, ""]]:
        """The model's normalized correlation function, and its value at zero.

        Args:
            model: prepared.
            times: ps.
            temperature: K.
        """
        kT = thermal_energy(temperature)
        assert model.memory is not None
        k = None if model.potential is None else model.potential.stiffness  # type: ignore[attr-defined]
        if self.overdamped:
            assert k is not None
            A, place = overdamped_drift(model.memory.drift(), k), 0
            scale = kT / k
        else:
            assert self.mass is not None
            extended = extended_drift(model.memory, self.mass, temperature)
            A = extended.drift if k is None else with_spring(extended, self.mass, k).drift
            at_position = self.of == "position"
            place = 0 if at_position or k is None else 1
            scale = jnp.asarray(kT) / jnp.asarray(k if at_position else self.mass)
        decay = jax.vmap(lambda t: expm(-A * t, max_squarings=SQUARINGS)[place, place])(times)
        return decay, scale

    def default_priors(self, observations: CorrelationData) -> dict[str, Any]:
        """The mass of a variable that has none, around kT/<v²>."""
        if not self.infers_mass or self.mass is None:
            return {}
        return {"mass": dist.LogNormal(jnp.log(self.mass), SPREAD)}

    def coordinates(self, observations: CorrelationData) -> dict[str, dict[str, Any]]:
        """The mass is a number."""
        return {}

    def datasets(self, observations: CorrelationData) -> dict[str, xr.Dataset]:
        """The correlation function of all frames, and the frames of every block."""
        n = np.asarray(observations.frames)
        values = np.asarray(observations.values).T @ n / n.sum()
        values = values / float(observations.scale) if self.normalized else values
        lags = np.asarray(observations.times)
        correlation = xr.DataArray(values, dims="lag_time", coords={"lag_time": lags})
        correlation["lag_time"].attrs["units"] = "ps"
        correlation.attrs["units"] = "1" if self.normalized else f"square of the unit of {self.of}"
        return {
            "observed_data": xr.Dataset({f"{self.of}_correlation": correlation}),
            "constant_data": xr.Dataset({"frames_per_block": ("block", n)}),
        }

    def _parts(self, data: Any) -> list[Stretch]:
        parts = stretches(data, "velocities" if self.of == "velocity" else "positions")
        same = {(part.interval, part.temperature) for part in parts}
        require(
            len(same) == 1,
            f"data of one correlation term must have one interval and temperature, got {len(same)} pairs of "
            "them. Give one term each and add the terms.",
        )
        return parts

    def _read(self, data: Any) -> "_Read":
        parts = self._parts(data)
        masses = np.unique(np.asarray(parts[0].topology.masses))
        mass, infers = self._mass(masses, lambda: apparent_mass(parts))
        return _Read(
            timescales(parts),
            _support(parts),
            mass,
            infers,
            self.times or default_times(parts, self.of, self.maximum),
        )

    def _read_table(self, table: xr.Dataset) -> "_Read":
        check_kind(table, of=self.of, normalized=self.normalized)
        lags = tuple(table["lag_time"].values.tolist())
        require(
            self.times in (None, lags),
            f"times must be those of the table, got {self.times}. Leave them out, or select lags of it.",
        )
        scales, support = table_scales(table)
        # of an unknown mass nothing is known but that it matters: friction times relaxation time
        mass, infers = self._mass(table["mass"].values, lambda: float(scales.friction * scales.interval))
        return _Read(scales, support, mass, infers, lags)

    def _mass(self, masses: NumpyArray, guess: Callable[[], float]) -> tuple[Array | None, bool]:
        if self.overdamped or self.mass is not None:
            return None if self.overdamped else self.mass, self.infers_mass
        if not np.isfinite(masses).all():
            return jnp.asarray(guess()), True
        require(
            masses.size == 1,
            f"beads must have one mass, got {masses.size} different ones. Select one kind, or give mass=.",
        )
        return jnp.asarray(masses[0]), False


class _Read(NamedTuple):
    """What is read off the data before anything is inferred."""

    timescales: Timescales
    support: Support
    mass: Array | None
    infers_mass: bool
    times: tuple[float, ...]


def overdamped_drift(drift: Any, stiffness: Float[Array, ""] | float) -> Float[Array, "state state"]:
    """A of (x, z) without inertia: gamma0 dx = (-k x + a'z) dt + noise, dz = -a dx - A_s z dt + noise.

    Args:
        drift: of a memory with gamma0 > 0.
        stiffness: k, kJ/mol/nm².

    Example:
        >>> import bayescg as bcg
        >>> overdamped_drift(bcg.memory.Markovian(2.0).drift(), 6.0).tolist()
        [[3.0]]
    """
    a, gamma0 = drift.coupling, drift.friction
    top = jnp.concatenate([jnp.reshape(stiffness / gamma0, (1,)), -a / gamma0])
    bottom = jnp.concatenate([-a[:, None] * top[:1], drift.matrix + jnp.outer(a, a) / gamma0], axis=1)
    return jnp.concatenate([top[None], bottom])


def _support(parts: list[Stretch]) -> Support:
    """The range of the positions."""
    lowest = tuple(float(x) for x in np.min([part.positions.min(axis=(0, 1)) for part in parts], axis=0))
    highest = tuple(float(x) for x in np.max([part.positions.max(axis=(0, 1)) for part in parts], axis=0))
    kT = thermal_energy(parts[0].temperature)
    return Support(parts[0].topology.type_names, (), lowest, highest, None, kT)
