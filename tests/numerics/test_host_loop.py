"""The host loop: progress, checkpoint, Ctrl-C; a resumed stage has the bits of an uninterrupted one."""

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescg._checks import BayescgError
from bayescg.numerics import host_loop, interruption
from bayescg.numerics.host_loop import HostLoop, Interrupted, chunk_length

TOTAL, CHUNK = 60, 5


@partial(jax.jit, static_argnums=1)
def walk(carry, length):
    """A random walk whose every step depends on key, position and iteration."""

    def step(carry, _):
        key, x, n = carry
        key, now = jax.random.split(key)
        x = jnp.sin(x) + 0.3 * jax.random.normal(now, x.shape)
        return (key, x, n + 1), {"x": x, "n": n}

    return jax.lax.scan(step, carry, length=length)


def begin():
    return jax.random.key(3), jnp.zeros(4), 0


def interrupting(step, *, after, times=1):
    """The step, with Ctrl-C pressed during its call number `after`."""
    calls = []

    def wrapped(carry, length):
        calls.append(length)
        if len(calls) == after:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return step(carry, length)

    return wrapped


def untouchable(carry, length):
    raise AssertionError("a finished stage was computed again")


@pytest.fixture
def reference():
    return HostLoop(progress=False).run("sample", walk, begin(), total=TOTAL, chunk=CHUNK)


def same(stage, reference):
    np.testing.assert_array_equal(stage.records["x"], reference.records["x"], strict=True)
    np.testing.assert_array_equal(stage.records["n"], reference.records["n"], strict=True)
    for leaf, other in zip(stage.carry[1:], reference.carry[1:], strict=True):
        np.testing.assert_array_equal(leaf, other, strict=True)
    assert stage.carry[0] == reference.carry[0]


def test_chunks_make_the_one_long_scan(reference):
    carry, records = walk(begin(), TOTAL)
    np.testing.assert_array_equal(reference.records["x"], records["x"])
    np.testing.assert_array_equal(reference.carry[1], carry[1])
    assert isinstance(reference.records["x"], np.ndarray)


@pytest.mark.parametrize("after", [1, 4, 12], ids=["first chunk", "middle", "last chunk"])
def test_an_interrupted_stage_resumes_bit_for_bit(tmp_path, reference, after):
    loop = HostLoop(tmp_path / "run", progress=False, fingerprint="walk")
    with pytest.raises(Interrupted) as caught:
        loop.run("sample", interrupting(walk, after=after), begin(), total=TOTAL, chunk=CHUNK)
    message = str(caught.value)
    assert f"{after * CHUNK} of {TOTAL} iterations of stage 'sample' are kept" in message
    assert "checkpoint=" in message
    walk.clear_cache()  # as a new process would
    again = HostLoop(str(tmp_path / "run"), progress=False, fingerprint="walk")
    same(again.run("sample", walk, begin(), total=TOTAL, chunk=CHUNK), reference)
    # negative control: another key gives other numbers
    other = HostLoop(progress=False).run(
        "sample", walk, (jax.random.key(4), *begin()[1:]), total=TOTAL, chunk=CHUNK
    )
    assert not np.array_equal(other.records["x"], reference.records["x"])


def test_an_interrupt_can_come_again_and_again(tmp_path, reference):
    loop = HostLoop(tmp_path, progress=False)
    interrupts = 0
    while True:
        try:
            stage = loop.run("sample", interrupting(walk, after=2), begin(), total=TOTAL, chunk=CHUNK)
            break
        except Interrupted:
            interrupts += 1
    assert interrupts == 6
    same(stage, reference)


def long_enough(records):
    """After the third chunk, from the records alone."""
    return len(records["n"]) >= 3 * CHUNK


def test_a_stage_ends_when_its_records_are_enough(tmp_path, reference):
    asked = []

    def enough(records):
        asked.append(len(records["n"]))
        return long_enough(records)

    loop = HostLoop(tmp_path, progress=False)
    stage = loop.run("sample", walk, begin(), total=TOTAL, chunk=CHUNK, enough=enough)
    assert asked == [5, 10, 15]
    np.testing.assert_array_equal(stage.records["x"], reference.records["x"][:15])
    np.testing.assert_array_equal(stage.carry[1], reference.records["x"][14])
    # a finished stage is read, and goes on to the same end where more is asked of it
    again = loop.run("sample", untouchable, begin(), total=TOTAL, chunk=CHUNK, enough=long_enough)
    np.testing.assert_array_equal(again.records["x"], stage.records["x"])
    same(loop.run("sample", walk, begin(), total=TOTAL, chunk=CHUNK), reference)


