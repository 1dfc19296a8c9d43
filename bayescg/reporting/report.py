"""report: one page that says what was fitted, what came out, and what it does not say."""

import os
import tempfile
from pathlib import Path

import xarray as xr

from bayescg._checks import BayescgError
from bayescg.identifiability import Identified
from bayescg.reporting import sections
from bayescg.reporting.motion import Motion, motion_section
from bayescg.reporting.page import page
from bayescg.reporting.reference import reference_of
from bayescg.reporting.sentences import warnings_of


def report(
    path: str | Path,
    posterior: xr.DataTree,
    identified: Identified | None = None,
    simulated: xr.DataTree | None = None,
    *,
    reference: xr.Dataset | None = None,
    motion: Motion | None = None,
    title: str = "Coarse-grained force field",
) -> Path:
    """Write a self-contained HTML page: figures embedded, no script, no external resource.

    The file appears whole or not at all.

    Args:
        path: of the file; its folder must exist.
        posterior: from `bayescg.sample`, or read back from its file.
        identified: from `bayescg.identify`; None leaves the section out.
        simulated: from `bayescg.simulate`; None leaves the section out.
        reference: beads, on which g(r) is measured, or observables from `bayescg.predict.evaluate`.
        motion: memory and its simulations; None for the posterior itself where it has a memory.
        title: heading.

    Returns:
        The path written.

    Raises:
        BayescgError: the folder does not exist, the posterior is none, or the reference does not fit.

    Example:
        >>> import bayescg as bcg, jax, tempfile
        >>> model = bcg.Model(bcg.potentials.PairSpline(cutoff=0.9, knots=12))
        >>> term = bcg.likelihoods.ForceMatching().on(bcg.data.water(frames=16))
        >>> problem = bcg.Problem(model, bcg.priors.default(model), term)
        >>> posterior = bcg.sample(problem, bcg.Conjugate(draws=50), key=jax.random.key(0), progress=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report(folder + "/water.html", posterior).name
        'water.html'
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise BayescgError(
            f"path must lie in an existing folder, got {str(target)!r}. Create the folder first."
        )
    if not isinstance(posterior, xr.DataTree) or "posterior" not in posterior.children:
        raise BayescgError(
            f"posterior must be a DataTree with the group posterior, got {type(posterior).__name__}. Give "
            "what bayescg.sample returned."
        )
    held = reference_of(simulated, reference)
    of_memory: list[str] = []
    if motion is not None and motion.posterior is not posterior:
        of_memory = warnings_of(motion.posterior, motion.simulated)
    parts = [sections.verdict(posterior, identified, simulated, held, of_memory), sections.fitted(posterior)]
    parts += [sections.potential(posterior), sections.sampling(posterior, simulated)]
    if identified is not None:
        parts.append(sections.identifiability(identified, posterior))
    if simulated is not None:
        parts.append(sections.structure(simulated, held))
    if motion is None and "memory_curves" in posterior.children:
        motion = Motion(posterior)
    if motion is not None:
        parts.append(motion_section(motion))
    parts.append(sections.limits(posterior, simulated))
    version = posterior.attrs.get("created_by", "bayescg")
    _write(target, page(title, f"Posterior, diagnostics and simulations, by {version}.", parts))
    return target


def _write(target: Path, text: str) -> None:
    """Write beside the target, then rename: a reader never sees half a page."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        # mkstemp makes files only the owner can read; give the page what a plain open would
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
