"""Memory: the kernel of a generalized Langevin equation as the drift of auxiliary variables.

    m dv = (f - gamma0 v + a'z) dt + sqrt(2 gamma0 kT) dW0
      dz = (-a v - A_s z) dt + B_s dW,          B_s B_s' = kT (A_s + A_s'),

so that K(t) = 2 gamma0 delta(t) + a' exp(-A_s t) a and the Boltzmann law is invariant whatever A_s and
a are: a memory gives its drift alone, and everything else here follows from it.

References:
    M. Ceriotti, G. Bussi, M. Parrinello, J. Chem. Theory Comput. 6, 1170 (2010), doi:10.1021/ct900563s.
"""

import abc
from typing import Any, NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import block_diag, expm

from bayescg._typing import Array, Float
from bayescg.units import thermal_energy

SQUARINGS = 32
"""Doublings in exp(-A_s t): enough for decay times 1e-10 of t, where JAX's own 16 give NaN at 1e-5."""


class Drift(NamedTuple):
    """What a memory is made of.

    Attributes:
        matrix: A_s, 1/ps; its symmetric part is positive semidefinite.
        coupling: a, sqrt(amu)/ps.
        friction: gamma0, the friction without memory, amu/ps.
    """

    matrix: Float[Array, "mode mode"]
    coupling: Float[Array, " mode"]
    friction: Float[Array, ""]


class Timescales(NamedTuple):
    """What a memory may know of the data before its parameters are allocated; no parameter itself.

    Attributes:
        interval: time between frames, ps.
        duration: length of the longest stretch without a gap, ps.
        friction: rough estimate of the integral of the kernel, amu/ps.
    """

    interval: float | Float[Array, ""]
    duration: float | Float[Array, ""]
    friction: float | Float[Array, ""]


class AbstractMemory(eqx.Module):
    """A memory kernel K(t) = 2 gamma0 delta(t) + a' exp(-A_s t) a."""

    @abc.abstractmethod
    def drift(self) -> Drift:
        """A_s, a and gamma0; noise follows by fluctuation-dissipation."""

    @abc.abstractmethod
    def prepare(self, timescales: Timescales) -> Self:
        """Return the memory with every parameter allocated and the timescales of the data kept."""

    @abc.abstractmethod
    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Labels of the parameters' axes: path -> {dimension name: labels}, in the order of the axes."""

    @eqx.filter_jit
    def kernel(self, times: Float[Array, " lag"]) -> Float[Array, " lag"]:
        """The kernel a' exp(-A_s t) a at times >= 0 in ps, amu/ps²; the delta part of gamma0 is left out."""
        matrix, a, _ = self.drift()
        if a.size == 0:
            return jnp.zeros(jnp.shape(times))
        return jax.vmap(lambda t: a @ expm(-matrix * t, max_squarings=SQUARINGS) @ a)(jnp.asarray(times))

    @eqx.filter_jit
    def spectrum(self, frequencies: Float[Array, " frequency"]) -> Float[Array, " frequency"]:
        """Real part of the one-sided Fourier transform of K, amu/ps; never negative.

            gamma0 + Re a' (A_s + i w)^-1 a,     w = 2 pi frequency,

        Args:
            frequencies: 1/ps.
        """
        matrix, a, gamma0 = self.drift()
        if a.size == 0:
            return jnp.full(jnp.shape(frequencies), gamma0)
        identity = jnp.eye(a.size)

        def at(frequency: Array) -> Array:
            response = jnp.linalg.solve(matrix + 2j * jnp.pi * frequency * identity, a + 0j)
            return gamma0 + jnp.real(a @ response)

        return jax.vmap(at)(jnp.asarray(frequencies))

    @eqx.filter_jit
    def integral(self) -> Float[Array, ""]:
        """gamma0 + a' A_s^-1 a, the friction at long times, amu/ps."""
        matrix, a, gamma0 = self.drift()
        return gamma0 + (a @ jnp.linalg.solve(matrix, a) if a.size else jnp.zeros(()))

    def initial_value(self) -> Float[Array, ""]:
        """K(0) = a'a without the delta part, amu/ps²."""
        return jnp.sum(jnp.square(self.drift().coupling))

    def noise_covariance(self, temperature: float) -> Float[Array, "mode mode"]:
        """B_s B_s' = kT (A_s + A_s'), kJ/mol/ps."""
        matrix = self.drift().matrix
        return thermal_energy(temperature) * (matrix + matrix.T)

    def __add__(self, other: "AbstractMemory") -> "SumMemory":
        """The kernel K_1 + K_2; modes stand side by side."""
        return SumMemory((*_terms(self), *_terms(other)))


class SumMemory(AbstractMemory):
    """The sum of memories: a kernel that is the sum of theirs.

    Attributes:
        terms: the memories that add.
    """

    terms: tuple[AbstractMemory, ...]

    def drift(self) -> Drift:
        """Block-diagonal A_s, couplings side by side, gamma0 added."""
        drifts = [term.drift() for term in self.terms]
        return Drift(
            block_diag(*[drift.matrix for drift in drifts if drift.coupling.size] or [jnp.zeros((0, 0))]),
            jnp.concatenate([drift.coupling for drift in drifts]),
            sum((drift.friction for drift in drifts), start=jnp.zeros(())),
        )

    def prepare(self, timescales: Timescales) -> "SumMemory":
        """Prepare every term, each for its share of the friction."""
        share = timescales._replace(friction=timescales.friction / len(self.terms))
        return SumMemory(tuple(term.prepare(share) for term in self.terms))

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """The terms' labels, by path."""
        return {
            f"terms.{index}.{path}": labels
            for index, term in enumerate(self.terms)
            for path, labels in term.coordinates().items()
        }


def _terms(memory: AbstractMemory) -> tuple[AbstractMemory, ...]:
    return memory.terms if isinstance(memory, SumMemory) else (memory,)
