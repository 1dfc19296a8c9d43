"""Results that figures are drawn from."""

import pytest

from tests.synthetic_result import make_result


@pytest.fixture(scope="session")
def result():
    return make_result()


@pytest.fixture(scope="session")
def result_of_two_types():
    return make_result(("A", "B"))
