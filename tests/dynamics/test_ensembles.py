"""The ensembles through `simulate_ensemble`, on one small fluid: their laws, explosions, resuming."""

import os
import signal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from bayescg._checks import BayescgError
from bayescg.dynamics.engine import Engine, stack
from bayescg.dynamics.ensembles import conserved_components
from bayescg.dynamics.pair_forces import force_field
from bayescg.dynamics.pairwise import pair_bath
from bayescg.dynamics.walker import Motion, System, Thermostat
from bayescg.interfaces import AbstractObservable, AbstractTimeObservable, Totals
from bayescg.memory import Pairwise, Prony
from bayescg.numerics.host_loop import HostLoop, Interrupted
from bayescg.units import thermal_energy

EDGE, BEADS, DRAWS, STIFFNESS, CUTOFF = 1.5, 27, 8, 30.0, 0.6
KT = thermal_energy(300.0)
METHODS = {
    "langevin": {"friction": 10.0},
    "nose-hoover": {"thermostat": "nose-hoover", "friction": 10.0},
    "csvr": {"thermostat": "csvr", "friction": 40.0},
    "constant energy": {"ensemble": "NVE", "friction": None},
    "constant pressure": {"ensemble": "NPT", "friction": 10.0, "pressure": 1000.0, "compressibility": 2e-4},
}
CONSERVING = ("nose-hoover", "csvr", "constant energy")


class Kinetics(AbstractTimeObservable):
    """Kinetic energy, its square, and the largest component of the total momentum."""

    mass: float = eqx.field(static=True, default=18.0)
    name: str = eqx.field(static=True, default="kinetics")
    units: str = eqx.field(static=True, default="mixed")
    quantity: str = eqx.field(static=True, default="velocity")

    def prepare(self, topology, interval):
        return self

    def coordinates(self, topology):
        return {"moment": ["energy", "square", "total"]}

    def begin(self, beads, dims):
        return jnp.zeros(4)

    def update(self, accumulator, snapshot):
        energy = 0.5 * self.mass * jnp.sum(snapshot.velocities**2)
        total = jnp.max(jnp.abs(self.mass * jnp.sum(snapshot.velocities, axis=0)))
        return accumulator + jnp.stack([energy, energy**2, total, jnp.ones(())])

    def totals(self, accumulator):
        return Totals(accumulator[:3], jnp.full(3, accumulator[3]))

    def restart(self, accumulator):
        return jnp.zeros_like(accumulator)


class Curvature(AbstractObservable):
    """|grad U|^2 and the Laplacian of U for u = k (1 - r/c)^3, written out."""

    name: str = eqx.field(static=True, default="curvature")
    units: str = eqx.field(static=True, default="mixed")

    def prepare(self, topology, box):
        return self

    def coordinates(self, topology):
        return {"part": ["gradient", "laplacian"]}

    def measure(self, configuration):
        x, box = configuration.positions, configuration.box
        step = x[:, None] - x[None]
        step -= box * jnp.round(step / box)
        r = jnp.sqrt(jnp.sum(step**2, axis=-1) + jnp.eye(BEADS))
        left = jnp.where((r < CUTOFF) & ~jnp.eye(BEADS, dtype=bool), 1 - r / CUTOFF, 0.0)
        slope, second = -3 * STIFFNESS * left**2 / CUTOFF, 6 * STIFFNESS * left / CUTOFF**2
        gradient = jnp.sum((slope / r)[..., None] * step, axis=1)
        return jnp.stack([jnp.sum(gradient**2), jnp.sum(second + 2 * slope / r)])


@pytest.fixture
def fluid(run, soft_sphere, lattice):
    """A small fluid of soft spheres; all calls with one method share its program."""

    def go(method, *, stiffness=(STIFFNESS,) * DRAWS, blocks=20, equilibration=300, **settings):
        potentials = [soft_sphere(k, CUTOFF) for k in stiffness]
        return run(
            potentials,
            np.tile(lattice(3, EDGE), (len(potentials), 1, 1)),
            box=[EDGE] * 3,
            steps=150 * blocks,
            records=blocks,
            equilibration=equilibration,
            precision=jnp.float64,
            observables=[Kinetics(), Curvature()],
            **(METHODS[method] | settings),
        )

    return go


