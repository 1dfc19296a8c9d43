"""Constant pressure: the law of the volume, the virial, paths through a box that breathes, its collapse."""

from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import gamma, kstest

from bayescg.dynamics.barostat import barostat, growth, rescaled, settled
from bayescg.dynamics.cell import Barostat, new_cell
from bayescg.dynamics.langevin import _moved
from bayescg.dynamics.neighbors import find_neighbors
from bayescg.dynamics.pair_forces import ForceField, force_field
from bayescg.dynamics.virial import virial
from bayescg.dynamics.walker import Motion, System, Thermostat, Walker
from bayescg.interfaces import AbstractObservable, Configuration, Sampled, Support, Topology
from bayescg.memory import Markovian
from bayescg.observables import MSD, Pressure
from bayescg.potentials import HarmonicBond, LennardJones
from bayescg.units import BAR, thermal_energy

KT = thermal_energy(300.0)


class Volume(AbstractObservable):
    """V and its square."""

    name: str = eqx.field(static=True, default="volumes")
    units: str = eqx.field(static=True, default="mixed")

    def prepare(self, topology, box):
        return self

    def coordinates(self, topology):
        return {"moment": ["V", "V²"]}

    def measure(self, configuration):
        volume = jnp.prod(configuration.box)
        return jnp.stack([volume, volume**2])


def volumes_of_an_ideal_gas(beads, *, step):
    """Volumes of 2000 boxes of an ideal gas after 20 relaxation times, in units of kT/P."""
    setting = Barostat(pressure=1.0, mobility=1.0, stride=1)

    def one(key):
        def move(cell, key):
            found = growth(
                cell,
                setting,
                virial=jnp.zeros(()),
                beads=beads,
                thermal_energy=1.0,
                timestep=step,
                key=key,
            )
            return cell._replace(box=cell.box * found.factor, noise=found.noise), None

        cell = new_cell(jnp.full(3, beads ** (1 / 3)), jnp.zeros((1, 3)))
        cell, _ = jax.lax.scan(move, cell, jax.random.split(key, round(20 / step)))
        return jnp.prod(cell.box)

    return np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 2000)))


def test_volume_of_an_ideal_gas_has_its_law():
    """p(V) ~ V^N exp(-PV/kT), a gamma distribution of shape N + 1."""
    beads = 8
    found = volumes_of_an_ideal_gas(beads, step=0.1)
    assert kstest(found, gamma(beads + 1).cdf).pvalue > 1e-3
    # negative control: the law where the ideal part counts momenta that add up to zero, V^(N-1)
    assert kstest(found, gamma(beads).cdf).pvalue < 1e-6


def lattice_of(side, edge):
    line = (np.arange(side) + 0.5) * edge / side
    return np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)


def over_draws(values):
    values = np.asarray(values)
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))


def test_a_gas_with_a_memory_keeps_its_volume_and_diffuses_as_if_the_box_stood_still(run, soft_sphere):
    beads, draws, friction, timestep = 27, 8, 2.0, 0.02
    edge, mass = 2.4, 18.0
    pressure = (beads + 1) * KT / edge**3 / BAR
    found = run(
        [soft_sphere(0.0, 0.3)] * draws,
        np.tile(lattice_of(3, edge), (draws, 1, 1)),
        box=[edge] * 3,
        mass=mass,
        memory=Markovian(friction=mass * friction),
        ensemble="NPT",
        pressure=pressure,
        compressibility=0.5 / pressure,  # relaxes in 2 ps
        timestep=timestep,
        steps=10_000,
        equilibration=500,
        measure_every=25,
        observables=[Volume(), MSD(maximum=5.0)],
    )
    assert not found.exploded_step.max() >= 0
    volume, square = np.moveaxis(found.volumes.mean("record").to_numpy(), -1, 0)
    mean, error = over_draws(volume)
    assert abs(mean - edge**3) < 5.5 * error
    assert error < 0.02 * mean
    spread, error = over_draws(square - volume**2)
    # of a run of 100 relaxation times, its own mean takes 1/50 of the variance
    assert abs(spread / (1 - 1 / 50) - edge**6 / (beads + 1)) < 5.5 * error
    assert error < 0.2 * spread
    np.testing.assert_allclose(found.volume.mean("record"), volume, rtol=0.01)
    # Langevin's <x²> = 2 kT/(m g²) (g t - 1 + exp(-g t)) for each component, in a volume that breathes by 19%
    lag = found.lag_time.to_numpy()
    exact = 6 * KT / (mass * friction**2) * (friction * lag - 1 + np.exp(-friction * lag))
    moved, error = over_draws(found.mean_square_displacement.mean("record"))
    assert (abs(moved - exact)[1:] < 5.5 * error[1:]).all()
    assert error[-1] < 0.05 * exact[-1]


