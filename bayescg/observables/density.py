"""The probability density of a collective variable, and the free energy that it stands for.

p(x) = <delta(x - xi)>,        F(x) = -kT ln p(x) + const.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import positive, require, whole
from bayescg._typing import Array, Float
from bayescg.interfaces import AbstractObservable, Configuration, Topology
from bayescg.units import thermal_energy


class Density(AbstractObservable):
    """Probability density in equal bins, averaged over beads and components.

    Attributes:
        minimum: left edge of the first bin, in the variable's unit.
        maximum: right edge of the last. What falls outside counts as probability that is not in the bins.
        bins: number of bins.
        period: of a periodic variable, which is then folded into the range; None for others.
        unit: of the variable.

    Raises:
        BayescgError: edges in the wrong order, or a range that is not one period.

    Example:
        >>> import bayescg as bcg
        >>> bcg.observables.Density(minimum=-2.0, maximum=2.0, bins=40).name
        'probability_density'
    """

    minimum: float = eqx.field(static=True)
    maximum: float = eqx.field(static=True)
    bins: int = eqx.field(static=True)
    period: float | None = eqx.field(static=True)
    unit: str = eqx.field(static=True)
    name: str = eqx.field(static=True)
    units: str = eqx.field(static=True)

    def __init__(
        self,
        minimum: float,
        maximum: float,
        bins: int = 50,
        period: float | None = None,
        unit: str = "nm",
    ) -> None:
        self.minimum, self.maximum, self.period = float(minimum), float(maximum), period
        self.bins, self.unit = whole("bins", bins), unit
        self.name, self.units = "probability_density", f"1/{unit}"
        require(
            self.minimum < self.maximum,
            f"minimum must be below maximum, got {self.minimum} and {self.maximum}. Exchange them.",
        )
        if self.period is not None:
            require(
                bool(np.isclose(self.maximum - self.minimum, self.period)),
                f"the range must be one period of {self.period}, got {self.minimum} to {self.maximum}. "
                "Give for example minimum=-pi, maximum=pi for an angle.",
            )

    def prepare(self, topology: Topology, box: Any) -> "Density":
        """Nothing is taken from the system."""
        return self

    def coordinates(self, topology: Topology) -> dict[str, Any]:
        """Bin centres."""
        edges = np.linspace(self.minimum, self.maximum, self.bins + 1)
        return {"value": xr.Variable("value", 0.5 * (edges[1:] + edges[:-1]), {"units": self.unit})}

    def measure(self, configuration: Configuration) -> Float[Array, " value"]:
        """Fraction of the components in every bin over its width."""
        width = (self.maximum - self.minimum) / self.bins
        x = configuration.positions.ravel()
        if self.period is not None:
            x = self.minimum + jnp.mod(x - self.minimum, self.period)
        place = jnp.floor((x - self.minimum) / width)
        # rounding may put a folded value on the right edge
        place = jnp.where(self.period is not None, jnp.minimum(place, self.bins - 1), place)
        inside = (place >= 0) & (place < self.bins)
        counts = jnp.zeros(self.bins + 1).at[jnp.where(inside, place, self.bins).astype(int)].add(1.0)
        return counts[:-1] / (x.size * width)


def free_energy(density: xr.DataArray, *, temperature: float) -> xr.DataArray:
    """F = -kT ln p with its lowest value at zero, kJ/mol; infinite where nothing was sampled.

    Args:
        density: with the dimension `value`, from simulations or data.
        temperature: K.

    Example:
        >>> p = xr.DataArray([0.5, 1.0, 0.5], dims="value")
        >>> free_energy(p, temperature=300.0).values.round(3).tolist()
        [1.729, 0.0, 1.729]
    """
    kT = thermal_energy(positive("temperature", temperature, unit="K"))
    values = density.to_numpy().astype(float)
    energy = density.copy(data=-kT * np.log(values, out=np.full(values.shape, -np.inf), where=values > 0))
    return (energy - energy.min("value")).assign_attrs(units="kJ/mol").rename("free_energy")
