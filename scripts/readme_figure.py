"""The README's figure from a folder that `bayescg demo` wrote: the potential above the simulated g(r).

python scripts/readme_figure.py bayescg-demo docs/figures/water.png
"""

import sys
from pathlib import Path

import matplotlib.image as image
import numpy as np


def main() -> None:
    """Stack the figures, narrower ones on a white ground."""
    folder, target = map(Path, sys.argv[1:])
    parts = [image.imread(folder / f"{name}.png")[..., :3] for name in ("potential", "radial_distribution")]
    width = max(part.shape[1] for part in parts)
    padded = [
        np.pad(part, ((0, 0), (0, width - part.shape[1]), (0, 0)), constant_values=1.0) for part in parts
    ]
    image.imsave(target, np.concatenate(padded))


if __name__ == "__main__":
    main()
