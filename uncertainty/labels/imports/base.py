"""What a person said about an image, whichever tool it was said in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from uncertainty.images.manifests import Manifest


@dataclass(frozen=True)
class Annotation:
    """One answer: a label, who gave it ("" where the file does not say), and what the image may be called.

    `names` are tried in turn against the images that were screened; the first is the one to show. Several labels of
    one image are joined by semicolons. `address` is True where the names are the ends of an address, and `uploaded` is
    the name that a file had before a tool kept it under another one.
    """

    names: tuple[str, ...]
    label: str
    annotator: str = ""
    address: bool = False
    uploaded: str = ""


@dataclass(frozen=True)
class Annotations:
    """All answers of a file, what there is to say about it, and what else it knows of an image, by name and column.

    `table` is the whole of a plain table of labels, which need not be read again for its other columns. `asked` are
    the labels of a file that has an answer to each of them for each image; None where a label is named or is not.
    """

    rows: tuple[Annotation, ...]
    notes: tuple[str, ...] = ()
    more: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    table: Manifest | None = None
    asked: tuple[str, ...] | None = None
