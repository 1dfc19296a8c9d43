"""One contract for every memory: what its drift says is the kernel that was asked for, with a noise.

Every check is a function, run on all memories, and on one broken on purpose for which it must fail.
References are closed forms in NumPy (`cases.py`) and SciPy's quadrature.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from bayescg._checks import BayescgError
from bayescg.interfaces import AbstractMemory, Drift, SumMemory
from bayescg.memory import (
    DriftMatrix,
    Markovian,
    Mori,
    OscillatoryProny,
    PowerLaw,
    Prony,
    check_stable,
)
from bayescg.model import parameters, with_values
from bayescg.units import thermal_energy
from tests.memory.cases import CASES, MARKOVIAN, PRONY, TIMESCALES, Case

TIMES = np.concatenate([[0.0], np.geomspace(1e-3, 20.0, 12)])
FREQUENCIES = np.concatenate([[0.0], np.geomspace(0.05, 20.0, 6)])
TEMPERATURE = 300.0
LOSS_FREQUENCIES = jnp.array([0.05, 0.8, 3.0])
# matrices of order ten and norm 30: rounding is 1e-14 of the largest number
TOLERANCE = 1e-11

kernel_of = eqx.filter_jit(lambda memory, times: memory.kernel(times))
spectrum_of = eqx.filter_jit(lambda memory, frequencies: memory.spectrum(frequencies))


def the_kernel_is_its_closed_form(case):
    expected = case.kernel(TIMES)
    found = kernel_of(case.memory, jnp.asarray(TIMES))
    np.testing.assert_allclose(found, expected, atol=TOLERANCE * max(np.abs(expected).max(), 1.0))


def the_spectrum_is_the_cosine_transform_of_the_kernel(case):
    """Gauss-Legendre panels over 32 of the longest decay times, where the kernel has fallen to 1e-14.

    Panels are a small part of the shortest time and period: the quadrature is exact to rounding.
    """
    found = spectrum_of(case.memory, jnp.asarray(FREQUENCIES))
    end, panels = 32 / min(np.real(case.rates), default=1.0), 1500
    nodes, weights = np.polynomial.legendre.leggauss(12)
    times = (end / panels * (np.arange(panels)[:, None] + (nodes + 1) / 2)).ravel()
    weighted = np.tile(weights, panels) * end / panels / 2 * case.kernel(times)
    transform = np.cos(2 * np.pi * FREQUENCIES[:, None] * times) @ weighted
    np.testing.assert_allclose(found, case.friction + transform, rtol=1e-10, atol=1e-10)


def the_spectrum_is_positive(case):
    frequencies = jnp.concatenate([jnp.zeros(1), jnp.geomspace(1e-3, 1e3, 400)])
    spectrum = spectrum_of(case.memory, frequencies)
    assert float(spectrum.min()) >= -TOLERANCE * float(spectrum.max())


def the_integral_is_the_spectrum_at_zero(case):
    amount = case.friction + float(np.real(np.sum(case.amplitudes / case.rates)))
    assert float(case.memory.integral()) == pytest.approx(amount, rel=1e-10)
    assert float(spectrum_of(case.memory, jnp.asarray(FREQUENCIES))[0]) == pytest.approx(amount, rel=1e-10)


def the_first_value_is_the_square_of_the_coupling(case):
    first = float(np.real(np.sum(case.amplitudes)))
    assert float(case.memory.initial_value()) == pytest.approx(first, rel=1e-10)


def a_noise_belongs_to_it(case):
    """Fluctuation-dissipation: B B' = kT (A_s + A_s') must be a covariance."""
    covariance = np.asarray(case.memory.noise_covariance(TEMPERATURE))
    matrix = np.asarray(case.memory.drift().matrix)
    np.testing.assert_allclose(covariance, thermal_energy(TEMPERATURE) * (matrix + matrix.T))
    if matrix.size:
        assert np.linalg.eigvalsh(covariance).min() >= -TOLERANCE * np.abs(covariance).max()
    check_stable(case.memory)


def loss(memory):
    return jnp.sum(memory.spectrum(LOSS_FREQUENCIES)) + memory.initial_value() + memory.drift().friction


def gradients_are_differences_also_of_many_at_once(case):
    """Central differences, h = 1e-6 of the value: the error is 1e-11 from h², 1e-9 from rounding."""
    flat, unravel = ravel_pytree(parameters(case.memory))
    steps = 1e-6 * np.maximum(np.abs(flat), 0.1)
    of = jax.jit(jax.vmap(jax.value_and_grad(lambda u: loss(with_values(case.memory, unravel(u))))))
    moved = jnp.concatenate([flat[None], flat + jnp.diag(steps), flat - jnp.diag(steps)])
    values, gradients = of(moved)
    plus, minus = np.split(np.asarray(values)[1:], 2)
    np.testing.assert_allclose(gradients[0], (plus - minus) / (2 * steps), rtol=1e-5, atol=1e-7 * plus[0])
    np.testing.assert_allclose(values[0], loss(case.memory), rtol=1e-12)


def labels_fit_the_parameters(case):
    labels, known = case.memory.coordinates(), parameters(case.memory)
    assert labels.keys() == known.keys()
    for path, value in known.items():
        assert tuple(len(axis) for axis in labels[path].values()) == value.shape


CONTRACT = (
    the_kernel_is_its_closed_form,
    the_spectrum_is_the_cosine_transform_of_the_kernel,
    the_spectrum_is_positive,
    the_integral_is_the_spectrum_at_zero,
    the_first_value_is_the_square_of_the_coupling,
    a_noise_belongs_to_it,
    gradients_are_differences_also_of_many_at_once,
    labels_fit_the_parameters,
)


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", CASES)
def test_contract(name, check):
    check(CASES[name])


class Broken(AbstractMemory):
    """Exponentials with a fault in the drift."""

    base: Prony
    fault: Callable[[Drift], Drift] = eqx.field(static=True)

    def drift(self):
        return self.fault(self.base.drift())

    def prepare(self, timescales):
        return Broken(self.base.prepare(timescales), self.fault)

    def coordinates(self):
        return {f"base.{path}": labels for path, labels in self.base.coordinates().items()}


def stronger(drift):
    return drift._replace(coupling=1.001 * drift.coupling)


def beyond_the_bound(drift):
    """9 exp(-g t) (cos w t + b sin w t) with b w = 2 g, in the basis with a = (3, 0)."""
    g, w, b = 2.0, 10.0, 0.4
    Q = w * np.sqrt(1 + b**2)
    return Drift(jnp.array([[g - b * w, -Q], [Q, g + b * w]]), jnp.array([3.0, 0.0]), drift.friction)


def without_gradient(drift):
    return jax.tree.map(jax.lax.stop_gradient, drift)


FAULTS = {
    the_kernel_is_its_closed_form: stronger,
    the_spectrum_is_the_cosine_transform_of_the_kernel: stronger,
    the_spectrum_is_positive: beyond_the_bound,
    the_integral_is_the_spectrum_at_zero: stronger,
    the_first_value_is_the_square_of_the_coupling: stronger,
    a_noise_belongs_to_it: beyond_the_bound,
    gradients_are_differences_also_of_many_at_once: without_gradient,
}


@pytest.mark.parametrize("check", FAULTS, ids=lambda check: check.__name__)
def test_contract_catches_a_broken_memory(check):
    whole = PRONY._replace(memory=Broken(PRONY.memory, lambda drift: drift))
    broken = PRONY._replace(memory=Broken(PRONY.memory, FAULTS[check]))
    with pytest.raises((AssertionError, BayescgError)):
        check(broken)
    check(whole)


UNPREPARED = {
    "markovian": Markovian(),
    "prony": Prony(3),
    "prony-one": Prony(),
    "oscillatory": OscillatoryProny(2),
    "mori": Mori(3),
    "power-law": PowerLaw(6),
    "drift-matrix": DriftMatrix(2),
    "sum": Markovian() + Prony(2) + OscillatoryProny(1),
}


@pytest.mark.parametrize("name", UNPREPARED)
def test_data_allocate_a_memory_with_their_friction(name):
    memory = UNPREPARED[name]
    with pytest.raises(BayescgError, match=r"has no .* yet.*prepare"):
        memory.drift()
    ready = memory.prepare(TIMESCALES)
    assert float(ready.integral()) == pytest.approx(TIMESCALES.friction, rel=1e-10)
    check_stable(ready)
    labels_fit_the_parameters(Case(ready, (), ()))
    assert all(bool(jnp.isfinite(value).all()) for value in parameters(ready).values())


@pytest.mark.parametrize("name", CASES)
def test_values_given_are_kept_when_data_arrive_and_arrive_again(name):
    memory = CASES[name].memory
    once = memory.prepare(TIMESCALES)
    twice = once.prepare(TIMESCALES._replace(interval=0.002, friction=5.0))
    for path, value in parameters(memory).items():
        np.testing.assert_array_equal(parameters(twice)[path], value)
    known = [term.timescales for term in (twice.terms if isinstance(twice, SumMemory) else (twice,))]
    assert {float(scales.interval) for scales in known} == {0.002}
    assert {float(scales.duration) for scales in known} == {TIMESCALES.duration}
    assert jax.tree.structure(once) == jax.tree.structure(memory.prepare(TIMESCALES))


def test_a_sum_is_flat_and_shares_the_friction():
    memory = Markovian() + (Prony(2) + Prony(1))
    assert [type(term).__name__ for term in memory.terms] == ["Markovian", "Prony", "Prony"]
    assert {float(term.timescales.friction) for term in memory.prepare(TIMESCALES).terms} == {20.0}


def test_memories_of_no_modes_work_everywhere():
    memory = MARKOVIAN.memory + MARKOVIAN.memory
    drift = memory.drift()
    assert drift.matrix.shape == (0, 0)
    assert drift.coupling.shape == (0,)
    assert float(memory.integral()) == 30.0
    assert memory.noise_covariance(TEMPERATURE).shape == (0, 0)
    assert float(memory.initial_value()) == 0.0


def test_the_kernel_has_the_gradient_of_its_closed_form():
    """d/dtau of (f/tau) exp(-t/tau) is (f/tau²) (t/tau - 1) exp(-t/tau)."""
    memory, times, weights = PRONY.memory, jnp.array([0.02, 0.3]), jnp.array([1.0, 2.0])
    values = {path: parameters(memory)[path] for path in ("times", "frictions")}
    gradient = jax.jit(jax.grad(lambda v: weights @ with_values(memory, v).kernel(times)))(values)
    tau, f, t = np.array([0.1, 0.8]), np.array([30.0, 20.0]), np.asarray(times)[:, None]
    of_times = f / tau**2 * (t / tau - 1) * np.exp(-t / tau)
    np.testing.assert_allclose(gradient["times"], np.asarray(weights) @ of_times, rtol=1e-11)
    np.testing.assert_allclose(
        gradient["frictions"], np.asarray(weights) @ (np.exp(-t / tau) / tau), rtol=1e-11
    )


def test_modes_far_faster_than_the_times_asked_for_have_decayed():
    """JAX's own matrix exponential gives up at 10^5 decay times and answers NaN."""
    kernel = Prony(1, [1e-7], [1.0]).kernel(jnp.array([0.0, 1.0, 100.0]))
    np.testing.assert_allclose(kernel, [1e7, 0.0, 0.0], rtol=1e-12)
