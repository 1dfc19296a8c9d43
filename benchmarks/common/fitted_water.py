"""Water as every simulation of a benchmark has it: a pair spline fitted to forces, and copies of its box."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import bayescg as bcg
from bayescg.dynamics import simulate_ensemble
from bayescg.numerics.host_loop import HostLoop

CUTOFF, KNOTS, FRAMES = 0.9, 24, 64
TEMPERATURE, TIMESTEP, FRICTION = 300.0, 0.005, 1.0
EVERY = 20
"""Steps between measurements."""


def fitted_water() -> tuple[Any, Any]:
    """Problem and posterior of the pair spline that everything here simulates."""
    beads = bcg.data.water(frames=FRAMES)
    model = bcg.Model(bcg.potentials.PairSpline(cutoff=CUTOFF, knots=KNOTS))
    problem = bcg.Problem(model, bcg.priors.default(model), bcg.likelihoods.ForceMatching().on(beads))
    return problem, bcg.sample(problem, bcg.Conjugate(), key=jax.random.key(0), progress=False)


def copies_of_water(
    problem: Any, posterior: Any, copies: tuple[int, int, int], *, steps: int
) -> Callable[[], Any]:
    """Simulates one draw of copies of the box, side by side; g(r) is measured to the cutoff."""
    chosen = bcg.inference.select_draws(posterior, draws=1)
    (model,), beads = bcg.inference.models_of(problem, chosen), problem.beads
    one, box = beads["position"].values[0].astype(float), beads["box"].values[0].astype(float)
    positions, box = replicated(one, box, copies)
    total = len(positions)
    topology = bcg.interfaces.Topology(
        jnp.zeros(total, dtype=int),
        jnp.full(total, float(beads["mass"][0])),
        jnp.arange(total),
        jnp.zeros((0, 2), dtype=int),
        ("SOL",),
    )

    def run() -> Any:
        return simulate_ensemble(
            [model],
            positions[None],
            box=box,
            topology=topology,
            temperature=TEMPERATURE,
            timestep=TIMESTEP,
            steps=steps,
            equilibration=0,
            observables=[bcg.observables.RDF(maximum=CUTOFF)],
            measure_every=EVERY // 2 if steps == EVERY else EVERY,
            key=jax.random.key(2),
            loop=HostLoop(progress=False),
            friction=FRICTION,
            records=5,
        )

    return run


def replicated(
    positions: np.ndarray, box: np.ndarray, copies: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes side by side."""
    corners = np.stack(np.meshgrid(*map(np.arange, copies), indexing="ij"), axis=-1).reshape(-1, 3) * box
    return (positions % box + corners[:, None]).reshape(-1, 3), box * copies
