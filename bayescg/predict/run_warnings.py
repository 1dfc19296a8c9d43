"""What went wrong in the simulations of a posterior, in sentences that say what to do."""

import numpy as np
import xarray as xr

from bayescg.predict.engines import failures
from bayescg.units import BOLTZMANN


def run_warnings(checks: xr.Dataset, temperature: float) -> list[str]:
    """What went wrong and what to do about it.

    Args:
        checks: `diagnostics`.
        temperature: target, K.

    Example:
        >>> checks = xr.Dataset({"exploded": ("run", [True]), "exploded_step": ("run", [7])})
        >>> checks = checks.assign_coords(draw=("run", [3])).assign(
        ...     kinetic_temperature=("run", [300.0]), kinetic_temperature_error=("run", [1.0])
        ... )
        >>> run_warnings(checks, 300.0)[0]
        '1 of 1 simulations exploded and are left out: draw 3 at step 7. Take a shorter timestep, or look at the potential of draw 3.'
    """  # noqa: E501
    found = []
    exploded = np.flatnonzero(checks["exploded"].to_numpy())
    if exploded.size:
        first = exploded[0]
        found.append(
            f"{exploded.size} of {checks.sizes['run']} simulations exploded and are left out: "
            + ", ".join(
                f"draw {int(checks['draw'][i])} at step {int(checks['exploded_step'][i])}" for i in exploded
            )
            + f". Take a shorter timestep, or look at the potential of draw {int(checks['draw'][first])}."
        )
    return [*found, *failures(checks), *_ensemble_warnings(checks, temperature)]


def _ensemble_warnings(checks: xr.Dataset, temperature: float) -> list[str]:
    """Where the ensemble is not the one that was asked for."""
    found = []
    if "collapsed" in checks and checks["collapsed"].any():
        named = ", ".join(str(int(draw)) for draw in checks["draw"][checks["collapsed"].to_numpy()])
        found.append(
            f"the box shrank below twice the cutoff in draw {named}: it counts as exploded. Start from a "
            "larger system, or look at the pressure of the potential at constant volume."
        )
    if "volume" in checks and (checks["volume"] < checks["volume"].attrs.get("smallest", 0.0)).any():
        found.append(
            f"the box shrank to {float(checks['volume'].min()):.3g} nm^3 from "
            f"{checks['volume'].attrs['start']:.3g}: curves are incomplete beyond half its edges. Give "
            "observables a smaller maximum."
        )
    if "energy_drift" in checks:
        drift = float(abs(checks["energy_drift"]).max())
        heating = drift * checks["energy_drift"].attrs["duration"] / (1.5 * BOLTZMANN)
        if heating > 0.02 * temperature:
            found.append(
                f"total energy drifts by up to {drift:.2g} kJ/mol per bead and ns, {heating:.1f} K in this "
                "run. Take a shorter timestep, or a potential that ends smoothly."
            )
        return found
    mean = float(checks["kinetic_temperature"].mean())
    error = float(np.sqrt((checks["kinetic_temperature_error"] ** 2).mean() / checks.sizes["run"]))
    if abs(mean - temperature) > max(5 * error, 0.02 * temperature):
        found.append(
            f"kinetic temperature is {mean:.1f} ± {error:.1f} K against a target of {temperature:.1f} K. "
            "Take a shorter timestep, or a longer equilibration."
        )
    return found
