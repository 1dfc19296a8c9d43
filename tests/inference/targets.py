"""Small posteriors with closed forms, in the shape of a problem."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np


def rotated_covariance(deviations, seed=0):
    """A covariance with these standard deviations along random orthogonal axes."""
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(deviations),) * 2))[0]
    return rotation * np.square(deviations) @ rotation.T


class Gaussian(eqx.Module):
    """N(mean, covariance) seen from a wide prior."""

    mean: jax.Array
    covariance: jax.Array
    prior_width: float = 1e3

    @property
    def dimension(self):
        return self.mean.size

    def log_density(self, u):
        delta = u - self.mean
        return -0.5 * delta @ jnp.linalg.solve(self.covariance, delta)

    def initial(self, key):
        return self.prior_width * jax.random.normal(key, (self.dimension,))


class Mixed(eqx.Module):
    """Independent blocks: a Gaussian of condition number 1e6, a banana, a probability behind a logit.

    Banana: a ~ N(0, 1), b ~ N(a²/2, 1). Probability: p ~ Beta(3, 2), u = log(p / (1 - p)).
    """

    gaussian: Gaussian

    @property
    def dimension(self):
        return self.gaussian.dimension + 3

    def log_density(self, u):
        a, b, logit = u[-3:]
        banana = -0.5 * a**2 - 0.5 * (b - a**2 / 2) ** 2
        # p²(1-p) p(1-p): Beta(3, 2) times the Jacobian of the logit
        bounded = 3 * jax.nn.log_sigmoid(logit) + 2 * jax.nn.log_sigmoid(-logit)
        return self.gaussian.log_density(u[:-3]) + banana + bounded

    def initial(self, key):
        return jnp.concatenate([self.gaussian.initial(key), jax.random.normal(key, (3,))])


class Funnel(eqx.Module):
    """Neal's funnel: v ~ N(0, 9), ten x_i ~ N(0, e^v); its joint mode is at v = -45."""

    dimension: int = eqx.field(default=11, static=True)

    def log_density(self, u):
        v, x = u[0], u[1:]
        return -(v**2) / 18 - 0.5 * jnp.sum(x**2) * jnp.exp(-v) - 0.5 * x.size * v

    def initial(self, key):
        key_v, key_x = jax.random.split(key)
        v = 3 * jax.random.normal(key_v)
        return jnp.concatenate([v[None], jnp.exp(v / 2) * jax.random.normal(key_x, (10,))])


class TwoModes(eqx.Module):
    """Equal or unequal Gaussians of unit width at -distance and +distance along the first axis."""

    distance: float = 12.0
    log_ratio: float = 0.0
    dimension: int = eqx.field(default=2, static=True)

    def log_density(self, u):
        left = -0.5 * (u[0] + self.distance) ** 2
        right = -0.5 * (u[0] - self.distance) ** 2 + self.log_ratio
        return jnp.logaddexp(left, right) - 0.5 * u[1] ** 2

    def initial(self, key):
        return 2 * self.distance * jax.random.normal(key, (2,))
