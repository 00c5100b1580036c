"""The experiments on calibration's errors: few of them, shuffled ones, and other combiners."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from experiments.detection import combiners, combiners_page, few_errors
from experiments.shared import results_file
from experiments.shared.combiner_evidence import Seen, Stream, taken
from uncertainty.combination.evidence_rows import CONDITIONS, Evidence
from uncertainty.combination.mixture import Signals
from uncertainty.metrics import auroc

NAMES = ("entropy", "least_confidence", "tta_variance")


def made_signals(wrong, seed):
    rng = np.random.default_rng([seed, 1])
    scores = 1 / (1 + np.exp(-rng.normal(size=(len(wrong), 3)) - np.array([1.5, 2, 1]) * wrong[:, None]))
    return Signals(scores, rng.normal(size=(len(wrong), 2)), rng.integers(0, 2, len(wrong)))


def made_evidence(images=200, errors=40):
    clean = np.arange(images) < errors
    wrong = np.concatenate([clean, clean | (np.arange(images) % 3 == 0), np.ones(images, dtype=bool)])
    return Evidence(
        names=NAMES,
        scales=("plain", "logit", "plain"),
        start=np.array([0.0, np.inf, 0.0]),
        posterior=np.zeros(3, dtype=bool),
        signals=made_signals(wrong, 0),
        classes=2,
        wrong=wrong,
        condition=np.repeat(np.arange(len(CONDITIONS)), images),
        weights=np.repeat([1.0, 0.05, 0.01], images),
        groups=np.tile(np.arange(images), 3),
    )


@pytest.fixture(scope="module")
def seen() -> Seen:
    streams = {k: np.random.default_rng(k).random(300) < 0.2 for k in (1, 2, 3)}
    clean, damaged, every = (Stream(made_signals(wrong, k), wrong) for k, wrong in streams.items())
    families = ("softmax", "softmax", "views")
    return Seen(made_evidence(), families, {"clean": clean, "damaged": damaged}, every, np.full(300, "jpeg"))


@pytest.mark.parametrize("errors", [0, 5, 20])
def test_thinning_keeps_the_rate_and_all_copies(errors):
    thin = few_errors.thinned(made_evidence(), errors, seed=0)
    assert thin.errors("clean") == errors
    clean = thin.rows("clean")
    assert clean.sum() - errors == 4 * (errors or 5)
    copies = [thin.groups[thin.condition == k] for k in range(3)]
    assert all(np.array_equal(copies[0], more) for more in copies[1:])
    another = few_errors.thinned(made_evidence(), errors, seed=1)
    assert not np.array_equal(another.groups, thin.groups)


def test_shuffling_moves_the_errors_of_an_image_and_its_copies_together():
    found = made_evidence()
    moved = few_errors.shuffled(found, seed=0)
    per_image = found.wrong.reshape(3, -1).T
    assert not np.array_equal(moved.wrong, found.wrong)
    assert sorted(map(tuple, moved.wrong.reshape(3, -1).T)) == sorted(map(tuple, per_image))


def test_the_leak_test_sees_a_leak(seen):
    assert few_errors.leak(seen)["out of fold"] == pytest.approx(0.5, abs=0.15)
    shuffled = few_errors.shuffled(seen.calibration, 0)
    scores = shuffled.signals.scores.copy()
    scores[:, 1] = np.where(shuffled.wrong, 0.9, 0.1)
    leaky = replace(shuffled, signals=replace(shuffled.signals, scores=scores))
    p = few_errors.combine(leaky).out_of_fold
    assert auroc(leaky.wrong[leaky.rows("clean")], p[leaky.rows("clean")]) > 0.95


def test_efforts_leave_out_their_families(seen):
    assert seen.efforts == ["fast", "thorough"]
    fast = seen.at("fast")
    assert fast.calibration.names == NAMES[:2]
    assert fast.streams["clean"].signals.scores.shape == (300, 2)
    np.testing.assert_array_equal(fast.softmax(fast.streams["clean"]), seen.softmax(seen.streams["clean"]))


def test_the_page_of_few_errors_has_a_row_a_count(seen, tmp_path, monkeypatch):
    monkeypatch.setattr(few_errors, "COUNTS", (0, 20, 200))
    monkeypatch.setattr(few_errors, "DRAWS", 2)
    numbers = few_errors.measured(seen)
    assert list(numbers["by_count"]) == ["0", "20", "all"]
    assert len(numbers["by_count"]["20"]["clean"]["e_aurc"]) == 2
    page = few_errors.sections({"digits": results_file.transposed([numbers, numbers])})
    assert "| Digits | all (40) |" in page
    assert page.count("\n| Digits | fast |") == 1


def test_learners_rise_with_every_score_and_are_out_of_fold():
    found = made_evidence()
    name, basis, models = combiners.learnt(found)
    assert name == "least_confidence"
    assert set(models) >= {"linear chosen", "hinges chosen", "boosting", "stack"}
    low = basis(found.signals)
    higher = basis(replace(found.signals, scores=found.signals.scores + 0.01))
    for model in models.values():
        assert (model(higher) >= model(low) - 1e-9).all()
    noise = replace(found, wrong=np.random.default_rng(3).permutation(found.wrong))
    clean = noise.rows("clean")
    held_out = combiners.out_of_fold(noise, combiners.hinges(30.0))
    assert auroc(noise.wrong[clean], held_out) == pytest.approx(0.5, abs=0.2)


def test_the_page_of_combiners_chooses_by_the_numbers(seen):
    numbers = combiners.measured(seen)
    results = {"digits": results_file.transposed([numbers, numbers])}
    page = combiners_page.document(results)
    assert page.count("| mixture (the package) |") == 1
    calibration = results["digits"]["calibration"]
    chosen = combiners_page.chosen_by(calibration, "log_loss")[0]
    assert calibration[chosen]["log_loss"][0] == min(calibration[m]["log_loss"][0] for m in combiners_page.CHOICE)
    better = {m: {"augrc": [1.0, 1.0], "log_loss": [1.0, 1.0]} for m in combiners_page.CHOICE}
    assert combiners_page.fired(better) == [False, False]
    better[combiners_page.SINGLE] = {"augrc": [1.0, 1.0], "log_loss": [0.9, 1.0]}
    assert combiners_page.fired(better) == [True, False]


def test_taken_keeps_rows_of_everything():
    found = taken(np.arange(600) < 10, made_evidence())
    assert len(found.wrong) == len(found.signals.scores) == len(found.groups) == 10
