"""Equivariant: a neural many-body potential that knows the symmetries of space.

    U = scale sum_i sum_layers e(products of A_i),        A_i = sum_j R(r_ij) Y(u_ij) ⊗ h_j,

densities A of the neighbours (`equivariant_density`), their products by Clebsch-Gordan coefficients
(`equivariant_products`), and an energy of the products of degree zero (`equivariant_readout`). The features h
that a layer sends to the next are products as well, so that a bead sees through its neighbours up to
`layers` cutoffs far. Features of degree l carry the parity (-1)^l, irreps 0e + 1o + 2e + ... of O(3).

Which differences it sees. An energy that is the same in every rotation AND mirror, as physics without
magnetic fields or handed surroundings asks, gives mirror images equal energies: so do pairs, three-body
angles and this potential by default. Left and right hands are told apart only by an energy with a
pseudoscalar, `parity=False`, which keeps rotations alone (SO(3)): right where beads stand for chiral
molecules. Blindness of another kind is cured by any angular function: a pair potential cannot tell apart
configurations with equal lists of distances, nor can one whose beads see only their own lists of distances.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError, positive, require, whole
from bayescg._typing import Array, Float, PRNGKeyArray
from bayescg.interfaces import AbstractPotential, Configuration, Support
from bayescg.model import parameters
from bayescg.potentials.equivariant_couplings import paths
from bayescg.potentials.equivariant_density import MessageDensity, TypeDensity, draw
from bayescg.potentials.equivariant_edges import edges_of
from bayescg.potentials.equivariant_layer import Layer
from bayescg.potentials.equivariant_products import Features, Products
from bayescg.potentials.equivariant_readout import Readout

AXES = {
    "type_weights": ("factor", "type", "degree", "function", "channel"),
    "mixtures": ("radial", "mixture"),
    "path_weights": ("factor", "path", "mixture", "channel"),
    "couplings": ("path", "channel"),
    "channel_weights": ("factor", "degree", "channel", "feature"),
    "linear": ("type", "descriptor"),
    "hidden": ("descriptor", "neuron"),
    "output": ("type", "neuron"),
}
"""Names of the axes of every kind of parameter."""

CROWD = 2.0
"""Neighbours within a cutoff of one shortest distance, a third power: in water at 0.6 nm 31, counted 29."""


class Equivariant(AbstractPotential):
    """A message-passing potential, equivariant under rotations, mirrors, translations and permutations.

    Energy, forces and second derivatives are continuous where a neighbour enters or leaves. A bead without
    neighbours has no energy. Weights are all of order one, scaled in the formulas by how many terms they
    multiply; `prepare` draws them as standard normals. Add a repulsive baseline, `PairSpline(...) +
    Equivariant(...)`: below the shortest distance in the data a network is only what its prior is.

    Attributes:
        cutoff: nm.
        channels: number of features of every degree.
        l_max: largest degree of the spherical harmonics.
        radial: number of radial functions.
        correlation: factors in a product: v of them make an energy of v + 1 beads in one layer.
        layers: rounds of messages; with one, the energy is of a bead and its neighbours alone.
        messages: largest degree of the features that beads send.
        mixtures: learned radial functions of the messages, shared by all channels and paths.
        hidden: neurons of every readout; 0 for energies linear in the products.
        parity: whether mirror images have equal energies.
        scale: of a bead's energy where weights are of order one, kJ/mol.
        neighbors: typical number of neighbours, which the sums are scaled by; None for that of a liquid
            with the data's shortest distance.
        seed: of the weights that `prepare` draws.
        dtype: precision of weights and layers, as `jax.numpy.float32`; None for JAX's default. Displacements
            and the sum over beads keep that of the positions.
        type_names: bead types; set by `prepare`.
        blocks: the layers with their weights; set by `prepare`.

    Raises:
        BayescgError: a number that is not positive, messages of a higher degree than l_max, or
            `parity=False` where no product could tell left from right.

    References:
        S. Batzner et al., Nat. Commun. 13, 2453 (2022), doi:10.1038/s41467-022-29939-5.
        I. Batatia et al., NeurIPS 35, 11423 (2022), doi:10.48550/arXiv.2206.07697.

    Example:
        >>> import bayescg as bcg
        >>> network = bcg.potentials.Equivariant(cutoff=0.6, channels=4, l_max=1, radial=4, layers=1)
        >>> ready = network.prepare(bcg.interfaces.Support(("W",), (0.25,)))
        >>> ready.blocks[0].density.type_weights.shape, ready.neighbors
        ((2, 1, 2, 4, 4), 28.0)
    """

    cutoff: float = eqx.field(static=True)
    channels: int = eqx.field(static=True, default=16)
    l_max: int = eqx.field(static=True, default=2)
    radial: int = eqx.field(static=True, default=8)
    correlation: int = eqx.field(static=True, default=2)
    layers: int = eqx.field(static=True, default=2)
    messages: int = eqx.field(static=True, default=1)
    mixtures: int = eqx.field(static=True, default=4)
    hidden: int = eqx.field(static=True, default=16)
    parity: bool = eqx.field(static=True, default=True)
    scale: float = eqx.field(static=True, default=1.0)
    neighbors: float | None = eqx.field(static=True, default=None)
    seed: int = eqx.field(static=True, default=0)
    dtype: Any = eqx.field(static=True, default=None)
    type_names: tuple[str, ...] = eqx.field(static=True, default=())
    blocks: tuple[Layer, ...] | None = None

    def __check_init__(self) -> None:
        positive("cutoff", self.cutoff, unit="nm")
        positive("scale", self.scale, unit="kJ/mol")
        for name in ("channels", "radial", "correlation", "layers", "mixtures"):
            whole(name, getattr(self, name))
        for name in ("l_max", "messages", "hidden", "seed"):
            whole(name, getattr(self, name), minimum=0)
        if self.neighbors is not None:
            positive("neighbors", self.neighbors)
        require(
            self.layers == 1 or self.messages <= self.l_max,
            f"messages must not exceed l_max, which is {self.l_max}, got {self.messages}. Raise l_max, or "
            "send features of a lower degree.",
        )
        sees_hands = self.correlation >= 3 or (
            self.correlation == 2 and self.layers > 1 and self.messages > 0
        )
        require(
            self.parity or (sees_hands and self.l_max > 0),
            "parity=False needs l_max of at least 1, and products of three directions: correlation=3, or "
            f"correlation=2 with two layers and messages=1, got l_max={self.l_max}, "
            f"correlation={self.correlation}, layers={self.layers}, messages={self.messages}.",
        )

    def prepare(self, support: Support) -> "Equivariant":
        """Draw the weights for these bead types; weights that are there already stay."""
        support.check_types(self.type_names)
        if self.blocks is not None:
            return self
        neighbors = self.neighbors
        if neighbors is None:
            nearest = min((r for r in support.shortest if np.isfinite(r)), default=self.cutoff)
            neighbors = float(max(round(CROWD * (self.cutoff / nearest) ** 3), 1))
        return Equivariant(
            self.cutoff,
            self.channels,
            self.l_max,
            self.radial,
            self.correlation,
            self.layers,
            self.messages,
            self.mixtures,
            self.hidden,
            self.parity,
            self.scale,
            neighbors,
            self.seed,
            self.dtype,
            support.type_names,
            tuple(
                self._layer(key, place, len(support.type_names), neighbors)
                for place, key in enumerate(jax.random.split(jax.random.key(self.seed), self.layers))
            ),
        )

    def coordinates(self) -> dict[str, dict[str, Any]]:
        """Names of the bead types; all other axes are counted."""
        labels = {}
        for path, value in parameters(self).items():
            kind = next(name for name in reversed(path.split(".")) if name in AXES)
            labels[path] = {
                axis: list(self.type_names) if axis == "type" else list(range(size))
                for axis, size in zip(AXES[kind], value.shape, strict=True)
            }
        return labels

    def energies(self, configuration: Configuration) -> Float[Array, " bead"]:
        """Energy of every bead, kJ/mol."""
        if self.blocks is None:
            raise BayescgError(
                "Equivariant has no weights yet. Put the model into a bayescg.Problem with data, or call "
                "prepare with the bead types."
            )
        edges = edges_of(
            configuration,
            self.cutoff,
            radial=self.radial,
            degree=self.l_max,
            type_count=len(self.type_names),
            dtype=self.blocks[0].readout.linear.dtype,
        )
        positions = configuration.positions
        features, total = None, jnp.zeros(positions.shape[0], positions.dtype)
        for layer in self.blocks:
            energies, features = layer.apply(edges, features)
            total = total + energies.astype(positions.dtype)
        return self.scale * total

    def energy(self, configuration: Configuration) -> Float[Array, ""]:
        """Sum over beads, kJ/mol; shape ()."""
        return jnp.sum(self.energies(configuration))

    def _layer(self, key: PRNGKeyArray, place: int, types: int, neighbors: float) -> Layer:
        """One layer with standard normal weights."""
        dtype = jnp.zeros((), self.dtype or float).dtype
        keys = iter(jax.random.split(key, self.correlation + 6))
        last, factors, channels = place == self.layers - 1, self.correlation, self.channels
        degree, outgoing = self.l_max, 0 if place == self.layers - 1 else self.messages

        def weights(*shape: int) -> Array:
            return draw(next(keys), shape, dtype)

        if place == 0:
            density = TypeDensity(
                weights(factors, types, degree + 1, types * self.radial, channels), neighbors
            )
        else:
            routes = len(paths(degree, self.messages, degree, parity=self.parity))
            density = MessageDensity(
                weights(self.radial, self.mixtures),
                weights(factors, routes, self.mixtures, channels),
                neighbors,
                degree,
                self.messages,
                self.parity,
            )
        ends = [degree] * (factors - 2) + [outgoing] * (factors > 1)
        couplings = tuple(
            weights(len(paths(degree, degree, end, parity=self.parity)), channels) for end in ends
        )
        readout = Readout(
            weights(types, factors * channels),
            weights(factors * channels, self.hidden) if self.hidden else None,
            weights(types, self.hidden) if self.hidden else None,
        )
        features = None if last else Features(weights(factors, self.messages + 1, channels, channels))
        return Layer(density, Products(couplings, degree, outgoing, self.parity), readout, features)
