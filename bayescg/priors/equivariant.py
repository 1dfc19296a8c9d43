"""Default prior of `Equivariant`: normals per layer, whose forces are of order k_B T per bead spacing.

    weights of a kind ~ N(0, s²)

The potential divides every sum by the root of its number of terms, so one s serves networks of any width:
one, for every kind. With `scale` at 1 kJ/mol, forces drawn on water then are of order k_B T over the spacing
of 0.28 nm, 9 kJ/mol/nm. Give the potential another `scale`, or change entries with `|`, for other sizes.
"""

from typing import Any

import numpyro.distributions as dist

from bayescg.interfaces import Support
from bayescg.model import parameters
from bayescg.potentials.equivariant import Equivariant
from bayescg.priors.defaults import _of

LAYER_SCALES = {
    "type_weights": 1.0,
    "mixtures": 1.0,
    "path_weights": 1.0,
    "couplings": 1.0,
    "channel_weights": 1.0,
    "linear": 1.0,
    "hidden": 1.0,
    "output": 1.0,
}
"""Standard deviation s of every kind of weight."""


def network_default(potential: Equivariant) -> dict[str, Any]:
    """Default entries of a network: path within it -> prior.

    Args:
        potential: prepared or not; the paths do not depend on the bead types.

    Example:
        >>> import bayescg as bcg
        >>> small = bcg.potentials.Equivariant(cutoff=0.6, layers=1, correlation=1, hidden=0)
        >>> sorted(network_default(small))
        ['blocks.0.density.type_weights', 'blocks.0.readout.linear']
    """
    ready = potential
    if potential.blocks is None:
        ready = potential.prepare(Support(("A",), (potential.cutoff / 2,)))
    return {path: dist.Normal(0.0, LAYER_SCALES[_kind(path)]) for path in parameters(ready)}


@_of.register
def _(potential: Equivariant) -> dict[str, Any]:
    return network_default(potential)


def _kind(path: str) -> str:
    return next(name for name in reversed(path.split(".")) if not name.isdigit())
