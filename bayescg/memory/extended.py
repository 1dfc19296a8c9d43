"""The extended linear system: velocity and auxiliary variables together.

With u = (v, z) and no mean force,

    du = -A u dt + noise,    <noise noise'> = D dt,

    A = [ gamma0/m   -a'/m ]     D = [ 2 gamma0 kT/m²          0         ]     C = [ kT/m    0   ]
        [    a         A_s ],        [       0        kT (A_s + A_s')    ],        [  0    kT 1  ].

The stationary covariance C solves A C + C A' = D whatever A_s, a and gamma0 are: off the diagonal
kT (-a'/m + a'/m) = 0, and on it the two blocks of D. So equipartition holds by construction.

With a spring k x towards the origin, w = (x, v, z) follows

    A_k = [  0    -1        0    ]     D_k = [ 0  0 ]
          [ k/m  gamma0/m  -a'/m ],          [ 0  D ],
          [  0     a        A_s  ]

exact in one step however stiff the spring; with k = 0 the position only adds up the velocity.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from bayescg._typing import Array, Float
from bayescg.interfaces import AbstractMemory
from bayescg.units import BOLTZMANN


class ExtendedDrift(NamedTuple):
    """The linear system of (v, z).

    Attributes:
        drift: A.
        diffusion: D, covariance of the noise per ps.
        stationary: C, the covariance at equilibrium; diagonal.
    """

    drift: Float[Array, "state state"]
    diffusion: Float[Array, "state state"]
    stationary: Float[Array, "state state"]


class SpringDrift(NamedTuple):
    """The linear system of (x, v, z).

    Attributes:
        drift: A_k.
        diffusion: D_k, covariance of the noise per ps; singular, positions have none.
    """

    drift: Float[Array, "state state"]
    diffusion: Float[Array, "state state"]


def extended_drift(
    memory: AbstractMemory, mass: float | Float[Array, ""], temperature: float | Float[Array, ""]
) -> ExtendedDrift:
    """A, D and C of (v, z) without a mean force; pure.

    Units: v in nm/ps, z in sqrt(kJ/mol), so that a'z is a force.

    Args:
        memory: with values.
        mass: m, amu.
        temperature: K.

    Example:
        >>> import bayescg as bcg, jax.numpy as jnp
        >>> A, D, C = bcg.memory.extended_drift(bcg.memory.Markovian(20.0), 18.0, 300.0)
        >>> bool(jnp.allclose(A @ C + C @ A.T, D))
        True
    """
    return _extended(memory, jnp.asarray(mass), jnp.asarray(temperature))


@eqx.filter_jit
def _extended(memory: AbstractMemory, mass: Array, temperature: Array) -> ExtendedDrift:
    A_s, a, gamma0 = memory.drift()
    modes = a.shape[0]
    kT = BOLTZMANN * temperature
    A = jnp.block([[jnp.reshape(gamma0 / mass, (1, 1)), -a[None] / mass], [a[:, None], A_s]])
    friction = jnp.reshape(2 * gamma0 * kT / mass**2, (1, 1))
    D = jnp.block([[friction, jnp.zeros((1, modes))], [jnp.zeros((modes, 1)), kT * (A_s + A_s.T)]])
    C = kT * jnp.diag(jnp.ones(1 + modes).at[0].divide(mass))
    return ExtendedDrift(A, D, C)


def with_spring(
    extended: ExtendedDrift, mass: float | Float[Array, ""], stiffness: float | Float[Array, ""]
) -> SpringDrift:
    """A_k and D_k of (x, v, z) in a harmonic well; pure.

    Args:
        extended: of (v, z).
        mass: m, amu.
        stiffness: k, kJ/mol/nm²; may be zero (a free bead, whose position has no stationary law) or
            negative (a barrier).

    Example:
        >>> import bayescg as bcg
        >>> extended = bcg.memory.extended_drift(bcg.memory.Markovian(20.0), 18.0, 300.0)
        >>> bcg.memory.with_spring(extended, 18.0, 90.0).drift[1, 0].tolist()
        5.0
    """
    return _with_spring(extended, jnp.asarray(mass), jnp.asarray(stiffness))


@eqx.filter_jit
def _with_spring(extended: ExtendedDrift, mass: Array, stiffness: Array) -> SpringDrift:
    states = extended.drift.shape[0]
    A = jnp.zeros((states + 1, states + 1), extended.drift.dtype)
    A = A.at[1:, 1:].set(extended.drift).at[0, 1].set(-1.0).at[1, 0].set(stiffness / mass)
    D = jnp.zeros_like(A).at[1:, 1:].set(extended.diffusion)
    return SpringDrift(A, D)
