"""Images read ahead of whoever wants them, in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from uncertainty.images.image_set import ImageItem
from uncertainty.images.in_memory import ArrayItem

Found = TypeVar("Found")


def load_ahead(
    items: Iterable[ImageItem | ArrayItem], load_one: Callable[[ImageItem | ArrayItem], Found], workers: int, most: int
) -> Iterator[Found]:
    """Load in threads, in the order of `items`, with at most `most` of them waiting."""
    waiting: deque[Future[Found]] = deque()
    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        for item in items:
            waiting.append(pool.submit(load_one, item))
            if len(waiting) >= most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # whoever stops early need not wait for what was queued
        pool.shutdown(cancel_futures=True)
