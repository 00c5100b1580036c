"""Images found again by the names that verdicts have, and looked at once more in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from uncertainty.errors import InputError
from uncertainty.images.remote import AnyFile
from uncertainty.images.sources import ImageSet, find_images

_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Pictures:
    """Where the bytes of images are found by the names that verdicts have; `found` None: nowhere."""

    found: ImageSet | None

    @classmethod
    def at(cls, where: Path | None) -> Pictures:
        """Look into a folder, manifest or Parquet file; one that is not there any more gives no pictures.

        >>> Pictures.at(None).found is None
        True
        """
        try:
            return cls(None if where is None else find_images(where))
        except InputError:
            return cls(None)

    def fetch(self, names: Sequence[str]) -> Iterator[tuple[int, AnyFile | bytes]]:
        """Yield (position in `names`, path or bytes) for those that are found, in the order of the source.

        A name that the source does not list is looked for below its root: a manifest may name what a folder hides.
        """
        if self.found is None:
            return
        position = {name: i for i, name in enumerate(names)}
        listed = [row for row, name in enumerate(self.found.names) if name in position]
        for item in self.found.select(listed):
            yield position.pop(item.name), item.data
        root = self.found.root
        if isinstance(root, Path) and root.is_dir():
            yield from ((i, root / name) for name, i in position.items() if _is_file(root / name))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name may be longer than a path can be, or hold a zero
        return False


def each(
    pictures: Pictures, names: Sequence[str], work: Callable[[AnyFile | bytes], Any], missing: Any, workers: int = 4
) -> list[Any]:
    """Return `work(path or bytes)` for each name, done in threads with few images in memory; `missing` elsewhere."""
    done = [missing] * len(names)
    found = pictures.fetch(names)
    with ThreadPoolExecutor(workers) as pool:
        while group := list(islice(found, _AT_ONCE)):
            positions, data = zip(*group, strict=True)
            for position, result in zip(positions, pool.map(work, data), strict=True):
                done[position] = result
    return done
