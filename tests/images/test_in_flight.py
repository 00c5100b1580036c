"""Memory is bounded by the pixels that are decoded at the same time, whatever the number of threads."""

import threading
import time

import numpy as np
from conftest import tiny_classifier
from PIL import Image

from uncertainty.classifiers import image_loader
from uncertainty.images.formats import base
from uncertainty.images.in_flight import InFlight


def run_together(room, sizes):
    """Take room for each size in a thread of its own, and hold it for a moment."""

    def load(pixels):
        with room.holding():
            room.take(pixels)
            time.sleep(0.002)
            room.take(pixels)  # the same image once more

    threads = [threading.Thread(target=load, args=(size,)) for size in sizes]
    for one in threads:
        one.start()
    for one in threads:
        one.join(timeout=20)
    assert not any(one.is_alive() for one in threads)


def test_threads_take_turns_where_there_is_no_room_for_all():
    room = InFlight(100)
    run_together(room, [40] * 24)
    assert (room.now, room.peak) == (0, 80)
    run_together(room, [30, 70, 10, 100, 5] * 5)
    assert (room.now, room.peak) == (0, 100)


def test_one_that_is_larger_than_all_room_comes_alone():
    room = InFlight(100)
    run_together(room, [40, 1000, 40, 1000, 40])
    assert (room.now, room.peak) == (0, 1000)


def test_outside_nobody_waits():
    room = InFlight(1)
    room.take(10)
    room.take(10)
    assert room.now == 0


def test_many_workers_decode_few_pixels_at_a_time_and_say_the_same(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for i in range(24):
        side = 20 + 10 * (i % 5)
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(tmp_path / f"{i:02}.png")
    (tmp_path / "99.png").write_bytes(b"no image")
    classifier = tiny_classifier()
    expected = classifier.run(tmp_path, workers=2)
    room = InFlight(5000)
    monkeypatch.setattr(image_loader, "IN_FLIGHT", room)
    monkeypatch.setattr(base, "IN_FLIGHT", room)
    found = classifier.run(tmp_path, workers=16)
    assert (found.logits == expected.logits).all()
    assert room.now == 0
    assert 3600 <= room.peak <= 5000
