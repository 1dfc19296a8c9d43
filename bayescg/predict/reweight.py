"""reweight: one or a few simulations for all draws of a posterior, and more where that fails.

    <A>_d = Σ_n w_d(n) A(x_n) / Σ_n w_d(n),        w_d ∝ exp(-U_d/kT) over the mixture of what was simulated.

A posterior that is narrow beside kT moves the energy of a frame little from draw to draw, and then the frames
of one simulation serve all draws. All of them share its Monte Carlo error: it moves them together, stands in
the error of their mean, and is in no difference between them, so that the spread over draws is known far
better than from independent simulations. Energies of whole systems differ by more than those of their parts,
so how wide a posterior may be depends on the number of beads; whether the weights hold is not assumed but
looked at for every draw, and draws that fail are simulated. Only averages over configurations can be
reweighted: curves over time belong to a dynamics, and every draw has its own.
"""

import json
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from bayescg._checks import positive, whole
from bayescg._typing import Array, NumpyArray
from bayescg.inference import (
    Problem,
    Selection,
    check_same_problem,
    group_of,
    models_of,
    select_draws,
    spread_frames,
)
from bayescg.numerics.host_loop import HostLoop
from bayescg.predict.defaults import (
    MEASURE_EVERY,
    Observables,
    default_observables,
    default_temperature,
    key_after,
    run_fingerprint,
)
from bayescg.predict.reweight_plan import (
    Plan,
    References,
    center_of,
    reference_names,
    references_of,
    static_observables,
)
from bayescg.predict.reweight_pool import Pool, simulate_references
from bayescg.predict.reweight_result import result_tree, result_warnings, weigh
from bayescg.predict.simulate import EQUILIBRATION, FRICTION, simulate


