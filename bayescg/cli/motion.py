"""The dynamic half of a run: memory given the potential, and simulations that show it."""

from collections.abc import Callable
from pathlib import Path

import jax
import xarray as xr

from bayescg import likelihoods, priors
from bayescg.cli.settings import Settings
from bayescg.inference import Conjugate, Cut, Problem, sample
from bayescg.memory import OscillatoryProny
from bayescg.model import Model
from bayescg.observables import VACF
from bayescg.potentials import PairSpline
from bayescg.predict import evaluate, simulate
from bayescg.reporting import Motion

MEMORY_DRAWS, MOTION_DRAWS = 40, 8
"""Draws of the memory in all, each a chain of its own; and those that are simulated, at most."""

LONGEST_LAG = 0.5
"""Of the velocity autocorrelation, ps."""


def compute_motion(
    settings: Settings,
    beads: xr.Dataset,
    dynamics: xr.Dataset,
    *,
    key: jax.Array,
    checkpoint: Path,
    say: Callable[[str], None],
    progress: bool,
) -> Motion:
    """Posterior of the memory, cut from the potential, and its simulated velocity autocorrelation.

    Args:
        settings: of the run.
        beads: with forces.
        dynamics: with velocities at short intervals.
        key: source of all randomness.
        checkpoint: folder for the states of sampling and simulation.
        say: told what is being done.
        progress: whether to show bars.
    """
    key_sample, key_simulate = jax.random.split(key)
    potential = PairSpline(cutoff=settings.cutoff, knots=settings.knots, start=settings.start)
    model = Model(potential=potential, memory=OscillatoryProny(modes=settings.modes))
    terms = likelihoods.ForceMatching().on(beads) + likelihoods.Path(observed="velocities").on(dynamics)
    modes = f"{settings.modes} oscillating mode{'s' * (settings.modes > 1)}"
    say(f"memory: {modes} from {dynamics.sizes['frame']} frames of velocities")
    problem = Problem(model, priors.default(model), terms)
    draws = max(MEMORY_DRAWS // settings.chains, 4)
    sampler = Cut(Conjugate(chains=settings.chains, draws=settings.draws), draws=min(draws, settings.draws))
    posterior = sample(problem, sampler, key=key_sample, checkpoint=checkpoint / "memory", progress=progress)
    if not settings.simulate_draws or "box" not in dynamics:
        return Motion(posterior)
    observable = VACF(maximum=LONGEST_LAG)
    say(f"motion: {min(settings.simulate_draws, MOTION_DRAWS)} draws with their memories")
    simulated = simulate(
        problem,
        posterior,
        key=key_simulate,
        draws=min(settings.simulate_draws, MOTION_DRAWS),
        steps=settings.simulate_steps,
        timestep=settings.simulate_timestep,
        temperature=float(dynamics.attrs["temperature"]),
        observables=[observable],
        measure_every=2,
        checkpoint=checkpoint / "motion",
        progress=progress,
    )
    return Motion(posterior, simulated, evaluate(observable, dynamics))
