"""Results that reports are written of."""

import pytest

from tests.synthetic_result import make_identified, make_reference, make_result, make_simulated


@pytest.fixture(scope="session")
def result():
    return make_result()


@pytest.fixture(scope="session")
def identified():
    return make_identified()


@pytest.fixture(scope="session")
def simulated():
    return make_simulated()


@pytest.fixture(scope="session")
def reference():
    """The simulated peak is 2.5 ± 0.05 high, that of the data 3.0 ± 0.01."""
    return make_reference(3.0)
