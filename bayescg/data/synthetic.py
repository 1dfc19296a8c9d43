"""Data of known truth, for tests and notebooks."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import positive, require, whole
from bayescg._typing import Array, NumpyArray, PRNGKeyArray
from bayescg.units import UNITS, thermal_energy


def pair_forces(
    potential: Callable[[Array], Array],
    *,
    cutoff: float,
    key: PRNGKeyArray,
    frames: int = 20,
    beads: int = 40,
    box: float = 2.0,
    shortest: float = 0.25,
    noise: float = 0.0,
    temperature: float = 300.0,
) -> xr.Dataset:
    """Random configurations with the forces of a known pair potential and Gaussian noise.

    F_i = -sum_j u'(r_ij) (x_i - x_j) / r_ij + noise e,   e ~ N(0, 1).

    Beads stand on random sites of a cubic lattice, jittered so that none come closer than `shortest`; the
    configurations are not samples of the potential.

    Args:
        potential: u(r), kJ/mol at nm; written in JAX.
        cutoff: beyond which pairs do not act, nm; at most half the box.
        key: of the configurations and the noise.
        frames: number of frames.
        beads: number of beads.
        box: edge of the cubic box, nm.
        shortest: least distance, nm.
        noise: standard deviation of the force noise, kJ/mol/nm.
        temperature: K, for the attributes.

    Returns:
        Dataset of beads of one type "A".

    Raises:
        BayescgError: the cutoff is above half the box, or the beads do not fit.

    Example:
        >>> import jax
        >>> beads = pair_forces(lambda r: 100.0 * (0.5 - r) ** 2, cutoff=0.5, key=jax.random.key(0))
        >>> dict(beads.sizes)
        {'frame': 20, 'bead': 40, 'dim': 3}
    """
    positive("cutoff", cutoff, unit="nm")
    require(cutoff <= box / 2, f"cutoff must be at most half the box, got {cutoff} nm in a box of {box} nm.")
    key_sites, key_jitter, key_noise = jax.random.split(key, 3)
    positions = _lattice(key_sites, key_jitter, frames=frames, beads=beads, box=box, shortest=shortest)

    def pair(displacement: Array) -> Array:
        displacement = displacement - box * jnp.round(displacement / box)
        squared = jnp.sum(displacement**2)
        distance = jnp.sqrt(jnp.where(squared > 0, squared, 1.0))
        acts = (squared > 0) & (distance < cutoff)
        slope = jax.grad(potential)(jnp.where(acts, distance, 0.5 * cutoff))
        return -slope * displacement / distance * acts

    def force(x: Array) -> Array:
        return jax.vmap(lambda one: jax.vmap(lambda other: pair(one - other))(x).sum(axis=0))(x)

    @jax.jit
    def noisy(positions: Array) -> Array:
        return jax.lax.map(force, positions) + noise * jax.random.normal(key_noise, positions.shape)

    forces = noisy(positions)
    sites = {
        "mass": ("bead", np.full(beads, 18.0), {"units": UNITS["mass"]}),
        "type": ("bead", np.full(beads, "A")),
        "molecule": ("bead", np.arange(beads)),
    }
    variables = {"position": np.asarray(positions), "force": np.asarray(forces)}
    return _beads(variables, sites, box=box, temperature=temperature, source="synthetic pair forces")


def quadratic_pair(
    *,
    frames: int,
    key: PRNGKeyArray,
    k: float = 100.0,
    c: float = 100.0,
    a: float = 2.0,
    temperature: float = 300.0,
) -> xr.Dataset:
    """Exact samples of a two-dimensional system mapped to one coordinate.

    U(x, y) = k x² / 2 + c (y - a x²)² / 2,   f_x = -k x + 2 a c x (y - a x²).

    The potential of mean force of x is k x² / 2 exactly. The noise of f_x has variance 4 a² c kT x²: force
    matching with a constant noise reports an error of k that is too small by sqrt(3).

    Args:
        frames: number of independent samples.
        key: of the samples.
        k: kJ/mol/nm².
        c: kJ/mol/nm².
        a: 1/nm.
        temperature: K.

    Returns:
        Dataset with one bead and one dim.

    Example:
        >>> import jax
        >>> dict(quadratic_pair(frames=10, key=jax.random.key(0)).sizes)
        {'frame': 10, 'bead': 1, 'dim': 1}
    """
    for name, value in (("k", k), ("c", c)):
        positive(name, value, unit="kJ/mol/nm²")
    kT = thermal_energy(positive("temperature", temperature, unit="K"))
    e = jax.random.normal(key, (2, whole("frames", frames)))
    x = jnp.sqrt(kT / k) * e[0]
    force = -k * x + 2 * a * c * x * jnp.sqrt(kT / c) * e[1]
    variables = {
        name: np.asarray(values)[:, None, None] for name, values in (("position", x), ("force", force))
    }
    sites = {
        "mass": ("bead", np.ones(1), {"units": UNITS["mass"]}),
        "type": ("bead", np.array(["A"])),
        "molecule": ("bead", np.zeros(1, dtype=int)),
    }
    return _beads(variables, sites, box=None, temperature=temperature, source="synthetic quadratic pair")


def rigid_water(
    *, frames: int, molecules: int, seed: int = 0, box: float = 2.0, temperature: float = 300.0
) -> xr.Dataset:
    """Atoms of rigid three-site waters that do not interact, cut by the periodic boundary as files are.

    Places and orientations are uniform; velocities are those of rigid bodies at the temperature,
    v_i = V + w x r_i with V ~ N(0, kT / M) and w ~ N(0, kT I^-1). Forces on the atoms are independent,
    f_i ~ N(0, s²), s = 1000 kJ/mol/nm, so the mean force on any bead is zero.

    Args:
        frames: number of frames, independent of each other.
        molecules: number of waters.
        seed: of NumPy's generator.
        box: edge of the cubic box, nm.
        temperature: K.

    Returns:
        Dataset of atoms OW, HW1, HW2 with bonds, both marked as constrained.

    Example:
        >>> dict(rigid_water(frames=2, molecules=8).sizes)
        {'frame': 2, 'atom': 24, 'dim': 3, 'bond': 16, 'end': 2}
    """
    generator = np.random.default_rng(seed)
    kT = thermal_energy(positive("temperature", temperature, unit="K"))
    masses = np.array([15.9994, 1.008, 1.008])
    arm = 0.1 * np.array([np.sin(np.radians(54.735)), np.cos(np.radians(54.735))])
    body = np.array([[0.0, 0.0, 0.0], [arm[0], arm[1], 0.0], [-arm[0], arm[1], 0.0]])
    body -= masses @ body / masses.sum()
    inertia = np.sum(masses * np.sum(body**2, axis=1)) * np.eye(3) - body.T @ (masses[:, None] * body)
    shape = (frames, molecules)
    turn = np.linalg.qr(generator.normal(size=(*shape, 3, 3)))[0]
    turn *= np.linalg.det(turn)[..., None, None]
    center = generator.uniform(0, box, (*shape, 1, 3))
    spin = generator.normal(size=(*shape, 1, 3)) * np.sqrt(kT / np.diag(inertia))
    drift = generator.normal(size=(*shape, 1, 3)) * np.sqrt(kT / masses.sum())
    values = {
        "position": np.mod(center + body @ turn, box),
        "velocity": drift + np.cross(spin, body) @ turn,
        "force": 1000.0 * generator.normal(size=(*shape, 3, 3)),
    }
    flat = {name: array.reshape(frames, 3 * molecules, 3) for name, array in values.items()}
    index = np.repeat(np.arange(molecules), 3)
    bonds = (3 * np.arange(molecules)[:, None, None] + np.array([[0, 1], [0, 2]])).reshape(-1, 2)
    sites = {
        "mass": ("atom", np.tile(masses, molecules), {"units": UNITS["mass"]}),
        "name": ("atom", np.tile(["OW", "HW1", "HW2"], molecules)),
        "residue_name": ("atom", np.full(3 * molecules, "SOL")),
        "residue": ("atom", index),
        "molecule": ("atom", index),
        "bond": (("bond", "end"), bonds),
        "constrained": ("bond", np.ones(2 * molecules, dtype=bool)),
    }
    return _beads(flat, sites, box=box, temperature=temperature, source="synthetic rigid water", site="atom")


def _lattice(
    key_sites: PRNGKeyArray, key_jitter: PRNGKeyArray, *, frames: int, beads: int, box: float, shortest: float
) -> Array:
    per_edge = int(np.ceil(beads ** (1 / 3) * 1.2))
    spacing = box / per_edge
    require(
        spacing > shortest,
        f"beads must fit, got {beads} of them at least {shortest} nm apart in a box of {box} nm. "
        "Lower beads or shortest, or enlarge the box.",
    )
    sites = np.stack(np.meshgrid(*[np.arange(per_edge)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * spacing
    whole("frames", frames)
    return _jittered(jnp.asarray(sites), key_sites, key_jitter, (spacing - shortest) / 2, frames, beads)


@jax.jit(static_argnames=("frames", "beads"))
def _jittered(
    sites: Array, key_sites: PRNGKeyArray, key_jitter: PRNGKeyArray, reach: float, frames: int, beads: int
) -> Array:
    """Different sites for the beads of a frame, each moved by at most `reach` along every axis."""
    chosen = jax.vmap(lambda key: jax.random.choice(key, len(sites), (beads,), replace=False))(
        jax.random.split(key_sites, frames)
    )
    return sites[chosen] + jax.random.uniform(key_jitter, (frames, beads, 3), minval=-reach, maxval=reach)


def _beads(
    values: dict[str, NumpyArray],
    sites: dict[str, tuple],
    *,
    box: float | None,
    temperature: float,
    source: str,
    site: str = "bead",
) -> xr.Dataset:
    frames, _, dims = values["position"].shape
    dataset = xr.Dataset(
        {name: (("frame", site, "dim"), array, {"units": UNITS[name]}) for name, array in values.items()}
        | sites,
        coords={
            "time": ("frame", np.arange(frames, dtype=float), {"units": UNITS["time"]}),
            "dim": list("xyz")[:dims],
        },
        attrs={"temperature": temperature, "source": source},
    )
    dataset["trajectory"] = ("frame", np.zeros(frames, dtype=int))
    if box is not None:
        dataset["box"] = (("frame", "dim"), np.full((frames, dims), box), {"units": UNITS["box"]})
    return dataset
