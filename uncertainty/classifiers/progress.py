"""How far long work is, for whoever wants to show it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Advance = Callable[[int], None]
"""To be called with the number of images just done."""
Progress = Callable[[str, int], AbstractContextManager[Advance]]
"""(what is done, images in all) to a context in which it can be advanced."""


def silent(what: str, total: int) -> AbstractContextManager[Advance]:
    """Show nothing."""
    return nullcontext(lambda done: None)