def over_draws(values):
    """Mean over independent draws and its standard error."""
    values = np.asarray(values)
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))


def deviations(found, freedom):
    """In standard errors: <K>, its variance against chi-squared's, the configurational temperature."""
    energy, square, _ = found.kinetics.mean("record").to_numpy().T
    gradient, laplacian = found.curvature.mean("record").to_numpy().T
    parts = (energy - freedom * KT / 2, square - energy**2 - freedom * KT**2 / 2, gradient - KT * laplacian)
    errors = [over_draws(part)[1] for part in parts]
    # what the checks can tell: 3% in the temperature of momenta, 5% in the other, 15% in the variance
    assert errors[0] < 0.03 * freedom * KT / 2
    assert errors[1] < 0.15 * freedom * KT**2 / 2
    assert errors[2] < 0.05 * KT * laplacian.mean()
    return [over_draws(part)[0] / error for part, error in zip(parts, errors, strict=True)]


@pytest.mark.parametrize("method", [name for name in METHODS if name != "constant energy"])
def test_thermostats_sample_maxwells_and_boltzmanns_law(method, fluid):
    found = fluid(method)
    freedom = 3 * BEADS - 3 * (method in CONSERVING)
    # Student's t with 7 degrees of freedom exceeds 5.5 once in 1,000 keys; (w dt)²/4 < 2e-4
    assert np.abs(deviations(found, freedom)).max() < 5.5
    temperature, error = over_draws(found.kinetic_temperature.mean("record"))
    assert abs(temperature - 300) < 5.5 * error
    total = found.kinetics[..., 2]
    if method in CONSERVING:  # to rounding: sums of 27 numbers of size sqrt(m kT) = 7 over 3300 steps
        assert total.max() < 1e-10
    else:
        assert total.mean() > 10
    if method == "csvr":  # negative control: the three components that stay zero do not count
        assert deviations(found, freedom + 3)[0] < -5


def test_constant_energy_is_equilibrated_then_constant_and_not_canonical(fluid):
    found = fluid("constant energy")
    energy = found.total_energy
    # (w dt)²/8 = 1e-4 of the energy in the fastest motions at most
    assert (energy.std("record") < 1e-5 * KT * 3 * BEADS).all()
    # a drift over the 15 ps that is less than that scatter
    assert (abs(found.energy_drift) * BEADS * 0.015 < 3 * energy.std("record")).all()
    assert found.kinetics[..., 2].max() < 1e-10
    # energies were drawn at the temperature: another one for every draw, the right one on average
    kinetic, square, _ = found.kinetics.mean("record").to_numpy().T
    freedom = 3 * BEADS - 3
    mean, error = over_draws(kinetic)
    assert abs(mean - freedom * KT / 2) < 5.5 * error
    assert energy.mean("record").std() > 10 * energy.std("record").max()
    # negative control of the check above: at constant energy K fluctuates less than chi-squared
    variance, error = over_draws(square - kinetic**2)
    assert variance + 5.5 * error < freedom * KT**2 / 2
    # the same temperature in momenta and configurations of every draw, to O(1/N)
    gradient, laplacian = found.curvature.mean("record").to_numpy().T
    ratio = gradient / laplacian / (2 * kinetic / freedom)
    ratio, error = over_draws(ratio)
    assert abs(ratio - 1) < 5.5 * error + 1 / BEADS
    assert error < 0.03


