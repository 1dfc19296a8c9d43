"""A particle among harmonic oscillators: microscopic, deterministic, with a memory kernel known exactly.

    H = p²/2m + U(x) + Σ_j [p_j²/2m_j + k_j (q_j - x)²/2],        m_j = k_j / w_j²,

with canonical initial conditions obeys the generalized Langevin equation without approximation,

    m x'' = -U'(x) - ∫_0^t K(t - s) x'(s) ds + R(t),   K(t) = Σ_j k_j cos w_j t,   <R(t) R(0)> = kT K(t),

R being the force of a bath that started in equilibrium around x(0). The oscillators here stand for Prony's
kernel, Σ_i c_i exp(-t/tau_i): each takes the part of the spectrum between two edges e_j,

    k_j = (2/pi) Σ_i c_i [atan(tau_i e_j+1) - atan(tau_i e_j)],        e_j = w0 sinh(j D/w0),

evenly spaced at low frequencies, where regularity makes K recur after 2 pi/D, and ever wider apart at
high ones, where little is left. Within each trajectory K is Prony's to a stated error; longer data are
many independent trajectories. Everything quadratic in H is integrated exactly, in normal modes; what U
has beyond a spring acts in kicks (Strang splitting), so the step is symplectic and of second order.

References:
    G. W. Ford, M. Kac, P. Mazur, J. Math. Phys. 6, 504 (1965), doi:10.1063/1.1704304.
    R. Zwanzig, J. Stat. Phys. 9, 215 (1973), doi:10.1007/BF01008729.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from scipy.optimize import brentq

from bayescg._checks import BayescgError, positive, require, require_x64, whole
from bayescg._typing import Array, Float, NumpyArray, PRNGKeyArray
from bayescg.numerics.batches import map_in_batches
from bayescg.units import UNITS, thermal_energy

FASTEST = 100.0
"""Highest frequency times the shortest decay time: 0.6% of that mode's strength lies beyond."""

FORGOTTEN = 7.0
"""K recurs this many of the longest decay times after the end of a trajectory, when e^-7 of it acts."""

STEP = 0.02
"""Timestep times the frequency of what is left of U beyond a spring; energy is kept to about 1e-3 kT."""

HIGHEST_ENERGY = 40.0
"""Initial positions are drawn where U is below this many kT."""

GRID = 20_001
"""Points of the distribution function of the initial position: off by 1e-7."""

AT_ONCE = 64
"""Trajectories integrated together."""


class Bath(NamedTuple):
    """Harmonic oscillators on springs to the particle.

    Attributes:
        frequencies: w_j, rad/ps.
        strengths: k_j, amu/ps² (kJ/mol/nm²).
        recurrence: time after which the kernel comes back, ps.
    """

    frequencies: NumpyArray
    strengths: NumpyArray
    recurrence: float

    def kernel(self, times: Float[np.ndarray, " lag"]) -> NumpyArray:
        """K(t) = Σ_j k_j cos w_j t, amu/ps², exactly that of the trajectories."""
        return np.cos(np.outer(times, self.frequencies)) @ self.strengths


