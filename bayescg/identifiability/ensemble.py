"""Ensembles: what a simulation at some temperature, of some length, would say of its potential.

Samples x of the density e^{-U/kT}/Z carry, N of them independent,

    F = N beta² Cov(∂U),                                              all of the ensemble,
    J = <∂A> - beta Cov(A, ∂U),        F = N J' Cov(A)^-1 J,          averages of observables A alone,

and the second never exceeds the first. At another temperature the same samples are weighted by
w ∝ e^{-U(T)/kT + U(T_0)/kT_0}, so candidates for a further simulation (`Identified.rank_candidates`) are
judged before it is made: observables, temperatures, and lengths as multiples of N.

References:
    A. Vehtari, D. Simpson, A. Gelman, Y. Yao, J. Gabry, J. Mach. Learn. Res. 25, 72 (2024),
    arXiv:1507.02646: the shape of the tail says whether weights can be trusted.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from arviz_stats.base.array import array_stats

from bayescg._checks import positive, require, require_x64
from bayescg._typing import Array, Float, NumpyArray
from bayescg.identifiability.information import Information, check_digits, check_finite
from bayescg.units import thermal_energy

BLOCKS = 32
"""Contiguous blocks of samples, whose spread is the error of F."""

FEWEST = 50.0
"""Effective samples that must be left after weighting: a covariance is then known to a fifth."""

HEAVIEST = 0.7
"""Pareto shape of weights, from which their mean is ruled by samples that are not there."""


class Ensemble(eqx.Module):
    """Samples of a Boltzmann distribution, in the parameters that are asked about.

    Attributes:
        energy: U of one configuration, kJ/mol: a function of the vector of parameters, the configuration
            and the temperature in K; in JAX.
        at: the parameters, on the scale of the question: logarithms where these are asked about.
        names: of the parameters.
        samples: configurations along the first axis, in the order of time.
        temperature: at which they were drawn, K.
        effective: number of independent samples among them; None where all are.
        weights: of the samples (of a quadrature, or from another ensemble); None for equal ones.

    Example:
        >>> spring = lambda u, x, temperature: 0.5 * jnp.exp(u[0]) * x**2  # a particle in a well
        >>> x = np.random.default_rng(0).normal(size=20000)
        >>> kT = thermal_energy(300.0)
        >>> ensemble = Ensemble(spring, jnp.log(jnp.array([kT])), ("stiffness",), x, 300.0)
        >>> bool(abs(ensemble.information().matrix[0, 0] / 10000.0 - 1) < 0.05)  # Var(x²/2) = 1/2 each
        True
    """

    energy: Callable[[Array, Array, float], Array]
    at: Float[Array, " parameter"]
    names: tuple[str, ...] = eqx.field(static=True)
    samples: Any
    temperature: float
    effective: float | None = None
    weights: Float[NumpyArray, " sample"] | None = None

    def __check_init__(self) -> None:
        require_x64("Fisher information of an ensemble")
        positive("temperature", self.temperature, unit="K")
        require(
            np.shape(self.at) == (len(self.names),),
            f"at must hold one value per name, shape ({len(self.names)},), got {np.shape(self.at)}.",
        )

    def information(self, *, temperature: float | None = None, length: float = 1.0) -> Information:
        """Fisher information of all configurations, β² N Cov(∂U).

        Args:
            temperature: of the simulation, K; None for that of the samples.
            length: of the simulation, in lengths of the one that gave the samples.

        Raises:
            BayescgError: too few samples count at that temperature, or a derivative is not finite.
        """
        T = self.temperature if temperature is None else positive("temperature", temperature, unit="K")
        weights, samples = self._weights(T)
        slopes = self._slopes(T)
        rows = np.sqrt(weights)[:, None] * (slopes - weights @ slopes) / thermal_energy(T)
        return self._rows("ensemble", rows * np.sqrt(self._count(length)), samples)

    def observable_information(
        self, observable: Callable[[Array], Array], *, temperature: float | None = None, length: float = 1.0
    ) -> Information:
        """Fisher information of the averages of observables alone.

        Args:
            observable: of one configuration, to one or several numbers that hold no parameters; in JAX.
            temperature: of the simulation, K; None for that of the samples.
            length: of the simulation, in lengths of the one that gave the samples.

        Raises:
            BayescgError: too few samples count at that temperature, observables that are not independent,
                or a derivative is not finite.
        """
        T = self.temperature if temperature is None else positive("temperature", temperature, unit="K")
        weights, samples = self._weights(T)
        slopes = self._slopes(T)
        values = np.asarray(jax.vmap(lambda x: jnp.ravel(observable(x)))(jnp.asarray(self.samples)))
        check_finite(values, [str(i) for i in range(values.shape[1])], what="an observable")
        gap = values - weights @ values
        S = (weights[:, None] * gap).T @ gap
        spectrum = np.linalg.eigvalsh(S)
        require(
            bool(spectrum[0] > S.shape[0] * np.finfo(float).eps * spectrum[-1]),
            "observables must vary independently of each other, got one that is constant or a sum of others. "
            "Leave it out.",
        )
        J = -(weights[:, None] * gap).T @ (slopes - weights @ slopes) / thermal_energy(T)
        white = np.linalg.solve(np.linalg.cholesky(S), J) * np.sqrt(self._count(length))
        return Information("observable", True, jacobian=white[None], sampled=False, samples=samples)

    def _count(self, length: float) -> float:
        own = len(self.samples) if self.effective is None else self.effective
        return positive("length", length) * positive("effective", own)

    def _weights(self, temperature: float) -> tuple[NumpyArray, float]:
        """Normalized weights at a temperature, and the effective number of samples."""
        count = len(self.samples)
        logs = np.zeros(count) if self.weights is None else np.log(np.asarray(self.weights, dtype=float))
        if temperature != self.temperature:
            here, there = (self._energies(T) / thermal_energy(T) for T in (self.temperature, temperature))
            logs = logs + here - there
        weights = np.exp(logs - logs.max())
        weights = weights / weights.sum()
        share = 1.0 if self.effective is None else self.effective / count
        samples = share / float(np.sum(weights**2))
        require(
            samples >= FEWEST,
            f"samples that count at {temperature:g} K must be {FEWEST:g} at least, got {samples:.0f} of "
            f"those drawn at {self.temperature:g} K. Take a temperature nearby, or more samples.",
        )
        if self.weights is None and np.ptp(logs) > 0:
            shape = float(np.asarray(array_stats.psislw(-logs)[1]))
            require(
                shape < HEAVIEST,
                f"weights at {temperature:g} K must have a Pareto shape below {HEAVIEST:g}, got {shape:.2f}: "
                f"samples drawn at {self.temperature:g} K hardly reach there. Take a temperature nearby.",
            )
        return weights, float(samples)

    def _energies(self, temperature: float) -> NumpyArray:
        return np.asarray(jax.vmap(lambda x: self.energy(self.at, x, temperature))(jnp.asarray(self.samples)))

    def _slopes(self, temperature: float) -> NumpyArray:
        """∂U, (sample, parameter)."""

        def energy(u: Array, x: Array) -> Array:
            return jnp.reshape(self.energy(u, x, temperature), ())

        slopes = jax.vmap(jax.grad(energy), (None, 0))(jnp.asarray(self.at), jnp.asarray(self.samples))
        check_digits("slopes of the energy", np.asarray(slopes))
        check_finite(np.asarray(slopes), self.names, what="the slope of the energy")
        return np.asarray(slopes)

    def _rows(self, term: str, rows: NumpyArray, samples: float) -> Information:
        """One row per sample, in contiguous blocks; the last is filled up with zeros."""
        length = -(-len(rows) // BLOCKS)
        count = -(-len(rows) // length)
        filled = np.pad(rows, ((0, count * length - len(rows)), (0, 0)))
        return Information(term, True, jacobian=filled.reshape(count, length, -1), samples=samples)
