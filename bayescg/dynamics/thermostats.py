"""Constant energy, and two thermostats that scale all momenta alike and so conserve their sum.

All take jax-md's velocity Verlet step,

    p += F dt/2,     x += p/m dt,     p += F dt/2.

*Nosé-Hoover*: half a step before and after it a chain of variables xi_1 ... xi_M scales the momenta,

    dp = -p xi_1' dt,     Q_1 xi_1'' = 2K - f kT - Q_1 xi_1' xi_2',    Q_1 = f kT tau^2,   Q_k = kT tau^2.

*Velocity rescaling*: after it p is multiplied by alpha, so that the kinetic energy K follows its own law at
temperature T with relaxation time tau, solved exactly over a step: with c = exp(-dt/tau), q^2 = (1-c) kT/2K,

    alpha^2 = (sqrt c + q R)^2 + q^2 S,       R normal, S chi-squared with f - 1 degrees of freedom.

f counts the components of momentum less those that are conserved. That is why jax-md's own `nvt_nose_hoover`
and `temp_csvr` do not serve: they count all, which is too hot by f/(f - 3); and the second draws R and S
with one random key.

References:
    G. J. Martyna, M. L. Klein, M. Tuckerman, J. Chem. Phys. 97, 2635 (1992), doi:10.1063/1.463940.
    G. Bussi, D. Donadio, M. Parrinello, J. Chem. Phys. 126, 014101 (2007), doi:10.1063/1.2408420.
"""

from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp

from bayescg._typing import Array, Float
from bayescg.dynamics.gle import GLEState

LINKS = 4
"""Variables of a Nosé-Hoover chain."""

Integrator = tuple[Callable[..., GLEState], Callable[..., GLEState]]


def constant_energy(
    force: Callable[..., Array], shift: Callable[..., Array], *, timestep: float, thermal_energy: float
) -> Integrator:
    """Newton's equations by velocity Verlet, as jax-md's `(init, apply)`.

    Args:
        force: force(position, neighbors=...) in kJ/mol/nm.
        shift: shift(position, step, ...): the position after a step, wrapped if need be.
        timestep: ps.
        thermal_energy: k_B T of the first momenta, kJ/mol.

    Returns:
        init(key, position, mass=..., neighbors=...) draws momenta that add up to zero; apply(state, mass=...,
        neighbors=...) takes one step.

    Example:
        >>> masses = jnp.full(1, 18.0)
        >>> init, apply = constant_energy(
        ...     lambda x, neighbors: -90.0 * x, lambda x, dx, **_: x + dx, timestep=0.01, thermal_energy=2.5
        ... )
        >>> state = init(jax.random.key(0), jnp.zeros((1, 1)), mass=masses, neighbors=None)
        >>> state = apply(state, mass=masses, neighbors=None)
        >>> state.position.shape
        (1, 1)
    """
    from jax_md import simulate

    def init(key: Array, position: Array, *, mass: Array, neighbors: Any) -> GLEState:
        key, split = jax.random.split(key)
        begin, _ = simulate.nve(force, shift, dt=timestep)
        state = begin(split, position, thermal_energy, mass=mass, neighbors=neighbors)
        nothing = jnp.zeros((*position.shape, 0), position.dtype)
        return GLEState(state.position, state.momentum, state.force, nothing, key)

    def apply(state: GLEState, *, mass: Array, neighbors: Any) -> GLEState:
        make = cast(Any, simulate.NVEState)
        old = make(state.position, state.momentum, state.force, mass[:, None])
        new = cast(Any, simulate.velocity_verlet)(force, shift, timestep, old, neighbors=neighbors)
        return state._replace(position=new.position, momentum=new.momentum, force=new.force)

    return init, apply


def velocity_rescaling(
    verlet: Integrator, *, timestep: float, thermal_energy: float, relaxation: float, conserved: int
) -> Integrator:
    """Stochastic velocity rescaling around the steps of `constant_energy`.

    Args:
        verlet: from `constant_energy`.
        timestep: ps.
        thermal_energy: k_B T, kJ/mol.
        relaxation: tau, ps.
        conserved: components of the total momentum that stay zero.

    Example:
        >>> masses = jnp.full(2, 18.0)
        >>> verlet = constant_energy(
        ...     lambda x, neighbors: 0.0 * x, lambda x, dx, **_: x + dx, timestep=0.01, thermal_energy=2.5
        ... )
        >>> init, apply = velocity_rescaling(
        ...     verlet, timestep=0.01, thermal_energy=2.5, relaxation=0.1, conserved=1
        ... )
        >>> state = init(jax.random.key(0), jnp.zeros((2, 1)), mass=masses, neighbors=None)
        >>> bool(abs(apply(state, mass=masses, neighbors=None).momentum.sum()) < 1e-12)
        True
    """
    init, step = verlet

    def apply(state: GLEState, *, mass: Array, neighbors: Any) -> GLEState:
        state = step(state, mass=mass, neighbors=neighbors)
        rng, key = jax.random.split(state.rng)
        momentum = rescaled_momentum(
            state.momentum,
            mass,
            key=key,
            conserved=conserved,
            thermal_energy=thermal_energy,
            elapsed=timestep / relaxation,
        )
        return state._replace(momentum=momentum, rng=rng)

    return init, apply


