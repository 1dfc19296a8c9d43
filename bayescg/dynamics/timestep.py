"""Whether a timestep is short enough for the bonds: the fastest vibration of the molecules.

With masses m and the Hessian H of the bonded energy, vibrations have the frequencies

    omega² = eigenvalues of m^-1/2 H m^-1/2,

and the largest is found by power iteration with products of H and a vector. The integrators here are
stable up to omega dt = 2; the temperature of the fastest vibration is then far off, and is off by less than
(omega dt)²/4, 2.5% at 20 steps a period.

References:
    M. E. Tuckerman, Statistical Mechanics: Theory and Molecular Simulation, Oxford (2010), section 3.14.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError, BayescgWarning
from bayescg._typing import Array, Float
from bayescg.interfaces import Configuration, LinearSum, Sum, Topology
from bayescg.model import Model
from bayescg.potentials.bonded import AbstractBondedPotential

FEWEST_STEPS = 10
"""Steps in the fastest period below which a warning is given: (omega dt)²/4 is 10% there."""

ITERATIONS = 60
"""Of the power method: the eigenvalue comes out some percent too small at worst, and never too large."""


def check_timestep(
    models: Sequence[Model],
    start: Float[Array, "draw bead dim"],
    *,
    box: Any,
    topology: Topology,
    timestep: float,
) -> None:
    """Refuse a timestep at which bonds explode, and warn of one at which they are sampled badly.

    Args:
        models: one per draw.
        start: positions, nm.
        box: edge lengths, nm; None for an open system.
        topology: masses and bonds.
        timestep: ps.

    Raises:
        BayescgError: omega dt above 2 for the fastest vibration of a draw.

    Warns:
        BayescgWarning: fewer than ten steps in its period.

    Example:
        >>> nothing = jnp.zeros((0, 2), int)
        >>> beads = Topology(jnp.zeros(1, int), jnp.ones(1), jnp.zeros(1, int), nothing, ("A",))
        >>> check_timestep([], jnp.zeros((0, 1, 3)), box=None, topology=beads, timestep=0.1)
    """
    edges = None if box is None else jnp.asarray(np.asarray(box), float)
    found = [
        float(_fastest(terms, jnp.asarray(x, float), edges, topology))
        for model, x in zip(models, start, strict=True)
        if (terms := bonded_terms(model))
    ]
    omega = max(found, default=0.0)
    if omega == 0.0:
        return
    period = 2 * np.pi / omega
    advice = (
        f"Take a timestep of at most {period / (2 * FEWEST_STEPS):.2g} ps, or softer bonds; beads that a "
        "nearly rigid bond joins are better mapped to one."
    )
    if omega * timestep >= 2:
        raise BayescgError(
            f"timestep must be below {2 / omega:.3g} ps for the stiffest bond or angle, whose period is "
            f"{period:.3g} ps, got {timestep} ps: the simulation would explode. {advice}"
        )
    if period < FEWEST_STEPS * timestep:
        warnings.warn(
            f"timestep should be at most a tenth of the period of the stiffest bond or angle, {period:.3g} "
            f"ps, got {timestep} ps: its distribution will be too wide. {advice}",
            BayescgWarning,
            stacklevel=3,
        )


def bonded_terms(model: Model) -> tuple[AbstractBondedPotential, ...]:
    """The energies of bonds, angles and dihedrals of a model.

    Example:
        >>> import bayescg as bcg
        >>> both = bcg.potentials.PairSpline(cutoff=0.9) + bcg.potentials.HarmonicBond()
        >>> [type(term).__name__ for term in bonded_terms(bcg.Model(both))]
        ['HarmonicBond']
    """
    potential = model.potential
    terms = potential.terms if isinstance(potential, Sum | LinearSum) else (potential,)
    return tuple(term for term in terms if isinstance(term, AbstractBondedPotential))


@eqx.filter_jit
def _fastest(
    terms: tuple[AbstractBondedPotential, ...], positions: Array, box: Array | None, topology: Topology
) -> Array:
    """Largest omega, 1/ps; zero where no direction is stiff."""
    nobody = jnp.zeros((positions.shape[0], 0), jnp.int32)
    root = jnp.sqrt(topology.masses.astype(float))[:, None]

    def slope(y: Array) -> Array:
        """Mass-weighted gradient at mass-weighted positions."""

        def energy(y: Array) -> Array:
            frame = Configuration(y / root, box, nobody, topology)
            return sum((term.energy(frame) for term in terms), start=jnp.zeros(()))

        return jax.grad(energy)(y)

    _, product = jax.linearize(slope, positions * root)

    def iterate(_: Any, state: tuple[Array, Array]) -> tuple[Array, Array]:
        v, _ = state
        w = product(v)
        return w / jnp.maximum(jnp.linalg.norm(w), 1e-300), jnp.sum(v * w)

    v = jax.random.normal(jax.random.key(0), positions.shape, float)
    begun = v / jnp.linalg.norm(v), jnp.zeros(())
    _, eigenvalue = jax.lax.fori_loop(0, ITERATIONS, iterate, begun)
    return jnp.sqrt(jnp.maximum(eigenvalue, 0.0))
