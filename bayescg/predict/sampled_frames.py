"""sampled_frames: frames that draws of a posterior sampled, each with its model, as data to infer from."""

from pathlib import Path

import numpy as np
import xarray as xr

from bayescg._checks import require
from bayescg.inference import Problem, check_same_problem, models_of
from bayescg.inference.draws import these_draws
from bayescg.model import Model


def sampled_frames(
    problem: Problem, posterior: xr.DataTree, simulated: xr.DataTree, trajectory: str | Path
) -> list[tuple[Model, xr.Dataset]]:
    """Pair the frames of a simulation of draws with their models.

    A posterior of an observable (`bayescg.likelihoods.Observable`) is drawn from such frames. Where its draws
    leave what they cover, it says so: simulate some of its draws and take their frames, until it does not.

    Args:
        problem: that the posterior belongs to.
        posterior: whose draws were simulated.
        simulated: from `bayescg.simulate(..., trajectory="run.zarr")`.
        trajectory: that store; simulations that exploded are left out.

    Returns:
        (model, beads) of every simulation, frames read as they are needed.

    Raises:
        BayescgError: another problem, a trajectory of another simulation, or none that ran to its end.

    Example:
        >>> import bayescg as bcg, jax, tempfile
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> posterior = bcg.sample(problem, bcg.Conjugate(draws=50), key=jax.random.key(0), progress=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     simulated = bcg.simulate(
        ...         problem, posterior, draws=2, steps=40, trajectory=folder + "/run.zarr", progress=False
        ...     )
        ...     sampled = sampled_frames(problem, posterior, simulated, folder + "/run.zarr")
        >>> len(sampled), sampled[0][1].sizes["frame"]
        (2, 2)
    """
    check_same_problem(problem, posterior)
    runs = simulated["posterior_predictive"].to_dataset()
    with xr.open_zarr(Path(trajectory)) as store:
        stored = store.load()
    count = runs.sizes["draw"]
    replicas = int(simulated.attrs["replicas"])
    require(
        stored.sizes["draw"] == count * replicas,
        f"trajectory must be that of the simulation, of {count * replicas} runs, got {stored.sizes['draw']}.",
    )
    group = posterior[simulated.attrs["group"]].to_dataset()
    chain, draw = (runs[f"posterior_{name}"].to_numpy() for name in ("chain", "draw"))
    models = models_of(problem, these_draws(group, chain, draw))
    frames = stored["frames_written"].to_numpy()
    longest = int(frames.max())
    found = [
        (models[run // replicas], stored.isel(draw=run, frame=slice(longest)).drop_vars("frames_written"))
        for run in np.flatnonzero(frames == longest)
    ]
    require(longest >= 2, f"trajectory must hold at least two frames of a draw, got {longest}.")
    return [(model, beads.assign_attrs(temperature=simulated.attrs["temperature"])) for model, beads in found]
