"""Laplace's approximation: a Gaussian with the posterior's curvature at its mode.

    p(u | data) ≈ N(u*, H^-1),        u* = argmax log p(u | data),        H = -∂² log p at u*

or H with the generalized Gauss-Newton matrix in place of the likelihood's Hessian: never negative, and free
of second derivatives of the model. Up to `dense_up_to` parameters H is made in full; beyond, draws are made
of products H v alone (`inference.laplace_curvature`). With `which="last_layer"` only the weights that the
energy is linear in are uncertain, all others stay at the mode, which the result says. Pareto k of the
importance weights judges the Gaussian (`inference.pareto`), `draw_error` the draws by products.

References:
    D. J. C. MacKay, Neural Comput. 4, 448 (1992), doi:10.1162/neco.1992.4.3.448.
    E. Daxberger et al., Adv. Neural Inf. Process. Syst. 34 (2021) 20089, arXiv:2106.14806.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np

from bayescg._checks import BayescgError, one_of, require, require_x64, whole
from bayescg._typing import Array, NumpyArray, PRNGKeyArray
from bayescg.inference.laplace_curvature import (
    Curvature,
    Dense,
    MatrixFree,
    dense,
    matrix_free,
    newton,
)
from bayescg.inference.laplace_mode import ascend, polished
from bayescg.inference.laplace_subset import places_of
from bayescg.inference.mode import DENSE_LIMIT
from bayescg.inference.pareto import broadcast, pareto_k
from bayescg.inference.problem import Problem
from bayescg.inference.sampler import AbstractSampler, Draws, Target
from bayescg.inference.svi_coordinates import prior_coordinates
from bayescg.numerics.host_loop import HostLoop, chunk_length
from bayescg.numerics.lanczos import Eigenpairs, largest_eigenpairs

WHICH = ("full", "last_layer")
CURVATURES = ("ggn", "hessian")
"""What is uncertain, and which curvature says how much, by the names a user gives."""

LONGEST_CLIMB = 100
"""Iterations of the search for the mode between two looks at progress, checkpoint and Ctrl-C."""

DRAWS_AT_ONCE, PRODUCT_DRAWS_AT_ONCE = 64, 4
"""Draws between two looks, where H is known in full and where every draw takes products."""


class Laplace(AbstractSampler):
    """A Gaussian at the mode.

    Attributes:
        which: `"full"`, or `"last_layer"` for the weights that the energy is linear in.
        curvature: `"ggn"`, the generalized Gauss-Newton matrix with the prior's Hessian, or `"hessian"`.
        subset: of `"last_layer"`: names of the random variables that are uncertain; None for the coefficients
            of linear potentials and the readouts of `Equivariant`.
        starts: prior draws from which the mode is searched, the highest counts; one will do for a network.
        steps: iterations of the search at most.
        rank: eigenvectors kept where H is not made in full.
        products: with H for every draw there.
        dense_up_to: parameters up to which H is made in full.
        chains: among which the independent draws are shared out.
        draws: per chain.

    Raises:
        BayescgError: settings that cannot run.

    Example:
        >>> Laplace(which="last_layer", subset=["potential.coefficients"]).settings()["subset"]
        'potential.coefficients'
    """

    which: str = "full"
    curvature: str = "ggn"
    subset: tuple[str, ...] | None = eqx.field(
        default=None, converter=lambda names: _tuple(names), static=True
    )
    starts: int = 4
    steps: int = 2000
    rank: int = 128
    products: int = 16
    dense_up_to: int = DENSE_LIMIT
    chains: int = 4
    draws: int = 1000

    def __check_init__(self) -> None:
        """Refuse settings that cannot run."""
        one_of("which", self.which, WHICH)
        one_of("curvature", self.curvature, CURVATURES)
        for name in ("starts", "steps", "rank", "chains", "draws"):
            whole(name, getattr(self, name))
        whole("products", self.products, minimum=2)
        whole("dense_up_to", self.dense_up_to, minimum=0)
        require(
            self.subset is None or (self.which == "last_layer" and len(self.subset) > 0),
            f"subset belongs to which='last_layer' and names at least one random variable, got {self.subset} "
            f"and which={self.which!r}.",
        )

    def settings(self) -> dict[str, str | int | float]:
        """Everything that determines the draws besides problem and key."""
        return {
            "sampler": "Laplace",
            "which": self.which,
            "curvature": self.curvature,
            "subset": ", ".join(self.subset or ()),
            "starts": self.starts,
            "steps": self.steps,
            "rank": self.rank,
            "products": self.products,
            "dense_up_to": self.dense_up_to,
            "chains": self.chains,
            "draws": self.draws,
        }

    def draw(self, problem: Target, *, key: PRNGKeyArray, loop: HostLoop) -> Draws:
        """Find the mode, then its curvature, then draw.

        Args:
            problem: the posterior.
            key: source of all randomness; the same key gives the same bits.
            loop: progress, checkpoint and interruption.

        Returns:
            Independent draws. Statistics: `lp`, `log_weight` (log p - log q up to a constant), `draw_error`
            (relative, of Lanczos' method, in what the data determine; 0 where H is known in full), and, the
            same for all draws, `pareto_k` and `mode_gain`, the log density that one more Newton step should
            gain.

        Raises:
            BayescgError: float64 is off, the log density or its curvature is not finite, the curvature is not
                positive definite, or a subset that the problem does not have.
            Interrupted: Ctrl-C was pressed; with a checkpoint the next call goes on from there.
        """
        require_x64("Laplace")
        self._check_target(problem)
        everything = np.arange(problem.dimension)
        places = everything if self.which == "full" else places_of(problem, self.subset)
        key_start, key_rank, key_draw = _three(key)
        begin = prior_coordinates(problem, key=key_start, chains=self.starts, width=1.0)
        width = np.asarray(lx.diagonal(begin.scale))
        climbed = loop.run(
            "climb",
            partial(ascend, problem.log_density, width),
            {"u": begin.center + begin.starts * width},
            total=self.steps,
            chunk=chunk_length(self.steps, longest=LONGEST_CLIMB),
            describe=_status,
        )
        top = np.asarray(climbed.carry["u"])[int(np.nanargmax(climbed.records["lp"][-1]))]
        at = partial(_curvature, problem, width, places, self.curvature)
        few = places.size <= self.dense_up_to
        center, gaussian, gain = (
            self._dense(problem, at, top, places, loop)
            if few
            else self._matrix_free(problem, at, top, places, key_rank, loop)
        )
        total = self.chains * self.draws
        records = loop.run(
            "draw",
            partial(
                _sample, problem.log_density, gaussian, jnp.asarray(center), jnp.asarray(places), key_draw
            ),
            jnp.zeros((), int),
            total=total,
            chunk=chunk_length(total, longest=DRAWS_AT_ONCE if few else PRODUCT_DRAWS_AT_ONCE),
        ).records
        return _draws(records, (self.chains, self.draws), gain)

    def _check_target(self, problem: Target) -> None:
        if self.curvature == "ggn" and not isinstance(problem, Problem):
            raise BayescgError(
                "curvature='ggn' needs a bayescg.Problem, whose likelihoods give their predictions, got "
                f"{type(problem).__name__}. Use curvature='hessian'."
            )

    def _dense(
        self,
        problem: Target,
        at: Callable[[NumpyArray], Curvature],
        top: NumpyArray,
        places: NumpyArray,
        loop: HostLoop,
    ) -> tuple[NumpyArray, Dense, float]:
        """Mode, Gaussian and what another Newton step should gain."""
        labels = tuple(problem.labels[i] for i in places) if isinstance(problem, Problem) else ()

        def inspect(u: NumpyArray) -> tuple[NumpyArray, float]:
            here = at(u)
            step = newton(dense(here, labels), here)
            return step.step, step.gain

        def stage(_: Any, length: int) -> tuple[Any, dict[str, Array]]:
            u, gain = polished(problem.log_density, top, places, inspect)
            return {"u": jnp.asarray(u), "root": dense(at(u), labels).root, "gain": jnp.asarray(gain)}, {}

        blank = {
            "u": jnp.zeros(top.size),
            "root": jnp.zeros((places.size, places.size)),
            "gain": jnp.zeros(()),
        }
        found = loop.run("curvature", stage, blank, total=1, chunk=1).carry
        return np.asarray(found["u"]), Dense(found["root"]), float(found["gain"])

    def _matrix_free(
        self,
        problem: Target,
        at: Callable[[NumpyArray], Curvature],
        top: NumpyArray,
        places: NumpyArray,
        key: PRNGKeyArray,
        loop: HostLoop,
    ) -> tuple[NumpyArray, MatrixFree, float]:
        """As `_dense`, from products alone; Newton's method knows the eigenvectors where it begins."""
        kept = min(self.rank, places.size)

        def stage(_: Any, length: int) -> tuple[Any, dict[str, Array]]:
            pairs = _pairs(at(top), kept, key)

            def inspect(u: NumpyArray) -> tuple[NumpyArray, float]:
                step = newton(matrix_free(at(u), pairs, self.products), at(u))
                return step.step, step.gain

            u, gain = polished(problem.log_density, top, places, inspect)
            return {"u": jnp.asarray(u), "pairs": _pairs(at(u), kept, key), "gain": jnp.asarray(gain)}, {}

        none = Eigenpairs(jnp.zeros(kept), jnp.zeros((kept, places.size)), jnp.zeros(kept), jnp.zeros(()))
        blank = {"u": jnp.zeros(top.size), "pairs": none, "gain": jnp.zeros(())}
        found = loop.run("curvature", stage, blank, total=1, chunk=1).carry
        u = np.asarray(found["u"])
        return u, matrix_free(at(u), found["pairs"], self.products), float(found["gain"])


def _curvature(problem: Any, width: NumpyArray, places: NumpyArray, kind: str, u: NumpyArray) -> Curvature:
    return Curvature(problem, jnp.asarray(u), jnp.asarray(width[places]), jnp.asarray(places), kind == "ggn")


@eqx.filter_jit
def _pairs(curvature: Curvature, count: int, key: PRNGKeyArray) -> Eigenpairs:
    return largest_eigenpairs(curvature.product, curvature.places.size, count=count, key=key)


@eqx.filter_jit
def _sample(
    density: Callable[[Array], Array],
    gaussian: Dense | MatrixFree,
    center: Array,
    places: Array,
    key: PRNGKeyArray,
    first: Array,
    length: int,
) -> tuple[Array, dict[str, Array]]:
    """Draws number `first` and the following."""

    def one(index: Array) -> dict[str, Array]:
        noise = jax.random.normal(jax.random.fold_in(key, index), places.shape)
        deviation, error = gaussian.spread(noise)
        u = center.at[places].add(deviation)
        return {"u": u, "lp": density(u), "log_q": -noise @ noise / 2, "error": error}

    batch = length if isinstance(gaussian, Dense) else None
    return first + length, jax.lax.map(one, first + jnp.arange(length), batch_size=batch)


@jax.jit
def _three(key: PRNGKeyArray) -> tuple[PRNGKeyArray, PRNGKeyArray, PRNGKeyArray]:
    first, second, third = jax.random.split(key, 3)
    return first, second, third


def _tuple(names: Iterable[str] | None) -> tuple[str, ...] | None:
    return (names,) if isinstance(names, str) else None if names is None else tuple(names)


def _status(records: dict[str, NumpyArray]) -> str:
    return f"log density {records['lp'][-1].max():.2f}"


def _draws(records: dict[str, NumpyArray], shape: tuple[int, int], gain: float) -> Draws:
    """From (draw, ...) to (chain, draw, ...), with the judgement of all."""
    positions = records["u"].reshape(*shape, -1)
    if not np.isfinite(positions).all():
        raise BayescgError(
            "draws must be finite, got NaN or infinity: products with the curvature are not finite. Look for "
            "a root or a logarithm of zero in the model."
        )
    lp, log_q = records["lp"].reshape(shape), records["log_q"].reshape(shape)
    of_all = {"pareto_k": pareto_k((lp - log_q).ravel()), "mode_gain": gain}
    return Draws(
        positions,
        {
            "lp": lp,
            "log_weight": lp - log_q,
            "draw_error": records["error"].reshape(shape),
            **broadcast({name: np.full(shape[0], value) for name, value in of_all.items()}, shape),
        },
    )