def harmonic_bath(
    *,
    key: PRNGKeyArray,
    trajectories: int = 64,
    frames: int = 1000,
    interval: float = 0.01,
    coefficients: tuple[float, float] = (1100.0, 49_000.0),
    mass: float = 20.0,
    temperature: float = 300.0,
    times: Sequence[float] = (0.05, 0.5),
    frictions: Sequence[float] = (60.0, 60.0),
    oscillators: int = 1000,
    tolerance: float = 0.03,
) -> xr.Dataset:
    """Trajectories of a particle in a potential of known form with memory of known form.

    U(x) = -a x²/2 + b x⁴/4: for a, b > 0 a double well with minima ± sqrt(a/b) and the barrier a²/(4 b); for
    b = 0 and a < 0 a spring. The potential of mean force is U itself.

    Args:
        key: of the initial conditions, the only randomness.
        trajectories: independent of each other.
        frames: of every trajectory.
        interval: between frames, ps.
        coefficients: a (kJ/mol/nm²) and b (kJ/mol/nm⁴).
        mass: of the particle, amu.
        temperature: of the initial conditions, K.
        times: tau_i, ps.
        frictions: c_i tau_i, amu/ps; their sum is the friction at long times.
        oscillators: in the bath.
        tolerance: largest error of the kernel within a trajectory, relative to K(0).

    Returns:
        Dataset (frame, bead, dim) with one bead and one dim: position, velocity, force (all that acts), mass,
        trajectory, time from the beginning of each; `total_energy` (frame) in kJ/mol, which is conserved.
        Attributes: temperature; the truth, `potential_coefficients`, `memory_times`, `memory_frictions`; and
        `kernel_error` (relative to K(0)), `recurrence_time` (ps), `oscillators`, `timestep` (ps).

    Raises:
        BayescgError: float64 is off, a number is out of range, the potential does not confine, or the
            oscillators are too few for the duration of a trajectory.

    Example:
        >>> beads = harmonic_bath(key=jax.random.key(0), trajectories=3, frames=50, oscillators=200)
        >>> dict(beads.sizes), round(beads.attrs["kernel_error"], 3)
        ({'frame': 150, 'bead': 1, 'dim': 1}, 0.009)
    """
    require_x64("harmonic_bath")
    mass = positive("mass", mass, unit="amu")
    kT = thermal_energy(positive("temperature", temperature, unit="K"))
    interval = positive("interval", interval, unit="ps")
    trajectories, frames = whole("trajectories", trajectories), whole("frames", frames, minimum=2)
    duration = (frames - 1) * interval
    bath = prony_bath(times, frictions, duration=duration, oscillators=oscillators)
    error = _kernel_error(bath, times, frictions, duration)
    require(
        error <= tolerance,
        f"the kernel must be within tolerance = {tolerance:g} of Prony's, got {error:.2g} with {oscillators} "
        f"oscillators over {duration:g} ps. Raise oscillators, or take more, shorter trajectories.",
    )
    x, density = _position_grid(coefficients, kT)
    spring, residual = _curvature(coefficients, x, density)
    substeps = max(int(np.ceil(interval * np.sqrt(residual / mass) / STEP)), 1)
    frequencies, share = _normal_modes(bath, mass, spring)
    starts = _starts(key, bath, (x, density), share, mass=mass, kT=kT, count=trajectories)
    system = (jnp.asarray(frequencies), jnp.asarray(share[0] / np.sqrt(mass)))
    a, b = (float(value) for value in coefficients)
    records = _integrate(system, starts, (a + spring, b), interval / substeps, frames, substeps)
    records = tuple(np.asarray(record).reshape(-1) for record in records)
    attributes = {
        "temperature": float(temperature),
        "source": "synthetic: a particle in a harmonic bath",
        "potential_coefficients": [a, b],
        "memory_times": [float(value) for value in times],
        "memory_frictions": [float(value) for value in frictions],
        "kernel_error": error,
        "recurrence_time": bath.recurrence,
        "oscillators": int(oscillators),
        "timestep": interval / substeps,
    }
    return _beads(records, trajectories, interval, mass).assign_attrs(attributes)


