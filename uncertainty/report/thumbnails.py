"""Small pictures of the screened images: found where they were screened, decoded in threads, encoded as WebP."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from uncertainty.errors import ImageError, InputError
from uncertainty.images import decode
from uncertainty.remote import AnyFile
from uncertainty.sources import ImageSet, find_images

SIDE = 160
QUALITY = 70
GONE = "is no longer where it was screened"
# Below this a lossy picture is larger than a lossless one, and blurred.
_TINY = 64
_AT_ONCE = 64


@dataclass(frozen=True)
class Thumbnail:
    """A picture as WebP, with the size of the whole image in pixels; or the reason why there is none."""

    data: bytes = b""
    width: int = 0
    height: int = 0
    error: str | None = None

    @property
    def uri(self) -> str:
        """The picture inside a URL."""
        return f"data:image/webp;base64,{base64.b64encode(self.data).decode()}"


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


def thumbnails(pictures: Pictures, names: Sequence[str], *, side: int = SIDE, workers: int = 4) -> list[Thumbnail]:
    """Return a thumbnail for each name, in their order; what can't be found or decoded says why."""
    return each(pictures, names, lambda data: thumbnail(data, side), Thumbnail(error=GONE), workers)


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


def thumbnail(data: AnyFile | bytes, side: int = SIDE) -> Thumbnail:
    """Shrink an encoded image to at most `side` pixels a side; an image that is smaller stays as it is.

    >>> small = thumbnail(b"P6 2 1 255 " + bytes([255, 0, 0, 0, 0, 255]))
    >>> small.width, small.height, small.uri[:23], thumbnail(b"").error
    (2, 1, 'data:image/webp;base64,', 'is empty (0 bytes)')
    """
    from PIL import Image

    try:
        decoded = decode(data)
    except ImageError as error:
        return Thumbnail(error=str(error))
    image = Image.fromarray(decoded.pixels)
    image.thumbnail((side, side), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY, lossless=max(image.size) <= _TINY, method=4)
    return Thumbnail(buffer.getvalue(), decoded.width, decoded.height)
