"""An observable from a plain function of a configuration.

The function is given one frame as a `Configuration`: `positions` (bead, dim) in nm, `box` (dim,) in nm or
None, and `topology` with types, masses and molecules. It returns an array in JAX, of the shape of its
coordinates. The same object then serves data, simulations and figures.

Anything that remembers the past (a correlation, a rate) is a class of its own: a subclass of
`AbstractTimeObservable` that says how its accumulator begins, takes in one more moment, and what sums and
weights it holds. The mean square velocity change over one interval, for example::

    class VelocityChange(bcg.interfaces.AbstractTimeObservable):
        name: str = eqx.field(static=True, default="velocity_change", init=False)
        units: str = eqx.field(static=True, default="nm^2/ps^2", init=False)
        quantity: str = eqx.field(static=True, default="velocity", init=False)

        def prepare(self, topology, interval):
            return self

        def coordinates(self, topology):
            return {}                                            # one number

        def begin(self, beads, dims):
            return jnp.full((beads, dims), jnp.nan), jnp.zeros(()), jnp.zeros(())

        def update(self, accumulator, snapshot):
            before, total, count = accumulator
            change = jnp.sum((snapshot.velocities - before) ** 2, axis=1).mean()
            known = jnp.isfinite(change)                         # the first moment has none before it
            return snapshot.velocities, total + jnp.where(known, change, 0.0), count + known

        def totals(self, accumulator):
            return bcg.interfaces.Totals(accumulator[1], accumulator[2])

        def restart(self, accumulator):
            return accumulator[0], jnp.zeros(()), jnp.zeros(())
"""

import hashlib
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import BayescgError, require
from bayescg._typing import Array
from bayescg.interfaces import AbstractObservable, Configuration, Topology

RESERVED = frozenset(
    """
    draw record run frame bead dim quantile reference reference_error mean mean_error between_draw_sd
    within_draw_sd shared_sd band monte_carlo_dominates position velocity box volume time kinetic_temperature
    total_energy energy_drift
    """.split()  # noqa: SIM905
)
"""Names that stand beside observables in results."""


class Custom(AbstractObservable):
    """What a function returns for every configuration, averaged over many.

    Attributes:
        name: under which it is found in results; a Python identifier.
        function: of a Configuration; pure, made of JAX operations.
        units: of what it returns.
        axes: dimension name, labels and unit for every axis of what it returns, in order; given as
            `coordinates`, name to labels: an `xr.Variable` with attrs["units"] where they have a unit.
        digest: of the function's code, so that a checkpoint of another function is told apart.

    Raises:
        BayescgError: a name that is no identifier or that results hold already, something that is no
            function, a dimension without labels, or (when measured) an array of another shape than its
            coordinates.

    Example:
        >>> import bayescg as bcg
        >>> def squared_size(frame):
        ...     center = frame.positions.mean(axis=0)
        ...     return jnp.sum((frame.positions - center) ** 2, axis=1).mean()
        >>> size = bcg.observables.Custom("gyration", squared_size, units="nm^2")
        >>> water = bcg.predict.evaluate(size, bcg.data.water(frames=3))
        >>> water.gyration.dims, water.gyration.attrs["units"]
        ((), 'nm^2')
    """

    name: str = eqx.field(static=True)
    function: Callable[[Configuration], Any] = eqx.field(static=True)
    units: str = eqx.field(static=True)
    axes: tuple[tuple[str, tuple[Any, ...], str], ...] = eqx.field(static=True)
    digest: str = eqx.field(static=True)

    def __init__(
        self,
        name: str,
        function: Callable[[Configuration], Any],
        *,
        units: str = "1",
        coordinates: Mapping[str, Any] | None = None,
    ) -> None:
        require(
            isinstance(name, str) and name.isidentifier(),
            f"name must be a Python identifier, got {name!r}. Write it with letters and underscores.",
        )
        require(
            callable(function),
            f"function must take a Configuration and return an array, got {type(function).__name__}.",
        )
        for given in {name, *(coordinates or {})} & RESERVED:
            raise BayescgError(f"name and coordinates must not be {given!r}, which results hold. Rename it.")
        self.name, self.function, self.units = name, function, units
        self.axes = tuple(
            (axis, _labels(axis, labels), str(getattr(labels, "attrs", {}).get("units", "")))
            for axis, labels in (coordinates or {}).items()
        )
        self.digest = _digest(function)

    def prepare(self, topology: Topology, box: Any) -> "Custom":
        """Nothing is taken from the system."""
        return self

    def coordinates(self, topology: Topology) -> dict[str, Any]:
        """As they were given."""
        return {
            axis: xr.Variable(axis, list(labels), {"units": unit} if unit else {})
            for axis, labels, unit in self.axes
        }

    def measure(self, configuration: Configuration) -> Array:
        """What the function returns, checked for its shape."""
        found = jnp.asarray(self.function(configuration))
        if found.shape != tuple(len(labels) for _, labels, _ in self.axes):
            axes = (
                ", ".join(f"{axis} of {len(labels)}" for axis, labels, _ in self.axes) or "none, for a number"
            )
            raise BayescgError(
                f"the function of {self.name} must return an array with its coordinates ({axes}), got the "
                f"shape {found.shape}. Give a dimension with labels for every axis, in order."
            )
        return found


def _labels(axis: str, labels: Any) -> tuple[Any, ...]:
    values = np.asarray(labels)
    require(
        values.ndim == 1 and values.size > 0,
        f"coordinates must give a row of labels for {axis!r}, got an array of shape {values.shape}.",
    )
    return tuple(values.tolist())


def _digest(function: Any) -> str:
    """Of the code; of the name alone where there is none to see, as for a jitted function."""
    inner = getattr(function, "__wrapped__", function)
    code = getattr(inner, "__code__", None)
    text = repr(_content(code)) if code else getattr(inner, "__qualname__", type(inner).__qualname__)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _content(code: CodeType) -> tuple[Any, ...]:
    """Instructions, names and constants, those of inner functions included; no addresses."""
    constants = [_content(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return code.co_code, code.co_names, constants
