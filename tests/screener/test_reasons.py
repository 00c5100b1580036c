from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.problems import known_good, made_problem
from uncertainty import ModelOutputs, Screener
from uncertainty.images.quality import QUALITY_NAMES
from uncertainty.images.quality_words import WORDS

TYPICAL = np.array([0.5, 0.2, 0.6, 4.0, 0.3, 7.0, 18.0, 0.4, 0.9, 0.01, 0.05, 0.3])


def with_quality(outputs: ModelOutputs, seed: int, *, noisy: bool = False) -> ModelOutputs:
    quality = TYPICAL + np.random.default_rng(seed).normal(0, 0.002, (len(outputs), len(TYPICAL)))
    quality[:, QUALITY_NAMES.index("noise")] = 0.2 if noisy else 0.01
    return replace(outputs, quality=quality)


@pytest.fixture(scope="module")
def fitted() -> Screener:
    return Screener.fit_outputs(with_quality(known_good(200, 1), 1), with_quality(made_problem(400, 2), 2))


def test_image_words_stand_on_unflagged_rows_too_and_behind_what_raised_p_wrong(fitted: Screener) -> None:
    rows = fitted.screen_outputs(with_quality(made_problem(300, 3), 3, noisy=True)).table.to_pylist()
    assert {row["flagged"] for row in rows} == {True, False}
    for row in rows:
        assert row["reasons"][-1] == "noisy"
        assert "unusual_image" not in row["reasons"]
        assert row["flagged"] or row["reasons"] == ["noisy"]
        assert row["quality_noise"] == pytest.approx(0.2)


def test_images_like_the_known_good_ones_and_arrays_without_images_get_no_words(fitted: Screener) -> None:
    bare = Screener.fit_outputs(replace(known_good(200, 1), quality=None), replace(made_problem(400, 2), quality=None))
    told = [fitted.screen_outputs(with_quality(made_problem(300, 3), 4))]
    told.append(bare.screen_outputs(replace(made_problem(300, 3), quality=None)))
    for verdicts in told:
        said = [word for one in verdicts.table["reasons"].to_pylist() for word in one]
        assert sum(word in WORDS for word in said) <= 0.03 * 300


def test_a_saved_screener_keeps_its_words_and_one_without_any_is_read(fitted: Screener, tmp_path) -> None:
    fitted.save(tmp_path / "with")
    again = Screener.load(tmp_path / "with")
    assert again.id == fitted.id
    assert again.telling.usual == fitted.telling.usual
    incoming = with_quality(made_problem(50, 3), 3, noisy=True)
    assert again.screen_outputs(incoming).table.equals(fitted.screen_outputs(incoming).table)
    plain = Screener.fit_outputs(known_good(100, 1), made_problem(200, 2))
    plain.save(tmp_path / "without")
    assert Screener.load(tmp_path / "without").telling.image is None


def test_another_policy_keeps_the_words(fitted: Screener) -> None:
    assert fitted.with_budget(0.3).telling is fitted.telling