@pytest.mark.parametrize("method", METHODS)
def test_explosions_are_named_and_a_resumed_run_is_bit_identical(method, fluid, tmp_path, monkeypatch):
    settings = {"stiffness": (STIFFNESS, 5e8, STIFFNESS), "blocks": 3, "equilibration": 0}
    whole = fluid(method, **settings)
    assert (whole.exploded_step >= 0).values.tolist() == [False, True, False]
    assert np.isfinite(whole.position).all()
    assert np.isfinite(whole.kinetic_temperature).all("record").values.tolist() == [True, False, True]
    record, done = Engine._record, []

    def pressing(self, ensemble):
        done.append(None)
        if len(done) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return record(self, ensemble)

    loop = HostLoop(tmp_path / "run", False, method)
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_record", pressing)
        with pytest.raises(Interrupted):
            fluid(method, loop=loop, **settings)
    resumed = fluid(method, loop=loop, **settings)
    assert len(done) == 2
    for name in whole.data_vars:
        np.testing.assert_array_equal(resumed[name], whole[name])


@pytest.mark.parametrize(
    ("method", "memory", "outside", "beads", "expected"),
    [
        ("csvr", None, False, 27, 3),
        ("none", None, False, 27, 3),
        ("langevin", None, False, 27, 0),
        ("csvr", None, True, 27, 0),
        ("csvr", None, False, 1, 0),
        ("langevin", Pairwise(Prony(1, times=[0.1], frictions=[9.0]), cutoff=0.5), False, 27, 3),
    ],
)
def test_the_total_momentum_counts_where_it_is_conserved(
    method, memory, outside, beads, expected, soft_sphere, tether, lattice, make_topology
):
    spheres = soft_sphere(STIFFNESS, CUTOFF)
    potential = tether(3.0) + spheres if outside else spheres
    setting = Thermostat(300.0, 0.005, 1.0, 0.12, 10, 1, method=method)
    bath = memory and pair_bath(memory, temperature=300.0, timestep=0.005, capacity=4)
    motions = stack([Motion(force_field(potential, 1), bath)])
    system = System(make_topology(beads), jnp.full(3, EDGE))
    start = jnp.asarray(lattice(3, EDGE))[None, :beads]
    assert conserved_components(motions, system, setting, start) == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ensemble": "NVP"}, "ensemble must be one of 'NVT', 'NVE', 'NPT', got 'NVP'"),
        ({"thermostat": "andersen"}, "thermostat must be one of 'langevin', 'nose-hoover', 'csvr'"),
        ({"ensemble": "NPT"}, "pressure must be a finite number for the ensemble 'NPT', got None bar"),
        ({"ensemble": "NPT", "pressure": np.nan}, "pressure must be a finite number"),
        ({"pressure": 1.0}, "pressure must not be given for the ensemble 'NVT', got 1.0 bar"),
        ({"compressibility": 1e-4}, "compressibility must not be given for the ensemble 'NVT'"),
        ({"ensemble": "NPT", "pressure": 1.0, "compressibility": 0.0}, "compressibility must be positive"),
        ({"ensemble": "NPT", "pressure": 1.0, "box": None}, "box must be periodic in three dimensions"),
        ({"ensemble": "NVE"}, "friction must not be given for the ensemble 'NVE', got 2.0 1/ps"),
        ({"ensemble": "NVE", "friction": None, "thermostat": "csvr"}, "thermostat must not be given for the"),
        (
            {"ensemble": "NVE", "memory": Prony(1, times=[0.1], frictions=[9.0])},
            "must not be 'NVE' where the",
        ),
        ({"thermostat": "csvr", "memory": Prony(1, times=[0.1], frictions=[9.0])}, "thermostat must not be"),
        ({"thermostat": "csvr", "friction": None}, "friction must be a positive number"),
        ({"thermostat": "nose-hoover", "friction": 30.0}, "friction must be at most 20 1/ps for a Nosé"),
    ],
)
def test_what_does_not_go_together_is_refused(change, words, run, soft_sphere, lattice):
    with pytest.raises(BayescgError, match=words):
        run([soft_sphere(10.0, CUTOFF)], lattice(3, EDGE)[None], **({"box": [EDGE] * 3} | change))
