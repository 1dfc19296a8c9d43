"""Verdict: what data determine, in words and as a table of directions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bayescg._typing import Float, NumpyArray
from bayescg.identifiability.ranks import BAYESIAN_THRESHOLD

LARGE = 0.3
"""Loadings above this part of the largest are named."""

SINGLY = 3
"""Parameters of a direction that are named one by one; of more, the ends of their range."""

NAMED_PARAMETERS = 12
"""Parameters up to which combinations are looked for."""

NAMED_DIRECTIONS = 3
"""Directions left to the prior that are named in the paragraph."""

TABLE_ROWS = 12
"""Directions in the table: the best and the worst where there are more."""

NOTHING = 1.01
"""Ratio of standard deviations under which the data say nothing worth naming."""


def paragraph(identified: Any) -> str:
    """What the data determine, in a few sentences, one a line.

    Args:
        identified: from `bayescg.identify`.

    Example:
        >>> import bayescg as bcg
        >>> print(paragraph(bcg.identify.from_jacobian([[9.0, 0.0]], names=["a", "b"])))
        The data determine 1.0 of 2 parameters (2.2 nats gained over the prior); 1 direction is left to it.
        Best determined: a, known 9.06 times as sharply as under the prior.
        Left to the prior: b.
        Of 2 parameters only a (local) is identified. Local: it may hold near this point only.
        The data do not depend on b.
    """
    lines = [_scope(identified), f"Best determined: {identified.best}."]
    if identified.complete:
        lines.append(_worst(identified))
    negative = int(identified.spectrum.attrs.get("negative", 0))
    if negative:
        lines.append(
            f"{negative} eigenvalue{'s are' if negative > 1 else ' is'} negative: this is no Fisher "
            "information (a noisy estimate, or no maximum). They are shown as zero, and so is all "
            f"below their size, lambda = {identified.spectrum.attrs['noise_floor']:.2g}."
        )
    return "\n".join([*lines, *_combinations(identified), *_inert(identified)])


def table(identified: Any) -> str:
    """Directions, the best and the worst determined, and the three ranks.

    Args:
        identified: from `bayescg.identify`.

    Example:
        >>> import bayescg as bcg
        >>> print(table(bcg.identify.from_jacobian([[3.0]], names=["a"])).splitlines()[1])
                1            9                         0.316  a
    """
    spectrum = identified.spectrum
    count, half = spectrum.sizes["direction"], TABLE_ROWS // 2
    shown: list[int | None] = list(range(count))
    if count > TABLE_ROWS:
        shown = [*range(half), None, *range(count - half, count)]
    error = spectrum.get("information_error")
    lines = [f"{'direction':>9}  {'information':>11}  {'± (s.e.)':>8}  {'posterior/prior sd':>18}  made of"]
    for index in shown:
        if index is None:
            lines.append(f"{'...':>9}")
            continue
        row = spectrum.isel(direction=index)
        spread = "" if error is None else f"{float(error[index]):8.2g}"
        lines.append(
            f"{index + 1:>9}  {float(row['information']):>11.4g}  {spread:>8}  "
            f"{float(row['contraction']):>18.3g}  {identified.made_of(index)}"
        )
    return "\n".join([*lines, *_clusters(spectrum), *_ranks(identified.ranks)])


def known_so_well(identified: Any, direction: int) -> str:
    """A direction and how much better than the prior the data know it.

    Args:
        identified: from `bayescg.identify`.
        direction: its number; negative ones count from the worst.

    Example:
        >>> import bayescg as bcg
        >>> known_so_well(bcg.identify.from_jacobian([[3.0]], names=["a"]), 0)
        'a, known 3.16 times as sharply as under the prior'
    """
    ratio = 1 / float(identified.spectrum["contraction"].values[direction])
    made_of = identified.made_of(direction)
    if ratio < NOTHING:
        return f"{made_of}, known no better than under the prior"
    size = f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"
    return f"{made_of}, known {size} times as sharply as under the prior"


def direction_in_words(
    loadings: Float[NumpyArray, " parameter"],
    places: Sequence[str],
    *,
    widths: Float[NumpyArray, " parameter"] | float,
    logarithmic: Sequence[bool],
) -> str:
    """The parameters that a direction is made of.

    Args:
        loadings: of the direction.
        places: what every parameter is.
        widths: of the prior, in which loadings are compared.
        logarithmic: whether a parameter is meant by its logarithm; empty where that is not known.

    Example:
        >>> names = ["stiffness", "friction"]
        >>> direction_in_words(np.array([1.0, 1.0]), names, widths=1.0, logarithmic=[True, True])
        'log stiffness + log friction'
    """
    sizes = np.abs(loadings) / widths
    large = [int(i) for i in np.flatnonzero(sizes > LARGE * sizes.max())]
    if len(large) > SINGLY:
        signs = "with one sign" if np.ptp(np.sign(loadings[large])) == 0 else "with changing sign"
        ends = f"{places[large[0]]} to {places[large[-1]]}"
        return f"{len(large)} parameters together ({ends}, {signs})"
    largest = np.abs(loadings[large]).max()
    text = ""
    for i in large:
        part = loadings[i] / largest
        name = f"log {places[i]}" if len(logarithmic) and logarithmic[i] else places[i]
        sign = ("- " if part < 0 else "+ ") if text else ("-" if part < 0 else "")
        text += f"{' ' if text else ''}{sign}{_size(abs(part))}{name}"
    return text


def _size(part: float) -> str:
    """Nothing for one; two decimals, or two digits where these would be zero."""
    if abs(part - 1) < 0.005:
        return ""
    return f"{part:.2f} " if part >= 0.1 else f"{part:.2g} "


def _scope(identified: Any) -> str:
    gain = identified.information_gain
    nats = f"{gain:.1f}" if gain < 10 else f"{gain:,.0f}"
    known, count = identified.effective_dimension, len(identified.places)
    if not identified.complete:
        return (
            f"The data determine at least {known:.1f} of {count} parameters (at least {nats} nats gained "
            f"over the prior): the best {identified.spectrum.sizes['direction']} directions are known, "
            "nothing is said of the others."
        )
    null = identified.null_directions.sizes["direction"]
    left = "no direction is" if null == 0 else f"{null} direction{'s are' if null > 1 else ' is'}"
    return (
        f"The data determine {known:.1f} of {count} parameters ({nats} nats gained over the prior); "
        f"{left} left to it."
    )


def _worst(identified: Any) -> str:
    """Directions that are left to the prior, or the worst of those that are not."""
    null = identified.null_directions.sizes["direction"]
    if null == 0:
        return f"Worst determined: {identified.worst}."
    named = [identified.made_of(-1 - i) for i in range(min(null, NAMED_DIRECTIONS))]
    more = f"; and {null - len(named)} more" if null > len(named) else ""
    return f"Left to the prior: {'; '.join(named)}{more}."


def _combinations(identified: Any) -> list[str]:
    ranks, count = identified.ranks, len(identified.places)
    if ranks is None or not identified.complete or count > NAMED_PARAMETERS:
        return []
    rank = ranks.numerical
    if rank is None or rank == count or identified.experiment is None or not identified.informations:
        return []
    if rank == 0:
        return ["Nothing is identified: the data do not depend on the parameters."]
    named = "; ".join(f"{one.text} ({one.label})" for one in identified.combinations)
    labels = {one.label for one in identified.combinations}
    meaning = {
        "certified": " Certified: it holds at other points and on finite moves too.",
        "local": " Local: it may hold near this point only.",
    }
    line = f"Of {count} parameters only {named} {'is' if rank == 1 else 'are'} identified."
    return [line + "".join(text for label, text in meaning.items() if label in labels)]


def _inert(identified: Any) -> list[str]:
    """Parameters on which no prediction depends."""
    if not identified.complete or identified.experiment is None or not identified.informations:
        return []
    diagonal = np.diag(identified.matrix) / np.diag(identified.experiment.precision)
    floor = float(identified.spectrum.attrs["noise_floor"])
    inert = [name for name, own in zip(identified.places, diagonal, strict=True) if own <= floor]
    if not inert or len(inert) == len(diagonal):
        return []
    return [f"The data do not depend on {', '.join(inert)}."]


def _clusters(spectrum: Any) -> list[str]:
    """Directions with information that have a meaning together only."""
    seen = spectrum["information"].values >= BAYESIAN_THRESHOLD
    cluster = np.where(seen, spectrum["cluster"].values, -1) if "cluster" in spectrum else np.array([])
    sizes = {int(number): np.flatnonzero(cluster == number) for number in np.unique(cluster) if number >= 0}
    ranges = [f"{found[0] + 1} to {found[-1] + 1}" for found in sizes.values() if found.size > 1]
    if not ranges:
        return []
    return [f"directions {', '.join(ranges)} cannot be told apart: only their span has a meaning"]


def _ranks(ranks: Any) -> list[str]:
    if ranks is None:
        return []
    numerical, monte_carlo = "not known", "not known (no blocks that were sampled)"
    if ranks.numerical is not None:
        above = f"singular values above {ranks.numerical_threshold:.1e}"
        numerical = f"{ranks.numerical}, what enters the model ({above})"
    if ranks.monte_carlo is not None:
        above = f"above {ranks.monte_carlo_threshold:g} standard errors over {ranks.blocks} blocks"
        monte_carlo = f"{ranks.monte_carlo}, what the data show ({above})"
    above = f"information of at least {ranks.bayesian_threshold:g}"
    bayesian = f"{ranks.bayesian}, what is known better than the prior said ({above})"
    return [f"numerical rank: {numerical}", f"Monte Carlo rank: {monte_carlo}", f"Bayesian rank: {bayesian}"]
