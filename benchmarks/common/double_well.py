"""A particle in a double well with a memory of two exponentials, and filters that pass over all frames."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import xarray as xr

import bayescg as bcg
from bayescg.memory import extended_drift
from bayescg.numerics.statespace import van_loan
from bayescg.units import thermal_energy

MASS, TEMPERATURE, INTERVAL = 20.0, 300.0, 0.01
TIMES, FRICTIONS = (0.05, 0.5), (60.0, 60.0)
FORCE = (1100.0, 0.0, -49_000.0)
"""f(x) = Σ c_k x^k, k = 1, 2, 3: a double well with minima at ±0.15 nm."""

SCALES = (1000.0, 5000.0, 50_000.0)
"""Of the coefficients' Gaussian prior."""

PEER_LENGTH, PEER_NOISE = 1e4, 1e-6
"""dynamax's unit of length, per nm, and the variance of its measurements in it: innovations have 0.14."""


class Polynomial(bcg.interfaces.AbstractSitePotential, bcg.interfaces.AbstractLinearPotential):
    """f(x) = Σ c_k x^k, k = 1..3: a user's own potential, linear in its coefficients."""

    cutoff: float = eqx.field(static=True, default=0.0)
    coefficients: Any = eqx.field(default_factory=lambda: jnp.zeros(3))

    def site_energy(self, x: Any) -> Any:
        """-Σ c_k x^(k+1)/(k+1), kJ/mol."""
        return -sum(self.coefficients[k] * x ** (k + 2) / (k + 2) for k in range(3))

    def basis_forces(self, configuration: Any) -> Any:
        """x, x², x³."""
        x = configuration.positions
        return jnp.stack([x, x**2, x**3], axis=-1)

    def prepare(self, support: Any) -> "Polynomial":
        """Nothing to allocate."""
        return self

    def coordinates(self) -> dict[str, Any]:
        """Powers of the force."""
        return {"coefficients": {"power": [1, 2, 3]}}

    def coefficient_paths(self) -> tuple[str, ...]:
        """The coefficients."""
        return ("coefficients",)


