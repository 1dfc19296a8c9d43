"""Covariance of a curve of many elements from few frames: shrunk towards independent elements.

    S* = λ diag(S) + (1 - λ) S,        λ = Σ_{i≠j} Var(r_ij) / Σ_{i≠j} r_ij²,

r_ij being correlation coefficients. With fewer frames than elements S has no inverse, and S* has; with many
frames λ goes to zero and S* to S.

References:
    J. Schäfer, K. Strimmer, Stat. Appl. Genet. Mol. Biol. 4, 32 (2005), doi:10.2202/1544-6115.1175.
"""

import numpy as np

from bayescg._checks import require
from bayescg._typing import Float, NumpyArray

LEAST = 1e-4
"""Shrinkage at least: elements that are tied exactly, as those of a distribution, leave an inverse."""


def shrunk_covariance(values: Float[np.ndarray, "frame element"], *, inefficiency: float = 1.0) -> NumpyArray:
    """Covariance of the elements in one frame.

    Args:
        values: of every frame.
        inefficiency: correlated frames that are worth one independent frame.

    Returns:
        (element, element), positive definite where every element varies; zero rows where one does not.

    Raises:
        BayescgError: fewer than two frames.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(20, 40))  # fewer frames than elements
        >>> bool(np.linalg.eigvalsh(shrunk_covariance(x)).min() > 0.3)
        True
    """
    frames = values.shape[0]
    require(frames >= 2, f"values must be of at least two frames, got {frames}. Give more.")
    centered = values - values.mean(axis=0)
    deviation = np.sqrt(np.sum(centered**2, axis=0) / (frames - 1))
    standard = centered / np.where(deviation > 0, deviation, 1.0)
    correlation = standard.T @ standard / (frames - 1)
    off = correlation - np.diag(np.diag(correlation))
    # Σ_k (x_ki x_kj - their mean)² over all i ≠ j, without an array over frames and pairs
    squares = standard**2
    products = np.sum(squares.sum(axis=1) ** 2 - np.sum(squares**2, axis=1))
    scatter = products - frames * np.sum((off * (frames - 1) / frames) ** 2)
    noise = inefficiency * frames / (frames - 1) ** 3 * scatter
    total = np.sum(off**2)
    shrinkage = np.clip(noise / total if total > 0 else 1.0, LEAST, 1.0)
    return (1 - shrinkage) * off * np.outer(deviation, deviation) + np.diag(deviation**2)
