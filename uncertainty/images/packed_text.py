"""Long lists of text in few bytes: all text in one buffer, or as numbers into the few values that occur."""

from __future__ import annotations

import mmap
from abc import abstractmethod
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Generic, Self, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
AT_ONCE = 1024
"""So many are unpacked at a time."""
_PIECE = 1 << 20
"""So many bytes, or texts, gather before they leave the heap."""


class _Packed(Sequence[T], Generic[T]):
    """A sequence that equals any other with the same values, and gives slices of itself without copying."""

    @abstractmethod
    def _at(self, start: int, stop: int) -> Self:
        """Return a slice."""

    @abstractmethod
    def _values(self) -> list[T]:
        """Return all as a list."""

    @abstractmethod
    def _taken(self, positions: NDArray[np.int64]) -> Self:
        """Return some."""

    def __getitem__(self, index: Any) -> Any:
        """Return one value, or some."""
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            return self._at(start, max(start, stop)) if step == 1 else self.take(np.arange(start, stop, step))
        i = index + len(self) if index < 0 else index
        if not 0 <= i < len(self):
            raise IndexError(f"position {index} is not among {len(self)}")
        return self._at(int(i), int(i) + 1)._values()[0]

    def __iter__(self) -> Iterator[T]:
        """Yield value after value; few are there at a time."""
        for start in range(0, len(self), AT_ONCE):
            yield from self._at(start, min(start + AT_ONCE, len(self)))._values()

    def __eq__(self, other: object) -> bool:
        """Whether another sequence has the same values."""
        if not isinstance(other, Sequence) or isinstance(other, str | bytes):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def take(self, positions: NDArray[np.int64]) -> Self:
        """Return the values at ascending positions."""
        if len(positions) and positions[-1] - positions[0] == len(positions) - 1:
            return self._at(int(positions[0]), int(positions[-1]) + 1)
        return self._taken(positions)


@dataclass(frozen=True, eq=False)
class Texts(_Packed[T]):
    """Texts, or None, as UTF-8 in one buffer: their length and 4 bytes each, 5 where one is None, 4 more beyond 4 GB.

    Make one with `of`. `ends` (n + 1,) are where each begins and the next; `missing` (n,) is True where it is None.

    >>> names = Texts.of(["a.png", "b.png", "ä.png"])
    >>> names[1], names[-1], list(names[1:]), names == ("a.png", "b.png", "ä.png")
    ('b.png', 'ä.png', ['b.png', 'ä.png'], True)
    >>> list(Texts.of(["x", None, ""]))
    ['x', None, '']
    """

    data: memoryview
    ends: NDArray[np.integer]
    missing: NDArray[np.bool_]

    @classmethod
    def of(cls, texts: Iterable[T]) -> Self:
        """Pack texts; any iterator will do."""
        if isinstance(texts, cls):
            return texts
        packer: Packer[T] = Packer()
        for text in texts:
            packer.append(text)
        return cast("Self", packer.packed())

    def __len__(self) -> int:
        """How many."""
        return len(self.missing)

    def _at(self, start: int, stop: int) -> Self:
        return type(self)(self.data, self.ends[start : stop + 1], self.missing[start:stop])

    def _values(self) -> list[T]:
        ends = self.ends.tolist()
        found = [str(self.data[a:b], "utf-8", "surrogatepass") for a, b in pairwise(ends)]
        return cast(
            "list[T]", [None if gone else text for gone, text in zip(self.missing.tolist(), found, strict=True)]
        )

    def _taken(self, positions: NDArray[np.int64]) -> Self:
        return self.of(self[int(i)] for i in positions)

    def __reduce__(self) -> Any:
        """Send what is shown alone, not the buffer that it is a slice of."""
        return Texts.of, (self._values(),)

    def update(self, hasher: Any) -> None:
        """Feed a hash with the texts in their order; other texts, or the same cut elsewhere, feed something else."""
        for start in range(0, len(self), AT_ONCE):
            ends = self.ends[start : start + AT_ONCE + 1]
            hasher.update(np.diff(ends.astype(np.int64)).tobytes() + self.missing[start : start + AT_ONCE].tobytes())
            hasher.update(self.data[int(ends[0]) : int(ends[-1])])


