"""What the data resolve: where modes start, and which modes are named as lying outside."""

import numpy as np
import pytest

from bayescg.interfaces import Timescales
from bayescg.memory import Markovian, OscillatoryProny, Prony, timescale_warnings
from bayescg.memory.timescales import merged, spaced_times

KNOWN = Timescales(interval=0.01, duration=20.0, friction=60.0)


@pytest.mark.parametrize("duration", [0.05, 1.0, 20.0, 1e6])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_modes_start_apart_and_resolved(duration, count):
    times = spaced_times(KNOWN._replace(duration=duration), count)
    assert times.shape == (count,)
    assert times.min() >= 2 * KNOWN.interval * (1 - 1e-12)
    assert times.max() <= max(min(duration / 10, 2.0), 0.04) * (1 + 1e-12)
    ratios = times[1:] / times[:-1]
    assert np.all(ratios > 1.1)
    np.testing.assert_allclose(ratios, ratios[:1].repeat(count - 1))


def test_one_mode_starts_between_where_two_do():
    assert spaced_times(KNOWN, 1)[0] == pytest.approx(np.sqrt(np.prod(spaced_times(KNOWN, 2))))


def test_timescales_of_several_data_do_not_depend_on_their_order():
    other = Timescales(interval=0.002, duration=5.0, friction=40.0)
    assert merged(merged(None, KNOWN), other) == merged(merged(None, other), KNOWN)
    assert merged(KNOWN, other) == Timescales(0.002, 20.0, 60.0)


def test_modes_outside_the_data_are_named():
    memory = Prony(3, [0.002, 0.5, 50.0], [1.0, 1.0, 1.0])
    fast, slow = timescale_warnings(memory, KNOWN)
    for part in ("mode 0 of memory (Prony)", "0.002 ps", "faster", "0.01 ps", "Markovian()"):
        assert part in fast
    for part in ("mode 2 of memory (Prony)", "50 ps", "slower", "20 ps", "constant force", "one mode fewer"):
        assert part in slow


def test_modes_inside_the_data_are_not_named():
    assert timescale_warnings(Prony(2, [0.011, 19.0], [1.0, 1.0]), KNOWN) == []
    assert timescale_warnings(Markovian(3.0), KNOWN) == []
    assert timescale_warnings(Prony(3).prepare(KNOWN), KNOWN) == []


def test_an_oscillation_between_frames_is_named_once_by_its_term():
    wave = OscillatoryProny(2, [0.1, 0.2], [5.0, 80.0], [1.0, 1.0], [0.0, 0.0])
    (sentence,) = timescale_warnings(Markovian(1.0) + wave, KNOWN)
    for part in ("mode 1 of memory.terms.1 (OscillatoryProny)", "80 1/ps", "50 1/ps", "0.01 ps"):
        assert part in sentence
    assert timescale_warnings(wave, KNOWN._replace(interval=0.001)) == []
