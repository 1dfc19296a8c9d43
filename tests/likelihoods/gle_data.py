"""Trajectories of known generalized Langevin equations, independent of the likelihood that scores them."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import xarray as xr

KB = 0.00831446261815324


def drift_of(memory, mass, stiffness=0.0):
    """A of dw = -A w dt + noise for w = (x, v, z), and the noise's covariance per ps."""
    A_s, a, gamma0 = (np.asarray(part) for part in memory.drift())
    modes = a.size
    A = np.zeros((modes + 2, modes + 2))
    A[0, 1] = -1.0
    A[1, 0], A[1, 1], A[1, 2:] = stiffness / mass, gamma0 / mass, -a / mass
    A[2:, 1], A[2:, 2:] = a, A_s
    return A


def stationary(memory, mass, stiffness, temperature=300.0):
    """Covariance of (x, v, z) in a harmonic well."""
    modes = memory.drift().coupling.size
    kT = KB * temperature
    return np.diag([kT / stiffness, kT / mass, *[kT] * modes])


def autocovariance(memory, mass, stiffness, times, temperature=300.0):
    """<x(0) x(t)> and <v(0) v(t)> at equilibrium, by SciPy's matrix exponential."""
    A, C = drift_of(memory, mass, stiffness), stationary(memory, mass, stiffness, temperature)
    found = np.array([np.diag(scipy.linalg.expm(-A * t) @ C)[:2] for t in times])
    return found[:, 0], found[:, 1]


def free_velocity_autocovariance(memory, mass, times, temperature=300.0):
    """<v(0) v(t)> of a free bead."""
    A = drift_of(memory, mass)[1:, 1:]
    modes = A.shape[0] - 1
    C = np.diag([KB * temperature / mass, *[KB * temperature] * modes])
    return np.array([(scipy.linalg.expm(-A * t) @ C)[0, 0] for t in times])


def simulate(memory, mass, *, force, frames, interval, inner, seed=0, start=0.0, temperature=300.0, series=1):
    """Positions and velocities (frame, series): kicks of a nonlinear force, exact linear motion between.

    The inner step is interval/inner; noise by the difference P - F P F', accurate for free (v, z), with the
    position's share from a finer series of its own is not needed: positions move by v dt (BAOAB's A steps).
    """
    kT, h = KB * temperature, interval / inner
    A = drift_of(memory, mass)[1:, 1:]
    C = np.diag([kT / mass, *[kT] * (A.shape[0] - 1)])
    F = scipy.linalg.expm(-A * h)
    values, vectors = np.linalg.eigh(C - F @ C @ F.T)
    root = vectors * np.sqrt(np.maximum(values, 0.0))

    def step(state, key):
        x, u = state
        u = u.at[0].add(0.5 * h / mass * force(x))
        x = x + 0.5 * h * u[0]
        u = F @ u + root @ jax.random.normal(key, u.shape)
        x = x + 0.5 * h * u[0]
        u = u.at[0].add(0.5 * h / mass * force(x))
        return (x, u), None

    def frame(state, key):
        state, _ = jax.lax.scan(step, state, jax.random.split(key, inner))
        return state, (state[0], state[1][0])

    key = jax.random.key(seed)
    first, rest = jax.random.split(key)
    u = jnp.asarray(np.sqrt(np.diag(C)))[:, None] * jax.random.normal(first, (A.shape[0], series))
    begin = (jnp.full(series, float(start)), u)
    _, (x, v) = jax.jit(lambda s, k: jax.lax.scan(frame, s, k))(begin, jax.random.split(rest, frames))
    return np.asarray(x), np.asarray(v)


def dataset(x, interval, *, v=None, mass=None, temperature=300.0, begin=0.0, bead_axis=True):
    """A Dataset of positions (frame, bead), each with one component."""
    frames, beads = x.shape
    variables = {"position": (("frame", "bead", "dim"), x[..., None], {"units": "nm"})}
    if v is not None:
        variables["velocity"] = (("frame", "bead", "dim"), v[..., None], {"units": "nm/ps"})
    if mass is not None:
        variables["mass"] = ("bead", np.broadcast_to(mass, beads).astype(float), {"units": "amu"})
    time = begin + interval * np.arange(frames)
    coords = {"time": ("frame", time, {"units": "ps"}), "dim": ["q"]}
    return xr.Dataset(variables, coords=coords, attrs={"temperature": temperature})
