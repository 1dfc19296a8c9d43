"""Checkpoints: a stage of a long computation on disk, whole or not at all.

A folder holds for every stage one state file and the parts of its records::

    warmup.npz                     carry, iterations done, fingerprint, list of parts
    sample.npz
    sample.0-350.npz               records of iterations 0 to 349
    sample.350-1000.npz

Every file is written beside its place, flushed to the disk and moved there in one step, the parts
before the state file that names them. A full disk, a crash or a loss of power therefore leaves the
last checkpoint as it was. Draws already written are not written again, except once at the end of a
stage, when its parts become one. Files are plain `.npz`; nothing is pickled.
"""

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bayescg._checks import BayescgError, require
from bayescg._typing import NumpyArray

LAYOUT = 1
"""Version of the files; another version is refused."""

_START_AGAIN = "Give another checkpoint folder, or delete this one to start again."
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


class Saved(NamedTuple):
    """What a checkpoint knows of a stage.

    Attributes:
        carry: state after the iterations done.
        done: number of iterations done.
        records: name -> values of every iteration done, along the leading axis.
    """

    carry: Any
    done: int
    records: dict[str, NumpyArray]


class Checkpoint(eqx.Module):
    """A folder that keeps the stages of one computation.

    Attributes:
        folder: made at the first save.
        fingerprint: of everything the computation depends on; a folder with another one is refused.

    Example:
        >>> import tempfile
        >>> store = Checkpoint(tempfile.mkdtemp(), fingerprint="oscillator")
        >>> store.save("sample", {"z": jnp.ones(3)}, done=2, records={"x": np.array([0.5, 0.7])})
        >>> store.load("sample", {"z": jnp.zeros(3)}).records["x"].tolist()
        [0.5, 0.7]
    """

    folder: Path = eqx.field(converter=Path, static=True)
    fingerprint: str = eqx.field(default="", static=True)

    def save(
        self, stage: str, carry: Any, *, done: int, records: Mapping[str, Any], end: bool = False
    ) -> None:
        """Write the state and the records that are not written yet.

        Args:
            stage: name of the stage, a valid file name.
            carry: pytree of arrays, PRNG keys and numbers.
            done: number of iterations done.
            records: name -> values of all iterations of the stage so far; those after `done` are ignored.
            end: whether the stage ends here; its parts are then made one.

        Raises:
            BayescgError: the folder cannot be written; the previous checkpoint stays whole.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            marks = [0] if end else self._marks(stage)
            fresh = {name: np.asarray(values)[marks[-1] : done] for name, values in records.items()}
            if fresh and done > marks[-1]:
                _write(self._part(stage, marks[-1], done), fresh)
                marks = [*marks, done]
            _write(self._state(stage), self._contents(carry, done, marks))
            if end:
                self._forget(stage, self._part(stage, 0, done))
        except OSError as error:
            raise BayescgError(
                f"checkpoint {self.folder} cannot be written: {error}. The last checkpoint is whole. "
                "Free some space or give another folder, then call again with the same checkpoint."
            ) from error

    def load(self, stage: str, like: Any) -> Saved | None:
        """Read a stage, or return None where the folder has none of that name.

        Args:
            stage: name of the stage.
            like: a carry of the same structure, shapes and types; its values do not matter.

        Raises:
            BayescgError: a file is damaged, or belongs to another computation or version.
        """
        path = self._state(stage)
        if not path.exists():
            return None
        header, arrays = self._open(path)
        leaves, structure = jax.tree.flatten(like)
        if header["leaves"] != [_describe(leaf) for leaf in leaves]:
            raise BayescgError(f"checkpoint {path} holds a state of another shape. {_START_AGAIN}")
        carry = [
            _decode(description, arrays[f"leaf_{index}"])
            for index, description in enumerate(header["leaves"])
        ]
        return Saved(
            jax.tree.unflatten(structure, carry), header["done"], self._records(stage, header["marks"])
        )

    def _open(self, path: Path) -> tuple[dict[str, Any], dict[str, NumpyArray]]:
        arrays = _read(path)
        try:
            header = json.loads(arrays["header"].tobytes())
            layout, fingerprint = header["layout"], header["fingerprint"]
        except _UNREADABLE as error:
            raise BayescgError(_damaged(path, error)) from error
        require(
            layout == LAYOUT,
            f"checkpoint {path} has layout {layout}, this version reads layout {LAYOUT}. {_START_AGAIN}",
        )
        require(
            fingerprint == self.fingerprint,
            f"checkpoint {self.folder} was made for another problem, sampler setting or key "
            f"(fingerprint {fingerprint!r}, now {self.fingerprint!r}). {_START_AGAIN}",
        )
        return header, arrays

    def _records(self, stage: str, marks: list[int]) -> dict[str, NumpyArray]:
        parts = [_read(self._part(stage, start, stop)) for start, stop in pairwise(marks)]
        return {name: np.concatenate([part[name] for part in parts]) for name in (parts[0] if parts else ())}

    def _marks(self, stage: str) -> list[int]:
        path = self._state(stage)
        return self._open(path)[0]["marks"] if path.exists() else [0]

    def _contents(self, carry: Any, done: int, marks: list[int]) -> dict[str, NumpyArray]:
        leaves = jax.tree.leaves(carry)
        header = {
            "layout": LAYOUT,
            "fingerprint": self.fingerprint,
            "done": done,
            "marks": marks,
            "leaves": [_describe(leaf) for leaf in leaves],
        }
        arrays = {f"leaf_{index}": _encode(leaf) for index, leaf in enumerate(leaves)}
        return {"header": np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays}

    def _forget(self, stage: str, kept: Path) -> None:
        for path in self.folder.glob(f"{stage}.*-*.npz"):
            if path != kept:
                path.unlink()

    def _state(self, stage: str) -> Path:
        return self.folder / f"{stage}.npz"

    def _part(self, stage: str, start: int, stop: int) -> Path:
        return self.folder / f"{stage}.{start}-{stop}.npz"


def is_key(leaf: Any) -> TypeGuard[jax.Array]:
    """Whether a leaf is a typed PRNG key.

    Example:
        >>> is_key(jax.random.key(0)), is_key(jnp.zeros(2))
        (True, False)
    """
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _write(path: Path, arrays: Mapping[str, NumpyArray]) -> None:
    """Write beside `path`, flush to the disk, then move into place in one step."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """Make the move itself durable; only POSIX systems open folders."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read(path: Path) -> dict[str, NumpyArray]:
    """All arrays of a file; reading checks every array's checksum."""
    try:
        with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as contents:
            return {name: contents[name] for name in contents.files}
    except _UNREADABLE as error:
        raise BayescgError(_damaged(path, error)) from error


