"""Garbage collection beside requests: what was loaded to stay is not looked through again and again.

Python's full collection looks at every object that there is, and nothing else runs meanwhile. A loaded screener with
its libraries is a quarter of a million of them, which takes a tenth of a second and more: all requests of that time
would wait for it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def apart_from_what_stays() -> Iterator[None]:
    """Leave what there is now out of collections until the block ends; one that is going on stays as it is."""
    if gc.get_freeze_count():
        yield
        return
    _set_apart()
    try:
        yield
    finally:
        gc.unfreeze()


def set_apart_anew() -> None:
    """Where that is going on, collect what is not used any more and set apart what there is now."""
    if gc.get_freeze_count():
        gc.unfreeze()
        _set_apart()


def _set_apart() -> None:
    gc.collect()
    gc.freeze()
