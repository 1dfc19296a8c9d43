"""The temperature that velocities show.

Equipartition gives every momentum k_B T / 2, so with N free degrees of freedom

    T_kin = < sum_i m_i v_i² > / (N k_B),        Var T_kin = 2 T² / N   in one canonical frame.

Atoms may be held by constraints, centers of mass are not: for atoms the velocities of the molecules'
centers are used, for beads their own. Total momentum is taken out of N where it is found at rest.
"""

import warnings

import equinox as eqx
import numpy as np
import xarray as xr
from scipy.sparse import csr_array

from bayescg._checks import BayescgWarning
from bayescg._typing import NumpyArray
from bayescg.data.weighting import weighted_sums
from bayescg.units import BOLTZMANN

SYSTEMATIC = 0.03
"""Relative deviation that is no reason to warn. An NVE run keeps the energy it started with, so its
temperature lies off the nominal one by about sqrt(k_B / C), 1.5% for 510 waters (two of these allowed);
integration errors of a 2 fs step take up to 1% more."""

STANDARD_ERRORS = 3.0
"""Sampling errors that are no reason to warn."""

BLOCKS = 20
"""Blocks of frames whose means give the sampling error, correlation in time included."""

AT_REST = 0.01
"""Total momentum squared, relative to equipartition, under which it counts as held at zero."""


class KineticTemperature(eqx.Module):
    """A temperature measured from velocities.

    Attributes:
        value: K.
        error: standard error from sampling, K.
        degrees_of_freedom: number of free momenta in a frame.
    """

    value: float
    error: float
    degrees_of_freedom: int

    def agrees(self, temperature: float) -> bool:
        """Whether a stated temperature (K) is within the allowed deviation.

        Example:
            >>> KineticTemperature(294.5, 0.4, 1527).agrees(300.0)
            True
            >>> KineticTemperature(280.0, 0.4, 1527).agrees(300.0)
            False
        """
        allowed = SYSTEMATIC * temperature + STANDARD_ERRORS * self.error
        return abs(self.value - temperature) <= allowed


def kinetic_temperature(dataset: xr.Dataset) -> KineticTemperature:
    """Measure the temperature of the velocities.

    Args:
        dataset: atoms or beads with velocity and mass. Of lazy data the first chunk is looked at.

    Returns:
        Temperature, its sampling error, degrees of freedom.

    Example:
        >>> import numpy as np, xarray as xr
        >>> velocity = xr.DataArray(np.full((1, 1, 3), 0.5), dims=("frame", "bead", "dim"))
        >>> mass = xr.DataArray([10.0], dims="bead")
        >>> measured = kinetic_temperature(xr.Dataset({"velocity": velocity, "mass": mass}))
        >>> round(measured.value, 1), measured.degrees_of_freedom
        (300.7, 3)
    """
    velocity = dataset["velocity"]
    if velocity.chunks is not None:
        velocity = velocity[: velocity.chunksizes["frame"][0]]
    values, masses = velocity.to_numpy(), dataset["mass"].to_numpy().astype(np.float64)
    if "atom" in dataset.dims and "molecule" in dataset:
        values, masses = _centers(values, masses, dataset["molecule"].to_numpy())
    squares = np.sum(values.astype(np.float64) ** 2, axis=2) @ masses
    frames, sites, dims = values.shape
    momenta = np.einsum("fsd,s->fd", values, masses, dtype=np.float64)
    total = np.mean(np.sum(momenta**2, axis=1)) / masses.sum()
    held = sites > 1 and total < AT_REST * np.mean(squares) / sites
    count = (sites - 1 if held else sites) * dims
    series = squares / (count * BOLTZMANN)
    value = float(series.mean())
    error = value * np.sqrt(2.0 / (count * frames))
    if frames >= 2 * BLOCKS:
        means = np.array([block.mean() for block in np.array_split(series, BLOCKS)])
        error = max(error, float(means.std(ddof=1) / np.sqrt(BLOCKS)))
    return KineticTemperature(value, float(error), count)


def warn_if_inconsistent(dataset: xr.Dataset) -> None:
    """Warn, with both numbers, if velocities do not show the temperature stated in the attributes.

    Example:
        >>> import numpy as np, xarray as xr
        >>> velocity = xr.DataArray(np.full((1, 1, 3), 0.5), dims=("frame", "bead", "dim"))
        >>> beads = xr.Dataset({"velocity": velocity, "mass": ("bead", [10.0])}, attrs={"temperature": 300.0})
        >>> warn_if_inconsistent(beads)
    """
    stated = float(dataset.attrs["temperature"])
    measured = kinetic_temperature(dataset)
    if measured.agrees(stated):
        return
    warnings.warn(
        f"velocities show {measured.value:.1f} +- {measured.error:.1f} K, but temperature is stated as "
        f"{stated:.1f} K. State the temperature the run was done at; if it is right, look at the units of "
        "the velocities, the masses, the thermostat, or a map that cuts through rigid groups.",
        BayescgWarning,
        stacklevel=3,
    )


def _centers(
    velocities: NumpyArray, masses: NumpyArray, molecules: NumpyArray
) -> tuple[NumpyArray, NumpyArray]:
    total = np.bincount(molecules, masses)
    weights = csr_array((masses / total[molecules], (molecules, np.arange(len(masses)))))
    return weighted_sums(weights, velocities), total