@pytest.mark.parametrize("after", [1, 3, 4])
def test_a_resumed_stage_ends_where_the_uninterrupted_one_does(tmp_path, after):
    def enough(records):
        return len(records["n"]) >= 4 * CHUNK

    straight = HostLoop(progress=False).run("sample", walk, begin(), total=TOTAL, chunk=CHUNK, enough=enough)
    loop = HostLoop(tmp_path, progress=False)
    step = interrupting(walk, after=after)
    with pytest.raises(Interrupted):
        loop.run("sample", step, begin(), total=TOTAL, chunk=CHUNK, enough=enough)
    same(loop.run("sample", walk, begin(), total=TOTAL, chunk=CHUNK, enough=enough), straight)
    # negative control: a rule that asks the clock or counts its calls would not
    assert len(straight.records["n"]) == 4 * CHUNK


def test_records_that_are_not_kept_cannot_be_enough():
    with pytest.raises(BayescgError, match="keep must be True"):
        HostLoop(progress=False).run("a", walk, begin(), total=5, chunk=5, keep=False, enough=long_enough)


def test_finished_stages_are_read_not_computed(tmp_path, reference):
    loop = HostLoop(tmp_path, progress=False)
    loop.run("warmup", walk, begin(), total=TOTAL, chunk=CHUNK, keep=False)
    loop.run("sample", walk, begin(), total=TOTAL, chunk=CHUNK)
    assert loop.run("warmup", untouchable, begin(), total=TOTAL, chunk=CHUNK, keep=False).records == {}
    same(loop.run("sample", untouchable, begin(), total=TOTAL, chunk=CHUNK), reference)


def test_a_killed_run_goes_on_from_its_last_save(tmp_path, reference, monkeypatch):
    monkeypatch.setattr(host_loop, "SAVE_INTERVAL", -1.0)  # save after every chunk
    monkeypatch.setattr(host_loop, "SAVE_FRACTION", 0.0)
    calls = []

    def dying(carry, length):
        calls.append(length)
        if len(calls) == 5:
            raise MemoryError("killed")
        return walk(carry, length)

    loop = HostLoop(tmp_path, progress=False)
    with pytest.raises(MemoryError):
        loop.run("sample", dying, begin(), total=TOTAL, chunk=CHUNK)
    assert (tmp_path / "sample.15-20.npz").exists()
    same(loop.run("sample", walk, begin(), total=TOTAL, chunk=CHUNK), reference)
    assert not (tmp_path / "sample.15-20.npz").exists()


def test_iterations_beyond_the_total_are_dropped(reference):
    stage = HostLoop(progress=False).run("sample", walk, begin(), total=TOTAL - 2, chunk=CHUNK)
    np.testing.assert_array_equal(stage.records["x"], reference.records["x"][:-2])
    np.testing.assert_array_equal(stage.carry[1], reference.carry[1])


def test_the_step_is_compiled_once():
    traced = []

    @partial(jax.jit, static_argnums=1)
    def step(x, length):
        traced.append(length)
        return jax.lax.scan(lambda x, _: (0.5 * x + 1, {"x": x}), x, length=length)

    # a Python number is weakly typed, the step's result is not
    HostLoop(progress=False).run("sample", step, 1.0, total=23, chunk=5)
    assert traced == [5]


def test_without_a_checkpoint_the_message_says_so():
    with pytest.raises(Interrupted, match=r"after 10 of 60 .*nothing is kept.*checkpoint='folder'"):
        HostLoop(progress=False).run("sample", interrupting(walk, after=2), begin(), total=TOTAL, chunk=CHUNK)


def test_an_interrupt_is_not_swallowed_by_except_exception():
    assert issubclass(Interrupted, KeyboardInterrupt)
    assert not issubclass(Interrupted, Exception)


def test_a_second_interrupt_stops_at_once(tmp_path, reference):
    loop = HostLoop(tmp_path, progress=False)
    with pytest.raises(Interrupted):
        loop.run("sample", interrupting(walk, after=3), begin(), total=TOTAL, chunk=CHUNK)
    with pytest.raises(KeyboardInterrupt) as caught:
        loop.run("sample", interrupting(walk, after=3, times=2), begin(), total=TOTAL, chunk=CHUNK)
    assert not isinstance(caught.value, Interrupted)
    # what was saved before stands
    same(loop.run("sample", walk, begin(), total=TOTAL, chunk=CHUNK), reference)


def test_a_second_interrupt_does_not_wait_for_the_device(monkeypatch):
    """Two signals arrive while a chunk is under way; Python answers before the chunk is done."""
    release = threading.Event()

    class Slow:
        """An array under way, as jax.Array shows it."""

        def is_ready(self):
            return release.is_set()

    def press():
        for _ in range(2):
            time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(20)
        release.set()  # only reached if the interrupt was held back

    threading.Thread(target=press, daemon=True).start()
    told = []
    monkeypatch.setattr(interruption.jax.tree, "leaves", lambda tree: [Slow()])
    monkeypatch.setattr(interruption.jax, "Array", Slow)
    monkeypatch.setattr(interruption, "is_key", lambda leaf: False)
    with interruption.Patience() as patience, pytest.raises(KeyboardInterrupt):
        interruption.wait(0, patience, told.append)
    assert not release.is_set()
    assert told == ["finishing this chunk; Ctrl-C again stops at once"]


def failing(carry, length):
    raise ArithmeticError


