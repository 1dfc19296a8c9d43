"""Mappings: from atoms to beads."""

import abc

import equinox as eqx
import xarray as xr


class AbstractMapping(eqx.Module):
    """A map from atoms to beads."""

    @abc.abstractmethod
    def __call__(self, atoms: xr.Dataset) -> xr.Dataset:
        """Map an atomistic Dataset (frame, atom, dim) to beads (frame, bead, dim)."""
