"""A potential and its beads as an `openmm.System`: units are OpenMM's own (nm, ps, amu, kJ/mol)."""

from typing import Any

import numpy as np

from bayescg._checks import BayescgError, require
from bayescg._typing import Float, NumpyArray
from bayescg.export.curves import terms_of
from bayescg.export.openmm_bonded import bonded_forces
from bayescg.export.openmm_pairs import pair_force
from bayescg.interfaces import AbstractPotential, Topology
from bayescg.numerics.pairs import check_cutoff

LAST_GROUP = 31
"""OpenMM has 32 force groups; where there are more forces the last share one."""


def openmm_system(
    potential: AbstractPotential, topology: Topology, box: Float[NumpyArray, " dim"] | None
) -> Any:
    """The `openmm.System` of a potential.

    One force for every term and, of bonded terms, every kind of chain, each in a force group of its own:
    OpenMM's GPU platforms want one cutoff in a group, and energies can be read term by term.

    Args:
        potential: at one temperature, with its parameters allocated.
        topology: types, masses (amu), chains, exclusions.
        box: edge lengths, nm; None for an open system.

    Raises:
        BayescgError: OpenMM is missing, a term is neither a pair potential nor bonded, beads are not in
            three dimensions or have no mass, a cutoff is beyond half the box.

    Example:
        >>> import bayescg as bcg, jax.numpy as jnp
        >>> argon = bcg.potentials.LennardJones([0.997], [0.34], 1.0, ("Ar",))
        >>> nobody = jnp.zeros((0, 2), int)
        >>> beads = Topology(jnp.zeros(2, int), jnp.full(2, 39.9), jnp.arange(2), nobody, ("Ar",))
        >>> system = openmm_system(argon, beads, np.full(3, 2.5))
        >>> system.getNumForces(), system.getNumParticles()
        (1, 2)
    """
    openmm = require_openmm()
    terms = terms_of(potential, program="OpenMM")
    system = openmm.System()
    masses = np.asarray(topology.masses, float)
    require(
        bool((np.isfinite(masses) & (masses > 0)).all()),
        f"mass must be positive and finite for every bead, got {masses.min()} amu. "
        "Map the beads from a topology with masses, or set beads['mass'].",
    )
    for mass in masses.tolist():
        system.addParticle(mass)
    if box is not None:
        require(
            len(box) == 3,
            f"beads must be in three dimensions for OpenMM, got a box of {len(box)}. Run others with "
            'engine="jax-md".',
        )
        if terms.cutoff > 0:
            check_cutoff(terms.cutoff, np.asarray(box))
        system.setDefaultPeriodicBoxVectors(*np.diag(np.asarray(box, float)).tolist())
    periodic = box is not None
    forces = [pair_force(term, topology, periodic=periodic) for term in terms.pairs]
    forces += [force for term in terms.chains for force in bonded_forces(term, topology, periodic=periodic)]
    for group, force in enumerate(forces):
        force.setForceGroup(min(group, LAST_GROUP))
        system.addForce(force)
    if topology.bonds.shape[0]:
        system.addForce(_molecules(topology, periodic=periodic))
    return system


def require_openmm() -> Any:
    """The module openmm, or an error that says how to install it.

    Example:
        >>> require_openmm().__name__
        'openmm'
    """
    try:
        import openmm
    except ImportError as error:
        raise BayescgError(
            f"OpenMM must be installed for this, and importing it failed: {error}. Install it with "
            "pip install 'bayescg[openmm]'."
        ) from None
    return openmm


def _molecules(topology: Topology, *, periodic: bool) -> Any:
    """Bonds of no stiffness: from them OpenMM knows which beads a barostat is to move together."""
    import openmm

    force = openmm.HarmonicBondForce()
    force.setName("molecules")
    force.setUsesPeriodicBoundaryConditions(periodic)
    for first, second in np.asarray(topology.bonds).tolist():
        force.addBond(first, second, 0.0, 0.0)
    return force
