"""The whole grammar: one file for each kind of thing a model or a measurement is made of.

A `Configuration` is one frame of beads (`bayescg.configuration`). A potential gives its energy; a
linear potential also gives the forces of its basis. A memory gives its drift; kernel, spectrum and
noise follow. A likelihood turns data into observations once and scores a model against them as often
as a sampler likes. Terms (a likelihood on its data) add up, as potentials and memories do.

Every class here is abstract or final: a concrete method of an abstract class is never overridden.
"""

from bayescg.configuration import (
    Configuration,
    Sampled,
    Support,
    Topology,
    minimum_image,
    neighbor_distances,
    type_pair_index,
    type_pairs,
)
from bayescg.interfaces.likelihood import (
    AbstractConjugateLikelihood,
    AbstractLikelihood,
    Quadratic,
    Term,
    Terms,
)
from bayescg.interfaces.mapping import AbstractMapping
from bayescg.interfaces.memory import AbstractMemory, Drift, SumMemory, Timescales
from bayescg.interfaces.observable import (
    AbstractEnergyObservable,
    AbstractObservable,
    AbstractTimeObservable,
    Observable,
    Snapshot,
    Totals,
)
from bayescg.interfaces.potential import (
    AbstractLinearPotential,
    AbstractPairPotential,
    AbstractPotential,
    AbstractSitePotential,
    Extent,
    LinearSum,
    Sum,
)

__all__ = [
    "AbstractConjugateLikelihood",
    "AbstractEnergyObservable",
    "AbstractLikelihood",
    "AbstractLinearPotential",
    "AbstractMapping",
    "AbstractMemory",
    "AbstractObservable",
    "AbstractPairPotential",
    "AbstractPotential",
    "AbstractSitePotential",
    "AbstractTimeObservable",
    "Configuration",
    "Drift",
    "Extent",
    "LinearSum",
    "Observable",
    "Quadratic",
    "Sampled",
    "Snapshot",
    "Sum",
    "SumMemory",
    "Support",
    "Term",
    "Terms",
    "Timescales",
    "Topology",
    "Totals",
    "minimum_image",
    "neighbor_distances",
    "type_pair_index",
    "type_pairs",
]
