"""Array types. Axis words: frame bead xyz pair lag mode knot feature draw chain parameter."""

from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

NumpyArray = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Array", "Bool", "Float", "Int", "NumpyArray", "PRNGKeyArray"]
