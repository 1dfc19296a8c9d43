"""Identifiability: what the data determine, and what they leave to the prior."""

from bayescg.identifiability.combinations import Certificate, Combination
from bayescg.identifiability.expected import Rows, expected_rows, gaussian_rows
from bayescg.identifiability.fisher import (
    Information,
    information_matrix,
    information_product,
    term_information,
)
from bayescg.identifiability.identified import Identified
from bayescg.identifiability.inquiry import identify
from bayescg.identifiability.ranks import Ranks, subspace_distance

__all__ = [
    "Certificate",
    "Combination",
    "Identified",
    "Information",
    "Ranks",
    "Rows",
    "expected_rows",
    "gaussian_rows",
    "identify",
    "information_matrix",
    "information_product",
    "subspace_distance",
    "term_information",
]
