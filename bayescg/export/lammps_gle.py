"""A memory as the matrices of LAMMPS's `fix gle`.

LAMMPS moves mass-scaled momenta p = sqrt(m) v together with variables s,

    dp = (F/sqrt(m)) dt - A_pp p dt - A_ps s dt + noise,      ds = - A_sp p dt - A_ss s dt + noise,

with the covariance C = kT 1 at equilibrium. With s = z our equations (`bayescg.interfaces.memory`) read

    A = [ gamma0/m      -a'/sqrt(m) ]
        [ a/sqrt(m)         A_s     ]

in 1/ps, 1/1000 of that in 1/fs. A depends on the mass, so beads of every mass have a fix of their own. C in
temperature units is T times the unit matrix, which LAMMPS takes by itself; the file is for the reader.

References:
    M. Ceriotti, G. Bussi, M. Parrinello, J. Chem. Theory Comput. 6, 1170 (2010), doi:10.1021/ct900563s.
"""

import numpy as np

from bayescg._checks import BayescgError, require
from bayescg._typing import Float, NumpyArray
from bayescg.interfaces import AbstractMemory
from bayescg.memory.pairwise import Pairwise
from bayescg.units import FEMTOSECOND

LARGEST_STEP = 200.0
"""Largest norm of A dt: LAMMPS's matrix exponential halves A dt/2 eight times and takes eight terms."""


def gle_matrix(memory: AbstractMemory, mass: float, *, timestep: float) -> Float[NumpyArray, "state state"]:
    """A of one mass, 1/fs.

    A memory without modes gets one that is coupled to nothing: `fix gle` wants at least one.

    Args:
        memory: with values.
        mass: amu.
        timestep: ps, for the check.

    Raises:
        BayescgError: a pairwise memory, which `fix gle` cannot express, or modes too fast for it.

    Example:
        >>> import bayescg as bcg
        >>> slow = bcg.memory.Prony(modes=1, times=[1.0], frictions=[18.0])
        >>> gle_matrix(slow, 18.0, timestep=0.005).tolist()
        [[0.0, -0.001], [0.001, 0.001]]
    """
    if isinstance(memory, Pairwise):
        raise BayescgError(
            "memory must be one of single beads to run in LAMMPS, got a pairwise one. "
            "Simulate it with engine='jax-md'."
        )
    A_s, a, gamma0 = (np.asarray(part, float) for part in memory.drift())
    if a.size == 0:
        A_s, a = np.ones((1, 1)), np.zeros(1)
    root = np.sqrt(mass)
    A = np.block([[np.reshape(gamma0 / mass, (1, 1)), -a[None] / root], [a[:, None] / root, A_s]])
    norm = float(np.abs(A).sum(axis=1).max()) * timestep
    require(
        norm <= LARGEST_STEP,
        f"memory must not be faster than 1/{LARGEST_STEP:.0f} of a timestep to run in LAMMPS, got rates up "
        f"to {norm / timestep:.3g} 1/ps at a timestep of {timestep} ps. Take a shorter timestep, or simulate "
        "with engine='jax-md'.",
    )
    return A * FEMTOSECOND


def matrix_text(matrix: Float[NumpyArray, "state state"], title: str) -> str:
    """A matrix as `fix gle` reads it.

    Args:
        matrix: square.
        title: of the comment above.

    Example:
        >>> print(matrix_text(np.eye(2), "unit matrix"))
        # unit matrix
        1 0
        0 1
        <BLANKLINE>
    """
    rows = "\n".join(" ".join(f"{value:.16g}" for value in row) for row in matrix)
    return f"# {title}\n{rows}\n"
