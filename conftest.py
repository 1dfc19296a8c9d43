"""Settings of every test and doctest of this repository: float64. Warnings are errors (pyproject.toml).

What a test records as `measured` is printed at the end, from whichever process it ran in.
"""
# ruff: noqa: E402  (a core is chosen before numpy and jax count them)

import gc
import os
import signal
import threading
from pathlib import Path

# Two workers with two threads each wait for one another on two cores; with a core of its own each is a
# seventh faster, and so are the programs it starts. What counts cores in Python still sees all of them,
# so that simulations run side by side in tests too.
WORKER = os.environ.get("PYTEST_XDIST_WORKER")  # gw0, gw1, ...
if WORKER and hasattr(os, "sched_setaffinity"):
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[int(WORKER.removeprefix("gw")) % len(cores)]})
    os.sched_getaffinity = lambda pid: set(cores)

import jax
import pytest
from jax._src.interpreters import mlir

jax.config.update("jax_enable_x64", True)

# a shell without job control starts background jobs with Ctrl-C ignored, and children inherit that: the
# tests of interruption, which send themselves SIGINT, would wait for an exception that never comes
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tracing makes objects by the thousand, few of them garbage: what was imported is not looked at again and the
# young are collected less often, which saves a tenth of the time of a test.
gc.freeze()
gc.set_threshold(50_000, 20, 20)

# JAX lowers every program in an MLIR context of its own. To load the dialects takes a fifth of the time of a
# small program, and a run has thousands: here those of a test file share a context, one for each thread.
contexts = threading.local()
new_context = mlir.make_ir_context


def one_context() -> object:
    """The context of this file and thread."""
    if not hasattr(contexts, "shared"):
        contexts.shared = new_context()
    return contexts.shared


mlir.make_ir_context = one_context

# Each program that XLA compiles holds mappings of memory, and Linux gives a process 65,530 of them
# (vm.max_map_count); past that the compiler dies of a segmentation fault. One file adds up to 7,000, those of
# tests/documentation 20,000, but they come first.
MOST_MAPPINGS = 54_000


# One file goes to one worker, and files that run whole programs take minutes for a handful of tests: begun
# last, they would leave the other worker without work.
LONG_FILES = ("tests/documentation/", "tests/cli/", "tests/inference/test_small_network.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, all else in the order it was found."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG_FILES))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """After a file: drop what its context holds, and programs before the process runs out of mappings."""
    if nextitem is not None and nextitem.path == item.path:
        return
    contexts.__dict__.clear()
    mappings = Path("/proc/self/maps")
    if mappings.exists() and mappings.read_bytes().count(b"\n") > MOST_MAPPINGS:
        jax.clear_caches()
        gc.collect()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests recorded with record_property("measured", ...)."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    for report in reports:
        for name, value in getattr(report, "user_properties", ()):
            if name == "measured" and report.when == "call":
                terminalreporter.write_line(f"{report.nodeid}: {value}")