def rescaled_momentum(
    momentum: Float[Array, "bead dim"],
    mass: Float[Array, " bead"],
    *,
    key: Array,
    conserved: int,
    thermal_energy: float,
    elapsed: float,
) -> Float[Array, "bead dim"]:
    """Momenta times alpha.

    Args:
        momentum: amu nm/ps.
        mass: amu.
        key: random key.
        conserved: components of the total momentum that stay zero.
        thermal_energy: k_B T, kJ/mol.
        elapsed: dt/tau.

    Example:
        >>> p, mass = jnp.ones((2, 3)), jnp.ones(2)
        >>> q = rescaled_momentum(
        ...     p, mass, key=jax.random.key(0), conserved=0, thermal_energy=2.5, elapsed=0.1
        ... )
        >>> bool(jnp.ptp(q) == 0)
        True
    """
    factor = rescaling_factor(
        kinetic_energy(momentum, mass),
        key=key,
        freedom=momentum.size - conserved,
        thermal_energy=thermal_energy,
        elapsed=elapsed,
    )
    return momentum * factor.astype(momentum.dtype)


def rescaling_factor(
    kinetic: Float[Array, ""], *, key: Array, freedom: int, thermal_energy: float, elapsed: float
) -> Float[Array, ""]:
    """The factor alpha of velocity rescaling.

    Args:
        kinetic: kinetic energy, kJ/mol.
        key: random key.
        freedom: degrees of freedom f.
        thermal_energy: k_B T, kJ/mol.
        elapsed: dt/tau.

    Example:
        >>> late = {"freedom": 300, "thermal_energy": 2.0, "elapsed": 50.0}
        >>> factor = rescaling_factor(jnp.array(1.0), key=jax.random.key(0), **late)
        >>> bool(abs(factor**2 - 300.0) < 100.0)  # K is f kT/2 after long, whatever it was
        True
    """
    for_one, for_others = jax.random.split(key)
    c = jnp.exp(-elapsed)
    q = jnp.sqrt((1 - c) * 0.5 * thermal_energy / kinetic)
    along = jnp.sqrt(c) + q * jax.random.normal(for_one, (), float)
    others = 0.0 if freedom == 1 else 2 * jax.random.gamma(for_others, 0.5 * (freedom - 1), (), float)
    # the sign is that of the one degree of freedom along p; it matters where there are few others
    return jnp.where(along < 0, -1.0, 1.0) * jnp.sqrt(along**2 + q**2 * others)


def nose_hoover(
    verlet: Integrator, *, timestep: float, thermal_energy: float, relaxation: float, conserved: int
) -> Integrator:
    """A Nosé-Hoover chain, jax-md's, around the steps of `constant_energy`.

    The chain is (2, link) auxiliary variables in float64: xi, and its momenta in kJ/mol ps.

    Args:
        verlet: from `constant_energy`.
        timestep: ps.
        thermal_energy: k_B T, kJ/mol.
        relaxation: tau, ps.
        conserved: components of the total momentum that stay zero.

    Example:
        >>> masses = jnp.full(2, 18.0)
        >>> verlet = constant_energy(
        ...     lambda x, neighbors: 0.0 * x, lambda x, dx, **_: x + dx, timestep=0.01, thermal_energy=2.5
        ... )
        >>> init, apply = nose_hoover(verlet, timestep=0.01, thermal_energy=2.5, relaxation=0.5, conserved=1)
        >>> state = init(jax.random.key(0), jnp.zeros((2, 1)), mass=masses, neighbors=None)
        >>> apply(state, mass=masses, neighbors=None).auxiliary.shape
        (2, 4)
    """
    from jax_md import simulate

    begin, step = verlet
    chain = simulate.nose_hoover_chain(timestep, LINKS, 1, 1, relaxation)

    def inertia(freedom: int) -> Array:
        return thermal_energy * relaxation**2 * jnp.asarray([float(freedom)] + [1.0] * (LINKS - 1))

    def init(key: Array, position: Array, *, mass: Array, neighbors: Any) -> GLEState:
        key, split = jax.random.split(key)
        state = begin(key, position, mass=mass, neighbors=neighbors)
        width = jnp.sqrt(inertia(position.size - conserved) * thermal_energy)
        momenta = width * jax.random.normal(split, (LINKS,), float)
        return state._replace(auxiliary=jnp.stack([jnp.zeros(LINKS), momenta]))

    def half(state: GLEState, mass: Array) -> GLEState:
        freedom = state.momentum.size - conserved
        kinetic = kinetic_energy(state.momentum, mass)
        make = cast(Any, simulate.NoseHooverChain)
        old = make(*state.auxiliary, inertia(freedom), relaxation, kinetic, freedom)
        # a chain scales whatever it is given: 1 becomes the factor of all momenta
        factor, new = chain.half_step(jnp.ones((), float), old, thermal_energy)
        return state._replace(
            momentum=state.momentum * factor.astype(state.momentum.dtype),
            auxiliary=jnp.stack([new.position, new.momentum]),
        )

    def apply(state: GLEState, *, mass: Array, neighbors: Any) -> GLEState:
        return half(step(half(state, mass), mass=mass, neighbors=neighbors), mass)

    return init, apply


def kinetic_energy(momentum: Float[Array, "bead dim"], mass: Float[Array, " bead"]) -> Float[Array, ""]:
    """Kinetic energy, sum p^2/2m, kJ/mol, in float64.

    Example:
        >>> float(kinetic_energy(jnp.full((2, 3), 2.0), jnp.full(2, 4.0)))
        3.0
    """
    return 0.5 * jnp.sum(jnp.sum(momentum**2, axis=1) / mass, dtype=float)
