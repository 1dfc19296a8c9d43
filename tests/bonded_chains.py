"""Chains of five beads of two types, and a potential with every term that tables hold."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg import potentials
from bayescg.interfaces import Sampled, Support, Topology
from bayescg.model import Model, parameters, with_values
from bayescg.numerics.bond_graph import bond_angles, bond_dihedrals, partners_within

TYPES = [0, 1, 0, 0, 1]
MASSES = [12.0, 30.0]
BOX = np.array([3.0, 2.8, 3.2])
CHAINS = 12
RANGES = {
    "bond": ("bonds", 0.2, 0.3, 0.25, 1e4),
    "angle": ("angles", 1.5, 2.5, 2.0, 50.0),
    "cosine": ("angles", -0.9, 0.1, -0.4, 60.0),
    "dihedral": ("dihedrals", -3.1, 3.1, 0.0, 1.0),
}
BONDED = (
    potentials.HarmonicBond(),
    potentials.BondSpline(),
    potentials.HarmonicAngle(),
    potentials.AngleSpline(),
    potentials.PeriodicDihedral(3, chiral=True),
    potentials.DihedralSpline(),
)


def topology():
    beads = CHAINS * len(TYPES)
    bonds = np.array([[5 * m + k, 5 * m + k + 1] for m in range(CHAINS) for k in range(4)])
    types = np.tile(TYPES, CHAINS)
    return Topology(
        jnp.asarray(types, jnp.int32),
        jnp.asarray(np.array(MASSES)[types]),
        jnp.repeat(jnp.arange(CHAINS), 5),
        jnp.asarray(bonds),
        ("A", "B"),
        angles=jnp.asarray(bond_angles(bonds)),
        dihedrals=jnp.asarray(bond_dihedrals(bonds)),
        excluded=jnp.asarray(partners_within(beads, bonds, separation=2)),
    )


def positions(*, spread=0.16, seed=1):
    """Random walks: bonds and angles far beyond their ranges, pairs in the core, an angle nearly straight."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, (CHAINS, 1, 3)) * BOX + np.cumsum(rng.normal(0, spread, (CHAINS, 5, 3)), axis=1)
    x[0, :3] = x[0, 0] + np.array([[0, 0, 0], [0.25, 0, 0], [0.5, 0.01, 0]])
    return x.reshape(-1, 3)


def relaxed(seed=0):
    """Zigzag chains apart from each other, bonds of about 0.25 nm: a start that does not explode."""
    corners = np.stack(np.meshgrid([0.2, 1.2, 2.2], [0.5, 1.9], [0.6, 2.2], indexing="ij"), axis=-1)
    chain = np.array([[0.19 * k, 0.16 * (k % 2), 0.02 * (k // 3)] for k in range(5)])
    x = corners.reshape(-1, 1, 3) + chain
    return x.reshape(-1, 3) + 0.005 * np.random.default_rng(seed).normal(size=(5 * CHAINS, 3))


def support():
    beads = topology()
    types = np.asarray(beads.types)
    internal = []
    for coordinate, (members, *numbers) in RANGES.items():
        chains = types[np.asarray(getattr(beads, members))].tolist()
        kinds = sorted({min(tuple(kind), tuple(kind[::-1])) for kind in chains})
        internal += [Sampled(coordinate, kind, *numbers) for kind in kinds]
    return Support(("A", "B"), (0.25, 0.3, 0.28), internal=tuple(internal), thermal_energy=2.5)


def shaken(potential, *, size=5.0, seed=0):
    """Prepared, with coefficients that differ from every smooth start."""
    ready = potential.prepare(support())
    rng = np.random.default_rng(seed)
    return with_values(
        ready,
        {
            path: np.asarray(value) + size * rng.normal(size=value.shape)
            for path, value in parameters(ready).items()
            if path.endswith("coefficients")
        },
    )


def total(*terms, **shake):
    """The sum of several terms, shaken."""
    potential = terms[0]
    for term in terms[1:]:
        potential = potential + term
    return shaken(potential, **shake)


def problem_and_posterior(potential, memory=None, *, draws=3, frames=4):
    """What exports ask of a problem and a posterior: draws that differ by the size of their coefficients."""
    known = parameters(Model(potential, memory))
    path = next(path for path in known if path.endswith("coefficients"))
    scale = np.linspace(0.8, 1.2, draws)
    rows = np.asarray(known[path]) * scale.reshape(-1, *[1] * known[path].ndim)
    labels = [f"axis_{index}" for index in range(known[path].ndim)]
    posterior = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({path: (("chain", "draw", *labels), rows[None])}).assign_coords(
                chain=[0], draw=np.arange(draws)
            )
        }
    )
    problem = SimpleNamespace(
        temperature=300.0,
        fingerprint="chains",
        beads=_beads(frames),
        model=lambda values: with_values(Model(potential, memory), values),
    )
    return problem, posterior


def _beads(frames):
    beads = topology()
    x = np.stack([relaxed(seed) for seed in range(frames)])
    names = np.array(beads.type_names)[np.asarray(beads.types)]
    variables = {
        "position": (("frame", "bead", "dim"), x, {"units": "nm"}),
        "box": (("frame", "dim"), np.tile(BOX, (frames, 1)), {"units": "nm"}),
        "mass": ("bead", np.asarray(beads.masses), {"units": "amu"}),
        "type": ("bead", names),
        "molecule": ("bead", np.asarray(beads.molecules)),
        "bond": (("bond", "end"), np.asarray(beads.bonds)),
    }
    return xr.Dataset(variables, {"dim": list("xyz")}, {"temperature": 300.0})