def reweight(
    problem: Problem,
    posterior: xr.DataTree,
    *,
    key: Array | None = None,
    draws: int = 32,
    references: int | None = None,
    replicas: int = 2,
    effective: float = 100.0,
    steps: int = 20_000,
    timestep: float = 0.005,
    observables: Observables | None = None,
    temperature: float | None = None,
    friction: float | None = None,
    equilibration: int | None = None,
    measure_every: int = MEASURE_EVERY,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    group: str | None = None,
) -> xr.DataTree:
    """Predict static observables of all draws from simulations of a few.

    Draws are trusted where the shape k of the tail of their weights is at most 0.7 and enough effective
    samples remain; the others are simulated, each by itself, as `bayescg.simulate` would.

    Args:
        problem: that the posterior belongs to.
        posterior: from `bayescg.sample`.
        key: source of all randomness; None for one derived from the key that the posterior was sampled with.
        draws: number of draws, evenly thinned over chains; many cost little more than few.
        references: models to simulate, among the draws and the mean of their parameters; None for as few as
            bring all draws near one, at most four.
        replicas: independent simulations of every reference, as many at once as there are cores.
        effective: effective samples that a draw must have.
        steps: of every simulation, after equilibration.
        timestep: ps.
        observables: of single configurations, names all different; None as in `bayescg.simulate`.
        temperature: K; None for that of the data.
        friction: of the thermostat, 1/ps; None for 1, or for the memory where the model has one.
        equilibration: steps before measuring; None for a fifth of `steps`.
        measure_every: steps between frames that are kept.
        checkpoint: folder for the state of a long run; the same call resumes it, bit for bit.
        progress: whether to show a bar.
        group: of the posterior; None for `posterior_sandwich` where there is one, else `posterior`.

    Returns:
        As from `bayescg.simulate`, and a group `reweighting` (draw): `reweighted`, whether a draw was, else
        it was simulated; `effective_samples`, `kish` (part of the frames that remains apart from correlation
        in time) and `pareto_k` of its weights. In `summary`, `shared_sd` is the error that draws share; in
        `diagnostics`, `draw` is -1 for the mean of the parameters. What went wrong: `attrs["warnings"]`.

    Raises:
        BayescgError: an observable over time or of energies, and whatever `bayescg.simulate` refuses.
        Interrupted: Ctrl-C; the checkpoint keeps what was done.

    References:
        M. R. Shirts, J. D. Chodera, J. Chem. Phys. 129, 124105 (2008), doi:10.1063/1.2978177.

    Example:
        >>> import bayescg as bcg, jax
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> posterior = bcg.sample(problem, bcg.Conjugate(draws=50), key=jax.random.key(0), progress=False)
        >>> found = reweight(
        ...     problem, posterior, draws=3, steps=200, effective=1.0, key=jax.random.key(1), progress=False
        ... )
        >>> found["reweighting"].pareto_k.dims
        ('draw',)
    """
    check_same_problem(problem, posterior)
    key = key_after(posterior) if key is None else key
    chosen = select_draws(posterior, draws=whole("draws", draws, minimum=2), group=group)
    models = [*models_of(problem, chosen), center_of(problem, chosen)]
    temperature = default_temperature(problem, models[0].potential, temperature)
    observables = static_observables(
        default_observables(problem.beads) if observables is None else observables
    )
    steps, least = whole("steps", steps), positive("effective", effective)
    settings: dict[str, Any] = {
        "steps": steps,
        "timestep": timestep,
        "temperature": temperature,
        "friction": FRICTION if friction is None and models[0].memory is None else friction,
        "equilibration": round(EQUILIBRATION * steps) if equilibration is None else equilibration,
        "measure_every": whole("measure_every", measure_every),
    }
    plan = Plan(problem, chosen, models, observables, settings)
    started = time.perf_counter()
    chosen_references = references_of(plan, references)
    pool = _simulated(plan, chosen_references, replicas, checkpoint=checkpoint, progress=progress, key=key)
    weighed = weigh(plan, pool, chosen_references, least)
    own, which = None, group_of(posterior, group)
    if not weighed.passed.all():
        rest: dict[str, Any] = {**settings, "friction": friction, "progress": progress, "group": which}
        own = simulate(
            problem,
            _part_of(posterior, chosen, ~weighed.passed, which),
            key=jax.random.fold_in(key, 2),
            draws=int((~weighed.passed).sum()),
            observables=observables,
            checkpoint=None if checkpoint is None else Path(checkpoint) / "simulated",
            **rest,
        )
    result = result_tree(plan, pool, chosen_references, weighed, own)
    about = {"engine": "jax-md", "group": which, "replicas": replicas, "effective": least}
    about |= {"references": reference_names(plan, chosen_references), "fingerprint": problem.fingerprint}
    about |= {"key": json.dumps(jax.random.key_data(key).tolist())} | settings
    about |= {name: pool.run.attrs[name] for name in ("friction", "equilibration", "dynamics", "thermostat")}
    about |= {"seconds": time.perf_counter() - started}
    result.attrs = about | {"warnings": json.dumps(result_warnings(result, plan, own))}
    return result


def _simulated(
    plan: Plan,
    references: References,
    replicas: int,
    *,
    checkpoint: str | Path | None,
    progress: bool,
    key: Array,
) -> Pool:
    count = len(references.places) * whole("replicas", replicas)
    places, start, _ = spread_frames(plan.problem.beads, count)
    identity = ["reweight", plan.problem.fingerprint, plan.settings, replicas, list(plan.observables)]
    identity += [references.places.tolist(), jax.random.key_data(key).tolist()]
    pool = simulate_references(
        [plan.models[place] for place in references.places],
        references.frames,
        start,
        names=plan.names,
        of_model=references.places,
        replicas=replicas,
        loop=HostLoop(
            None if checkpoint is None else Path(checkpoint) / "references",
            progress,
            run_fingerprint(identity, plan.chosen, places),
        ),
        key=key,
        settings=plan.settings,
    )
    draw = np.array(reference_names(plan, references))[pool.run["reference"].to_numpy()]
    return pool._replace(run=pool.run.assign_coords(draw=("draw", draw), frame=("draw", places)))


def _part_of(posterior: xr.DataTree, chosen: Selection, wanted: NumpyArray, group: str) -> xr.DataTree:
    """The posterior of these draws alone."""
    variables = posterior[group].to_dataset()
    places = {
        "chain": xr.DataArray(chosen.chain[wanted], dims="at"),
        "draw": xr.DataArray(chosen.draw[wanted], dims="at"),
    }
    few = variables.isel(places).drop_vars(["chain", "draw"], errors="ignore")
    few = few.rename_dims(at="draw").expand_dims("chain")
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=posterior.attrs), group: few})
