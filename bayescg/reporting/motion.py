"""The section on dynamics: the memory kernel, and simulated against atomistic velocity correlations."""

from typing import NamedTuple

import numpy as np
import xarray as xr

from bayescg import viz
from bayescg.reporting.page import bullets, figure, paragraph
from bayescg.reporting.sentences import warnings_of
from bayescg.viz.predictive import observable_summary

VACF = "velocity_correlation"
"""Name of the observable."""

INDEPENDENT = (
    "Every bead has a memory of its own, independent of its neighbours'. In a liquid the fast forces act "
    "between beads (third law) and friction depends on where the neighbours are: such a memory can have the "
    "right diffusion or the right first decay, but its simulated correlation function need not follow the "
    "atomistic one, and total momentum is not conserved. bayescg.refine fits the memory to the simulated "
    "correlation function; bayescg.memory.Pairwise conserves momentum."
)
"""What independent memory cannot do."""


class Motion(NamedTuple):
    """A memory, and what its simulations show.

    Attributes:
        posterior: from `bayescg.sample`, of a model with a memory.
        simulated: from `bayescg.simulate` with `VACF`; None where nothing was simulated.
        reference: the same correlation function of the data, from `bayescg.predict.evaluate`.
    """

    posterior: xr.DataTree
    simulated: xr.DataTree | None = None
    reference: xr.Dataset | None = None


def motion_section(found: Motion) -> tuple[str, list[str]]:
    """Kernel, correlation function and what to make of them.

    Args:
        found: of a model with a memory.
    """
    parts = [paragraph(sentence) for sentence in motion_sentences(found)]
    parts.append(
        figure(
            viz.plot_memory(found.posterior),
            name="memory",
            alt="Memory kernel over time and its spectrum with 50 % and 95 % bands.",
            caption="Kernel K(t), its spectrum and its integral, the friction at long times: median, 50 % "
            "and 95 % bands of the posterior.",
        )
    )
    if found.simulated is not None:
        parts.append(
            figure(
                viz.plot_observable(found.simulated, VACF, reference=found.reference),
                name=VACF,
                alt="Velocity autocorrelation simulated with posterior draws, beside that of the data.",
                caption="Velocity autocorrelation: spread between posterior draws, freed from the Monte "
                "Carlo error of the finite simulations, which is shown apart (right, below). Right, above: "
                "difference from the data, their 95 % error in grey.",
            )
        )
    parts.append(paragraph(INDEPENDENT))
    if named := warnings_of(found.posterior, found.simulated):
        parts.append(bullets(named))
    return "Dynamics", parts


def motion_sentences(found: Motion) -> list[str]:
    """Friction and diffusion in plain words.

    Args:
        found: of a model with a memory.
    """
    friction = np.asarray(found.posterior["memory_curves"]["friction"])
    low, middle, high = np.quantile(friction, [0.025, 0.5, 0.975])
    how = "given draws of the potential" if found.posterior.attrs.get("inference") == "cut" else "jointly"
    sentences = [
        f"Memory: friction at long times {middle:.3g} amu/ps [{low:.3g}, {high:.3g}] (95 %), drawn {how}."
    ]
    if found.simulated is not None and found.reference is not None:
        curve = observable_summary(found.simulated, VACF)["mean"]
        lags = np.asarray(curve["lag_time"])
        ours, data = np.trapezoid(curve, lags) / 3, np.trapezoid(found.reference[VACF], lags) / 3
        if not np.isfinite(curve).all():
            return [*sentences, f"The simulations are too short for correlations over {lags[-1]:.2g} ps."]
        difference = np.asarray(curve / curve[0] - found.reference[VACF] / found.reference[VACF][0])
        sentences.append(
            f"Integral of the velocity autocorrelation over {lags[-1]:.2g} ps (the diffusion coefficient, as "
            f"far as it has converged): simulated {ours:.4f} nm²/ps, data {data:.4f} nm²/ps. Root mean "
            f"square difference of the normalized functions: {np.sqrt(np.mean(difference**2)):.3f}."
        )
    return sentences
