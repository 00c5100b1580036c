"""Experiments on monitoring: their arithmetic on a made split, and committed pages are what committed numbers give."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from problems import known_good, made_problem

from experiments.monitoring import accuracy_without_labels, drift
from experiments.shared import results_file
from experiments.shared.results_file import transposed
from experiments.shared.splits import Split
from uncertainty import ModelOutputs


@pytest.fixture(scope="module")
def made() -> Split:
    calibration, test = made_problem(400, 2), made_problem(300, 3)
    kinds = np.array(["#blur", "#dark"])[np.arange(300) % 2]
    damaged = replace(made_problem(300, 4), ids=np.array([f"{i}{k}" for i, k in zip(test.ids, kinds, strict=True)]))
    strangers = replace(made_problem(60, 6), labels=np.full(60, -1))
    return Split(
        reference=known_good(200, 1),
        calibration=calibration,
        calibration_damaged=replace(made_problem(400, 5), ids=np.array([f"{i}#jpeg" for i in calibration.ids])),
        calibration_foreign=replace(made_problem(400, 7), ids=calibration.ids, labels=np.full(400, -1)),
        test_clean=test,
        test_damaged=damaged,
        test_unknown=ModelOutputs.concatenate([test, strangers]),
        every_test_damaged=damaged,
    )


def test_estimates_are_judged_against_the_batch_itself(made: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accuracy_without_labels, "BATCHES", 2)
    found = accuracy_without_labels.measured(made, made, 0)
    assert list(found) == list(accuracy_without_labels.STREAMS)
    assert list(found["clean"]) == ["200"]
    for name in (*accuracy_without_labels.ESTIMATES, "if_unknown"):
        numbers = found["clean"]["200"][name]
        assert abs(numbers["signed"]) <= numbers["error"] + 1e-9
        assert 0 <= numbers["inside"] <= 100
    least = found["clean"]["200"]["least"]
    assert 0 < least["noise"] < least["with_calibration"] < 5
    assert list(found["kind"]) == [accuracy_without_labels.EACH]
    without = found["all"]["200"][accuracy_without_labels.WITHOUT]["half"]
    assert found["all"]["200"]["adapted"]["half"] >= without
    sets = {"Made": transposed([found, found])}
    page = accuracy_without_labels.document({"splits": [0, 1], "batches": 2, "sets": sets})
    assert page.count("| Made | in distribution | 200 |") == 4
    assert page.count("| Made | all damaged by one unseen kind | each kind |") == 4


def test_alarms_are_counted(made: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("CLEAN", 3), ("DRIFTED", 2), ("STREAMS", 2), ("PERMUTATIONS", 99), ("STREAM", 60)):
        monkeypatch.setattr(drift, name, value)
    monkeypatch.setattr(drift, "CHANGE", 30)
    found = drift.measured(made, made, 0)
    assert found["clean"]["1000"] is None
    assert 0 <= found["clean"]["50"]["0.01"] <= found["clean"]["50"]["0.05"] <= 3
    assert set(found["half"]) == set(found["all"]) == {"blur", "dark"}
    page = drift.document({"splits": [0, 1], "sets": {"Made": transposed([found, found])}})
    assert "| Made | blur, half |" in page
    assert "| Made | unknown, one in five |" in page
    assert "| Made | clean |" in page


@pytest.mark.parametrize("experiment", [accuracy_without_labels, drift])
def test_committed_pages_are_what_the_committed_numbers_give(experiment) -> None:
    name = experiment.__name__.rpartition(".")[2]
    committed = json.loads((results_file.RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    assert (results_file.RESULTS / f"{name}.md").read_text(encoding="utf-8") == experiment.document(committed)


def test_committed_false_alarms_are_as_rare_as_promised() -> None:
    committed = json.loads((results_file.RESULTS / "drift.json").read_text(encoding="utf-8"))
    for found in committed["sets"].values():
        counts = [levels for levels in found["clean"].values() if isinstance(levels, dict)]
        for level in drift.LEVELS:
            trials = sum(drift.CLEAN * len(levels[str(level)]) for levels in counts)
            assert trials >= 1000
            alarms = sum(sum(levels[str(level)]) for levels in counts)
            assert alarms / trials <= level + 3 * np.sqrt(level * (1 - level) / trials)
