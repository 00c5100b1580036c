"""What a run of the classifier hands over: images in batches, each with a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uncertainty.outputs import ModelOutputs


class Row(NamedTuple):
    """One input image: its name, why it could not be read (None if it could), content digest and label.

    `note` says why a deeper look at it failed; `thumbnail` are the bytes of `thumbnails.thumbnail`; `remarks` are those
    of `DecodedImage`; `pixels` is `decoding.digest_picture`, the same for a picture that was saved again.
    """

    name: str
    error: str | None
    digest: str
    label: str | int | None
    note: str | None = None
    thumbnail: bytes | None = None
    remarks: tuple[str, ...] = ()
    pixels: str = ""


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
    """All images of a run: outputs, for each row digests of its bytes and of its pixels, label and thumbnail; and
    (name, reason) of those left out, and how many images have each of the remarks of `DecodedImage`.
    """

    outputs: ModelOutputs
    digests: tuple[str, ...]
    labels: tuple[str | int | None, ...]
    failures: tuple[tuple[str, str], ...]
    pixels: tuple[str, ...] = ()
    thumbnails: tuple[bytes, ...] = ()
    remarks: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, outputs: ModelOutputs, rows: Sequence[Row]) -> Collected:
        """Put together outputs and the rows of all images, those that could not be read among them."""
        good = [row for row in rows if row.error is None]
        return cls(
            outputs,
            tuple(row.digest for row in good),
            tuple(row.label for row in good),
            tuple((row.name, row.error) for row in rows if row.error is not None),
            tuple(row.pixels for row in good),
            tuple(row.thumbnail or b"" for row in good),
            Counter(remark for row in good for remark in row.remarks),
        )

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Collected:
        """Return some of the rows that were read; failures and remarks stay."""
        picked = np.asarray(rows, dtype=np.int64)
        each = {name: getattr(self, name) for name in ("digests", "labels", "pixels", "thumbnails")}
        some: dict[str, Any] = {name: tuple(values[i] for i in picked.tolist()) for name, values in each.items()}
        return replace(self, outputs=self.outputs.take(picked), **some)
