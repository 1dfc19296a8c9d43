"""bayescg: from an atomistic trajectory to a posterior over a coarse-grained model, and on to simulations.

    beads = bcg.mapping.CenterOfMass(by="residue")(bcg.read_trajectory("topol.tpr", "traj.trr", temperature=300))
    model = bcg.Model(potential=bcg.potentials.PairSpline(cutoff=0.9, knots=24))
    problem = bcg.Problem(model, bcg.priors.default(model), bcg.likelihoods.ForceMatching().on(beads))
    posterior = bcg.sample(problem, bcg.NUTS(), key=jax.random.key(0))        # xarray.DataTree, ArviZ's schema
    identified = bcg.identify(problem, posterior)                             # what the data determine
    simulated = bcg.simulate(problem, posterior, draws=32, key=jax.random.key(1))
    bcg.report("report.html", posterior, identified, simulated, reference=beads)

Units are nm, ps, amu, K and kJ/mol throughout. Statistics need float64: call `bcg.enable_x64()` first.
Sub-packages load on first touch, so the import is quick.
"""  # noqa: E501

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayescg import (
        data,
        dynamics,
        export,
        inference,
        interfaces,
        likelihoods,
        memory,
        numerics,
        observables,
        potentials,
        predict,
        priors,
        units,
        viz,
    )
    from bayescg._checks import BayescgError, BayescgWarning
    from bayescg.data import mapping, read_trajectory
    from bayescg.identifiability import identify
    from bayescg.inference import (
        MCLMC,
        NUTS,
        SGHMC,
        SGNHT,
        SMC,
        SVI,
        Conjugate,
        Cut,
        DeepEnsemble,
        Laplace,
        Problem,
        compare,
        sample,
    )
    from bayescg.model import Model
    from bayescg.predict import refine, reweight, simulate
    from bayescg.reporting import report

__version__ = "0.1.0"

_SUBPACKAGES = (
    "data",
    "dynamics",
    "export",
    "inference",
    "interfaces",
    "likelihoods",
    "memory",
    "numerics",
    "observables",
    "potentials",
    "predict",
    "priors",
    "units",
    "viz",
)
_NAMES = {
    "BayescgError": "bayescg._checks",
    "BayescgWarning": "bayescg._checks",
    "Conjugate": "bayescg.inference",
    "Cut": "bayescg.inference",
    "DeepEnsemble": "bayescg.inference",
    "Laplace": "bayescg.inference",
    "MCLMC": "bayescg.inference",
    "Model": "bayescg.model",
    "NUTS": "bayescg.inference",
    "Problem": "bayescg.inference",
    "SGHMC": "bayescg.inference",
    "SGNHT": "bayescg.inference",
    "SMC": "bayescg.inference",
    "SVI": "bayescg.inference",
    "compare": "bayescg.inference",
    "identify": "bayescg.identifiability",
    "mapping": "bayescg.data",
    "read_trajectory": "bayescg.data",
    "refine": "bayescg.predict",
    "report": "bayescg.reporting",
    "reweight": "bayescg.predict",
    "sample": "bayescg.inference",
    "simulate": "bayescg.predict",
}
__all__ = [
    "MCLMC",
    "NUTS",
    "SGHMC",
    "SGNHT",
    "SMC",
    "SVI",
    "BayescgError",
    "BayescgWarning",
    "Conjugate",
    "Cut",
    "DeepEnsemble",
    "Laplace",
    "Model",
    "Problem",
    "__version__",
    "compare",
    "data",
    "dynamics",
    "enable_x64",
    "export",
    "identify",
    "inference",
    "interfaces",
    "likelihoods",
    "mapping",
    "memory",
    "numerics",
    "observables",
    "potentials",
    "predict",
    "priors",
    "read_trajectory",
    "refine",
    "report",
    "reweight",
    "sample",
    "simulate",
    "units",
    "viz",
]


def enable_x64() -> None:
    """Switch JAX to float64, which statistics and filters need; call it before the first computation.

    Example:
        >>> import bayescg as bcg
        >>> bcg.enable_x64()
    """
    import jax

    jax.config.update("jax_enable_x64", True)


def __getattr__(name: str) -> Any:
    """Load a public name on first touch."""
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _SUBPACKAGES:
        value = importlib.import_module(f"bayescg.{name}")
    else:
        raise AttributeError(f"module 'bayescg' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
