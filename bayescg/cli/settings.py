"""Settings of a run: one table for flags and TOML keys, each with a default and a check.

A flag wins over the file, the file over the default. Keys of the file are the flags without dashes in
front; `simulate-draws` and `simulate_draws` are the same. Only the standard library is imported here,
so that `bayescg --help` is quick.
"""

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SAMPLERS = ("nuts", "conjugate")
ENGINES = ("blackjax", "numpyro")


def _entry(default: Any, help_text: str, *, kind: type = str, choices: tuple[str, ...] = ()) -> Any:
    return dataclasses.field(default=default, metadata={"help": help_text, "kind": kind, "choices": choices})


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything a run depends on besides its data files' contents.

    Example:
        >>> Settings(temperature=300.0).cutoff
        0.9
    """

    topology: str | None = _entry(None, "file with atom names, masses and bonds (.tpr, .gro, ...)")
    trajectory: tuple[str, ...] = _entry((), "trajectory files with forces, joined in order", kind=tuple)
    temperature: float | None = _entry(None, "temperature of the run, K", kind=float)
    units: str | None = _entry(None, "units of files that do not say their own: real, metal, nano, gromacs")
    selection: str | None = _entry(None, "atoms to keep, in MDAnalysis' language")
    frames: str | None = _entry(None, "frames to keep, as begin:end:step")
    map: str | Mapping[str, Any] = _entry(
        "residue",
        "residue or molecule: centers of mass; geometry:residue; slice:SELECTION; beads: already mapped; "
        "in TOML also a table from bead name to atom names",
    )
    cutoff: float = _entry(0.9, "of the pair spline, nm", kind=float)
    knots: int = _entry(24, "grid points of the pair spline", kind=int)
    start: float | None = _entry(None, "of the spline, nm; left out: shortest sampled distance", kind=float)
    sampler: str = _entry("nuts", "how to draw from the posterior", choices=SAMPLERS)
    engine: str = _entry("blackjax", "who runs NUTS", choices=ENGINES)
    chains: int = _entry(4, "independent chains", kind=int)
    warmup: int = _entry(500, "warm-up iterations per chain", kind=int)
    draws: int = _entry(1000, "draws kept per chain", kind=int)
    dynamics: tuple[str, ...] = _entry(
        (), "trajectory files with velocities at short intervals, for the memory; left out: none", kind=tuple
    )
    modes: int = _entry(2, "oscillating modes of the memory", kind=int)
    simulate_draws: int = _entry(32, "posterior draws to simulate; 0 leaves simulations out", kind=int)
    simulate_steps: int = _entry(20_000, "steps per simulated draw, after equilibration", kind=int)
    simulate_timestep: float = _entry(0.005, "of the simulations, ps", kind=float)
    simulate_friction: float = _entry(1.0, "of their thermostat, 1/ps", kind=float)
    seed: int = _entry(0, "of all random numbers", kind=int)
    output: str = _entry("bayescg-output", "folder for the results; made whole or not at all")
    checkpoint: str | None = _entry(
        None, "folder to resume from; left out: OUTPUT.checkpoint, removed when the run is done"
    )


FIELDS = {field.name: field for field in dataclasses.fields(Settings)}


def read_settings(flags: Mapping[str, Any], config: str | None = None) -> Settings:
    """Merge flags over a TOML file over the defaults.

    Args:
        flags: by name; None means not given.
        config: path of the TOML file.

    Raises:
        BayescgError: the file is missing or no TOML, a key is unknown, or a value has the wrong type.

    Example:
        >>> read_settings({"cutoff": 1.2, "knots": None}).cutoff
        1.2
    """
    given = {} if config is None else _checked(_read_toml(Path(config)), config)
    given |= {name: value for name, value in flags.items() if value is not None}
    return Settings(**given)


def as_toml(settings: Settings) -> str:
    """The settings as a TOML file that `bayescg fit --config` reads.

    Example:
        >>> print(as_toml(Settings(temperature=300.0, trajectory=("a.trr",))).splitlines()[:2])
        ['trajectory = ["a.trr"]', 'temperature = 300.0']
    """
    lines, tables = [], []
    for name in FIELDS:
        value = getattr(settings, name)
        if isinstance(value, Mapping):
            tables += [
                f"\n[{name}]",
                *(f"{json.dumps(bead)} = {json.dumps(list(of))}" for bead, of in value.items()),
            ]
        elif value is not None and value != ():
            lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join([*lines, *tables]) + "\n"


def _read_toml(path: Path) -> dict[str, Any]:
    from bayescg._checks import BayescgError

    if not path.is_file():
        raise BayescgError(f"config must be a file that exists, got {str(path)!r}. Check the path.")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BayescgError(f"config must be a TOML file, but {str(path)!r} is not: {error}.") from None


def _checked(entries: Mapping[str, Any], config: str) -> dict[str, Any]:
    """Known names and right types."""
    from bayescg._checks import BayescgError

    checked = {}
    for key, value in entries.items():
        name = key.replace("-", "_")
        if name not in FIELDS:
            raise BayescgError(
                f"{key!r} in {config} is not a known setting. The known ones are: "
                f"{', '.join(sorted(FIELDS))}."
            )
        checked[name] = _typed(name, value)
    return checked


def _typed(name: str, value: Any) -> Any:
    """The value in the type of its field."""
    from bayescg._checks import BayescgError

    kind, choices = FIELDS[name].metadata["kind"], FIELDS[name].metadata["choices"]
    if kind is tuple:
        value = (value,) if isinstance(value, str) else value
        right = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
        value = tuple(value) if right else value
    elif kind is float:
        right = isinstance(value, int | float) and not isinstance(value, bool)
        value = float(value) if right else value
    elif kind is int:
        right = isinstance(value, int) and not isinstance(value, bool)
    else:
        right = isinstance(value, str) or (name == "map" and isinstance(value, dict))
    if not right:
        words = {tuple: "a list of paths", float: "a number", int: "a whole number", str: "a string"}
        raise BayescgError(f"{name} must be {words[kind]}, got {value!r}. Correct it in the config file.")
    if choices and value not in choices:
        raise BayescgError(f"{name} must be one of {', '.join(choices)}, got {value!r}.")
    return value
