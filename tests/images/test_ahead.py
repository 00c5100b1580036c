"""Images read ahead in threads: few at a time, and none for whoever has left."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from uncertainty.images.ahead import load_ahead
from uncertainty.images.image_set import ImageItem


def items(n: int) -> Iterator[ImageItem]:
    return (ImageItem(str(i), b"") for i in range(n))


def test_no_more_than_so_many_are_held() -> None:
    given = 0

    def counted() -> Iterator[ImageItem]:
        nonlocal given
        for item in items(50):
            given += 1
            yield item

    for taken, name in enumerate(load_ahead(counted(), lambda item: item.name, 2, 5), start=1):
        assert name == str(taken - 1)
        assert given <= taken + 5


def test_who_stops_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    loaded = load_ahead(items(20), lambda item: item.name, 3, 10)
    next(loaded)
    loaded.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
