"""What a screening in parts is of: all that the rows of a part depend on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from uncertainty.screening.part_files import rebuilt

ROWS_IN_A_PART = 1024
"""About so many images are lost by a crash. The rows of a part are a multiple of the images in a batch."""
FORMAT_VERSION = 2
"""Of the rows of a part; 2 has suggested sets of labels."""
_WORDS = {
    "images": "the input had {} images, now it has {}",
    "input": "the names or columns of the input have changed ({} was {})",
    "model_sha256": "the classifier or its second network was {:.12}, now it is {:.12}",
    "policy": "the policy was {!r}, now it is {!r}",
    "screen_id": "the screener was {}, now it is {}",
    "rows_in_a_part": "a part had {} rows, now it has {}",
    "batch_size": "the batch size was {}, now it is {}",
    "features": "features were kept: {}, now: {}",
    "format_version": "it was begun by a release of format {}, this one has {}",
}


@dataclass(frozen=True)
class Task:
    """What is being done: all that the rows of a part depend on.

    `input` is a fingerprint of the input list, see `uncertainty.screening.part_tables.task_of`.
    """

    images: int
    input: str
    screen_id: str
    model_sha256: str
    policy: str
    batch_size: int
    features: bool
    rows_in_a_part: int = ROWS_IN_A_PART
    format_version: int = FORMAT_VERSION

    @property
    def parts(self) -> int:
        """How many parts there are; the last may be short."""
        return -(-self.images // self.rows_in_a_part)

    def positions(self, part: int) -> range:
        """Return the input positions of a part.

        >>> Task(10, "", "", "", "", 2, True, rows_in_a_part=4).positions(2)
        range(8, 10)
        """
        start = part * self.rows_in_a_part
        return range(start, min(start + self.rows_in_a_part, self.images))

    def difference(self, now: Task) -> str | None:
        """Say in words the first thing in which another task differs; None where nothing does."""
        for name, words in _WORDS.items():
            was, is_now = getattr(self, name), getattr(now, name)
            if was != is_now:
                return words.format(was, is_now)
        return None

    @classmethod
    def from_dict(cls, values: Any) -> Self | None:
        """Undo `asdict`; None for anything else, such as the task of another release."""
        return rebuilt(cls, values)
