"""Which format reads a file: the first that knows its beginning. A new format is one file, and one line here.

A module of this room has

- ENDINGS: how names of such files end, without the dot;
- recognises(head): whether a file that begins so is of this format;
- read(stream, task): a DecodedImage; whatever is raised becomes an ImageError;
- size(stream, task): (width, height) of the upright image.
"""

from __future__ import annotations

from typing import Any

from uncertainty.images.formats import dicom, heif, npy, pillow, tiff, unreadable

FORMATS: tuple[Any, ...] = (
    dicom,
    npy,
    unreadable,
    tiff,
    heif,
    pillow,
)  # the preamble of a DICOM file may be that of a TIFF
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
