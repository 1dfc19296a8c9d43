"""A checkpoint is whole or it is refused."""

import errno
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayescg._checks import BayescgError
from bayescg.numerics import checkpoint
from bayescg.numerics.checkpoint import Checkpoint


def state():
    return {
        "position": jnp.linspace(0.0, 1.0, 7),
        "count": jnp.array(3),
        "flag": jnp.array([True, False]),
        "half": jnp.array([1.5, -2.0], jnp.bfloat16),
        "key": jax.random.key(7),
        "keys": jax.random.split(jax.random.key(8, impl="rbg"), 3),
        "python": [True, 4, 0.1],
        "numpy": np.float64(0.3),
    }


def blank(tree):
    """The structure alone: other values everywhere."""

    def other(leaf):
        if isinstance(leaf, bool | int | float):
            return type(leaf)(0)
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            zeros = jnp.zeros_like(jax.random.key_data(leaf))
            return jax.random.wrap_key_data(zeros, impl=str(jax.random.key_impl(leaf)))
        return jnp.zeros_like(leaf)

    return jax.tree.map(other, tree)


def bits(tree):
    def leaf_bits(leaf):
        if isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return (str(jax.random.key_impl(leaf)), np.asarray(jax.random.key_data(leaf)).tobytes())
        return (str(getattr(leaf, "dtype", type(leaf))), np.asarray(leaf).tobytes())

    return [leaf_bits(leaf) for leaf in jax.tree.leaves(tree)]


def records(count):
    return {"x": np.arange(2.0 * count).reshape(count, 2), "n": np.arange(count)}


@pytest.fixture
def store(tmp_path):
    return Checkpoint(tmp_path / "run", fingerprint="harmonic")


def test_every_bit_comes_back(store):
    store.save("warmup", state(), done=5, records=records(9))
    saved = store.load("warmup", blank(state()))
    assert saved is not None
    assert bits(saved.carry) == bits(state())
    assert saved.done == 5
    np.testing.assert_array_equal(saved.records["x"], records(5)["x"])
    assert saved.records["n"].dtype == records(5)["n"].dtype
    # the keys work, and give the same numbers
    assert jnp.array_equal(jax.random.normal(saved.carry["key"]), jax.random.normal(jax.random.key(7)))


def test_a_stage_never_saved_is_none(store):
    assert store.load("sample", state()) is None


def test_records_are_written_once_and_become_one_part_at_the_end(store):
    store.save("sample", state(), done=4, records=records(10))
    first = store.folder / "sample.0-4.npz"
    identity = first.stat().st_ino, first.stat().st_mtime_ns
    store.save("sample", state(), done=7, records=records(10))
    assert (first.stat().st_ino, first.stat().st_mtime_ns) == identity
    assert (store.folder / "sample.4-7.npz").exists()
    store.save("sample", state(), done=10, records=records(10), end=True)
    assert sorted(path.name for path in store.folder.iterdir()) == ["sample.0-10.npz", "sample.npz"]
    np.testing.assert_array_equal(store.load("sample", state()).records["x"], records(10)["x"])


def full_disk(after):
    """A writer that puts `after` files on the disk, then half of the next one."""
    written, real = [], np.savez

    def savez(file, **arrays):
        if len(written) >= after:
            file.write(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(file)
        real(file, **arrays)

    return savez


@pytest.mark.parametrize("after", [0, 1], ids=["part", "state"])
@pytest.mark.parametrize("end", [False, True])
def test_a_full_disk_leaves_the_previous_checkpoint_whole(store, monkeypatch, after, end):
    store.save("sample", state(), done=4, records=records(10))
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.np, "savez", full_disk(after))
        with pytest.raises(BayescgError, match=r"cannot be written.*No space left.*Free some space"):
            store.save("sample", blank(state()), done=10, records=records(10), end=end)
    assert not list(store.folder.glob(".*"))  # no half-written file is left
    saved = store.load("sample", state())
    assert saved.done == 4
    assert bits(saved.carry) == bits(state())
    np.testing.assert_array_equal(saved.records["x"], records(4)["x"])
    # and when there is space again, the run goes on
    store.save("sample", state(), done=10, records=records(10), end=True)
    np.testing.assert_array_equal(store.load("sample", state()).records["x"], records(10)["x"])


@pytest.mark.parametrize("name", ["sample.npz", "sample.0-4.npz"])
def test_a_damaged_file_is_refused(store, name):
    store.save("sample", state(), done=4, records=records(4))
    path = store.folder / name
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(BayescgError, match=r"cannot be read.*another checkpoint folder"):
            store.load("sample", state())
    flipped = bytearray(whole)
    flipped[whole.index(b"\x93NUMPY") + 130] ^= 1  # the values follow a header of 128 bytes
    path.write_bytes(flipped)
    with pytest.raises(BayescgError, match="cannot be read"):
        store.load("sample", state())
    path.write_bytes(whole)
    assert store.load("sample", state()) is not None


def test_a_missing_part_is_refused(store):
    store.save("sample", state(), done=4, records=records(4))
    (store.folder / "sample.0-4.npz").unlink()
    with pytest.raises(BayescgError, match="missing"):
        store.load("sample", state())


def test_another_computation_is_refused(store):
    store.save("sample", state(), done=4, records=records(4))
    other = Checkpoint(store.folder, fingerprint="anharmonic")
    with pytest.raises(BayescgError, match=r"'harmonic', now 'anharmonic'.*delete this one"):
        other.load("sample", state())
    with pytest.raises(BayescgError, match="'harmonic', now 'anharmonic'"):
        other.save("sample", state(), done=5, records=records(5))


def test_another_layout_is_refused(store, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "LAYOUT", checkpoint.LAYOUT + 1)
        store.save("sample", state(), done=4, records=records(4))
    with pytest.raises(BayescgError, match=r"has layout 2, this version reads layout 1"):
        store.load("sample", state())


def test_a_state_of_another_shape_is_refused(store):
    store.save("sample", {"z": jnp.ones(3)}, done=1, records={})
    for other in ({"z": jnp.ones(4)}, {"z": jnp.ones(3, jnp.float32)}, {"z": jnp.ones(3), "w": 1.0}):
        with pytest.raises(BayescgError, match="state of another shape"):
            store.load("sample", other)


def test_nothing_is_pickled(store):
    with pytest.raises(BayescgError, match="must hold arrays"):
        store.save("sample", {"z": "text"}, done=1, records={})
    store.save("sample", {"z": jnp.ones(3)}, done=1, records={})
    header = json.dumps({"layout": 1, "fingerprint": "harmonic", "done": 1, "marks": [0], "leaves": []})
    np.savez(
        store.folder / "sample.npz",
        header=np.frombuffer(header.encode(), np.uint8),
        leaf_0=np.array([print], dtype=object),
    )
    with pytest.raises(BayescgError, match="cannot be read"):
        store.load("sample", {})


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BayescgError, match="cannot be written"):
        Checkpoint(tmp_path / "file" / "run").save("sample", {}, done=1, records={})