def _damaged(path: Path, error: Exception) -> str:
    return f"checkpoint {path} cannot be read, it is missing, cut short or damaged ({error}). {_START_AGAIN}"


def _describe(leaf: Any) -> dict[str, Any]:
    """Kind, shape and type of a leaf, as JSON."""
    if type(leaf) in (bool, int, float):
        return {"kind": type(leaf).__name__}
    if not isinstance(leaf, jax.Array | np.ndarray | np.generic) or leaf.dtype == object:
        raise BayescgError(
            f"a carry must hold arrays, PRNG keys and numbers, got {type(leaf).__name__}. "
            "Close the step over everything else."
        )
    if is_key(leaf):
        return {"kind": "key", "shape": list(leaf.shape), "type": str(jax.random.key_impl(leaf))}
    return {"kind": "array", "shape": list(leaf.shape), "type": str(leaf.dtype)}


def _encode(leaf: Any) -> NumpyArray:
    kind = _describe(leaf)["kind"]
    return np.asarray(jax.random.key_data(leaf) if kind == "key" else leaf)


def _decode(description: dict[str, Any], values: NumpyArray) -> Any:
    match description["kind"]:
        case "bool" | "int" | "float":
            return values.item()
        case "key":
            return jax.random.wrap_key_data(jnp.asarray(values), impl=description["type"])
        case _:
            # types NumPy does not know, such as bfloat16, come back as raw bytes
            return jnp.asarray(values.view(np.dtype(description["type"])))
