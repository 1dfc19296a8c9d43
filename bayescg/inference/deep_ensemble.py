"""Deep ensemble: modes found from independent prior draws, the common baseline for networks.

The members differ by where their search began, not by what the data leave open, so their spread is no
posterior: a convex problem has one mode and an ensemble of no width at all. It is here to be compared with
what is one (`bayescg.compare`).

References:
    B. Lakshminarayanan, A. Pritzel, C. Blundell, Adv. Neural Inf. Process. Syst. 30 (2017) 6402.
"""

from functools import partial

import jax
import lineax as lx
import numpy as np

from bayescg._checks import BayescgError, require_x64, whole
from bayescg._typing import NumpyArray, PRNGKeyArray
from bayescg.inference.laplace_mode import ascend
from bayescg.inference.sampler import AbstractSampler, Draws, Target
from bayescg.inference.svi_coordinates import prior_coordinates
from bayescg.numerics.host_loop import HostLoop, chunk_length

LONGEST_CLIMB = 50
"""Iterations between two looks at progress, checkpoint and Ctrl-C."""


class DeepEnsemble(AbstractSampler):
    """Maxima of the posterior density from independent starts; no posterior.

    Attributes:
        members: of the ensemble; every one is a draw of one chain.
        steps: iterations of every member's search at most.

    Raises:
        BayescgError: fewer than two members, or no steps.

    Example:
        >>> DeepEnsemble(members=8).settings()["members"]
        8
    """

    members: int = 5
    steps: int = 1000

    def __check_init__(self) -> None:
        whole("members", self.members, minimum=2)
        whole("steps", self.steps)

    def settings(self) -> dict[str, str | int | float]:
        """Everything that determines the members besides problem and key."""
        return {"sampler": "DeepEnsemble", "members": self.members, "steps": self.steps}

    def draw(self, problem: Target, *, key: PRNGKeyArray, loop: HostLoop) -> Draws:
        """Climb from as many prior draws as there are members.

        Args:
            problem: the posterior.
            key: source of all randomness; the same key gives the same bits.
            loop: progress, checkpoint and interruption.

        Returns:
            One chain, every member a draw; statistics `lp`, and `is_mode`, by which the result names them.
        """
        require_x64("DeepEnsemble")
        begin = prior_coordinates(problem, key=jax.random.fold_in(key, 0), chains=self.members, width=1.0)
        width = np.asarray(lx.diagonal(begin.scale))
        climbed = loop.run(
            "climb",
            partial(ascend, problem.log_density, width),
            {"u": begin.center + begin.starts * width},
            total=self.steps,
            chunk=chunk_length(self.steps, longest=LONGEST_CLIMB),
            describe=_status,
        )
        found, lp = np.asarray(climbed.carry["u"]), np.asarray(climbed.records["lp"][-1])
        if not np.isfinite(found).all():
            raise BayescgError(
                "log_density must be finite where its maximum is sought, got NaN. Check the data for NaN."
            )
        return Draws(found[None], {"lp": lp[None], "is_mode": np.ones((1, self.members), dtype=bool)})


def _status(records: dict[str, NumpyArray]) -> str:
    return f"log density {records['lp'][-1].max():.6g}"
