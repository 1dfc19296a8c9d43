"""A problem that cannot be is refused where it is made: argument, value, rule and remedy in one message."""

import os
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import xarray as xr

import bayescg as bcg
from bayescg import BayescgError
from bayescg.likelihoods import ForceMatching, StudentT
from bayescg.potentials import LennardJones, PairSpline

SPLINE, ARGON = PairSpline(cutoff=0.9, knots=8), LennardJones(0.65, 0.3, cutoff=0.9)
COEFFICIENTS = "potential.coefficients"


def beads(**changes):
    """Two frames of sixty waters; a change gets the values of its variable."""
    data = bcg.data.water(frames=2).isel(bead=slice(60)).copy(deep=True)
    for name, change in changes.items():
        change(data[name].values)
    return data


def put(index, value):
    def change(values):
        values[index] = value

    return change


def problem(*, potential=SPLINE, prior=None, data=None, noise=None, **entries):
    model = bcg.Model(potential)
    matching = ForceMatching() if noise is None else ForceMatching(noise=noise)
    prior = bcg.priors.default(model) if prior is None else prior
    return bcg.Problem(model, prior | entries, matching.on(beads() if data is None else data))


def with_prior(entries, potential=SPLINE):
    return problem(potential=potential, prior=bcg.priors.default(bcg.Model(potential)) | entries)


