"""What more effort buys: committed pages are what the committed numbers give, and columns are kept for these pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from experiments.detection import efforts
from experiments.shared import results_file, thorough_splits
from experiments.shared.image_sets import Images
from experiments.shared.markdown import SUMMARY, placed


def committed() -> dict:
    return json.loads((results_file.RESULTS / "efforts.json").read_text(encoding="utf-8"))


def test_committed_pages_are_what_the_committed_numbers_give() -> None:
    assert (results_file.RESULTS / "efforts.md").read_text(encoding="utf-8") == efforts.document(committed())
    readme = efforts.README.read_text(encoding="utf-8")
    assert readme == placed(readme, SUMMARY, efforts.overview(committed()))


def test_more_effort_never_loses() -> None:
    for regimes in committed().values():
        for by_effort in regimes.values():
            areas = [np.mean(by_effort[effort]["e_aurc"]) for effort in efforts.EFFORTS if effort in by_effort]
            assert areas == sorted(areas, reverse=True)


def test_what_is_kept_is_for_these_pixels_and_this_network_alone(tmp_path: Path) -> None:
    def images(value: int) -> Images:
        return Images([np.full((2, 2, 3), value, np.uint8)], np.zeros(1, np.int64), np.array(["a"]), ("x",))

    asked = []

    def compute(of: Images) -> np.ndarray:
        asked.append(int(of.pixels[0][0, 0, 0]))
        return np.full((1, 1), asked[-1], np.float32)

    for what, value in (("embedding a", 1), ("embedding a", 1), ("embedding a", 2), ("embedding b", 1)):
        assert thorough_splits.kept(tmp_path, what, images(value), compute)[0, 0] == value
    assert asked == [1, 2, 1]
