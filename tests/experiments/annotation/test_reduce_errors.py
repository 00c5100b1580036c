"""The experiment on fewer errors: its losses by hand, a small run, and the committed page."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.annotation import reduce_errors, reduce_errors_page
from experiments.annotation.reduce_errors import WAYS, Bank, false_by_class, focal_loss, measured, weighted_loss
from experiments.shared import results_file
from experiments.shared.results_file import transposed
from uncertainty import ModelOutputs


def test_focal_loss_by_hand():
    """True classes at 3/4 and 1/4: 1/16 of -log 3/4 and 9/16 of -log 1/4."""
    logits = torch.log(torch.tensor([[0.75, 0.25], [0.75, 0.25]]))
    expected = (np.log(4 / 3) / 16 + 9 * np.log(4) / 16) / 2
    assert focal_loss()(logits, torch.tensor([0, 1])).item() == pytest.approx(expected, rel=1e-5)


def test_focal_loss_without_focus_is_cross_entropy():
    logits, labels = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 3
    plain = torch.nn.functional.cross_entropy(logits, labels)
    assert focal_loss(gamma=0)(logits, labels).item() == pytest.approx(plain.item(), rel=1e-6)


def test_class_weights_by_hand():
    """Three of one class and one of the other weigh 2/3 and 2: alike in sum."""
    loss = weighted_loss(np.array([0, 0, 0, 1]))
    np.testing.assert_allclose(loss.weight.numpy(), [2 / 3, 2], rtol=1e-6)


def test_every_error_is_a_negative_of_one_class_and_a_positive_of_another():
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(4, size=500), rng.integers(4, size=500)
    found = false_by_class(labels, predicted, 4)
    for kind in ("false_positives", "false_negatives"):
        assert sum(found[kind].values()) == pytest.approx(1000 * found["error_rate"])
    assert found["false_negatives"]["2"] == pytest.approx(2 * ((labels == 2) & (predicted != 2)).sum())


@pytest.fixture(scope="module")
def results():
    """A bank of made features, 12 a row, whose damaged copies lie elsewhere."""
    rng = np.random.default_rng(0)
    labels = np.arange(320) % 2
    x = (rng.normal(size=(320, 12)) + 1.5 * np.eye(12)[labels]).astype(np.float32)
    clean = ModelOutputs(ids=[f"r{k:03d}" for k in range(320)], logits=x, labels=labels)
    half = replace(
        clean, ids=np.array([f"{i}#x" for i in clean.ids]), logits=(x + 1.5 * np.eye(12)[2]).astype(np.float32)
    )
    bank = Bank(clean, (half, half), x, ("a", "b"), (120, 80, 60), bought=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reduce_errors, "EPOCHS", 3)
        found = [measured(bank, 0)] * 2
    about = {"classes": ["a", "b"], "sizes": [120, 80, 60], "bought": 20}
    return {"sets": {"solar_cells": {**about, **transposed(found)}}}


def test_every_way_is_judged_on_both_streams(results):
    ways = results["sets"]["solar_cells"]["ways"]
    assert list(ways) == list(WAYS)
    for found in ways.values():
        for stream in ("clean", "damaged"):
            assert 0 <= found[stream]["error_rate"][0] < 0.6


def test_the_page_tells_every_way_and_class(results):
    text = reduce_errors_page.page(results)
    for name in WAYS:
        assert f"| {name} |" in text
    assert "| trained with | a | b |" in text


def test_the_committed_page_is_what_its_numbers_give():
    file = results_file.RESULTS / f"{reduce_errors.NAME}.json"
    results = json.loads(file.read_text(encoding="utf-8"))
    assert all(len(found["errors_bought"]["problems"]) >= 5 for found in results["sets"].values())
    assert file.with_suffix(".md").read_text(encoding="utf-8") == reduce_errors_page.page(results)
