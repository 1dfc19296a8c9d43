"""A stochastic map: Gaussian noise on mapped positions, whose mean force the noise itself gives.

With y = M q and x = y + s e, e ~ N(0, 1), the density of x is p(x) = E[N(x; y, s²)], so

    kT grad ln p(x) = E[ n | x ],   n = -kT (x - y) / s² = -kT e / s,        (noise alone)
    kT grad ln p(x) = E[ b | x ],   b = B f at y,                            (atomistic force)

the second because the gradient may be moved onto p(y) under the convolution. Both are unbiased, and so is
every a n + (1 - a) b with a constant a. e is independent of q, so <n b> = 0 and the least noise is at

    a = <b²> / (<b²> + <n²>),   <n²> = (kT / s)²,

one a for every kind of bead. Without forces in the data a = 1.

References:
    Durumeric, Chen, Pasos-Trejo, Noé, Clementi (2026), doi:10.1038/s41467-026-70818-0.
    Vincent (2011), doi:10.1162/NECO_a_00142.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bayescg._checks import positive
from bayescg._typing import NumpyArray, PRNGKeyArray
from bayescg.data.dataset import validate
from bayescg.data.weighting import frame_blocks, per_frame
from bayescg.interfaces import AbstractMapping
from bayescg.units import UNITS, thermal_energy


class Noised(AbstractMapping):
    """Add Gaussian noise to the positions of a map.

    x = M q + s e; the force is the combination of noise and atomistic force with the least variance, as
    derived in `bayescg.data.noised`. Velocities are dropped: noised positions do not move by them.
    The potential that is fitted is the one smeared by the noise, so `scale` should be small against the
    features of interest. The noise depends on the key and the number of the frame only, so that lazy and
    eager data agree.

    Attributes:
        base: the map that is noised.
        scale: standard deviation s of the noise in every direction, nm.
        key: of the noise.
        use_forces: False takes the noise alone even where there are forces, for maps whose forces would
            be biased.

    Example:
        >>> import bayescg as bcg, jax
        >>> atoms = bcg.data.synthetic.rigid_water(frames=2, molecules=8)
        >>> noised = Noised(bcg.mapping.CenterOfMass(), scale=0.02, key=jax.random.key(0))
        >>> noised(atoms).attrs["mapping"]
        'center of mass of each residue, with Gaussian noise of 0.02 nm'
    """

    base: AbstractMapping
    scale: float
    key: PRNGKeyArray
    use_forces: bool = True

    def __check_init__(self) -> None:
        positive(
            "scale", self.scale, unit="nm", remedy="Give the width of the noise; 0.01 to 0.03 nm is usual."
        )

    def __call__(self, atoms: xr.Dataset) -> xr.Dataset:
        """Map atoms to noised beads.

        Args:
            atoms: a Dataset of atoms, with a temperature.

        Returns:
            Dataset of beads; it always has forces.

        Raises:
            BayescgError: the temperature is missing, or the base map refuses the atoms.
        """
        atoms = validate(atoms, needs=("position", "temperature"))
        beads = self.base(atoms if self.use_forces else atoms.drop_vars("force", errors="ignore"))
        kT = thermal_energy(float(beads.attrs["temperature"]))
        noise = _noise_like(beads["position"], self.key)
        position = beads["position"].data + self.scale * noise
        from_noise = (-kT / self.scale) * noise
        if "force" in beads:
            share = _share_of_noise(beads, noise_variance=(kT / self.scale) ** 2)[:, None]
            force = share * from_noise + (1.0 - share) * beads["force"].data
            sentence = f"{beads.attrs['force_mapping']}, combined with the score of the noise"
        else:
            force, sentence = from_noise, "score of the noise"
        values = {"position": position.astype(np.float32), "force": force.astype(np.float32)}
        beads = beads.drop_vars("velocity", errors="ignore").assign(
            {k: (("frame", "bead", "dim"), v, {"units": UNITS[k]}) for k, v in values.items()}
        )
        what = f"{beads.attrs['mapping']}, with Gaussian noise of {self.scale:g} nm"
        return beads.assign_attrs(mapping=what, force_mapping=sentence)


def _noise_like(values: xr.DataArray, key: PRNGKeyArray) -> Any:
    """Standard normal numbers of the shape of `values`; those of a frame depend on its number alone."""
    numbers = xr.DataArray(np.arange(values.shape[0])[:, None], dims=("frame", "one"))

    def draw(block: NumpyArray, numbers: NumpyArray) -> NumpyArray:
        def one(number: jax.Array) -> jax.Array:
            return jax.random.normal(jax.random.fold_in(key, number), block.shape[1:], dtype=jnp.float32)

        return np.asarray(jax.vmap(one)(jnp.asarray(numbers[:, 0, 0], dtype=jnp.uint32)))

    return per_frame(draw, values, numbers, sites=values.shape[1])


def _share_of_noise(beads: xr.Dataset, *, noise_variance: float) -> NumpyArray:
    """A = <b²> / (<b²> + <n²>) of every bead, averaged over its kind."""
    squares, frames = np.zeros(beads.sizes["bead"]), beads.sizes["frame"]
    for block in frame_blocks(beads["force"]):
        squares += np.sum(block.astype(np.float64) ** 2, axis=(0, 2))
    mean = squares / (frames * beads.sizes["dim"])
    kinds = np.unique(beads["type"].to_numpy().astype(str), return_inverse=True)[1]
    pooled = (np.bincount(kinds, mean) / np.bincount(kinds))[kinds]
    return pooled / (pooled + noise_variance)
