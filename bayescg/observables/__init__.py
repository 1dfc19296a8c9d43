"""Observables: numbers and curves of a configuration; one object serves data, simulation and figure."""

from bayescg.observables.radial import RDF

__all__ = ["RDF"]
