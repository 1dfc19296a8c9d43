"""Draws of a posterior on their way into files: their models at one temperature, and where they begin."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import xarray as xr

from bayescg._checks import BayescgError, positive, require
from bayescg._typing import Float, NumpyArray
from bayescg.data import topology
from bayescg.inference import (
    Problem,
    Selection,
    check_same_problem,
    models_of,
    select_draws,
    spread_frames,
)
from bayescg.interfaces import Topology
from bayescg.model import Model
from bayescg.potentials import at_temperature
from bayescg.potentials.thermodynamic import depends_on_temperature


class ChosenDraws(NamedTuple):
    """Draws, evenly thinned over all chains.

    Attributes:
        models: one per draw, at the temperature.
        selection: which draws they are, and their values.
        positions: where every draw begins, a frame of the data of its own, nm.
        box: edge lengths, nm; None for an open system.
        topology: types, masses, chains, exclusions.
        temperature: K.
    """

    models: list[Model]
    selection: Selection
    positions: Float[NumpyArray, "draw bead dim"]
    box: Float[NumpyArray, " dim"] | None
    topology: Topology
    temperature: float


def choose_draws(
    problem: Problem,
    posterior: xr.DataTree,
    *,
    draws: int,
    temperature: float | None = None,
    group: str | None = None,
) -> ChosenDraws:
    """Take draws of a posterior for an export.

    Args:
        problem: that the posterior belongs to; it holds the model and the beads.
        posterior: from `bayescg.sample`.
        draws: how many.
        temperature: K; None for that of the data.
        group: of the posterior; None for `posterior_sandwich` where there is one, else `posterior`.

    Raises:
        BayescgError: another problem's posterior, more draws than there are, no such group, or a
            `Thermodynamic` potential without a temperature.

    Example:
        >>> import bayescg as bcg, jax
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> posterior = bcg.sample(problem, bcg.Conjugate(draws=50), key=jax.random.key(0), progress=False)
        >>> choose_draws(problem, posterior, draws=2).positions.shape
        (2, 510, 3)
    """
    check_same_problem(problem, posterior)
    selection = select_draws(posterior, draws=draws, group=group)
    models = models_of(problem, selection)
    require(
        temperature is not None or not depends_on_temperature(models[0].potential),
        "temperature must be given where the potential is a Thermodynamic, got None. Give one in kelvin, "
        "as in temperature=320.0.",
    )
    T = positive("temperature", problem.temperature if temperature is None else temperature, unit="K")
    models = [Model(at_temperature(model.potential, T), model.memory) for model in models]
    _, positions, box = spread_frames(problem.beads, len(models))
    return ChosenDraws(models, selection, positions, box, topology(problem.beads), T)


def write_draws(
    folder: str | Path, draws: int, files: Callable[[int], Mapping[str, str]]
) -> tuple[Path, ...]:
    """Write one folder for every draw.

    Args:
        folder: where the folders `draw_0000` and so on are made.
        draws: how many.
        files: from the index of a draw to its texts by name.

    Returns:
        The folders.

    Raises:
        BayescgError: a folder cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.name for path in write_draws(folder, 2, lambda draw: {"a.txt": str(draw)})]
        ['draw_0000', 'draw_0001']
    """
    paths = tuple(Path(folder) / f"draw_{index:04d}" for index in range(draws))
    for index, path in enumerate(paths):
        write_files(path, files(index))
    return paths


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write texts into a folder, which may be new.

    Args:
        folder: where to.
        files: text by name.

    Raises:
        BayescgError: the folder cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_files(Path(folder) / "new", {"a.txt": "text"})
        ...     [path.name for path in (Path(folder) / "new").iterdir()]
        ['a.txt']
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)
    except OSError as error:
        raise BayescgError(
            f"folder {folder} cannot be written: {error}. Free some space, or give another folder."
        ) from error
