"""How a velocity correlation function answers to a change of the memory kernel.

Where the velocity autocorrelation c (with c(0) = 1) obeys c' = -(K_eff/m) * c, whatever K_eff is made of,
its Laplace transform is 1/(s + K_eff/m), so a change dK of the kernel and dgamma of the instantaneous
friction turns c into the solution of a Volterra equation of the second kind,

    c_new(t) = c(t) - ∫_0^t G(t - s) c_new(s) ds,        G = (dK * c + dgamma c)/m,

in which only c itself enters: a noisy, simulated c is never differentiated. In a liquid the effective kernel
holds the forces of the neighbours too, and they answer to a change of the memory; what is left out that way
is found by simulating again at the new kernel.

References:
    G. Jung, M. Hanke, F. Schmid, J. Chem. Theory Comput. 13, 2481 (2017), doi:10.1021/acs.jctc.7b00274.
"""

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular, toeplitz

from bayescg._typing import Array, Float


@jax.jit
def changed_correlation(
    correlation: Float[Array, " lag"],
    *,
    kernel_change: Float[Array, " lag"],
    friction_change: Float[Array, ""] | float,
    interval: Float[Array, ""] | float,
    mass: Float[Array, ""] | float,
) -> Float[Array, " lag"]:
    """The correlation function after a change of the memory, by the trapezoid rule.

    Args:
        correlation: c at lags 0, dt, 2 dt, ..., normalized to c(0) = 1.
        kernel_change: dK at the same lags, amu/ps².
        friction_change: dgamma, amu/ps.
        interval: dt, ps.
        mass: amu.

    Returns:
        c_new at the same lags; its error is of second order in the interval.

    Example:
        >>> import jax.numpy as jnp
        >>> t = 0.01 * jnp.arange(200)
        >>> new = changed_correlation(
        ...     jnp.exp(-t), kernel_change=jnp.zeros(200), friction_change=1.0, interval=0.01, mass=1.0
        ... )
        >>> bool(jnp.abs(new - jnp.exp(-2 * t)).max() < 1e-4)
        True
    """
    count = correlation.shape[0]
    lower = jnp.tril(jnp.ones((count, count)))
    # trapezoid: the first and the last point of every convolution count half
    half_ends = lower.at[:, 0].multiply(0.5) - 0.5 * jnp.eye(count)

    def convolved(f: Array) -> Array:
        return interval * toeplitz(f, jnp.zeros_like(f)) * half_ends

    response = (convolved(kernel_change) @ correlation + friction_change * correlation) / mass
    return solve_triangular(jnp.eye(count) + convolved(response), correlation, lower=True)
