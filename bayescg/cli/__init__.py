"""The command `bayescg`: demo, fit, version.

Errors in the input end in one line and exit code 2, and leave no output; Ctrl-C ends with 130 and
keeps the checkpoint. Heavy imports wait until a command runs, so that `--help` is quick.
"""

import argparse
import dataclasses
import os
import sys
import warnings
from collections.abc import Callable, Sequence

from bayescg.cli.settings import FIELDS, Settings, read_settings

DEMO = Settings(
    trajectory=(),
    temperature=300.0,
    warmup=500,
    draws=1000,
    simulate_draws=20,
    simulate_steps=3000,
    output="bayescg-demo",
)
"""Water from the trajectory that ships, in under three minutes on two cores."""

SMALL = {
    "knots": 12,
    "modes": 1,
    "chains": 2,
    "warmup": 100,
    "draws": 100,
    "simulate_draws": 2,
    "simulate_steps": 100,
}
"""What `demo --small` changes: to see that everything works, not to learn about water."""

SMALL_FRAMES = 32
"""Frames of `demo --small`: the fewest that give sandwich intervals and held-out scores some meaning."""

DYNAMICS_FRAMES, SMALL_DYNAMICS = 150, 60
"""Frames of the fast trajectory in the demo, 229,500 velocity components, and in the small one."""

BAD_INPUT, INTERRUPTED = 2, 130
"""Exit codes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: of the command line; None for those of the process.

    Returns:
        Exit code: 0, 2 for bad input, 130 after Ctrl-C.

    Example:
        >>> main(["version"])
        bayescg 0.1.0
        0
    """
    parsed = _parser().parse_args(arguments)
    match parsed.command:
        case "demo":
            return _guarded(lambda: _demo(parsed))
        case "fit":
            return _guarded(lambda: _fit(parsed))
        case _:
            _say(f"bayescg {_version()}")
            return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bayescg", description="Bayesian coarse-graining: from a trajectory to a posterior force field."
    )
    parser.add_argument("--version", action="version", version=f"bayescg {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    demo = commands.add_parser("demo", help="fit and simulate the water that ships with the package")
    demo.add_argument("--output", help=f"folder for the results (default: {DEMO.output})")
    demo.add_argument("--seed", type=int, help=f"of all random numbers (default: {DEMO.seed})")
    demo.add_argument("--small", action="store_true", help="a much smaller run, to see that everything works")
    fit = commands.add_parser(
        "fit",
        help="fit your own trajectory",
        description="Fit a pair potential to your own trajectory with forces. Every flag is also a key of "
        "the TOML "
        "file (--config); flags win. Units: nm, ps, K, kJ/mol. Paths are relative to the current folder.",
    )
    fit.add_argument("--config", help="TOML file with the same keys")
    for name, field in FIELDS.items():
        many = field.metadata["kind"] is tuple
        fit.add_argument(
            f"--{name.replace('_', '-')}",
            type=str if many else field.metadata["kind"],
            nargs="+" if many else None,
            choices=field.metadata["choices"] or None,
            metavar=None if field.metadata["choices"] else name.rpartition("_")[2].upper(),
            help=field.metadata["help"]
            + ("" if field.default in (None, ()) else f" (default: {field.default})"),
        )
    commands.add_parser("version", help="print the version")
    return parser


def _demo(parsed: argparse.Namespace) -> str:
    changes = {name: value for name in ("output", "seed") if (value := getattr(parsed, name)) is not None}
    settings = dataclasses.replace(DEMO, **(SMALL if parsed.small else {}), **changes)
    _say("bayescg demo: SPC/E water at 300 K, force matching, NUTS, memory, simulations with posterior draws")
    from bayescg import data
    from bayescg.cli.pipeline import run

    return run(
        settings,
        lambda: data.water(SMALL_FRAMES if parsed.small else None),
        lambda: data.water_dynamics(SMALL_DYNAMICS if parsed.small else DYNAMICS_FRAMES),
        say=_say,
    )


def _fit(parsed: argparse.Namespace) -> str:
    flags = {name: getattr(parsed, name) for name in FIELDS}
    if flags["trajectory"] is not None:
        flags["trajectory"] = tuple(flags["trajectory"])
    settings = read_settings(flags, parsed.config)
    from bayescg.cli.pipeline import run
    from bayescg.cli.sources import own_beads, own_dynamics

    return run(settings, lambda: own_beads(settings), lambda: own_dynamics(settings), say=_say)


def _guarded(command: Callable[[], str]) -> int:
    """Run a command in float64; turn bad input and Ctrl-C into one line and an exit code."""
    os.environ.setdefault("MPLBACKEND", "Agg")  # figures go to files, whatever screen there is
    import bayescg

    bayescg.enable_x64()
    with warnings.catch_warnings():
        warnings.simplefilter("always", bayescg.BayescgWarning)
        warnings.showwarning = _show_warning
        try:
            text = command()
        except (bayescg.BayescgError, OSError) as error:
            _complain(f"bayescg: error: {error}")
            return BAD_INPUT
        except KeyboardInterrupt as interruption:
            kept = str(interruption).split(". ")[0] or "Interrupted; what the checkpoint holds is kept"
            _complain(f"\nbayescg: {kept}. The same command goes on from there.")
            return INTERRUPTED
    _say(f"\n{text}")
    return 0


def _show_warning(message: Warning | str, *_: object) -> None:
    _complain(f"bayescg: warning: {message}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _complain(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _version() -> str:
    import bayescg

    return bayescg.__version__
