"""Volterra inversion: a memory kernel from correlation functions, without a posterior.

Multiplying the generalized Langevin equation by v(0) and averaging,

    m C'(t) = B(t) - ∫_0^t K(t-s) C(s) ds,        C = <v(t) v(0)>,    B = <F(x(t)) v(0)>,

an equation of the first kind, which amplifies noise. Integrated by parts with the running integral
G(t) = ∫_0^t K(s) ds it is one of the second kind that needs the first derivative of C alone:

    C(0) G(t) = B(t) - m C'(t) - ∫_0^t G(s) C'(t-s) ds.

The trapezoid rule solves it step by step, and K = dG/dt. An instantaneous friction is G(0+).
This is the baseline that the posterior is compared with: it has no uncertainty, and nothing keeps its
spectrum positive.
"""

from typing import NamedTuple

import numpy as np

from bayescg._checks import BayescgError, finite, positive, require
from bayescg._typing import Float, NumpyArray

MINIMUM_LAGS = 5
"""Points of the difference formula."""


class VolterraKernel(NamedTuple):
    """A kernel on a grid of times.

    Attributes:
        times: ps.
        kernel: K, amu/ps², without the delta part.
        integral: G, amu/ps; its first value is the instantaneous friction, its last the friction.
    """

    times: Float[NumpyArray, " lag"]
    kernel: Float[NumpyArray, " lag"]
    integral: Float[NumpyArray, " lag"]


def volterra_kernel(
    velocity_correlation: Float[NumpyArray, " lag"],
    force_velocity_correlation: Float[NumpyArray, " lag"],
    *,
    interval: float,
    mass: float,
) -> VolterraKernel:
    """Invert the Volterra equation for the memory kernel; the error falls with the interval squared.

    Args:
        velocity_correlation: C = <v(t) v(0)> of one component, nm²/ps², from lag 0.
        force_velocity_correlation: B = <F(x(t)) v(0)> with the mean force F, kJ/mol/ps; zeros for a free
            bead.
        interval: between lags, ps.
        mass: amu.

    Raises:
        BayescgError: fewer than five lags, unequal lengths, values that are not finite, or C(0) <= 0.

    References:
        G. Jung, M. Hanke, F. Schmid, J. Chem. Theory Comput. 13, 2481 (2017), doi:10.1021/acs.jctc.7b00274.
        J. O. Daldrop, J. Kappler, F. N. Brünig, R. R. Netz, Proc. Natl. Acad. Sci. USA 115, 5169 (2018),
            doi:10.1073/pnas.1722327115.
        B. Kowalik et al., Phys. Rev. E 100, 012126 (2019), doi:10.1103/PhysRevE.100.012126.

    Example:
        >>> import numpy as np
        >>> C = np.exp(-0.5 * np.arange(40) * 0.01)      # friction without memory, gamma0/m = 0.5 / ps
        >>> found = volterra_kernel(C, np.zeros(40), interval=0.01, mass=2.0)
        >>> bool(np.allclose(found.integral, 1.0, atol=1e-4))
        True
    """
    C, B = _correlations(velocity_correlation, force_velocity_correlation)
    h, m = positive("interval", interval, unit="ps"), positive("mass", mass, unit="amu")
    slope = derivative(C, interval=h)
    G = np.zeros(len(C))
    G[0] = (B[0] - m * slope[0]) / C[0]
    for n in range(1, len(C)):
        # trapezoid, the unknown G[n] with weight h/2 on C'(0)
        known = G[0] * slope[n] / 2 + G[1:n] @ slope[n - 1 : 0 : -1]
        G[n] = (B[n] - m * slope[n] - h * known) / (C[0] + h * slope[0] / 2)
    return VolterraKernel(h * np.arange(len(C)), derivative(G, interval=h), G)


def derivative(values: Float[NumpyArray, " lag"], *, interval: float) -> Float[NumpyArray, " lag"]:
    """First derivative on a grid, one-sided at the ends; exact for polynomials of fourth degree.

    One order would be lost where central and one-sided formulas of second order meet, since K is the
    derivative of what is found from C'.

    Args:
        values: at equal distances, five or more.
        interval: between them.

    Example:
        >>> import numpy as np
        >>> x = 0.5 * np.arange(8)
        >>> bool(np.allclose(derivative(x**4, interval=0.5), 4 * x**3))
        True
    """
    f, h = values, interval
    end = np.array([[-25.0, 48.0, -36.0, 16.0, -3.0], [-3.0, -10.0, 18.0, -6.0, 1.0]])
    central = f[:-4] - 8 * f[1:-3] + 8 * f[3:-1] - f[4:]
    return np.concatenate([end @ f[:5], central, -(end @ f[:-6:-1])[::-1]]) / (12 * h)


def _correlations(first: NumpyArray, second: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
    C, B = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    require(
        C.ndim == 1 and C.shape == B.shape and len(C) >= MINIMUM_LAGS,
        f"the correlation functions must have one length of at least {MINIMUM_LAGS} lags, got shapes "
        f"{C.shape} and {B.shape}. Give both from lag 0 at the same times.",
    )
    for name, values in (("velocity_correlation", C), ("force_velocity_correlation", B)):
        finite(name, values, axis_name="lag", remedy="Use lags that the trajectory has.")
    if C[0] <= 0:
        raise BayescgError(
            f"velocity_correlation must begin with <v²>, which is positive, got {C[0]:.4g} nm²/ps². "
            "Start at lag 0."
        )
    return C, B