@dataclass(frozen=True, eq=False)
class Numbered(_Packed[str]):
    """`<stem>/<row, 7 digits>` for the rows of several files, made when they are asked for: nothing a row.

    `rows` are positions over all files, in ascending order.

    >>> names = Numbered(("a", "b"), (2, 1), range(3))
    >>> list(names), names[2], len(names[1:])
    (['a/0000000', 'a/0000001', 'b/0000000'], 'b/0000000', 2)
    """

    stems: tuple[str, ...]
    counts: tuple[int, ...]
    rows: range | NDArray[np.int64]

    @classmethod
    def of(cls, stems: Sequence[str], counts: Sequence[int]) -> Numbered:
        """Name all rows of files, whose stems must differ."""
        return cls(tuple(stems), tuple(counts), range(sum(counts)))

    def __len__(self) -> int:
        """How many."""
        return len(self.rows)

    def _at(self, start: int, stop: int) -> Self:
        return type(self)(self.stems, self.counts, self.rows[start:stop])

    def _values(self) -> list[str]:
        ends, rows = np.cumsum(self.counts), np.asarray(self.rows, dtype=np.int64)
        files = np.searchsorted(ends, rows, side="right")
        inside = rows - (ends - np.asarray(self.counts))[files] if len(rows) else rows
        return [f"{self.stems[k]}/{row:07d}" for k, row in zip(files.tolist(), inside.tolist(), strict=True)]

    def _taken(self, positions: NDArray[np.int64]) -> Self:
        return type(self)(self.stems, self.counts, np.asarray(self.rows, dtype=np.int64)[positions])

    def __reduce__(self) -> Any:
        """Send the names that are shown, not those of all files."""
        return Texts.of, (self._values(),)


_Growing: TypeAlias = "bytearray | array[int]"


class _Pieces:
    """Bytes that grow without a copy of all that is there, and whose pieces leave memory as they are joined.

    Both hold by maps of their own: the heap may move what grows, and the command line keeps what it frees.
    """

    def __init__(self) -> None:
        self._pieces: deque[mmap.mmap] = deque()

    def take(self, piece: _Growing) -> None:
        """Move the bytes out of what grew."""
        if not piece:
            return
        view = memoryview(piece).cast("B")
        self._pieces.append(_mapped(len(view)))
        self._pieces[-1][:] = view
        view.release()
        del piece[:]

    def with_last(self, last: _Growing) -> memoryview:
        """Return all in one, and keep nothing."""
        if not self._pieces:
            return memoryview(last).cast("B")
        view = memoryview(last).cast("B")
        whole, at = _mapped(sum(map(len, self._pieces)) + len(view)), 0
        while self._pieces:
            with self._pieces.popleft() as piece:
                whole[at : at + len(piece)] = piece
                at += len(piece)
        whole[at:] = view
        return memoryview(whole)


def _mapped(size: int) -> mmap.mmap:
    return mmap.mmap(-1, size, access=mmap.ACCESS_COPY)


class Packer(Generic[T]):
    """Texts on their way into a `Texts`, one after another."""

    def __init__(self, absent: int = 0) -> None:
        """Begin with so many that are None."""
        self._full = _Pieces(), _Pieces(), _Pieces()
        self._data, self._lengths, self._missing = bytearray(), array("I", [0]) * absent, bytearray(b"\1" * absent)
        self._last: tuple[_Growing, ...] = self._data, self._lengths, self._missing

    def append(self, text: T) -> None:
        """Add a text, or None."""
        data = b"" if text is None else cast("str", text).encode("utf-8", "surrogatepass")
        self._data += data
        self._lengths.append(len(data))
        self._missing.append(text is None)
        if len(self._data) >= _PIECE or len(self._lengths) >= _PIECE:
            self._spill()

    def _spill(self) -> None:
        for full, last in zip(self._full, self._last, strict=True):
            full.take(last)

    def packed(self) -> Texts[T]:
        """Return what was added; nothing can be added afterwards."""
        data, lengths, missing = (full.with_last(last) for full, last in zip(self._full, self._last, strict=True))
        gone = np.frombuffer(missing, np.bool_)
        return Texts(data, _ends(lengths, len(data)), gone if gone.any() else np.broadcast_to(np.False_, len(gone)))


