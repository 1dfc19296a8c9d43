"""The machine and the versions that a figure belongs to."""

import importlib.metadata
import os
import platform
from pathlib import Path

PACKAGES = ("bayescg", "jax", "jaxlib", "numpyro", "numpy", "scipy", "MDAnalysis")


def describe() -> dict[str, str]:
    """Processor, system, versions and how busy the machine is."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return {
        "machine": f"{len(os.sched_getaffinity(0))} cores, {_processor()}, {_memory():.0f} GB",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": versions,
        "load": f"{os.getloadavg()[0]:.1f} processes over the last minute, before the start",
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
