"""What simulations are held against: the reference as given, or measured on given beads."""

import numpy as np
import xarray as xr

from bayescg._checks import BayescgError
from bayescg.observables import RDF
from bayescg.predict import evaluate
from bayescg.viz.predictive import observable_summary


def reference_of(simulated: xr.DataTree | None, reference: xr.Dataset | None) -> xr.Dataset | None:
    """The observables of the data, ready to be compared with the simulated ones.

    Args:
        simulated: from `bayescg.simulate`; its g(r) says which distances to measure.
        reference: beads (then g(r) is measured on all their frames), observables from
            `bayescg.predict.evaluate` (used as they are), or None.

    Raises:
        BayescgError: the reference is neither.

    Example:
        >>> reference_of(None, None) is None
        True
    """
    if reference is None or simulated is None:
        return None
    if not isinstance(reference, xr.Dataset):
        raise BayescgError(
            f"reference must be a Dataset of beads or of observables, got {type(reference).__name__}. "
            "Give the beads that were fitted, or what bayescg.predict.evaluate returns."
        )
    if "position" not in reference:
        return reference
    measured = (
        [str(name) for name in simulated["summary"].children] if "summary" in simulated.children else []
    )
    name = RDF(maximum=1.0).name
    if name not in measured:
        return None
    centers = observable_summary(simulated, name)["distance"].values
    # bins are equal and begin at zero, so the last centre tells the largest distance
    maximum = float(centers[-1] * centers.size / (centers.size - 0.5))
    return evaluate(RDF(maximum=maximum, bins=int(np.size(centers))), reference)