def _ends(lengths: memoryview, size: int) -> NDArray[np.integer]:
    """Return where each text begins and the next, in as few bytes as the size of all allows."""
    each = np.frombuffer(lengths, np.uint32)
    ends: NDArray[np.integer] = np.zeros(len(each) + 1, np.uint32 if size < 2**32 else np.int64)
    np.cumsum(each, dtype=ends.dtype, out=ends[1:])
    return ends


@dataclass(frozen=True, eq=False)
class Coded(_Packed[T]):
    """Values of which few differ, such as labels: 4 bytes each.

    >>> labels = Coded.of(["cat", None, "cat", 1])
    >>> list(labels), labels.values, labels[2]
    (['cat', None, 'cat', 1], ('cat', None, 1), 'cat')
    """

    values: tuple[T, ...]
    codes: NDArray[np.int32]

    @classmethod
    def of(cls, values: Iterable[T]) -> Coded[T]:
        """Number values in the order of their first appearance; they must be hashable."""
        coder: Coder[T] = Coder()
        for value in values:
            coder.append(value)
        return coder.packed()

    def __len__(self) -> int:
        """How many."""
        return len(self.codes)

    def _at(self, start: int, stop: int) -> Self:
        return type(self)(self.values, self.codes[start:stop])

    def _values(self) -> list[T]:
        return [self.values[code] for code in self.codes.tolist()]

    def _taken(self, positions: NDArray[np.int64]) -> Self:
        return type(self)(self.values, self.codes[positions])


class Coder(Generic[T]):
    """Values on their way into a `Coded`, one after another."""

    def __init__(self) -> None:
        """Begin with none."""
        self._known: dict[tuple[type, T], int] = {}
        self._codes = array("i")

    def append(self, value: T) -> None:
        """Add a value."""
        self._codes.append(self._known.setdefault((type(value), value), len(self._known)))

    def packed(self) -> Coded[T]:
        """Return what was added."""
        return Coded(tuple(value for _, value in self._known), np.frombuffer(self._codes, np.int32))


def taken(values: Sequence[T], positions: NDArray[np.int64]) -> Sequence[T]:
    """Return the values at ascending positions, packed where they were.

    >>> taken(("a", "b", "c"), np.array([0, 2]))
    ('a', 'c')
    """
    return values.take(positions) if isinstance(values, _Packed) else tuple(values[int(i)] for i in positions)


def double(texts: Iterable[str]) -> str | None:
    """Return a text that occurs twice, the first that does; None where all differ. 8 bytes a text where they do.

    >>> double(["b", "a", "c", "a", "b"]), double(["a", "b"])
    ('a', None)
    """
    listed = texts if isinstance(texts, Sequence) else list(texts)
    twice = _repeated(_hashes(listed))
    seen: set[str] = set()
    # Different texts may have one hash.
    for i in np.flatnonzero(np.isin(_hashes(listed), twice)) if len(twice) else ():
        text = listed[int(i)]
        if text in seen:
            return text
        seen.add(text)
    return None


def _hashes(texts: Sequence[str]) -> NDArray[np.int64]:
    return np.fromiter(map(hash, texts), np.int64, len(texts))


def _repeated(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers that occur more than once, each once; they are sorted where they lie."""
    numbers.sort()
    parts = (numbers[start : start + _PIECE + 1] for start in range(0, len(numbers), _PIECE))
    return np.unique(np.concatenate([part[1:][part[1:] == part[:-1]] for part in parts] or [numbers]))