# what is wrong, how it comes about, and what the message must hold
FAULTS = {
    "no forces": (
        lambda: problem(data=beads().drop_vars("force")),
        ("force must be given", "the data hold none", "Write forces"),
    ),
    "NaN force": (
        lambda: problem(data=beads(force=put((1, 7, 2), np.nan))),
        ("force must be finite", "1 frame(s)", "the first is frame 1", "repair the file"),
    ),
    "NaN force, read lazily": (
        lambda: problem(data=beads(force=put((1, 7, 2), np.nan)).chunk(frame=2)),
        ("force must be finite", "frame of its chunk 1", "Repair the file"),
    ),
    "infinite position": (
        lambda: problem(data=beads(position=put((0, 0, 0), np.inf))),
        ("position must be finite", "the first is frame 0"),
    ),
    "coincident beads": (
        lambda: problem(data=beads(position=lambda x: put((1, 4), x[1, 9])(x))),
        ("must not coincide", "beads 4 and 9", "frame 1", "Leave the frame out"),
    ),
    "forces all zero": (
        lambda: problem(data=beads(force=put(..., 0.0))),
        ("force must not be zero", "type SOL", "Check that the trajectory"),
    ),
    "no temperature": (
        lambda: problem(data=beads().drop_attrs(deep=False)).temperature,
        ("temperature must be a positive number", "got None", "read_trajectory"),
    ),
    "cutoff beyond half the box": (
        lambda: problem(potential=PairSpline(cutoff=1.3, knots=8)),
        (
            "cutoff must be at most half the shortest box edge",
            "got 1.3 nm",
            "a box of 2.4807 nm",
            "at most 1.2404 nm",
        ),
    ),
    "cutoff of a term beyond half the box": (
        lambda: problem(potential=SPLINE + LennardJones(cutoff=1.3)),
        ("cutoff must be at most half the shortest box edge", "got 1.3 nm"),
    ),
    "unknown path": (
        lambda: with_prior({"potential.coefficient": dist.Normal(0.0, 1.0)}),
        (
            "'potential.coefficient' names no parameter",
            "Its parameters are",
            COEFFICIENTS,
            "likelihood.noise.scale",
        ),
    ),
    "constant": (
        lambda: with_prior({"potential.cutoff": dist.Normal(0.9, 0.1)}),
        (
            "potential.cutoff is a constant",
            "cannot have a prior",
            "Set it when the model is built",
            COEFFICIENTS,
        ),
    ),
    "nothing free": (
        lambda: with_prior({COEFFICIENTS: 0.0, "likelihood.noise.scale": 100.0}),
        ("must leave at least one parameter free", "got none", "bayescg.priors.default(model)"),
    ),
    "prior of another shape": (
        lambda: with_prior({COEFFICIENTS: dist.Normal(jnp.zeros(5), 1.0)}),
        (COEFFICIENTS, "must broadcast to its shape (1, 7)", "of shape (5,)", "Give one distribution"),
    ),
    "value of another shape": (
        lambda: with_prior({COEFFICIENTS: np.zeros(5)}),
        (COEFFICIENTS, "must broadcast to its shape (1, 7)", "of shape (5,)", "Give one value"),
    ),
    "value of another shape from a program": (
        lambda: bcg.Problem(
            bcg.Model(SPLINE), lambda: {COEFFICIENTS: jnp.zeros((7, 1))}, ForceMatching().on(beads())
        ),
        (COEFFICIENTS, "must broadcast to its shape (1, 7)", "of shape (7, 1)"),
    ),
    "unknown path in a program": (
        lambda: bcg.Problem(bcg.Model(SPLINE), lambda: {"potential.coeff": 0.0}, ForceMatching().on(beads())),
        ("prior program", "'potential.coeff' names no parameter", COEFFICIENTS),
    ),
    "prior that is none": (
        lambda: with_prior({COEFFICIENTS: "flat"}),
        (COEFFICIENTS, "must be a NumPyro distribution", "got str", "Write for example"),
    ),
    "prior over whole numbers": (
        lambda: with_prior({COEFFICIENTS: dist.Poisson(3.0)}),
        (COEFFICIENTS, "must be continuous", "got Poisson", "real numbers"),
    ),
    "prior that cannot be drawn": (
        lambda: with_prior({COEFFICIENTS: dist.ImproperUniform(dist.constraints.real, (), ())}),
        ("every prior must be proper", "Give a wide one"),
    ),
    "smoothness of something else": (
        lambda: with_prior({"potential.sigma": bcg.priors.SplineSmoothness()}, ARGON),
        ("SplineSmoothness", "potential.sigma of LennardJones", "Give a NumPyro distribution"),
    ),
    "no prior": (
        lambda: bcg.Problem(bcg.Model(SPLINE), 3.0, ForceMatching().on(beads())),
        ("prior must be a dictionary", "got float", "bayescg.priors.default(model)"),
    ),
    "no likelihood": (
        lambda: bcg.Problem(bcg.Model(SPLINE), {}, beads()),
        ("data must be a likelihood on its data", "got Dataset", "ForceMatching().on(beads)"),
    ),
    "no model": (
        lambda: bcg.Problem(SPLINE, {}, ForceMatching().on(beads())),
        ("model must be a bayescg.Model", "got PairSpline", "bayescg.Model(potential)"),
    ),
    "systems of other types": (
        lambda: bcg.Problem(
            bcg.Model(SPLINE),
            {},
            ForceMatching().on(beads()) + ForceMatching().on(beads().assign(type=("bead", ["B"] * 60))),
        ),
        ("prepared for the bead types ('SOL',)", "got data of ('B',)", "Map all data"),
    ),
    "no state point": (
        lambda: problem(data=xr.DataTree()),
        ("at least one state point", "got none"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_problems_are_refused(fault):
    make, parts = FAULTS[fault]
    with pytest.raises(BayescgError) as error:
        make()
    for part in parts:
        assert part in str(error.value), str(error.value)


@pytest.mark.parametrize("potential", [SPLINE, ARGON, SPLINE + ARGON], ids=["linear", "pair", "sum"])
def test_sound_problems_are_not(potential):
    """Control: the same data with nothing wrong give a finite density with a finite gradient."""
    sound = problem(potential=potential)
    u = sound.initial(jax.random.key(0))
    assert u.shape == (sound.dimension,) == (len(sound.labels),)
    value, gradient = jax.jit(jax.value_and_grad(sound.log_density))(u)
    assert bool(jnp.isfinite(value))
    assert bool(jnp.isfinite(gradient).all())


CONJUGATE = {
    "student noise": (lambda: problem(noise=StudentT()), ("Gaussian noise", "got PairSpline and StudentT")),
    "nonlinear potential": (
        lambda: problem(potential=ARGON),
        ("linear in its coefficients", "got LennardJones"),
    ),
    "nonlinear sum": (lambda: problem(potential=SPLINE + ARGON), ("linear in its coefficients", "got Sum")),
    "prior that is not Gaussian": (
        lambda: with_prior({COEFFICIENTS: dist.Laplace(0.0, 10.0)}),
        (COEFFICIENTS, "Gaussian", "got "),
    ),
    "coefficients fixed": (
        lambda: with_prior({COEFFICIENTS: 0.0}),
        (COEFFICIENTS, "Gaussian prior", "none of its own"),
    ),
}


@pytest.mark.parametrize("fault", CONJUGATE)
def test_conjugate_refuses_what_is_not_conjugate_and_writes_nothing(fault, tmp_path):
    make, parts = CONJUGATE[fault]
    target = make()
    with pytest.raises(BayescgError) as error:
        bcg.sample(
            target, bcg.Conjugate(draws=5), key=jax.random.key(0), checkpoint=tmp_path / "run", progress=False
        )
    for part in (*parts, "Sample with bayescg.NUTS() instead"):
        assert part in str(error.value), str(error.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def in_a_new_process(code, **environment):
    inherited = {name: value for name, value in os.environ.items() if name != "JAX_ENABLE_X64"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=300,
        env=inherited | environment,
    )
    return done.stdout + done.stderr


BUILD = """
    import bayescg as bcg

    def build():
        model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=8))
        data = bcg.data.water(frames=2).isel(bead=slice(60))
        return bcg.Problem(model, bcg.priors.default(model), bcg.likelihoods.ForceMatching().on(data))

    try:
        print("fingerprint", build().fingerprint)
    except bcg.BayescgError as error:
        print(error)
        bcg.enable_x64()
        print("then fingerprint", build().fingerprint)
"""


def test_a_problem_without_float64_is_refused_with_the_remedy():
    said = in_a_new_process(BUILD)
    for part in (
        "A Problem needs float64",
        "JAX runs in float32",
        "bayescg.enable_x64()",
        "JAX_ENABLE_X64=1",
        "then fingerprint",  # control: the first remedy helps
    ):
        assert part in said, said
    assert said.count("fingerprint") == 1, said  # none before
    # control: so does the other, at once; and a problem is known by the same name in every process, so that a
    # checkpoint of one can be taken up by another
    remedied = in_a_new_process(BUILD, JAX_ENABLE_X64="1")
    assert "then" not in remedied, remedied
    names = {text.split("fingerprint")[1].split()[0] for text in (said, remedied)}
    assert len(names) == 1
