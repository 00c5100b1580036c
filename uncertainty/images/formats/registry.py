"""Which format reads a file: the first that knows its beginning. A new format is one file, and one line here."""

from __future__ import annotations

from typing import IO, Any, Protocol

from uncertainty.images.formats import dicom, heif, pillow, tiff, unreadable
from uncertainty.images.formats.base import DecodedImage, Task


class Format(Protocol):
    """What a module of this room has."""

    ENDINGS: tuple[str, ...]

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins so is of this format."""

    def read(self, stream: IO[bytes], task: Task) -> DecodedImage:
        """Decode it; whatever is raised becomes an ImageError."""

    def size(self, stream: IO[bytes], task: Task) -> tuple[int, int]:
        """Return (width, height) of the upright image."""


FORMATS: tuple[Any, ...] = (dicom, unreadable, tiff, heif, pillow)  # the preamble of a DICOM file may be that of a TIFF
ENDINGS = tuple(sorted({ending for one in FORMATS for ending in one.ENDINGS}))
"""Of names that are plainly those of pictures, whether they can be read or not."""
HEAD = 192
"""How many bytes tell the format."""


def of(head: bytes) -> Any:
    """Return the module that reads files of this beginning.

    >>> of(b"II*\\0").__name__, of(b"\\xff\\xd8\\xff\\xe0").__name__
    ('uncertainty.images.formats.tiff', 'uncertainty.images.formats.pillow')
    """
    if head.startswith(pillow.QUICK):
        return pillow
    return next(one for one in FORMATS if one.recognises(head))
