"""Presets for the second opinion: what each sees goes to its rows by name, and the page is what the numbers give."""

from __future__ import annotations

import numpy as np
from made_split import made_split

from experiments.detection import second_opinions
from experiments.shared import results_file


def test_what_is_seen_goes_to_rows_by_their_names_and_every_opinion_is_judged() -> None:
    split = made_split()
    names = {str(name) for outputs in vars(split).values() if outputs is not None for name in outputs.ids}
    seen = {name: np.full(3, len(name), np.float32) for name in names}
    outputs = second_opinions.with_embedding(split.test_clean, seen)
    assert outputs.embedding[:, 0].tolist() == [len(str(name)) for name in split.test_clean.ids]
    assert second_opinions.with_embedding(split.test_clean.take([]), seen).embedding.shape == (0, 3)


def test_the_committed_page_is_what_the_committed_numbers_give() -> None:
    page = (results_file.RESULTS / "second_opinions.md").read_text(encoding="utf-8")
    assert page == second_opinions.document(results_file.load(results_file.RESULTS, second_opinions.NAME))
