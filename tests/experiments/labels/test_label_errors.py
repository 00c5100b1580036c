"""The experiment on label errors: what is planted, and a page that is that of its numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from experiments.labels import label_errors
from experiments.shared import results_file

LABELS = np.random.default_rng(0).integers(0, 5, 400)


@pytest.mark.parametrize("kind", label_errors.KINDS)
@pytest.mark.parametrize("rate", label_errors.RATES)
def test_so_many_labels_are_spoilt_and_none_stays_as_it_was(kind, rate):
    given, bad = label_errors.planted(LABELS, 5, rate, kind, (0, 1))
    assert bad.sum() == round(400 * rate)
    assert (given[bad] != LABELS[bad]).all()
    assert (given[~bad] == LABELS[~bad]).all()
    again, _ = label_errors.planted(LABELS, 5, rate, kind, (0, 1))
    assert np.array_equal(again, given)
    pairs = set(zip(LABELS[bad].tolist(), given[bad].tolist(), strict=True))
    assert (len(pairs) == len(set(LABELS[bad].tolist()))) == (kind == "by class")


def test_the_page_is_that_of_its_numbers():
    results = json.loads((results_file.RESULTS / "label_errors.json").read_text(encoding="utf-8"))
    page = (results_file.RESULTS / "label_errors.md").read_text(encoding="utf-8")
    assert page == label_errors.document(results)
    assert len(results["splits"]) == label_errors.SPLITS
    assert not set(results["splits"]) & set(range(label_errors.CHOSEN_ON))
