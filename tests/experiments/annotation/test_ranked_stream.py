"""The experiment on ranked streams: its arithmetic on a made stream, and the page is what the numbers give."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from problems import known_good, made_problem

from experiments.annotation import ranked_stream
from experiments.annotation.ranked_stream import LISTS, PLAIN
from experiments.shared import results_file
from experiments.shared.image_sets import Images
from experiments.shared.results_file import over_splits
from uncertainty import Screener
from uncertainty.annotation.batch_selection import DEFAULT, STRATEGIES
from uncertainty.estimators import create

OURS = f"`{DEFAULT}`"


@pytest.fixture(scope="module")
def screener() -> Screener:
    estimators = [create(name) for name in ("least_confidence", "nn_distance")]
    return Screener.fit_outputs(known_good(200, 1), made_problem(400, 2), estimators=estimators)


def noise(names) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {str(name): rng.integers(0, 256, 256).astype(np.uint8) for name in names}


def test_lists_are_compared_with_a_random_tenth(screener: Screener) -> None:
    stream = made_problem(300, 3)
    found = ranked_stream.measured(screener, stream, noise(stream.ids), 0)
    assert list(found["times_random"]) == [*PLAIN, *(f"`{name}`" for name in STRATEGIES)]
    assert found["times_random"]["`uncertainty`"] == found["times_random"]["p_wrong"]
    assert found["ceiling"] == pytest.approx(min(30, stream.wrong.sum()) / (30 * stream.wrong.mean()))
    assert all(0 <= value <= found["ceiling"] + 1e-9 for value in found["times_random"].values())
    expected = found["expected"]
    assert expected["low"] <= expected["errors"] <= expected["high"]
    assert ranked_stream.false_folds(screener, stream, noise(stream.ids)) == 0


def test_twins_are_counted(screener: Screener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranked_stream, "BATCH", 60)
    once = made_problem(200, 3)
    again = replace(once, ids=np.array([f"{name} again" for name in once.ids]))
    looks = noise(once.ids)
    both = looks | {f"{name} again": boxes for name, boxes in looks.items()}
    found = ranked_stream.twins_listed(screener, once, again, both, 0)
    assert list(found) == list(LISTS)
    assert found["p_wrong"] == 30
    assert found["as it is"] == found["folded by features"] == 0


def test_brightened_copies_are_pairs() -> None:
    rng = np.random.default_rng(0)
    pixels = [np.kron(rng.integers(0, 100, (8, 8, 3)), np.ones((4, 4, 1))).astype(np.uint8) for _ in range(60)]
    images = Images(pixels, np.zeros(60, dtype=np.int64), np.arange(60).astype(str), ("a",))
    for counts in ranked_stream.pairs_folded(images).values():
        assert counts == {"pairs": 60, "missed": 0, "false": 0}


def committed() -> dict:
    return json.loads((results_file.RESULTS / "ranked_stream.json").read_text(encoding="utf-8"))


def test_the_committed_page_is_what_the_committed_numbers_give() -> None:
    page = (results_file.RESULTS / "ranked_stream.md").read_text(encoding="utf-8")
    assert page == ranked_stream.document(committed())


def test_committed_lists_hold_no_twins_and_no_fewer_errors_than_pure_uncertainty() -> None:
    results = committed()
    assert max(results["sets"]["CIFAR-10"]["twins"]["as it is"]) == 0
    for found in results["sets"].values():
        rates = found["damaged"]["times_random"]
        for score in ("max softmax", "entropy", "margin", "random"):
            assert np.mean(rates[OURS]) > np.mean(rates[score])
        difference = over_splits(np.subtract(rates[OURS], rates["p_wrong"]).tolist())
        assert difference.high >= 0
