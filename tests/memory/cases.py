"""Every memory of the package with values, and its kernel written down once more without it."""

from typing import Any, NamedTuple

import numpy as np

from bayescg.interfaces import AbstractMemory, Timescales
from bayescg.memory import DriftMatrix, Markovian, Mori, OscillatoryProny, PowerLaw, Prony

TIMESCALES = Timescales(interval=0.01, duration=20.0, friction=60.0)


class Case(NamedTuple):
    """A memory, its kernel as a sum of complex exponentials Re sum c exp(-r t), and its delta part."""

    memory: AbstractMemory
    amplitudes: Any
    rates: Any
    friction: float = 0.0

    def kernel(self, times):
        return np.real(np.exp(-np.asarray(times)[..., None] * self.rates) @ self.amplitudes)


def oscillations(times, frequencies, frictions, asymmetries):
    """c exp(-g t) (cos w t + b sin w t) = Re c (1 + i b) exp(-(g + i w) t)."""
    g, w = 1 / np.array(times), 2 * np.pi * np.array(frequencies)
    b = np.array(asymmetries) * g / w
    c = np.array(frictions) * (g**2 + w**2) / (g + b * w)
    return c * (1 + 1j * b), g + 1j * w


def of_matrix(matrix, coupling):
    """a' exp(-A t) a by the eigenvectors of A."""
    rates, vectors = np.linalg.eig(np.array(matrix))
    return (np.array(coupling) @ vectors) * np.linalg.solve(vectors, np.array(coupling) + 0j), rates


def power_law(modes, shortest, longest, exponent, friction):
    tau = np.geomspace(shortest, longest, modes)
    c = tau**-exponent
    return c * friction / np.sum(c * tau), 1 / tau


def added(*cases):
    return Case(
        sum((case.memory for case in cases[1:]), start=cases[0].memory),
        np.concatenate([case.amplitudes for case in cases]),
        np.concatenate([case.rates for case in cases]),
        sum(case.friction for case in cases),
    )


MARKOVIAN = Case(Markovian(15.0), np.zeros(0), np.zeros(0), 15.0)
PRONY = Case(Prony(2, [0.1, 0.8], [30.0, 20.0]), np.array([300.0, 25.0]), np.array([10.0, 1.25]))
WAVES = ([0.1, 0.5], [3.0, 0.7], [30.0, 10.0], [0.6, -0.8])
OSCILLATORY = Case(OscillatoryProny(2, *WAVES), *oscillations(*WAVES))
# the couplings of the chain: a_1² = friction r_1²/(r_2²/g)
CHAIN = Case(
    Mori(3, rates=[9.0, 5.0], damping=8.0, friction=40.0),
    *of_matrix([[0, -9, 0], [9, 0, -5], [0, 5, 8]], [np.sqrt(40 * 81 * 8 / 25), 0, 0]),
)
POWER = Case(PowerLaw(6, [0.05, 2.0], 0.6, 50.0), *power_law(6, 0.05, 2.0, 0.6, 50.0))
# L = [[2, 0, 0], [0.5, 1.5, 0], [-1, 0.3, 1]] and W with 4, -2, 3 below the diagonal
MATRIX = Case(
    DriftMatrix(3, [2, 0.5, 1.5, -1, 0.3, 1], [4, -2, 3], [8, -3, 5]),
    *of_matrix([[4, -3, 0], [5, 2.5, -3.05], [-4, 2.95, 2.09]], [8, -3, 5]),
)
CASES = {
    "markovian": MARKOVIAN,
    "prony": PRONY,
    "oscillatory": OSCILLATORY,
    "mori": CHAIN,
    "power-law": POWER,
    "drift-matrix": MATRIX,
    "markovian+prony": added(MARKOVIAN, PRONY),
    "oscillatory+mori+markovian": added(OSCILLATORY, CHAIN, MARKOVIAN),
    "markovian+markovian": added(MARKOVIAN, MARKOVIAN),
}
