"""The generalized Langevin equation step by step: BAOAB with an exact Ornstein-Uhlenbeck step.

    m dv = (F - gamma0 v + a'z) dt + sqrt(2 gamma0 kT) dW0,      dz = (-a v - A_s z) dt + B_s dW

is split into

    B:  p += F dt/2,      A:  x += p/m dt/2,      O:  (v, z) <- E (v, z) + S xi,

with E = exp(-A dt) for the linear drift A of (v, z), and S S' = C - E C E', C the covariance at
equilibrium: O is the exact solution, whatever dt, so momenta and auxiliary variables stay in
equilibrium and only the force's splitting has a timestep error, as in Langevin BAOAB.

In units of the thermal widths, C = 1 and S S' = 1 - E E'. Its rounding error, about 1e-16 of
the variance per step, is far below what a simulation resolves; directions without noise
of their own (a Mori chain's inner modes) get a zero there instead of a factor that fails.

References:
    B. Leimkuhler, C. Matthews, Appl. Math. Res. Express 2013, 34 (2013), doi:10.1093/amrx/abs010.
    M. Ceriotti, G. Bussi, M. Parrinello, J. Chem. Theory Comput. 6, 1170 (2010), doi:10.1021/ct900563s.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import expm

from bayescg._typing import Array, Float, Int
from bayescg.interfaces import AbstractMemory
from bayescg.memory import extended_drift
from bayescg.units import thermal_energy


class Bath(eqx.Module):
    """The O step of (p, z) for every bead; beads of one mass share it.

    Attributes:
        transition: E, in amu nm/ps for p and sqrt(kJ/mol) for z.
        noise: S; its rows likewise.
        width: thermal width of p and z at equilibrium.
        kind: which of the masses a bead has.
    """

    transition: Float[Array, "mass state state"]
    noise: Float[Array, "mass state state"]
    width: Float[Array, "mass state"]
    kind: Int[Array, " bead"]

    @property
    def modes(self) -> int:
        """Auxiliary variables per bead and component."""
        return self.width.shape[1] - 1


class GLEState(NamedTuple):
    """State of the dynamics, in the form of jax-md's states.

    Attributes:
        position: nm, or the unit of the collective variable.
        momentum: amu nm/ps.
        force: kJ/mol/nm.
        auxiliary: z, sqrt(kJ/mol): an array (bead, dim, mode), or `PairVariables` where pairs have a memory.
        rng: random key.
    """

    position: Float[Array, "bead dim"]
    momentum: Float[Array, "bead dim"]
    force: Float[Array, "bead dim"]
    auxiliary: Any
    rng: Array


def bath(
    memory: AbstractMemory,
    masses: Float[Array, " mass"],
    kind: Int[Array, " bead"],
    *,
    temperature: float,
    timestep: float,
) -> Bath:
    """The exact O step of a memory; pure, in float64.

    Args:
        memory: with values.
        masses: the different masses there are, amu.
        kind: index into `masses` of every bead.
        temperature: K.
        timestep: ps.

    Example:
        >>> import bayescg as bcg
        >>> slow = bcg.memory.Prony(modes=1, times=[1.0], frictions=[18.0])
        >>> step = bath(slow, jnp.ones(1), jnp.zeros(3, int), temperature=300.0, timestep=0.01)
        >>> step.transition.shape, step.modes
        ((1, 2, 2), 1)
    """
    kT = thermal_energy(temperature)

    def of_mass(mass: Array) -> tuple[Array, Array, Array]:
        A, _, C = extended_drift(memory, mass, temperature)
        width = jnp.sqrt(jnp.diag(C))
        # in thermal units: E = W^-1 exp(-A dt) W with W = C^(1/2)
        E = expm(-A * timestep * width / width[:, None])
        S = root(jnp.eye(width.size) - E @ E.T)
        natural = jnp.full(width.size, jnp.sqrt(kT)).at[0].set(jnp.sqrt(mass * kT))
        return E * natural[:, None] / natural, S * natural[:, None], natural

    transition, noise, natural = jax.vmap(of_mass)(masses)
    return Bath(transition, noise, natural, kind)


def gle(
    force: Callable[..., Array], shift: Callable[[Array, Array], Array], *, timestep: float, bath: Bath
) -> tuple[Callable[..., GLEState], Callable[..., GLEState]]:
    """The dynamics as jax-md's `(init, apply)`.

    Args:
        force: force(position, neighbors=...) in kJ/mol/nm.
        shift: shift(position, step): the position after a step, wrapped if need be.
        timestep: ps.
        bath: from `bath`, for the same timestep.

    Returns:
        init(key, position, mass=..., neighbors=...) draws momenta and auxiliary variables from equilibrium;
        apply(state, mass=..., neighbors=...) takes one step.

    Example:
        >>> import bayescg as bcg
        >>> memory = bcg.memory.Prony(modes=1, times=[1.0], frictions=[18.0])
        >>> masses = jnp.full(1, 18.0)
        >>> step = bath(memory, masses, jnp.zeros(1, int), temperature=300.0, timestep=0.01)
        >>> init, apply = gle(
        ...     lambda x, neighbors: -90.0 * x, lambda x, dx: x + dx, timestep=0.01, bath=step
        ... )
        >>> state = init(jax.random.key(0), jnp.zeros((1, 1)), mass=masses, neighbors=None)
        >>> apply(state, mass=masses, neighbors=None).auxiliary.shape
        (1, 1, 1)
    """

    def init(key: Array, position: Array, *, mass: Array, neighbors: Any) -> GLEState:
        key, split = jax.random.split(key)
        momentum, auxiliary = thermal(bath, position, split)
        return GLEState(position, momentum, force(position, neighbors=neighbors), auxiliary, key)

    def apply(state: GLEState, *, mass: Array, neighbors: Any) -> GLEState:
        half, key = 0.5 * timestep, jax.random.split(state.rng)
        momentum = state.momentum + half * state.force
        position = shift(state.position, half * momentum / mass[:, None])
        momentum, auxiliary = ornstein_uhlenbeck(bath, momentum, state.auxiliary, key[1])
        position = shift(position, half * momentum / mass[:, None])
        now = force(position, neighbors=neighbors)
        return GLEState(position, momentum + half * now, now, auxiliary, key[0])

    return init, apply


def ornstein_uhlenbeck(
    bath: Bath, momentum: Float[Array, "bead dim"], auxiliary: Float[Array, "bead dim mode"], key: Array
) -> tuple[Float[Array, "bead dim"], Float[Array, "bead dim mode"]]:
    """(p, z) after one O step; the noise is normal and independent between beads and components.

    Args:
        bath: from `bath`.
        momentum: amu nm/ps.
        auxiliary: sqrt(kJ/mol).
        key: of the noise.

    Example:
        >>> import bayescg as bcg
        >>> friction = bcg.memory.Markovian(friction=36.0)
        >>> step = bath(friction, jnp.full(1, 18.0), jnp.zeros(1, int), temperature=1e-12, timestep=0.5)
        >>> p, _ = ornstein_uhlenbeck(step, jnp.ones((1, 1)), jnp.zeros((1, 1, 0)), jax.random.key(0))
        >>> round(float(p[0, 0]), 3)
        0.368
    """
    shape, states = momentum.shape, bath.modes + 1
    u = jnp.concatenate([momentum[..., None], auxiliary], axis=-1).reshape(-1, states)
    # drawn flat: JAX's generator takes three times as long for an array of several axes
    xi = jax.random.normal(key, (u.size,), u.dtype).reshape(u.shape)
    E, S = bath.transition.astype(u.dtype), bath.noise.astype(u.dtype)
    bead_kind = jnp.repeat(bath.kind, shape[1])[:, None]
    new = u @ E[0].T + xi @ S[0].T
    for kind in range(1, bath.width.shape[0]):
        new = jnp.where(bead_kind == kind, u @ E[kind].T + xi @ S[kind].T, new)
    new = new.reshape(*shape, states)
    return new[..., 0], new[..., 1:]


def thermal(
    bath: Bath, position: Float[Array, "bead dim"], key: Array
) -> tuple[Float[Array, "bead dim"], Float[Array, "bead dim mode"]]:
    """Momenta and auxiliary variables at equilibrium; momenta of several beads add up to zero.

    Args:
        bath: from `bath`.
        position: for shape and precision.
        key: random key.

    Example:
        >>> import bayescg as bcg
        >>> memory = bcg.memory.Prony(modes=1, times=[1.0], frictions=[18.0])
        >>> step = bath(memory, jnp.ones(1), jnp.zeros(3, int), temperature=300.0, timestep=0.01)
        >>> p, z = thermal(step, jnp.zeros((3, 2)), jax.random.key(0))
        >>> p.shape, z.shape, bool(abs(p.sum()) < 1e-12)
        ((3, 2), (3, 2, 1), True)
    """
    xi = jax.random.normal(key, (*position.shape, bath.modes + 1), position.dtype)
    scaled = xi * bath.width.astype(position.dtype)[bath.kind][:, None]
    momentum = scaled[..., 0]
    if position.shape[0] > 1:
        momentum -= jnp.mean(momentum, axis=0)
    return momentum, scaled[..., 1:]


def root(covariance: Float[Array, "state state"]) -> Float[Array, "state state"]:
    """S with S S' = the covariance, zero where rounding made it negative.

    Example:
        >>> S = root(jnp.array([[4.0, 0.0], [0.0, -1e-17]]))
        >>> (S @ S.T).tolist()
        [[4.0, 0.0], [0.0, 0.0]]
    """
    values, vectors = jnp.linalg.eigh(0.5 * (covariance + covariance.T))
    return vectors * jnp.sqrt(jnp.maximum(values, 0.0))