@pytest.mark.parametrize(
    ("step", "error"),
    [(walk, None), (failing, ArithmeticError), (interrupting(walk, after=1), Interrupted)],
    ids=["success", "error", "interrupt"],
)
def test_the_previous_handler_is_always_restored(step, error):
    def mine(number, frame):
        raise AssertionError("not called while the loop runs")

    original = signal.signal(signal.SIGINT, mine)
    try:
        if error is None:
            HostLoop(progress=False).run("sample", step, begin(), total=TOTAL, chunk=CHUNK)
        else:
            with pytest.raises(error):
                HostLoop(progress=False).run("sample", step, begin(), total=TOTAL, chunk=CHUNK)
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, original)


def test_an_ignored_interrupt_stays_ignored(reference):
    original = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        stage = HostLoop(progress=False).run(
            "sample", interrupting(walk, after=2), begin(), total=TOTAL, chunk=CHUNK
        )
    finally:
        signal.signal(signal.SIGINT, original)
    same(stage, reference)


def test_outside_the_main_thread_no_handler_is_installed(reference):
    before, seen = signal.getsignal(signal.SIGINT), []

    def looking(carry, length):
        seen.append(signal.getsignal(signal.SIGINT))
        return walk(carry, length)

    results = []
    loop = HostLoop(progress=False)
    thread = threading.Thread(
        target=lambda: results.append(loop.run("sample", looking, begin(), total=TOTAL, chunk=CHUNK))
    )
    thread.start()
    thread.join()
    same(results[0], reference)
    assert set(seen) == {before}


def test_progress_goes_to_standard_error(capsys):
    def describe(records):
        return f"seen {len(records['n'])}"

    HostLoop().run("sample", walk, begin(), total=TOTAL, chunk=CHUNK, describe=describe)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "sample" in captured.err
    assert f"seen {TOTAL}" in captured.err
    HostLoop(progress=False).run("sample", walk, begin(), total=TOTAL, chunk=CHUNK, describe=describe)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_another_fingerprint_is_refused(tmp_path):
    HostLoop(tmp_path, progress=False, fingerprint="a").run("sample", walk, begin(), total=5, chunk=5)
    with pytest.raises(BayescgError, match="another problem, sampler setting or key"):
        HostLoop(tmp_path, progress=False, fingerprint="b").run("sample", walk, begin(), total=5, chunk=5)
    with pytest.raises(BayescgError, match="holds 5 iterations, more than the 4"):
        HostLoop(tmp_path, progress=False, fingerprint="a").run("sample", walk, begin(), total=4, chunk=4)


def test_records_without_the_iteration_axis_are_refused():
    with pytest.raises(BayescgError, match=r"leading axis of 5 iterations, got \{'x': \(\)\}"):
        HostLoop(progress=False).run("sample", lambda x, n: (x, {"x": jnp.ones(())}), 0.0, total=5, chunk=5)


def test_chunks_waste_little():
    for totals in [(500, 1000), (997, 1013), (1,), (7, 1000), (50, 51)]:
        chunk = chunk_length(*totals, longest=50)
        assert 1 <= chunk <= 50
        surplus = sum(-total % chunk for total in totals)
        calls = sum(-(-total // chunk) for total in totals)
        # no worse than a fixed chunk of 50 or of 1
        assert surplus + calls <= min(sum(-total % 50 - (-total // 50) for total in totals), sum(totals))


SCRIPT = """
import sys, numpy as np, jax, jax.numpy as jnp, signal
from bayescg.numerics.host_loop import HostLoop
jax.config.update("jax_enable_x64", True)
calls = []

def step(carry, length):
    calls.append(length)
    if sys.argv[2] == "interrupt" and len(calls) == 3:
        signal.raise_signal(signal.SIGINT)
    return walk(carry, length)

@jax.jit
def one(carry):
    key, x = carry
    key, now = jax.random.split(key)
    x = jnp.sin(x) + jax.random.normal(now)
    return (key, x), {"x": x}

def walk(carry, length):
    return jax.jit(lambda c: jax.lax.scan(lambda c, _: one(c), c, length=length))(carry)

loop = HostLoop(sys.argv[1], progress=False)
stage = loop.run("sample", step, (jax.random.key(0), jnp.zeros(())), total=20, chunk=4)
np.save(sys.argv[3], stage.records["x"])
"""


def test_a_new_process_goes_on_with_the_same_bits(tmp_path):
    def run(folder, mode, result):
        arguments = [str(tmp_path / folder), mode, str(tmp_path / result)]
        return subprocess.run(
            [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=False
        )

    stopped = run("resumed", "interrupt", "none.npy")
    assert stopped.returncode != 0
    assert "12 of 20 iterations of stage 'sample' are kept" in stopped.stderr
    assert run("resumed", "go", "resumed.npy").returncode == 0
    assert run("straight", "go", "straight.npy").returncode == 0
    np.testing.assert_array_equal(np.load(tmp_path / "resumed.npy"), np.load(tmp_path / "straight.npy"))
