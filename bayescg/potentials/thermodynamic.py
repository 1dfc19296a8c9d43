"""Thermodynamic: a potential of mean force whose energy and entropy are both potentials.

    U(x; T) = A(x) - T B(x) + C(T)

A is energy-like, B entropy-like. C has no forces, and only its differences between temperatures mean
anything; it is taken as zero. Forces F = -grad A + T grad B at one temperature T0 determine A - T0 B alone,
at several both. Being linear in T, U is exact as far as the heat capacity of the eliminated coordinates does
not depend on the positions of the beads; over wide ranges of temperature that is an approximation.

References:
    J. Jin, A. J. Pak, G. A. Voth, J. Phys. Chem. Lett. 10, 4549 (2019), doi:10.1021/acs.jpclett.9b01228.
    K. M. Lebold, W. G. Noid, J. Chem. Phys. 150, 234107 (2019), doi:10.1063/1.5094330.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from bayescg._checks import BayescgError, positive
from bayescg._typing import Array, Float
from bayescg.interfaces import (
    AbstractLinearPotential,
    AbstractPotential,
    Configuration,
    LinearSum,
    Sum,
    Support,
)

PARTS = ("energy_part", "entropy_part")


class GeneralThermodynamic(AbstractPotential):
    """A - T B of any two potentials; made by `Thermodynamic`.

    Attributes:
        energy_part: A, kJ/mol.
        entropy_part: B, kJ/mol/K.
        cutoff: the larger of both, nm.
    """

    energy_part: AbstractPotential
    entropy_part: AbstractPotential

    @property
    def cutoff(self) -> float:  # type: ignore[override]
        """The larger of both, nm."""
        return max(self.energy_part.cutoff, self.entropy_part.cutoff)

    def energy(self, configuration: Configuration) -> Float[Array, ""]:
        """A - T B at the configuration's temperature, kJ/mol."""
        return _energy(self, configuration)

    def prepare(self, support: Support) -> "GeneralThermodynamic":
        """Prepare both parts."""
        return dataclasses.replace(self, **_prepared(self, support))

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """The parts' labels, by path."""
        return _coordinates(self)


class LinearThermodynamic(AbstractLinearPotential):
    """A - T B of two linear potentials, itself linear; made by `Thermodynamic`.

    Attributes:
        energy_part: A, kJ/mol.
        entropy_part: B, kJ/mol/K.
        cutoff: the larger of both, nm.
    """

    energy_part: AbstractLinearPotential
    entropy_part: AbstractLinearPotential

    @property
    def cutoff(self) -> float:  # type: ignore[override]
        """The larger of both, nm."""
        return max(self.energy_part.cutoff, self.entropy_part.cutoff)

    def energy(self, configuration: Configuration) -> Float[Array, ""]:
        """A - T B at the configuration's temperature, kJ/mol."""
        return _energy(self, configuration)

    def prepare(self, support: Support) -> "LinearThermodynamic":
        """Prepare both parts."""
        return dataclasses.replace(self, **_prepared(self, support))

    def basis_forces(self, configuration: Configuration) -> Float[Array, "bead dim feature"]:
        """Forces of A's functions, then -T times those of B's."""
        a, b = (getattr(self, part).basis_forces(configuration) for part in PARTS)
        return jnp.concatenate([a, -temperature_of(configuration) * b], axis=-1)

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """The parts' labels, by path."""
        return _coordinates(self)

    def coefficient_paths(self) -> tuple[str, ...]:
        """Coefficients of A, then of B."""
        return tuple(f"{part}.{path}" for part in PARTS for path in getattr(self, part).coefficient_paths())


class AtTemperature(AbstractPotential):
    """A potential at one temperature, whatever the configuration's.

    Attributes:
        potential: which may depend on temperature.
        temperature: K.
        cutoff: of the potential, nm.
    """

    potential: AbstractPotential
    temperature: Float[Array, ""]

    @property
    def cutoff(self) -> float:  # type: ignore[override]
        """Of the potential, nm."""
        return self.potential.cutoff

    def energy(self, configuration: Configuration) -> Float[Array, ""]:
        """At the temperature, kJ/mol."""
        return self.potential.energy(configuration.at(self.temperature))

    def prepare(self, support: Support) -> "AtTemperature":
        """Prepare the potential."""
        return dataclasses.replace(self, potential=self.potential.prepare(support))

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """The potential's labels, by path."""
        return {f"potential.{path}": labels for path, labels in self.potential.coordinates().items()}


