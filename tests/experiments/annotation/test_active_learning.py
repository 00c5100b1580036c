"""The experiment on labels bought: its figure by hand, its loop on a small problem, and the committed page."""

from __future__ import annotations

import json

import numpy as np
import pytest

from experiments.annotation import active_learning, active_learning_page
from experiments.annotation.active_learning_loop import (
    Round,
    checked,
    curve,
    labels_needed,
    reduce,
    start,
    task,
    trained,
)
from experiments.annotation.active_learning_page import by_seed, interval, saved
from experiments.annotation.active_learning_strategies import OURS, STRATEGIES, margin
from experiments.shared import results_file


@pytest.fixture(scope="module")
def toy():
    """Three overlapping classes in six directions; the pool holds 120."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 70)
    features = rng.normal(size=(210, 6)) + 2 * np.eye(6)[labels]
    return task(features, labels, (120, 90), batch=8, seed=0, steps=4)


COUNTS = [10, 20, 30, 40]


@pytest.mark.parametrize(
    ("accuracy", "target", "needed"),
    [
        ([0.5, 0.6, 0.7, 0.8], 0.8, 40),  # only at the end
        ([0.5, 0.6, 0.7, 0.8], 0.65, 25),  # half-way between two steps
        ([0.5, 0.8, 0.7, 0.9], 0.65, 15),  # the first time counts
        ([0.7, 0.6, 0.7, 0.8], 0.7, 10),  # there from the start
        ([0.5, 0.6, 0.7, 0.79], 0.8, 40),  # never: the whole budget
    ],
)
def test_labels_needed_by_hand(accuracy, target, needed):
    assert labels_needed(COUNTS, accuracy, target) == pytest.approx(needed)


def test_what_is_saved_is_read_off_the_mean_curves():
    random = [[0.5, 0.6, 0.7, 0.76], [0.5, 0.6, 0.7, 0.84]]  # ends at 0.8 in the mean
    other = [[0.6, 0.7, 0.9, 0.9], [0.6, 0.8, 0.8, 0.9]]  # 0.75 at 20 labels, 0.85 at 30
    assert saved(COUNTS, other, random) == pytest.approx(100 * (1 - 25 / 40))
    alone = (100 * (1 - 23 / 40) + 100 * (1 - 34 / 40)) / 2  # 0.76 at 23, and 0.84 at 34
    assert by_seed(COUNTS, other, random).value == pytest.approx(alone)
    low, high = interval(COUNTS, other, random)
    assert low == pytest.approx(15)
    assert high == pytest.approx(42.5)


def test_random_saves_nothing_where_it_only_climbs_and_a_worse_one_neither():
    random = [[0.5, 0.6, 0.7, 0.8]]
    assert saved(COUNTS, random, random) == 0
    assert saved(COUNTS, [[0.4, 0.5, 0.6, 0.7]], random) == 0


@pytest.mark.parametrize("name", [*STRATEGIES, "p_wrong"])
def test_every_strategy_buys_new_rows_and_the_same_again(name, toy):
    strategy = STRATEGIES.get(name) or active_learning.passes()[-1][f"{OURS}, p_wrong"]
    labelled = np.arange(0, 120, 4)
    head = trained(toy.features[labelled], toy.labels[labelled])
    chosen = strategy(Round(toy, labelled, head, seed=1))
    assert len(checked(chosen, labelled, 8)) == 8
    np.testing.assert_array_equal(chosen, strategy(Round(toy, labelled, head, seed=1)))


def test_all_start_from_the_same_labels_and_the_curve_is_of_the_head(toy):
    first = start(toy, seed=3)
    head = trained(toy.features[first], toy.labels[first])
    accuracy = float((head.predict(toy.test_features) == toy.test_labels).mean())
    curves = [curve(toy, STRATEGIES[name], seed=3) for name in ("random", "margin", OURS)]
    assert [c[0] for c in curves] == [accuracy] * 3
    assert {len(c) for c in curves} == {4}
    assert toy.counts == [8, 16, 24, 32]


def test_margin_is_largest_between_two_classes(toy):
    labelled = np.arange(0, 120, 4)
    at = Round(toy, labelled, trained(toy.features[labelled], toy.labels[labelled]), seed=0)
    top = np.sort(at.probs[at.candidates], axis=1)
    closest = at.candidates[(top[:, -1] - top[:, -2]).argmin()]
    assert STRATEGIES["margin"](at)[0] == at.candidates[margin(at)[at.candidates].argmax()] == closest


@pytest.mark.parametrize("rows", [[1, 2], [1, 1, 2], [0, 1, 2]])
def test_a_strategy_that_cheats_is_caught(rows):
    with pytest.raises(ValueError, match="3 new rows"):
        checked(np.array(rows), np.array([0]), 3)


def test_features_are_scaled_by_the_pool_alone():
    rng = np.random.default_rng(0)
    pool, test = rng.normal(size=(50, 4)), rng.normal(size=(9, 4))
    reduced, _ = reduce(pool, test)
    assert np.square(reduced).sum(axis=1).mean() == pytest.approx(1)
    np.testing.assert_array_equal(reduced, reduce(pool, 100 + test)[0])


def test_the_run_writes_numbers_and_a_page_that_agree(toy, tmp_path, monkeypatch):
    from experiments.shared.command_line import Options

    chosen = [{name: STRATEGIES[name] for name in names} for names in (("random", "margin"), (OURS,))]
    monkeypatch.setattr(active_learning, "passes", lambda: chosen)
    monkeypatch.setattr(active_learning, "draw", lambda results, file: file.touch())
    text = active_learning.run({"digits": lambda seed: toy}, Options(splits=2, out=tmp_path))
    numbers = json.loads((tmp_path / "active_learning.json").read_text())
    assert numbers["seeds"] == [5, 6]
    assert text == (tmp_path / "active_learning.md").read_text() == active_learning_page.page(numbers)
    assert "| random |" in text


def test_the_committed_page_is_what_its_numbers_give():
    file = results_file.RESULTS / "active_learning.json"
    results = json.loads(file.read_text(encoding="utf-8"))
    assert not set(results["seeds"]) & set(active_learning.TUNED_ON)
    assert file.with_suffix(".md").read_text(encoding="utf-8") == active_learning_page.page(results)
