"""The generalized Langevin equation between two frames, as a state space of one observed series.

Positions. The linear part, a spring k (x - c) included, is exact (F, Q of `van_loan` for x, v, z); any
other force f kicks the velocity by dt/2m before and after (Strang), which makes dt/m between two inner
frames. With x observed exactly the state is u = (v, z), and the output x_{n+1} shows

    e = d_n - (F_xx - 1)(x_n - c) - F_xv dt/m f_n - F_xu mu,        d_n = x_{n+1} - x_n,
    mu <- F_ux (x_n - c) + F_uv dt/m f_n + F_uu mu + K e.

Where the potential is no spring, one of the mean curvature may be taken into A and its force given back by
the kicks, f + k (x - c): kicks are smaller then, and so is the error of splitting.

Measured as y = x + noise of variance s², the state is (x - y, v, z), and S gains s²; forces and kicks are
those at y, which is exact for a quadratic potential, whose force is all in F.

Velocities. The state is (f_{n-1}, z); positions serve the force alone, E = exp(-A dt) of (v, z):

    e = d_n + (1 - E_vv) v_{n-1} - dt/2m (f_n + E_vv f_{n-1}) - E_vz z,        d_n = v_n - v_{n-1},
    z <- E_zv (v_{n-1} + dt/2m f_{n-1}) + E_zz z + K e.

The first frame is given; what is hidden then is at equilibrium: v ~ N(0, kT/m), z ~ N(0, kT 1).
"""

from typing import NamedTuple

import jax.numpy as jnp

from bayescg._typing import Array, Float
from bayescg.interfaces import AbstractMemory
from bayescg.likelihoods.path_forces import Forces
from bayescg.memory import extended_drift, with_spring
from bayescg.numerics.statespace import StateSpace, van_loan
from bayescg.units import thermal_energy


class Spring(NamedTuple):
    """A harmonic well, the part of the potential that is exact at any interval.

    Attributes:
        stiffness: k, kJ/mol per square unit of the variable.
        center: c, measured from the origin of the recorded positions.
        returned: stiffness that the kicks take back, the spring being for reference only: the force is
            returned x, beside the potential's.
    """

    stiffness: Float[Array, ""]
    center: Float[Array, ""]
    returned: Float[Array, ""]


def state_space(
    memory: AbstractMemory,
    mass: Float[Array, ""] | float,
    forces: Forces,
    *,
    observed: str,
    noise: Float[Array, ""] | None,
    temperature: float,
    interval: float,
    origin: Float[Array, ""] | float,
    reference: Float[Array, ""] | None,
) -> StateSpace:
    """State space of one observed series; pure.

    Args:
        memory: with values.
        mass: amu.
        forces: of the potential, of which springs are exact between positions.
        observed: "positions" or "velocities".
        noise: scale of the noise of measured positions; None where there is none.
        temperature: K.
        interval: dt, ps.
        origin: that positions are measured from.
        reference: stiffness of a spring that kicks take back; None for none.
    """
    if observed == "velocities":
        return velocity_model(memory, mass, temperature=temperature, interval=interval)
    spring = None
    if forces.springs:
        k, c = forces.spring()
        spring = Spring(k, c - origin, jnp.zeros(()))
    elif reference is not None:
        spring = Spring(jnp.asarray(reference), jnp.zeros(()), jnp.asarray(reference))
    return position_model(
        memory, mass, temperature=temperature, interval=interval, spring=spring, noise=noise
    )


