"""Equations of motion as OpenMM integrators; the generalized Langevin equation with its exact step.

One step of the latter is that of `bayescg.dynamics.gle`,

    v += F dt/2m,   x += v dt/2,   (v, z) <- E (v, z) + S xi,   x += v dt/2,   v += F dt/2m,

for every bead and component. The auxiliary variables z1, z2, ... are per-DOF variables of an
`openmm.CustomIntegrator`; the elements of E and S are global variables e0_1, s0_1, ... where all beads
have one mass and per-DOF variables where they have several. Velocities belong to the time of the
positions.

OpenMM's own integrators leap: velocities of LangevinMiddleIntegrator, NoseHooverIntegrator and
VerletIntegrator lack the second half of the last kick, F dt/2m. With it, the first is BAOAB step by step.

References:
    B. Leimkuhler, C. Matthews, Appl. Math. Res. Express 2013, 34 (2013), doi:10.1093/amrx/abs010.
    Z. Zhang et al., J. Phys. Chem. A 123, 6056 (2019), doi:10.1021/acs.jpca.9b02771.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError
from bayescg._typing import NumpyArray
from bayescg.dynamics.gle import bath
from bayescg.export.openmm_system import require_openmm
from bayescg.interfaces import AbstractMemory, Topology
from bayescg.memory import Pairwise

COLLISIONS = 1.0
"""1/ps; coupling of a Nose-Hoover chain, where none is given."""


def openmm_integrator(
    *,
    topology: Topology,
    temperature: float,
    timestep: float,
    friction: float | None,
    memory: AbstractMemory | None,
    thermostat: str | None = "langevin",
) -> Any:
    """An integrator of OpenMM's, with all its settings but the seed.

    Args:
        topology: masses, amu.
        temperature: K.
        timestep: ps.
        friction: of Langevin dynamics, or coupling of a Nose-Hoover chain, 1/ps.
        memory: of the generalized Langevin equation; None for another thermostat, or for none.
        thermostat: "langevin" or "nose-hoover"; None for constant energy, or where there is a memory.

    Returns:
        `CustomIntegrator` (memory), `LangevinMiddleIntegrator`, `NoseHooverIntegrator` or
        `VerletIntegrator`.

    Raises:
        BayescgError: OpenMM is missing, a memory of pairs, or a thermostat that OpenMM does not have.

    Example:
        >>> nobody = jnp.zeros((0, 2), int)
        >>> beads = Topology(jnp.zeros(2, int), jnp.full(2, 18.0), jnp.arange(2), nobody, ("A",))
        >>> settings = {"topology": beads, "temperature": 300.0, "timestep": 0.004}
        >>> openmm_integrator(**settings, friction=1.0, memory=None).getStepSize()._value
        0.004
    """
    openmm = require_openmm()
    if memory is not None:
        return _gle(memory, topology, temperature=temperature, timestep=timestep)
    rate = COLLISIONS if friction is None else friction
    match thermostat:
        case None:
            return openmm.VerletIntegrator(timestep)
        case "langevin":
            return openmm.LangevinMiddleIntegrator(temperature, rate, timestep)
        case "nose-hoover":
            return openmm.NoseHooverIntegrator(temperature, rate, timestep)
        case _:
            raise BayescgError(
                f"thermostat must be 'langevin' or 'nose-hoover' for OpenMM, got {thermostat!r}. Take one of "
                'these, or engine="jax-md" or engine="lammps".'
            )


def auxiliary_count(integrator: Any) -> int:
    """How many auxiliary variables a degree of freedom has; zero where there is no memory.

    Args:
        integrator: from `openmm_integrator`.

    Example:
        >>> import bayescg as bcg
        >>> nobody = jnp.zeros((0, 2), int)
        >>> beads = Topology(jnp.zeros(2, int), jnp.full(2, 18.0), jnp.arange(2), nobody, ("A",))
        >>> memory = bcg.memory.Prony(modes=1, times=[1.0], frictions=[18.0])
        >>> settings = {"topology": beads, "temperature": 300.0, "timestep": 0.004}
        >>> auxiliary_count(openmm_integrator(**settings, friction=None, memory=memory))
        1
    """
    if not hasattr(integrator, "getNumPerDofVariables"):
        return 0
    names = [integrator.getPerDofVariableName(i) for i in range(integrator.getNumPerDofVariables())]
    return sum(name[0] == "z" and name[1:].isdigit() for name in names)


def _gle(memory: AbstractMemory, topology: Topology, *, temperature: float, timestep: float) -> Any:
    import openmm

    if isinstance(memory, Pairwise):
        raise BayescgError(
            "memory must act on single beads to run in OpenMM, got a Pairwise, which acts between beads. "
            'Simulate it with engine="jax-md".'
        )
    transition, noise, kind = exact_step(memory, topology, temperature=temperature, timestep=timestep)
    states = transition.shape[1]
    integrator = openmm.CustomIntegrator(timestep)
    for mode in range(1, states):
        integrator.addPerDofVariable(f"z{mode}", 0.0)
    for state in range(states):
        integrator.addPerDofVariable(f"new{state}", 0.0)
        integrator.addPerDofVariable(f"xi{state}", 0.0)
    _add_matrix(integrator, "e", transition, kind)
    _add_matrix(integrator, "s", noise, kind)
    integrator.addUpdateContextState()
    integrator.addComputePerDof("v", "v + 0.5*dt*f/m")
    integrator.addComputePerDof("x", "x + 0.5*dt*v")
    _add_ornstein_uhlenbeck(integrator, states)
    integrator.addComputePerDof("x", "x + 0.5*dt*v")
    integrator.addComputePerDof("v", "v + 0.5*dt*f/m")
    return integrator


def exact_step(
    memory: AbstractMemory, topology: Topology, *, temperature: float, timestep: float
) -> tuple[NumpyArray, NumpyArray, NumpyArray]:
    """E and S of (v, z) for every mass there is, and which mass a bead has.

    Args:
        memory: with values.
        topology: masses, amu.
        temperature: K.
        timestep: ps.

    Returns:
        Arrays (mass, state, state), v in nm/ps and z in sqrt(kJ/mol), and (bead,).

    Example:
        >>> import bayescg as bcg
        >>> nobody = jnp.zeros((0, 2), int)
        >>> beads = Topology(jnp.zeros(2, int), jnp.full(2, 18.0), jnp.arange(2), nobody, ("A",))
        >>> E, _, _ = exact_step(bcg.memory.Markovian(36.0), beads, temperature=300.0, timestep=0.5)
        >>> E.round(3).tolist()
        [[[0.368]]]
    """
    masses, kind = np.unique(np.asarray(topology.masses, float), return_inverse=True)
    settings = {"temperature": temperature, "timestep": timestep}
    of_momentum = eqx.filter_jit(bath)(memory, jnp.asarray(masses), jnp.asarray(kind), **settings)
    transition, noise = np.array(of_momentum.transition), np.array(of_momentum.noise)
    # from p = m v to v
    transition[:, 0] /= masses[:, None]
    noise[:, 0] /= masses[:, None]
    transition[:, :, 0] *= masses[:, None]
    return transition, noise, kind


def _add_matrix(integrator: Any, letter: str, matrices: NumpyArray, kind: NumpyArray) -> None:
    """Elements as variables of the integrator; one number for all beads where there is one mass."""
    for row, column in np.ndindex(matrices.shape[1:]):
        name, values = f"{letter}{row}_{column}", matrices[:, row, column]
        if len(values) == 1:
            integrator.addGlobalVariable(name, float(values[0]))
        else:
            integrator.addPerDofVariable(name, 0.0)
            integrator.setPerDofVariableByName(name, np.repeat(values[kind][:, None], 3, axis=1).tolist())


def _add_ornstein_uhlenbeck(integrator: Any, states: int) -> None:
    """(v, z) <- E (v, z) + S xi; all new values are computed before the first old one is replaced."""
    old = ["v", *(f"z{mode}" for mode in range(1, states))]
    for state in range(states):
        integrator.addComputePerDof(f"xi{state}", "gaussian")
    for row in range(states):
        drift = [f"e{row}_{column}*{name}" for column, name in enumerate(old)]
        kicks = [f"s{row}_{column}*xi{column}" for column in range(states)]
        integrator.addComputePerDof(f"new{row}", " + ".join(drift + kicks))
    for row, name in enumerate(old):
        integrator.addComputePerDof(name, f"new{row}")
