"""Images inside several files that are one set: which file an image lies in, whatever the files are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.images.remote import AnyFile


@dataclass(frozen=True)
class SeveralFiles(ABC):
    """Yields the images of ascending positions over files that hold `counts` images each."""

    paths: tuple[AnyFile, ...]
    counts: tuple[int, ...]

    @abstractmethod
    def read(self, path: AnyFile, positions: NDArray[np.int64], count: int) -> Iterator[AnyFile | bytes]:
        """Yield the images at ascending positions in one file, which held `count` when it was listed."""

    def cut(self, positions: NDArray[np.int64]) -> tuple[Self, NDArray[np.int64]]:
        """Return a reader of the files that these ascending positions lie in, and the positions as it counts them."""
        ends = np.cumsum(self.counts)
        first, last = (int(np.searchsorted(ends, positions[i], side="right")) for i in (0, -1))
        before = int(ends[first]) - self.counts[first]
        paths = tuple(path.absolute() for path in self.paths[first : last + 1])
        return replace(self, paths=paths, counts=self.counts[first : last + 1]), positions - before

    def __call__(self, positions: NDArray[np.int64]) -> Iterator[AnyFile | bytes]:
        """Read front to back; files without a wanted image are not opened."""
        start = 0
        for path, count in zip(self.paths, self.counts, strict=True):
            low, high = np.searchsorted(positions, (start, start + count))
            if low < high:
                yield from self.read(path, positions[low:high] - start, count)
            start += count
