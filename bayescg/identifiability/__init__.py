"""Identifiability: what the data determine, and what they leave to the prior."""

from bayescg.identifiability.combinations import Certificate, Combination
from bayescg.identifiability.ensemble import Ensemble
from bayescg.identifiability.fisher import information_matrix, term_information
from bayescg.identifiability.identification import identify
from bayescg.identifiability.identified import Identified
from bayescg.identifiability.information import Information
from bayescg.identifiability.ranks import Ranks, subspace_distance
from bayescg.inference.information_product import information_product
from bayescg.likelihoods.expected import Rows, expected_rows, gaussian_rows

__all__ = [
    "Certificate",
    "Combination",
    "Ensemble",
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
