"""When a simulation is long enough: its Monte Carlo error is a small part of the band.

    p = sqrt(< within / (between + within) >)  <=  until        for every observable,

the mean over the elements of its curve that vary at all, so that a single bin that hardly ever sees a pair
neither stops nor holds up the rest. `within` falls as one over the length, so p = 0.1 costs a hundred times
the length at which the simulation says as much as the posterior.

A run that stops when its error looks small stops a little too often where the error is underestimated. So we
look seldom: first after `FIRST` records and then whenever the length has grown by a quarter, some dozen times
in all; and `within` is a mean over draws and elements, known to sqrt(2/19D) of itself, 6% for D = 32 draws.
The rule depends on the records and nothing else: a run that was interrupted stops where it would have.
"""

import math

import equinox as eqx
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError
from bayescg.predict.equilibrium import equilibrium
from bayescg.predict.summary import predictive, summary

RECORDS = 400
"""Into how many block means the longest run is divided, at most."""

FIRST = 20
"""Records before the first look: enough for the blocks of an error."""

GROWTH = 1.25
"""Of the length between two looks."""


class StoppingRule(eqx.Module):
    """Whether the records of an ensemble are enough.

    Attributes:
        until: largest part of the band that may be Monte Carlo error.
        names: of the observables.
        draws: draw that every run belongs to.

    Raises:
        BayescgError: a part that does not lie between 0 and 1, or a single draw.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(8, 20)) + 9.0 * np.arange(8)[:, None]
        >>> run = xr.Dataset({"a": (("draw", "record"), x), "kinetic_temperature": (("draw", "record"), x)})
        >>> rule = StoppingRule(0.1, ("a",), tuple(range(8)))
        >>> rule(run), rule(run.isel(record=slice(19)))
        (True, False)
    """

    until: float = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    draws: tuple[int, ...] = eqx.field(static=True)

    def __check_init__(self) -> None:
        if not 0 < self.until < 1:
            raise BayescgError(
                f"until must lie between 0 and 1, got {self.until}. It is the part of the band that may be "
                "Monte Carlo error; 0.1 is a good one."
            )
        if len(set(self.draws)) < 2:
            raise BayescgError(
                "draws must number at least two where until is given, got one: it has no band. Ask for more."
            )

    def __call__(self, run: xr.Dataset) -> bool:
        """Whether it is time to look, and every observable is known well enough.

        Args:
            run: block means (draw, record, ...) so far.
        """
        if not looks_at(run.sizes["record"]):
            return False
        return all(not part > self.until for part in self.parts(run).values())

    def parts(self, run: xr.Dataset) -> dict[str, float]:
        """The part p of every observable; NaN where nothing varies.

        Args:
            run: block means (draw, record, ...) so far.
        """
        names = list(self.names)
        start = equilibrium(run, names)["equilibrated_record"].to_numpy()
        draws = predictive(run.assign_coords(draw=np.asarray(self.draws)), names, start=start)
        return {name: float(summary(draws, name).attrs["monte_carlo_part"]) for name in names}


def looks_at(records: int) -> bool:
    """Whether a run of this length is looked at.

    Args:
        records: so far.

    Example:
        >>> [n for n in range(100) if looks_at(n)]
        [20, 25, 32, 40, 50, 63, 79, 99]
    """
    look = FIRST
    while look < records:
        look = math.ceil(look * GROWTH)
    return look == records
