"""The exact test of force matching: U = k x²/2 + c (y - a x²)²/2, mapped to x.

The mean force is -k x exactly, but the noise grows with |x|: with a constant noise the standard
deviation of k is too small by sqrt(3), and naive 95% intervals cover 2 Phi(1.96/sqrt(3)) - 1 = 74.2%.
"""

import copy

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import bayescg as bcg
from bayescg.inference.sandwich import assemble
from bayescg.interfaces import AbstractLinearPotential

STIFFNESS = 100.0


class Spring(AbstractLinearPotential):
    """U = stiffness x²/2: what a user writes for a linear potential of their own."""

    cutoff: float = eqx.field(static=True, default=1.0)
    stiffness: jax.Array = eqx.field(default_factory=lambda: jnp.ones(1))

    def energy(self, configuration):
        return 0.5 * self.stiffness[0] * jnp.sum(configuration.positions**2)

    def prepare(self, support):
        return self

    def coordinates(self):
        return {"stiffness": {"spring": ["x"]}}

    def basis_forces(self, configuration):
        return -configuration.positions[..., None]

    def coefficient_paths(self):
        return ("stiffness",)


class QuadraticStudy:
    """Many replicates of one problem, compiled once: the observations are swapped."""

    def __init__(self, frames, temperature=300.0):
        self.frames, self.temperature = frames, temperature
        prior = {"potential.stiffness": dist.Normal(0.0, 1e4)}
        self.problem = bcg.Problem(bcg.Model(Spring()), prior, self._term(jax.random.key(0)))
        place = self.problem.labels.index("potential.stiffness[0]")
        assert place == 1  # after the noise

        def swapped(observations):
            other = copy.copy(self.problem)
            other.observations = observations
            return other

        @jax.jit
        def derivatives(u, observations):
            other = swapped(observations)

            def blocks(v):
                return other.blocks(other.constrain(v))

            def log_likelihood(v):
                return other.log_likelihood(other.constrain(v))

            return jax.jacfwd(blocks)(u), -jax.hessian(log_likelihood)(u), -jax.hessian(other.log_prior)(u)

        self._derivatives = derivatives

    def sandwich(self, key):
        """Naive and sandwich covariance at the mode; center, naive and robust end with the stiffness."""
        seen = self.observe(key)
        gram, projection = float(seen.total.gram[0, 0, 0]), float(seen.total.projection[0, 0])
        stiffness = projection / gram
        variance = (float(seen.total.square[0]) - stiffness * projection) / float(seen.total.count[0])
        u = jnp.array([0.5 * np.log(variance), stiffness])
        scores, curvature, prior = self._derivatives(u, (seen,))
        return assemble(
            np.asarray(u), [np.asarray(s) for s in scores], np.asarray(curvature), np.asarray(prior)
        )

    def observe(self, key):
        """Statistics of a fresh trajectory of independent frames."""
        term = self._term(key)
        return self.problem.joint.likelihood.observe(self.problem.joint.model, term.data)

    def _term(self, key):
        data = bcg.data.synthetic.quadratic_pair(
            frames=self.frames, key=key, k=STIFFNESS, temperature=self.temperature
        )
        return bcg.likelihoods.ForceMatching().on(data)
