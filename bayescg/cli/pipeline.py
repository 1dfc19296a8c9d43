"""The pipeline behind every command: beads, posterior, what the data determine, simulations, report."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import xarray as xr

from bayescg import data, likelihoods, priors
from bayescg.cli.motion import compute_motion
from bayescg.cli.output import output_folder
from bayescg.cli.settings import Settings, as_toml
from bayescg.identifiability import Identified, identify
from bayescg.inference import NUTS, Conjugate, Problem, sample
from bayescg.inference.sampler import AbstractSampler
from bayescg.model import Model
from bayescg.observables import RDF
from bayescg.potentials import PairSpline
from bayescg.predict import evaluate, simulate
from bayescg.reporting import Motion, report, summary
from bayescg.reporting.page import figures

Say = Callable[[str], None]


class Outcome(NamedTuple):
    """Everything a run found.

    Attributes:
        posterior: from `sample`.
        identified: from `identify`.
        simulated: from `simulate`; None where simulations were left out.
        reference: g(r) of the data; None likewise.
        motion: memory and its simulations; None where there are no velocities to learn it from.
    """

    posterior: xr.DataTree
    identified: Identified
    simulated: xr.DataTree | None
    reference: xr.Dataset | None
    motion: Motion | None


def run(
    settings: Settings,
    read: Callable[[], xr.Dataset],
    read_dynamics: Callable[[], xr.Dataset | None] = lambda: None,
    *,
    say: Say,
    progress: bool = True,
) -> str:
    """Fit, identify, simulate, report; the output folder appears at the end.

    Args:
        settings: of the run.
        read: gives the beads.
        read_dynamics: gives beads with velocities at short intervals, or None.
        say: told what is being done, line by line.
        progress: whether to show bars.

    Returns:
        The terminal summary.

    Raises:
        BayescgError: bad settings or data; no output is left.
        KeyboardInterrupt: Ctrl-C; the checkpoint is kept.
    """
    started = time.perf_counter()
    checkpoint = Path(settings.checkpoint or f"{settings.output.rstrip('/')}.checkpoint")
    with output_folder(settings.output) as folder:
        beads = read()
        say(f"data: {beads.sizes['frame']} frames of {beads.sizes['bead']} beads at {_kelvin(beads)}")
        dynamics = read_dynamics()
        found = compute(settings, beads, dynamics, checkpoint=checkpoint, say=say, progress=progress)
        say(f"report: figures and page into {settings.output}")
        text = write(folder, settings, found)
    if settings.checkpoint is None:
        shutil.rmtree(checkpoint, ignore_errors=True)
    say(f"done in {time.perf_counter() - started:.0f} s: {settings.output}/report.html")
    return text


def compute(
    settings: Settings,
    beads: xr.Dataset,
    dynamics: xr.Dataset | None = None,
    *,
    checkpoint: Path,
    say: Say,
    progress: bool = True,
) -> Outcome:
    """Everything but the files.

    Args:
        settings: of the run.
        beads: with forces.
        dynamics: with velocities at short intervals, for the memory; None for none.
        checkpoint: folder for the states of sampling and simulation.
        say: told what is being done.
        progress: whether to show bars.
    """
    key_sample, key_simulate, key_motion = jax.random.split(jax.random.key(settings.seed), 3)
    potential = PairSpline(cutoff=settings.cutoff, knots=settings.knots, start=settings.start)
    model = Model(potential=potential)
    problem = Problem(model, priors.default(model), likelihoods.ForceMatching().on(beads))
    sampler = sampler_of(settings)
    say(f"posterior: {problem.dimension} parameters, {settings.chains} chains by {settings.sampler}")
    posterior = sample(problem, sampler, key=key_sample, checkpoint=checkpoint / "sample", progress=progress)
    say("directions: what the data determine")
    identified = identify(problem, posterior)
    motion = None
    if dynamics is not None:
        motion = compute_motion(
            settings, beads, dynamics, key=key_motion, checkpoint=checkpoint, say=say, progress=progress
        )
    if not settings.simulate_draws or "box" not in beads:
        say("simulations: left out" + ("" if settings.simulate_draws else ", as asked for"))
        return Outcome(posterior, identified, None, None, motion)
    say(f"simulations: {settings.simulate_draws} posterior draws, {settings.simulate_steps} steps each")
    simulated = simulate(
        problem,
        posterior,
        key=key_simulate,
        draws=settings.simulate_draws,
        steps=settings.simulate_steps,
        timestep=settings.simulate_timestep,
        friction=settings.simulate_friction,
        observables=[RDF()],
        checkpoint=checkpoint / "simulate",
        progress=progress,
    )
    return Outcome(posterior, identified, simulated, evaluate(RDF(), beads), motion)


def write(folder: Path, settings: Settings, found: Outcome) -> str:
    """Write all files of a run into a folder; return the terminal summary."""
    posterior, identified, simulated, reference, motion = found
    posterior.to_netcdf(folder / "posterior.nc", engine="h5netcdf")
    if simulated is not None:
        simulated.to_netcdf(folder / "simulated.nc", engine="h5netcdf")
    if motion is not None:
        motion.posterior.to_netcdf(folder / "memory.nc", engine="h5netcdf")
        if motion.simulated is not None:
            motion.simulated.to_netcdf(folder / "motion.nc", engine="h5netcdf")
    page = report(
        folder / "report.html", posterior, identified, simulated, reference=reference, motion=motion
    )
    for name, image in figures(page.read_text(encoding="utf-8")).items():
        (folder / f"{name}.png").write_bytes(image)
    text = summary(posterior, identified, simulated, reference=reference, motion=motion)
    (folder / "summary.txt").write_text(text + "\n", encoding="utf-8")
    (folder / "settings.toml").write_text(as_toml(settings), encoding="utf-8")
    return text


def sampler_of(settings: Settings) -> AbstractSampler:
    """The sampler that the settings name.

    Example:
        >>> sampler_of(Settings(sampler="conjugate", draws=200)).settings()["sampler"]
        'Conjugate'
    """
    if settings.sampler == "conjugate":
        return Conjugate(chains=settings.chains, draws=settings.draws, warmup=settings.warmup)
    return NUTS(chains=settings.chains, warmup=settings.warmup, draws=settings.draws, engine=settings.engine)


def _kelvin(beads: xr.Dataset) -> str:
    value = data.validate(beads, needs=("temperature",)).attrs["temperature"]
    return f"{value:g} K"
