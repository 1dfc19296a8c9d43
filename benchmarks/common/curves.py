"""Pair forces as curves, and how far they lie from each other."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bayescg.model import with_values


def force_rows(potential: Any, distance: np.ndarray) -> np.ndarray:
    """-B_k'(r) of a prepared pair spline of one type, (distance, coefficient)."""
    zero, places = jnp.asarray(0), jnp.asarray(distance)

    def force(theta: Any) -> Any:
        ready = with_values(potential, {"coefficients": theta.reshape(potential.coefficients.shape)})
        return -jax.vmap(jax.grad(lambda r: ready.pair_energy(r, zero, zero)))(places)

    return np.asarray(jax.jacfwd(force)(jnp.zeros(potential.coefficients.size)))


def least_squares(observations: Any) -> np.ndarray:
    """Coefficients from the sums of force matching, without a prior."""
    gram, projection = (np.asarray(part[0]) for part in observations.total[:2])
    return np.linalg.solve(gram, projection)


def rms(values: Any) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def rms_by_region(
    difference: np.ndarray, distance: np.ndarray, regions: dict[str, tuple[float, float]]
) -> dict[str, float]:
    """Root mean square of a difference in every region (low, high] of distance."""
    return {
        name: rms(difference[(distance > low + 1e-4) & (distance < high + 1e-4)])
        for name, (low, high) in regions.items()
    }