def test_pressure_of_a_fluid_is_the_one_imposed(run):
    """<P> at constant pressure, exactly; and at constant volume, the mean one, to first order in 1/N."""
    draws, imposed = 6, 3000.0
    argon = LennardJones([1.0], [0.34], cutoff=0.6, type_names=("A",))
    settings = {
        "mass": 39.9,
        "timestep": 0.01,
        "thermostat": "csvr",
        "friction": 10.0,
        "steps": 2500,
        "observables": [Pressure(), Volume()],
        "measure_every": 10,
    }
    edge = 1.55
    found = run(
        [argon] * draws,
        np.tile(lattice_of(4, edge), (draws, 1, 1)),
        box=[edge] * 3,
        ensemble="NPT",
        pressure=imposed,
        compressibility=2e-4,
        equilibration=1000,
        **settings,
    )
    pressure, error = over_draws(found.pressure.mean("record"))
    assert abs(pressure - imposed) < 5.5 * error
    assert error < 0.05 * imposed
    volume, square = found.volumes.mean(("draw", "record")).to_numpy()
    fixed = run(
        [argon] * draws,
        np.tile(lattice_of(4, volume ** (1 / 3)), (draws, 1, 1)),
        box=[volume ** (1 / 3)] * 3,
        equilibration=500,
        **settings,
    )
    # P(<V>) = <P> - P'' var(V)/2, and for P ~ V^-m, with m = V kT/(P var V), P'' var(V)/2 = (m + 1) kT/2V
    stiffness = volume * KT / (imposed * BAR * (square - volume**2))
    expected = imposed - (stiffness + 1) * KT / (2 * volume) / BAR
    pressure, error = over_draws(fixed.pressure.mean("record"))
    print(pressure, error, expected, stiffness)
    assert abs(pressure - expected) < 5.5 * error + 0.03 * imposed
    assert error < 0.05 * imposed