def prony_bath(
    times: Sequence[float], frictions: Sequence[float], *, duration: float, oscillators: int
) -> Bath:
    """Oscillators whose kernel is Prony's for a duration.

    Args:
        times: tau_i, ps.
        frictions: c_i tau_i, amu/ps.
        duration: ps.
        oscillators: their number.

    Raises:
        BayescgError: numbers that are not positive, or as many times as frictions.

    Example:
        >>> bath = prony_bath([0.1], [10.0], duration=5.0, oscillators=1000)
        >>> abs(bath.kernel(np.array([0.0, 0.1])) - 100 * np.exp([0, -1])).max() < 1.0
        np.True_
    """
    whole("oscillators", oscillators, minimum=2)
    require(
        len(times) == len(frictions) > 0,
        f"frictions must be as many as times, got {len(frictions)} and {len(times)}. Give one per mode.",
    )
    tau = np.array([positive("times", value, unit="ps") for value in times])
    c = np.array([positive("frictions", value, unit="amu/ps") for value in frictions]) / tau
    recurrence = duration + FORGOTTEN * tau.max()
    spacing, highest = 2 * np.pi / recurrence, FASTEST / tau.min()
    ratio = highest / (oscillators * spacing)
    # sinh(s)/s = ratio; where the oscillators suffice without stretching, s is as good as zero
    stretch = 1e-6
    if ratio > 1:
        stretch = float(np.asarray(brentq(lambda s: np.log(np.sinh(s) / s / ratio), stretch, 300.0)))

    def frequency(place: NumpyArray) -> NumpyArray:
        return oscillators * spacing / stretch * np.sinh(stretch * place / oscillators)

    edges, middles = frequency(np.arange(oscillators + 1.0)), frequency(np.arange(oscillators) + 0.5)
    edges[-1] = np.inf  # the last takes all that is left
    below = 2 / np.pi * np.sum(c[:, None] * np.arctan(tau[:, None] * edges), axis=0)
    return Bath(middles, np.diff(below), recurrence)


def _kernel_error(bath: Bath, times: Sequence[float], frictions: Sequence[float], duration: float) -> float:
    """Largest |K_bath - K| within a trajectory, relative to K(0)."""
    tau, strength = np.array(times)[:, None], (np.array(frictions) / np.array(times))[:, None]
    lags = np.concatenate([np.geomspace(0.01 * tau.min(), duration, 1000), np.linspace(0, duration, 2000)])
    exact = np.sum(strength * np.exp(-lags / tau), axis=0)
    return float(np.abs(bath.kernel(lags) - exact).max() / strength.sum())


def _position_grid(coefficients: tuple[float, float], kT: float) -> tuple[NumpyArray, NumpyArray]:
    """Positions with U below `HIGHEST_ENERGY` kT, and their Boltzmann density, not normalised."""
    a, b = coefficients
    require(
        b > 0 or (b == 0 and a < 0),
        f"coefficients must confine the particle, got a = {a}, b = {b}. Take b > 0, or b = 0 and a < 0.",
    )
    lowest = -(a**2) / (4 * b) if a > 0 else 0.0
    top = lowest + HIGHEST_ENERGY * kT
    # b y²/4 - a y/2 = top with y = x²
    square = (a + np.sqrt(a**2 + 4 * b * top)) / b if b > 0 else -2 * top / a
    x = np.linspace(-1, 1, GRID) * np.sqrt(square)
    return x, np.exp(-(-a * x**2 / 2 + b * x**4 / 4 - lowest) / kT)


def _curvature(coefficients: tuple[float, float], x: NumpyArray, density: NumpyArray) -> tuple[float, float]:
    """Mean of U'' in equilibrium, which is positive, and its standard deviation, kJ/mol/nm²."""
    a, b = coefficients
    curvature = -a + 3 * b * x**2
    mean = float(np.average(curvature, weights=density))
    return mean, float(np.sqrt(np.average((curvature - mean) ** 2, weights=density)))


def _normal_modes(bath: Bath, mass: float, spring: float) -> tuple[NumpyArray, NumpyArray]:
    """Frequencies of particle on a spring and bath together, and the modes as columns."""
    w, k = bath.frequencies, bath.strengths
    # in coordinates sqrt(m) x, sqrt(m_j) q_j with m_j = k_j/w_j²
    dynamical = np.diag(np.append((spring + k.sum()) / mass, w**2))
    dynamical[0, 1:] = dynamical[1:, 0] = -np.sqrt(k / mass) * w
    squares, modes = np.linalg.eigh(dynamical)
    if squares.min() <= 0:
        raise BayescgError(
            "the slowest oscillator is lost in rounding, as the frequencies span too many orders. "
            "Take shorter trajectories or longer times."
        )
    return np.sqrt(squares), modes


