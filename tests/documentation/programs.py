"""Models and notebooks run small in this very process, which has imported what they need."""

import runpy
import warnings

from matplotlib import pyplot


def run_small(script, folder, monkeypatch):
    """Run a script in an empty folder with BAYESCG_SMALL=1, which asks it for its smallest size.

    Args:
        script: its path.
        folder: to work in.
        monkeypatch: pytest's, which takes the changes back.
    """
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BAYESCG_SMALL", "1")
    monkeypatch.setattr("sys.argv", [str(script)])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")  # as in a process of its own
            runpy.run_path(str(script), run_name="__main__")
    finally:
        pyplot.close("all")
