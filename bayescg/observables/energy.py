"""The potential energy and the pressure of a configuration, from the potential itself.

The virial theorem, for any potential: strain a periodic configuration evenly, positions and box together,

    P = N kT / V  -  (1/dV) dU/ds at s = 0,      U(s) = U((1 + s) x, (1 + s) L),

in d dimensions. For a pair potential -dU/ds is the sum over pairs of r F(r); the derivative by
automatic differentiation is right for every other potential too. N kT is the ideal part in the ensemble of
temperature T, twice the kinetic energy over d on average, without that energy's fluctuation.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from bayescg._checks import BayescgError, positive
from bayescg._typing import Array, Float
from bayescg.interfaces import AbstractEnergyObservable, AbstractPotential, Configuration, Topology
from bayescg.units import BAR, BOLTZMANN


class PotentialEnergy(AbstractEnergyObservable):
    """Potential energy of all beads, kJ/mol.

    Example:
        >>> import bayescg as bcg
        >>> bcg.observables.PotentialEnergy().units
        'kJ/mol'
    """

    name: str = eqx.field(static=True, default="potential_energy", init=False)
    units: str = eqx.field(static=True, default="kJ/mol", init=False)

    def prepare(self, topology: Topology, box: Any) -> "PotentialEnergy":
        """Nothing is taken from the system."""
        return self

    def coordinates(self, topology: Topology) -> dict[str, Any]:
        """One number."""
        return {}

    def measure(self, configuration: Configuration, potential: AbstractPotential) -> Float[Array, ""]:
        """U of one configuration."""
        return potential.energy(configuration)


class Pressure(AbstractEnergyObservable):
    """Pressure, bar: the ideal part n kT and the virial of the potential.

    A measurement costs about two energies of the potential: for 510 waters and a pair spline of 0.9 nm some 3
    ms on one core. What a potential cut off at a jump would add is not in it: the potentials here end
    smoothly.

    Attributes:
        temperature: of the ideal part, K; None for that of the simulation or of the data.

    Raises:
        BayescgError: an open system, or no temperature.

    References:
        M. P. Allen, D. J. Tildesley, Computer Simulation of Liquids, Oxford (2017), section 2.4,
        doi:10.1093/oso/9780198803195.001.0001.

    Example:
        >>> import bayescg as bcg
        >>> observable = bcg.observables.Pressure()
        >>> observable.name, observable.units
        ('pressure', 'bar')
    """

    temperature: float | None = eqx.field(static=True, default=None)
    name: str = eqx.field(static=True, default="pressure", init=False)
    units: str = eqx.field(static=True, default="bar", init=False)

    def __check_init__(self) -> None:
        if self.temperature is not None:
            positive("temperature", self.temperature, unit="K")

    def prepare(self, topology: Topology, box: Any) -> "Pressure":
        """Check that there is a volume.

        Args:
            topology: of the beads.
            box: edge lengths, nm, (dim,) or (frame, dim).
        """
        if box is None:
            raise BayescgError(_OPEN)
        return self

    def coordinates(self, topology: Topology) -> dict[str, Any]:
        """One number."""
        return {}

    def measure(self, configuration: Configuration, potential: AbstractPotential) -> Float[Array, ""]:
        """P of one configuration."""
        x, L = configuration.positions, configuration.box
        if L is None:
            raise BayescgError(_OPEN)
        T = configuration.temperature if self.temperature is None else self.temperature
        if T is None:
            raise BayescgError(
                "temperature must be known for the ideal part of a pressure, got None. Give it, as in "
                "Pressure(temperature=300.0), or set attrs['temperature'] of the beads."
            )

        def strained(s: Array) -> Array:
            scaled = ((1 + s) * x, (1 + s) * L)
            return potential.energy(eqx.tree_at(lambda c: (c.positions, c.box), configuration, scaled))

        beads, d = x.shape
        # one number in and one out: forwards costs two energies, backwards several
        still, along = jnp.zeros((), x.dtype), jnp.ones((), x.dtype)
        virial = -jax.jvp(strained, (still,), (along,))[1] / d
        return (beads * BOLTZMANN * T + virial) / (jnp.prod(L) * BAR)


_OPEN = (
    "box must be periodic for a pressure, got an open system. Set the variable box of the beads, or leave "
    "the pressure out."
)