def molecules(beads):
    bonds = jnp.arange(beads).reshape(-1, 2)
    return Topology(jnp.arange(beads) % 2, jnp.full(beads, 12.0), jnp.arange(beads) // 2, bonds, ("A", "B"))


@eqx.filter_jit
def virials_of(potentials, x, box, near, topology):
    fields = [force_field(potential, 2) for potential in potentials]
    return [virial(field, x, box=box, neighbors=near, topology=topology) for field in fields]


def test_virial_is_the_derivative_of_the_energy_in_the_volume():
    beads, edge = 20, 1.9
    x = jnp.asarray(np.random.default_rng(0).uniform(0, edge, (beads, 3)))
    topology, box = molecules(beads), jnp.full(3, edge)
    pair = LennardJones([0.9, 1.0, 1.1], [0.3, 0.32, 0.34], cutoff=0.9, type_names=("A", "B"))
    bonds = (Sampled("bond", (0, 1), 0.2, 0.4, 0.3, 500.0),)
    support = Support(("A", "B"), (0.3, 0.3, 0.3), internal=bonds)
    bond = HarmonicBond(stiffness=500.0, length=0.3).prepare(support)
    near = find_neighbors(x, box=box, topology=topology, reach=1.0, capacity=19)
    found, alone = virials_of((pair + bond, pair), x, box, near, topology)

    @jax.jit
    def energy(s):
        return (pair + bond).energy(Configuration(x * s, box * s, near.indices, topology))

    h = 1e-5
    expected = -(energy(1 + h) - energy(1 - h)) / (2 * h)
    assert float(found) == pytest.approx(float(expected), rel=1e-4)  # the table of a force is good to 1e-5
    # both parts count
    assert abs(float(found - alone)) > 1


def within(x, box, reach):
    step = x[:, None] - x[None]
    step -= box * np.round(step / box)
    return (np.linalg.norm(step, axis=-1) < reach) & ~np.eye(len(x), dtype=bool)


def test_a_list_is_called_valid_only_where_it_holds_all_pairs_of_a_box_that_shrank(soft_sphere):
    cutoff, skin, old = 0.5, 0.1, np.full(3, 1.5)
    rng = np.random.default_rng(1)
    motion = Motion(ForceField((), (), cutoff))
    setting = Thermostat(300.0, 0.01, 1.0, skin, 1, 1)
    outcomes = []
    for shrink in (1.05, 1.0, 0.97, 0.94, 0.91, 0.85, 0.8):
        x = rng.uniform(0, 1.5, (60, 3))
        after = x * shrink + rng.normal(0, 0.004, (60, 3))
        walk = SimpleNamespace(edges=jnp.asarray(old), neighbors=SimpleNamespace(origin=jnp.asarray(x)))
        moved = [
            float(_moved(walk, jnp.asarray(after), jnp.asarray(old * shrink), motion, setting)),
            np.linalg.norm(after - x * shrink, axis=1).max(),
        ]
        listed, needed = within(x, old, cutoff + skin), within(after, old * shrink, cutoff)
        outcomes.append([not (needed & ~listed).any(), *(far <= skin / 2 for far in moved)])
    holds, valid, blind = np.array(outcomes).T
    assert holds[valid].all()
    assert valid[:4].all()
    assert not valid[-1]
    # negative control: motion alone, without the box that shrinks, calls lists valid that lack pairs
    assert not holds[blind].all()


@pytest.mark.parametrize(("pressure", "collapsed"), [(1e5, True), (1e9, False), (1.0, None)])
def test_a_box_that_gets_too_small_stops_its_draw_by_name(pressure, collapsed, make_topology, soft_sphere):
    """Smaller than twice the cutoff: collapsed. A change that is absurd: exploded. Neither: it goes on."""
    motion = Motion(force_field(soft_sphere(1.0, 0.749), 1))
    box = jnp.full(3, 1.5)
    system = System(make_topology(27), box)
    setting = Thermostat(300.0, 0.01, 1.0, 0.1, 1, 1, barostat=barostat(pressure, compressibility=1e-5))
    x = jnp.asarray(lattice_of(3, 1.5))
    near = find_neighbors(x, box=box, topology=system.topology, reach=0.849, capacity=26)
    nothing = jnp.zeros(x.shape)
    walker = Walker(
        x,
        nothing,
        nothing,
        jnp.zeros((*x.shape, 0)),
        nothing.astype(int),
        jax.random.key(0),
        jnp.asarray(10),
        jnp.asarray(-1),
        (),
        new_cell(box, x),
    )

    @jax.jit
    def breath(walker):
        new = rescaled(walker, near, motion, system=system, thermostat=setting)
        return settled(new, walker, near, motion, system=system)

    after = breath(walker)
    assert int(after.exploded) == (-1 if collapsed is None else 10)
    assert bool(after.cell.collapsed) == bool(collapsed)
    assert bool((after.cell.box == 1.5).all()) == (collapsed is not None)
    assert bool((after.position == x).all()) == (collapsed is not None)