def _starts(
    key: PRNGKeyArray,
    bath: Bath,
    grid: tuple[NumpyArray, NumpyArray],
    modes: NumpyArray,
    *,
    mass: float,
    kT: float,
    count: int,
) -> tuple[Array, Array]:
    """Canonical normal coordinates and momenta, both (trajectory, mode)."""
    keys = jax.random.split(key, 4)
    x, density = grid
    below = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    x0 = jnp.interp(jax.random.uniform(keys[0], (count,)) * below[-1], jnp.asarray(below), jnp.asarray(x))
    w, k, thermal = jnp.asarray(bath.frequencies), jnp.asarray(bath.strengths), jnp.sqrt(kT)
    # q_j ~ N(x0, kT/k_j), times sqrt(m_j) = sqrt(k_j)/w_j
    noise = jax.random.normal(keys[1], (count, w.size))
    q = (jnp.sqrt(k) * x0[:, None] + thermal * noise) / w
    velocities = thermal * jax.random.normal(keys[2], (count, 1 + w.size))
    coordinates = jnp.concatenate([jnp.sqrt(mass) * x0[:, None], q], axis=1)
    return coordinates @ jnp.asarray(modes), velocities @ jnp.asarray(modes)


@jax.jit(static_argnums=(4, 5))
def _integrate(
    system: tuple[Array, Array],
    starts: tuple[Array, Array],
    anharmonic: tuple[float, float],
    step: float,
    frames: int,
    substeps: int,
) -> tuple[Array, Array, Array, Array]:
    """Position, velocity, force and total energy, each (trajectory, frame)."""
    w, share = system
    a, b = anharmonic  # U less its spring is -a x²/2 + b x⁴/4
    cosine, sine = jnp.cos(w * step), jnp.sin(w * step)

    def kick(Q: Array) -> Array:
        x = share @ Q
        return a * x - b * x**3

    def advance(_: int, state: tuple[Array, Array]) -> tuple[Array, Array]:
        Q, P = state
        P = P + 0.5 * step * kick(Q) * share
        Q, P = cosine * Q + sine / w * P, cosine * P - w * sine * Q
        return Q, P + 0.5 * step * kick(Q) * share

    def frame(state: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
        Q, P = state
        x = share @ Q
        mass = 1 / jnp.sum(share**2)
        force = kick(Q) - mass * share @ (w**2 * Q)
        energy = 0.5 * jnp.sum(P**2 + (w * Q) ** 2) - a * x**2 / 2 + b * x**4 / 4
        return jax.lax.fori_loop(0, substeps, advance, state), (x, share @ P, force, energy)

    return map_in_batches(lambda start: jax.lax.scan(frame, start, length=frames)[1], starts, AT_ONCE)


def _beads(records: tuple[NumpyArray, ...], trajectories: int, interval: float, mass: float) -> xr.Dataset:
    position, velocity, force, energy = records
    frames = position.size // trajectories
    dims = ("frame", "bead", "dim")
    quantities = {"position": position, "velocity": velocity, "force": force}
    variables = {
        name: (dims, values[:, None, None], {"units": UNITS[name]}) for name, values in quantities.items()
    }
    return xr.Dataset(
        {
            **variables,
            "mass": ("bead", np.array([mass]), {"units": UNITS["mass"]}),
            "type": ("bead", np.array(["particle"])),
            "molecule": ("bead", np.zeros(1, dtype=int)),
            "trajectory": ("frame", np.repeat(np.arange(trajectories), frames)),
            "total_energy": ("frame", energy, {"units": UNITS["energy"]}),
        },
        coords={
            "time": ("frame", np.tile(np.arange(frames) * interval, trajectories), {"units": UNITS["time"]}),
            "dim": ["x"],
        },
    )
