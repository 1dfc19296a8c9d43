"""Hand-written LAMMPS runs of the draws that bayescg simulates."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import lammps
from common.fitted_water import CUTOFF, EVERY, FRICTION, TEMPERATURE, TIMESTEP, replicated

import bayescg as bcg

SKINS = (0.1, 0.15, 0.2)
"""nm; tried for LAMMPS, whose default is the last."""


class Peer:
    """Hand-written LAMMPS runs of the same draws."""

    def __init__(self, folder: Path, problem: Any, posterior: Any, *, draws: int) -> None:
        self.folder, self.number = folder, 0
        self.cores = len(os.sched_getaffinity(0))
        chosen = bcg.inference.select_draws(posterior, draws=draws)
        self.curves = [_curve(model.potential) for model in bcg.inference.models_of(problem, chosen)]
        beads = problem.beads
        self.mass = float(beads["mass"][0])
        self.positions, self.box = (
            beads["position"].values[0].astype(float),
            beads["box"].values[0].astype(float),
        )
        tried = dict.fromkeys(SKINS, 0.0)
        for _ in range(5):  # in turn, and on all cores at once, as they are timed
            for skin in SKINS:
                tried[skin] += self.run(4000, draws=self.cores, skin=skin).cpu
        self.skin = min(tried, key=lambda skin: tried[skin])

    def run(
        self,
        steps: int,
        *,
        draws: int | None = None,
        skin: float | None = None,
        dump: bool = False,
        copies: tuple[int, int, int] = (1, 1, 1),
    ) -> lammps.Times:
        """Runs of draws from the beginning; a tenth of the steps is warm-up."""
        settings = lammps.Settings(
            steps=steps,
            warmup=max(10, steps // 10),
            skin=self.skin if skin is None else skin,
            dump_every=EVERY if dump else None,
            timestep=TIMESTEP,
            temperature=TEMPERATURE,
            friction=FRICTION,
            cutoff=CUTOFF,
            mass=self.mass,
        )
        positions, box = replicated(self.positions, self.box, copies)
        self.number += 1
        top = self.folder / str(self.number)
        top.mkdir()
        folders = [top / str(draw) for draw in range(draws or len(self.curves))]
        for draw, (folder, curve) in enumerate(zip(folders, self.curves, strict=False)):
            lammps.write(folder, curve, positions, box, settings, seed=draw)
        times = lammps.run(folders, cores=self.cores)
        for file in top.rglob("frames.bin"):
            file.unlink()
        return times


def _curve(potential: Any) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    zero = jnp.asarray(0)
    both = jax.jit(jax.vmap(jax.value_and_grad(lambda r: potential.pair_energy(r, zero, zero))))

    def curve(distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        energy, slope = both(jnp.asarray(distance))
        return np.asarray(energy), np.asarray(slope)

    return curve