def Thermodynamic(energy: AbstractPotential, entropy: AbstractPotential) -> AbstractPotential:  # noqa: N802
    """U = A - T B, temperature-dependent; linear in its coefficients if A and B are.

    Args:
        energy: A; its parameters have the paths `energy_part...`, in their usual units.
        entropy: B; its parameters have the paths `entropy_part...`, in their usual units per kelvin.

    Raises:
        BayescgError: something that is no potential, or a part that depends on temperature itself.

    Example:
        >>> import bayescg as bcg
        >>> spline = bcg.potentials.PairSpline(cutoff=0.9, knots=12)
        >>> both = bcg.potentials.Thermodynamic(energy=spline, entropy=spline)
        >>> both.prepare(bcg.interfaces.Support(("W",), (0.25,))).coefficient_paths()
        ('energy_part.coefficients', 'entropy_part.coefficients')
    """
    for name, part in (("energy", energy), ("entropy", entropy)):
        if not isinstance(part, AbstractPotential):
            raise BayescgError(
                f"{name} must be a potential, got {type(part).__name__}. Give one of bayescg.potentials."
            )
        if depends_on_temperature(part):
            raise BayescgError(
                f"{name} must not depend on temperature itself, got a Thermodynamic. Give potentials without."
            )
    if isinstance(energy, AbstractLinearPotential) and isinstance(entropy, AbstractLinearPotential):
        return LinearThermodynamic(energy_part=energy, entropy_part=entropy)  # type: ignore[call-arg]
    return GeneralThermodynamic(energy_part=energy, entropy_part=entropy)  # type: ignore[call-arg]


def depends_on_temperature(potential: AbstractPotential) -> bool:
    """Whether a potential, or a term of a sum, is a `Thermodynamic`.

    Example:
        >>> import bayescg as bcg
        >>> depends_on_temperature(bcg.potentials.PairSpline(cutoff=0.9))
        False
    """
    if isinstance(potential, Sum | LinearSum):
        return any(depends_on_temperature(term) for term in potential.terms)
    return isinstance(potential, GeneralThermodynamic | LinearThermodynamic)


def at_temperature(potential: AbstractPotential, temperature: float | Float[Array, ""]) -> AbstractPotential:
    """The potential at one temperature, as one that needs no temperature.

    Where A and B are of one kind and linear, so is the result, with coefficients a - T b: a pair spline stays
    a pair spline, which simulations turn into a table.

    Args:
        potential: prepared.
        temperature: K.

    Example:
        >>> import bayescg as bcg
        >>> spline = bcg.potentials.PairSpline(cutoff=0.9, knots=12)
        >>> both = bcg.potentials.Thermodynamic(energy=spline, entropy=spline)
        >>> both = both.prepare(bcg.interfaces.Support(("W",), (0.25,)))
        >>> type(at_temperature(both, 300.0)).__name__
        'PairSpline'
    """
    number = isinstance(temperature, int | float)
    T = jnp.asarray(positive("temperature", temperature, unit="K") if number else temperature)
    if isinstance(potential, Sum | LinearSum):
        return dataclasses.replace(potential, terms=tuple(at_temperature(t, T) for t in potential.terms))
    if not depends_on_temperature(potential):
        return potential
    if isinstance(potential, LinearThermodynamic) and _alike(potential.energy_part, potential.entropy_part):
        return _combined(potential.energy_part, potential.entropy_part, T)
    return AtTemperature(potential=potential, temperature=T)  # type: ignore[call-arg]


def temperature_of(configuration: Any) -> Any:
    """The temperature of a frame, K.

    Args:
        configuration: anything with a `temperature`.

    Raises:
        BayescgError: it has none.

    Example:
        >>> from types import SimpleNamespace
        >>> temperature_of(SimpleNamespace(temperature=300.0))
        300.0
    """
    if configuration.temperature is None:
        raise BayescgError(
            "a Thermodynamic potential needs the temperature of every frame, got none. Give temperature= (K) "
            "to read_trajectory, set attrs['temperature'] of the beads, or fix it with "
            "bayescg.potentials.at_temperature(potential, 300.0)."
        )
    return configuration.temperature


def _energy(thermodynamic: Any, configuration: Configuration) -> Float[Array, ""]:
    """A - T B, with the walls of A - T B where both are of one kind, else with those of A alone.

    A wall of B, which keeps beads out where there are no data, would pull them in as part of -T B.
    """
    T, A, B = temperature_of(configuration), thermodynamic.energy_part, thermodynamic.entropy_part
    if _alike(A, B):
        return _combined(A, B, T).energy(configuration)
    linear = isinstance(B, AbstractLinearPotential)
    return A.energy(configuration) - T * (B.linear_energy if linear else B.energy)(configuration)


def _combined(energy: Any, entropy: Any, temperature: Array) -> Any:
    return jax.tree.map(lambda a, b: a - temperature * b, energy, entropy)


def _prepared(thermodynamic: Any, support: Support) -> dict[str, Any]:
    return {part: getattr(thermodynamic, part).prepare(support) for part in PARTS}


def _coordinates(thermodynamic: Any) -> dict[str, dict[str, Any]]:
    return {
        f"{part}.{path}": labels
        for part in PARTS
        for path, labels in getattr(thermodynamic, part).coordinates().items()
    }


def _alike(one: Any, other: Any) -> bool:
    """Whether both are linear and differ in the numbers of their coefficients alone."""
    if not isinstance(one, AbstractLinearPotential) or jax.tree.structure(one) != jax.tree.structure(other):
        return False
    leaves = [leaf for leaf in jax.tree.leaves(one) if not eqx.is_inexact_array(leaf)]
    count = sum(1 for _ in one.coefficient_paths())
    return not leaves and count == len(jax.tree.leaves(one))