def position_model(
    memory: AbstractMemory,
    mass: Float[Array, ""] | float,
    *,
    temperature: float,
    interval: float,
    spring: Spring | None,
    noise: Float[Array, ""] | None,
) -> StateSpace:
    """State space of positions; channels d, then x and 1 where there is a spring, then f.

    Args:
        memory: with values.
        mass: amu.
        temperature: K.
        interval: dt, ps.
        spring: exact part of the force; None for none.
        noise: s, scale of the noise of measurement, in the unit of the positions; None where there is none.

    Example:
        >>> import bayescg as bcg
        >>> model = position_model(
        ...     bcg.memory.Markovian(20.0), 18.0, temperature=300.0, interval=0.1, spring=None, noise=None
        ... )
        >>> model.transition.shape, model.inputs.shape
        ((1, 1), (1, 2))
    """
    k = jnp.zeros(()) if spring is None else spring.stiffness
    extended = extended_drift(memory, mass, temperature)
    step = van_loan(*with_spring(extended, mass, k), interval)
    F, E, Q = step.matrix, step.change, step.noise
    kick = interval / mass
    # inputs to (x - y, v, z) and the output; the row of the first state serves the output too
    d = jnp.zeros(F.shape[0]).at[0].set(-1.0)
    f = F[:, 1] * kick
    columns, starts = [d], [jnp.zeros(F.shape[0])]
    if spring is not None:
        x = E[:, 0] + spring.returned * f
        one = -spring.center * E[:, 0]
        columns, starts = [*columns, x, one], [*starts, *_first_position(spring, noise, temperature, F)]
        # the first kick is half of the others
        starts[1] = starts[1].at[1].add(-0.5 * kick * spring.returned)
    columns, starts = [*columns, f], [*starts, jnp.zeros(F.shape[0]).at[1].set(-0.5 * kick)]
    B, M = jnp.stack(columns, axis=1), jnp.stack(starts, axis=1)
    if noise is None:
        return StateSpace(
            F[1:, 1:], F[0, 1:], B[1:], -B[0], Q[0, 0], Q[1:, 0], Q[1:, 1:], extended.stationary, M[1:]
        )
    variance = noise**2
    own = jnp.zeros(()) if spring is None else jnp.where(spring.returned == 0, k, 0.0)
    kT = thermal_energy(temperature)
    P = (
        jnp.zeros_like(Q)
        .at[1:, 1:]
        .set(extended.stationary)
        .at[0, 0]
        .set(variance * kT / (kT + own * variance))
    )
    return StateSpace(F, F[0], B, -B[0], Q[0, 0] + variance, Q[:, 0], Q, P, M)


def velocity_model(
    memory: AbstractMemory, mass: Float[Array, ""] | float, *, temperature: float, interval: float
) -> StateSpace:
    """State space of velocities; channels d, v and f.

    Args:
        memory: with values.
        mass: amu.
        temperature: K.
        interval: dt, ps.

    Example:
        >>> import bayescg as bcg
        >>> memory = bcg.memory.Prony(2, [0.1, 1.0], [10.0, 5.0])
        >>> model = velocity_model(memory, 18.0, temperature=300.0, interval=0.1)
        >>> model.transition.shape, model.inputs.shape
        ((3, 3), (3, 3))
    """
    extended = extended_drift(memory, mass, temperature)
    step = van_loan(extended.drift, extended.diffusion, interval)
    E, Q = step.matrix, step.noise
    h = 0.5 * interval / mass
    states, zero = E.shape[0], jnp.zeros(())
    # the state (f, z): E with the row of f empty and the column of v times h
    A = E.at[:, 0].multiply(h)
    c = A[0]
    B = jnp.zeros((states, 3)).at[0, 2].set(1.0).at[1:, 1].set(E[1:, 0])
    D = jnp.stack([jnp.ones(()), -step.change[0, 0], -h + zero])
    hidden = jnp.zeros_like(Q).at[1:, 1:].set(Q[1:, 1:])
    cross = Q[0].at[0].set(0.0)
    start = extended.stationary.at[0, 0].set(0.0)
    M = jnp.zeros((states, 3)).at[0, 2].set(1.0)
    return StateSpace(A.at[0].set(0.0), c, B, D, Q[0, 0], cross, hidden, start, M)


def _first_position(
    spring: Spring, noise: Float[Array, ""] | None, temperature: float, F: Array
) -> list[Array]:
    """Mean of (x - y, v, z) given the first y in a well of its own: -k s²/(kT + k s²) (y - c)."""
    zeros = jnp.zeros(F.shape[0])
    if noise is None:
        return [zeros, zeros]
    k = jnp.where(spring.returned == 0, spring.stiffness, 0.0)
    share = k * noise**2 / (thermal_energy(temperature) + k * noise**2)
    return [zeros.at[0].set(-share), zeros.at[0].set(share * spring.center)]
