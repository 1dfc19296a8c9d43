"""Small problems whose posterior is known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax import Array

import bayescg as bcg
from bayescg.likelihoods.design import design
from bayescg.likelihoods.reading import frames_of

CUTOFF = 0.6
KEY = jax.random.key(20)


def repulsion(distance: Array) -> Array:
    """A soft repulsion that ends smoothly at the cutoff, kJ/mol."""
    return 4000.0 * (CUTOFF - distance) ** 3


def pair_data(frames=8, beads=24, noise=5.0, key=KEY):
    """Forces of `repulsion` with Gaussian noise."""
    return bcg.data.synthetic.pair_forces(
        repulsion, cutoff=CUTOFF, key=key, frames=frames, beads=beads, box=1.3, noise=noise
    )


def spline_model(knots=8):
    """A pair spline over the sampled distances."""
    return bcg.Model(bcg.potentials.PairSpline(cutoff=CUTOFF, knots=knots, start=0.25))


def gaussian_prior(scale=200.0):
    """Independent Gaussian coefficients."""
    return {"potential.coefficients": dist.Normal(10.0, scale)}


def problem(prior=None, data=None, knots=8):
    """Spline force matching on synthetic data."""
    matching = bcg.likelihoods.ForceMatching().on(pair_data() if data is None else data)
    return bcg.Problem(spline_model(knots), gaussian_prior() if prior is None else prior, matching)


def dense_rows(made, data):
    """Design matrix and forces of all components, row by row, from the host path's definition."""
    rows, targets = [], []
    for frame, forces in frames_of(data, CUTOFF):
        rows.append(design(made.joint.potential, frame).reshape(-1, made.joint.potential.knots - 1))
        targets.append(forces.T.reshape(-1))
    return np.concatenate(rows), np.concatenate(targets)


def dense_posterior(rows, targets, sigma, prior_mean, prior_covariance):
    """m = V (V0^-1 m0 + X'f/sigma²), V = (V0^-1 + X'X/sigma²)^-1, by explicit inverses."""
    inverse = np.linalg.inv(prior_covariance)
    covariance = np.linalg.inv(inverse + rows.T @ rows / sigma**2)
    return covariance @ (inverse @ prior_mean + rows.T @ targets / sigma**2), covariance


def as_vector(values):
    """jax array of floats."""
    return jnp.asarray(values, dtype=float)
