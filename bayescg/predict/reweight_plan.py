"""What is reweighted to what: the draws, the models that are simulated for them, and the settings."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np  # noqa: F401

from bayescg._checks import BayescgError, whole
from bayescg._typing import NumpyArray
from bayescg.data import topology
from bayescg.inference import Problem, Selection, spread_frames
from bayescg.interfaces import AbstractObservable
from bayescg.model import Model
from bayescg.potentials import at_temperature
from bayescg.predict.defaults import Observables
from bayescg.predict.reweight_energies import Frames, draw_energies
from bayescg.predict.reweight_pool import energies_of
from bayescg.predict.reweight_references import choose_references
from bayescg.units import thermal_energy

DATA_FRAMES = 40
"""Frames of the data that tell how far the draws are from each other."""


class Plan(NamedTuple):
    """What all steps know.

    Attributes:
        problem: of the posterior.
        chosen: draws.
        models: of the draws, and last that of the mean of their parameters.
        observables: not prepared.
        settings: of the dynamics.
    """

    problem: Problem
    chosen: Selection
    models: list[Model]
    observables: tuple[AbstractObservable, ...]
    settings: dict[str, Any]

    @property
    def draws(self) -> int:
        """Number of draws."""
        return len(self.models) - 1

    @property
    def names(self) -> list[str]:
        """Of the observables."""
        return [observable.name for observable in self.observables]

    @property
    def thermal_energy(self) -> float:
        """kT, kJ/mol."""
        return thermal_energy(self.settings["temperature"])


class References(NamedTuple):
    """What is simulated.

    Attributes:
        places: among the models.
        frames: the observable that keeps frames and energies.
    """

    places: NumpyArray
    frames: Frames


def static_observables(observables: Observables) -> tuple[AbstractObservable, ...]:
    """Averages over configurations alone.

    Args:
        observables: any.

    Raises:
        BayescgError: one over time, or of an energy.

    Example:
        >>> import bayescg as bcg
        >>> len(static_observables([bcg.observables.RDF()]))
        1
    """
    for observable in observables:
        if not isinstance(observable, AbstractObservable):
            raise BayescgError(
                "observables must be averages over configurations, got "
                f"{getattr(observable, 'name', observable)!r}: a curve over time belongs to the dynamics of "
                "one draw, and an energy to its potential. Use bayescg.simulate for it."
            )
    return tuple(observables)  # pyright: ignore[reportReturnType]


def center_of(problem: Problem, chosen: Selection) -> Model:
    """The model of the mean of the draws' parameters.

    Args:
        problem: of the posterior.
        chosen: draws.

    Example:
        >>> from types import SimpleNamespace
        >>> linear = SimpleNamespace(model=lambda values: float(values["a"]))
        >>> center_of(linear, Selection(np.zeros(2), np.arange(2), {"a": np.array([1.0, 2.0])}))
        1.5
    """
    return problem.model({path: values.mean(axis=0) for path, values in chosen.values.items()})


def references_of(plan: Plan, wanted: int | None) -> References:
    """Energies of frames of the data under all models say which of them to simulate.

    Args:
        plan: models and settings.
        wanted: number of references, or None.
    """
    beads = plan.problem.beads
    beads_topology = topology(beads)
    _, positions, box = spread_frames(beads, min(DATA_FRAMES, beads.sizes["frame"]))
    kelvin = plan.settings["temperature"]
    frames = Frames(
        tuple(o.prepare(beads_topology, box) for o in plan.observables),
        draw_energies(
            [at_temperature(m.potential, kelvin) for m in plan.models], len(beads_topology.type_names)
        ),
        beads_topology,
        None if box is None else jnp.asarray(box),
        kept=1,
        capacity=1,
        dims=positions.shape[2],
    )
    energies, frames = energies_of(frames, positions)
    if wanted is not None:
        wanted = whole("references", wanted)
    return References(choose_references(energies / plan.thermal_energy, plan.draws, wanted), frames)


def reference_names(plan: Plan, references: References) -> list[int]:
    """Draws that are references; -1 is the mean of the parameters.

    Args:
        plan: models and settings.
        references: their places.
    """
    return [int(place) if place < plan.draws else -1 for place in references.places]
