"""What fails on one image costs that image alone: all at once or, where that fails, in halves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from uncertainty.errors import InputError, in_one_line

Answer = TypeVar("Answer")

_NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
_BROKEN = ("CUDA error", "device-side assert")


def attempted(run: Callable[[slice], Answer], start: int, stop: int, who: str) -> Iterator[tuple[slice, Answer | str]]:
    """Yield rows with their answer or, for a single row, why there is none; the rows come in order.

    Raises InputError where the options are wrong for every image, memory is not enough for one, or a device is broken.

    >>> def run(rows):
    ...     return 12 / (rows.start - 2) if rows.stop - rows.start == 1 else 1 / 0
    >>> found = attempted(run, 1, 4, "the network")
    >>> [(rows.start, answer) for rows, answer in found]
    [(1, -12.0), (2, 'the network fails on it: division by zero'), (3, 12.0)]
    """
    rows = slice(start, stop)
    try:
        answer = run(rows)
    except InputError:
        raise
    except Exception as error:  # the user's code: anything may be raised
        reason = in_one_line(error)
        if any(word in reason for word in _BROKEN):
            raise InputError(f"{who} can't go on: {reason}; start anew, and go on with --resume") from error
        short = isinstance(error, MemoryError) or any(word in reason.lower() for word in _NO_MEMORY)
        if short and stop - start == 1:
            raise InputError(f"there is not enough memory for {who} to look at one image: {reason}") from error
        if stop - start == 1:
            yield rows, f"{who} fails on it: {reason}"
            return
    else:
        yield rows, answer
        return
    middle = (start + stop) // 2
    yield from attempted(run, start, middle, who)
    yield from attempted(run, middle, stop, who)