def trajectory(frames: int, key: Any) -> np.ndarray:
    """Positions by the very splitting that the likelihood assumes, exact between the kicks."""
    F, Q, C = _transition(jnp.asarray(TIMES), jnp.asarray(FRICTIONS))
    noise = jnp.linalg.cholesky(Q + 1e-18 * jnp.eye(4))

    def force(position: Any) -> Any:
        return sum(c * position ** (k + 1) for k, c in enumerate(FORCE))

    def step(state: Any, key: Any) -> Any:
        state = state.at[1].add(0.5 * INTERVAL / MASS * force(state[0]))
        state = F @ state + noise @ jax.random.normal(key, (4,))
        state = state.at[1].add(0.5 * INTERVAL / MASS * force(state[0]))
        return state, state[0]

    @jax.jit
    def stretch(state: Any, key: Any) -> Any:
        return jax.lax.scan(step, state, jax.random.split(key, 100_000))

    state = jnp.concatenate([jnp.array([0.15]), jnp.sqrt(jnp.diag(C)) * jax.random.normal(key, (3,))])
    parts = []
    for index in range(-(-frames // 100_000)):
        state, part = stretch(state, jax.random.fold_in(key, index))
        parts.append(np.asarray(part))
    return np.concatenate(parts)[:frames]


def problem_of(x: np.ndarray) -> Any:
    """The posterior of kernel and coefficients."""
    beads = xr.Dataset(
        {"position": (("frame", "bead", "dim"), x[:, None, None], {"units": "nm"}), "mass": ("bead", [MASS])},
        coords={"time": ("frame", INTERVAL * np.arange(len(x)), {"units": "ps"}), "dim": ["q"]},
        attrs={"temperature": TEMPERATURE},
    )
    beads["mass"].attrs["units"] = "amu"
    model = bcg.Model(Polynomial(), memory=bcg.memory.Prony(modes=2))
    prior = {
        "potential.coefficients": dist.Normal(jnp.zeros(3), jnp.asarray(SCALES)),
        "memory.times": bcg.priors.OrderedTimes(dist.LogNormal(jnp.log(0.15), 1.0)),
        "memory.frictions": dist.LogNormal(jnp.log(60.0), 1.0),
    }
    return bcg.Problem(model, prior, bcg.likelihoods.Path(observed="positions").on(beads))


def scan_filter(x: Any, times: Any, frictions: Any, coefficients: Any) -> Any:
    """The plain exact filter over every frame, in lax.scan: the peer."""
    F, Q, C = _transition(times, frictions)
    kick = 0.5 * INTERVAL / MASS

    def force(position: Any) -> Any:
        return sum(coefficients[k] * position ** (k + 1) for k in range(3))

    def step(carry: Any, pair: Any) -> Any:
        mean, P = carry
        now, later = pair
        mean = mean.at[0].add(kick * force(now))
        full = F[:, 0] * now + F[:, 1:] @ mean
        J = F[:, 1:] @ P @ F[:, 1:].T + Q
        e, S = later - full[0], J[0, 0]
        gain = J[1:, 0] / S
        mean, P = full[1:] + gain * e, J[1:, 1:] - jnp.outer(gain, J[0, 1:])
        return (mean.at[0].add(kick * force(later)), P), -0.5 * (jnp.log(2 * jnp.pi * S) + e**2 / S)

    _, terms = jax.lax.scan(step, (jnp.zeros(3), C), (x[:-1], x[1:]))
    return jnp.sum(terms)


def dynamax_filter(x: Any, times: Any, frictions: Any, coefficients: Any) -> Any:
    """The Gaussian filter of dynamax on (x, v, z) with the kicks as inputs; positions all but exact.

    It adds 1e-9 to every innovation variance, as much as there is in nm²: lengths are scaled.
    """
    from dynamax.linear_gaussian_ssm import lgssm_filter
    from dynamax.linear_gaussian_ssm.inference import (
        ParamsLGSSM,
        ParamsLGSSMDynamics,
        ParamsLGSSMEmissions,
        ParamsLGSSMInitial,
    )

    F, Q, C = _transition(times, frictions)
    units = jnp.array([PEER_LENGTH, PEER_LENGTH, 1.0, 1.0])
    F, Q = F * units[:, None] / units, Q * units[:, None] * units
    force = sum(coefficients[k] * x ** (k + 1) for k in range(3))
    # its input of a frame moves the state to that frame, so it is the kick of the frame before
    kicks = jnp.roll(PEER_LENGTH * INTERVAL / MASS * force, 1)[:, None]
    start = jnp.zeros((4, 4)).at[1:, 1:].set(C * units[1:, None] * units[1:]).at[0, 0].set(PEER_NOISE)
    scaled = PEER_LENGTH * x
    params = ParamsLGSSM(
        initial=ParamsLGSSMInitial(mean=jnp.zeros(4).at[0].set(scaled[0]), cov=start),
        dynamics=ParamsLGSSMDynamics(weights=F, bias=jnp.zeros(4), input_weights=F[:, 1:2], cov=Q),
        emissions=ParamsLGSSMEmissions(
            weights=jnp.eye(1, 4),
            bias=jnp.zeros(1),
            input_weights=jnp.zeros((1, 1)),
            cov=PEER_NOISE * jnp.eye(1),
        ),
    )
    found = lgssm_filter(params, scaled[:, None], kicks).marginal_loglik
    first = -0.5 * jnp.log(
        2 * jnp.pi * 2 * PEER_NOISE
    )  # of the first position, which the others condition on
    return found - first + (len(x) - 1) * jnp.log(PEER_LENGTH)


def _transition(times: Any, frictions: Any) -> tuple[Any, Any, Any]:
    """F and Q of (x, v, z), and the stationary covariance of (v, z)."""
    memory = bcg.memory.Prony(2).prepare(bcg.interfaces.Timescales(INTERVAL, 10.0, 100.0))
    memory = eqx.tree_at(lambda m: (m.times, m.frictions), memory, (times, frictions))
    extended = extended_drift(memory, MASS, TEMPERATURE)
    drift = jnp.zeros((4, 4)).at[1:, 1:].set(extended.drift).at[0, 1].set(-1.0)
    diffusion = jnp.zeros((4, 4)).at[1:, 1:].set(extended.diffusion)
    step = van_loan(drift, diffusion, INTERVAL)
    assert float(thermal_energy(TEMPERATURE)) > 0
    return step.matrix, step.noise, extended.stationary


def truth() -> dict[str, Any]:
    """The parameters that the trajectory is made with."""
    return {
        "memory.times": jnp.array(TIMES),
        "memory.frictions": jnp.array(FRICTIONS),
        "potential.coefficients": jnp.array(FORCE),
    }
