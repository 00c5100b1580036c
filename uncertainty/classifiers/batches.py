"""What a run of the classifier hands over: images in batches, each with a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from uncertainty.outputs import ModelOutputs


class Row(NamedTuple):
    """One input image: its name, why it could not be read (None if it could), content digest and label.

    `note` says why a deeper look at it failed; `thumbnail` are the bytes of `thumbnails.thumbnail`; `remarks` are those
    of `DecodedImage`.
    """

    name: str
    error: str | None
    digest: str
    label: str | int | None
    note: str | None = None
    thumbnail: bytes | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Batch:
    """Some images in input order; `outputs` has a row for each that has no `error`.

    `deeper` has all columns for those that were looked at more deeply, where not all were.
    """

    rows: tuple[Row, ...]
    outputs: ModelOutputs | None
    deeper: ModelOutputs | None = None


@dataclass(frozen=True, eq=False)
class Collected:
    """All images of a run: outputs with one digest and label a row, and (name, reason) of those left out."""

    outputs: ModelOutputs
    digests: tuple[str, ...]
    labels: tuple[str | int | None, ...]
    failures: tuple[tuple[str, str], ...]
