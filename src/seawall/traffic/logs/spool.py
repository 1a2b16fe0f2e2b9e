"""Columns and texts of any length: in memory while they are small, in an unlinked temporary file after that."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Callable, Sequence
from typing import IO, Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from seawall.fleet.errors import InputError

IN_MEMORY_BYTES = 1 << 22
"""A column that is larger goes to a file."""
_TEXTS = 1 << 12
_READ = 1 << 14

T = TypeVar("T")


class Spool:
    """One column that grows at its end; what it holds is read once it is finished."""

    def __init__(self, dtype: DTypeLike) -> None:
        self._dtype: np.dtype[Any] = np.dtype(dtype)
        self._parts: list[NDArray[Any]] = []
        self._file: IO[bytes] | None = None
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def append(self, values: NDArray[Any]) -> None:
        """Add values, shape (n,). Raises InputError where there is no room for the temporary file."""
        values = np.ascontiguousarray(values, dtype=self._dtype)
        self._size += values.size
        if self._file is None:
            self._parts.append(values)
            if self._size * self._dtype.itemsize <= IN_MEMORY_BYTES:
                return
        parts, self._parts = self._parts or [values], []
        with no_room():
            if self._file is None:
                # Unlinked from the start: nothing is left behind, however the process ends.
                self._file = tempfile.TemporaryFile(prefix="seawall-")  # noqa: SIM115
            for part in parts:
                self._file.write(part.data.cast("B") if part.size else b"")

    def finished(self) -> NDArray[Any]:
        """All values, shape (n,): in memory, or as a read-only map of the file."""
        if self._file is None:
            return np.concatenate([np.empty(0, self._dtype), *self._parts])
        with no_room():
            self._file.flush()
        return np.memmap(self._file, self._dtype, "r", shape=(self._size,))


class no_room:  # noqa: N801 (a context manager, named as what it stands for)
    """Says where temporary files go, and how to have them elsewhere, when one cannot be written."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            where = tempfile.gettempdir() if tempfile.tempdir else "the folder for temporary files"
            raise InputError(
                f"a log of this size needs room in {where}: {error.strerror}; "
                "free some, or set TMPDIR to a folder that has it"
            ) from error


def release(*columns: NDArray[Any]) -> None:
    """Take what was read of columns in files out of this process's memory; reading it again brings it back."""
    for column in columns:
        mapped = getattr(column, "_mmap", None)
        if mapped is not None:
            mapped.madvise(mmap.MADV_DONTNEED)


class Texts:
    """Texts as bytes, one after another, each known by its number."""

    def __init__(self) -> None:
        self._bytes = Spool(np.uint8)
        self._ends = Spool(np.int64)
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._length = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def extend(self, texts: Sequence[bytes]) -> range:
        """Add texts; gives their numbers, counted from 0."""
        self._waiting += texts
        self._waiting_bytes += sum(map(len, texts))
        self._count += len(texts)
        if len(self._waiting) >= _TEXTS or self._waiting_bytes > IN_MEMORY_BYTES:
            self._flush()
        return range(self._count - len(texts), self._count)

    def _flush(self) -> None:
        ends = np.cumsum(np.fromiter(map(len, self._waiting), np.int64, len(self._waiting)))
        self._bytes.append(np.frombuffer(b"".join(self._waiting), np.uint8))
        self._ends.append(ends + self._length)
        self._length += int(ends[-1]) if ends.size else 0
        self._waiting, self._waiting_bytes = [], 0

    def finished(self, decode: Callable[[bytes], T]) -> Stored[T]:
        """All texts, as what `decode` makes of their bytes."""
        self._flush()
        return Stored(self._bytes.finished(), self._ends.finished(), decode)


class Stored(Sequence[T], Generic[T]):
    """What was stored as bytes, made anew each time it is asked for: no more of it is in memory than is used."""

    def __init__(
        self, data: NDArray[np.uint8], ends: NDArray[np.int64], decode: Callable[[bytes], T]
    ) -> None:
        self._data, self._ends, self._decode = data, ends, decode
        self._asked = 0

    def __len__(self) -> int:
        return int(self._ends.size)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"number {index} of {len(self)}")
        self._asked += 1
        if self._asked % _READ == 0:
            release(self._data, self._ends)
        index %= len(self)
        begin = int(self._ends[index - 1]) if index else 0
        return self._decode(self._data[begin : int(self._ends[index])].tobytes())
