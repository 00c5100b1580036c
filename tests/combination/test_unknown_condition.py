"""Images labelled later, of which nobody knows whether they are damaged: they teach each condition its part."""

from dataclasses import replace

import numpy as np
import pytest
from problems import known_good, made_problem

from uncertainty.combination.evidence_rows import CONDITIONS
from uncertainty.combination.fit import combine
from uncertainty.combination.unknown_condition import condition_shares
from uncertainty.metrics.row_log_loss import row_losses
from uncertainty.recalibration.refit import evidence_of, updated
from uncertainty.screener import Screener

DAMAGED = CONDITIONS.index("damaged")


def parted(n, seed):
    """Return rows that look like clean images, and rows that look damaged, by the statistic that tells most."""
    rows = made_problem(n, seed)
    damaged = rows.quality[:, 5] < 6.3
    return rows.take(np.flatnonzero(~damaged)), rows.take(np.flatnonzero(damaged))


def together(clean, damaged):
    columns = ("logits", "features", "mc_probs", "quality", "tta_probs", "embedding", "labels")
    joined = {name: np.concatenate([getattr(clean, name), getattr(damaged, name)]) for name in columns}
    return replace(clean, ids=[*clean.ids, *damaged.ids], **joined)


@pytest.fixture(scope="module")
def made():
    clean, damaged = parted(1500, 2)
    copies = replace(damaged, ids=clean.ids[: len(damaged)])
    return Screener.fit_outputs(known_good(300, 1), clean, damaged=copies)


@pytest.fixture(scope="module")
def learnt(made):
    """Return the screener after labels of a stream, half of it damaged, and the rows of that stream that were."""
    clean, damaged = parted(1200, 8)
    batch = together(clean.take(np.arange(len(damaged))), damaged)
    labels = dict(zip(map(str, batch.ids), map(str, batch.labels), strict=True))
    hurt = np.arange(len(batch)) >= len(damaged)
    return updated(made, made.screen_outputs(batch), labels).screener, hurt


def test_rows_of_a_known_condition_are_of_it_alone(made):
    rows = evidence_of(made, made.calibration)
    nobody = np.zeros(len(rows.wrong), dtype=bool)
    shares = condition_shares(rows, made.combiner, nobody)
    assert (shares.argmax(axis=1) == rows.condition).all()
    assert set(np.unique(shares)) == {0.0, 1.0}
    for name in ("clean", "damaged"):
        assert (replace(rows, shares=shares).counts(name) == rows.counts(name)).all()


def test_what_looks_damaged_counts_as_damaged(made, learnt):
    now, hurt = learnt
    later = now.calibration.later
    assert later.sum() == len(hurt)
    shares = condition_shares(evidence_of(made, now.calibration), made.combiner, later)[later]
    assert shares.sum(axis=1) == pytest.approx(1)
    assert shares[hurt, DAMAGED].mean() > 0.6
    assert shares[~hurt, DAMAGED].mean() < 0.1


def test_an_error_makes_damage_likelier(made):
    """P(damaged | x, wrong) is above P(damaged | x), that of a right answer below: damage makes errors."""
    rows = evidence_of(made, made.calibration)
    later = rows.rows("clean")
    wrong, right = (
        condition_shares(replace(rows, wrong=np.full(len(later), value)), made.combiner, later)[later, DAMAGED]
        for value in (True, False)
    )
    assert wrong.mean() > 2 * right.mean()


def test_without_copies_nothing_but_the_clean_expert_is_taught():
    calibration, batch = made_problem(400, 2), made_problem(300, 8)
    screener = Screener.fit_outputs(known_good(300, 1), calibration)
    labels = dict(zip(map(str, batch.ids), map(str, batch.labels), strict=True))
    now = updated(screener, screener.screen_outputs(batch), labels).screener
    rows = evidence_of(now, now.calibration)
    shares = condition_shares(rows, screener.combiner, now.calibration.later)
    assert (shares[:, 0] == 1).all()
    assert rows.by_distance


def test_a_damaged_stream_teaches_the_damaged_expert_and_leaves_clean_images_be(made, learnt):
    """Taken for clean ones, the damaged half of a stream taught the expert of clean images."""
    now, _ = learnt
    clean, damaged = parted(6000, 30)
    rows = evidence_of(made, now.calibration)
    taken_for_clean = combine(rows, made.seed).combiner

    def loss(combiner, stream):
        return row_losses(replace(now, combiner=combiner).p_wrong(stream), stream.wrong).mean()

    before, naive, soft = (loss(c, damaged) for c in (made.combiner, taken_for_clean, now.combiner))
    assert soft < min(before, naive)
    before, naive, soft = (loss(c, clean) for c in (made.combiner, taken_for_clean, now.combiner))
    assert soft < naive - 0.002
    assert soft < before + 0.001


def test_a_second_update_knows_which_rows_came_later(learnt, tmp_path):
    now, hurt = learnt
    now.save(tmp_path / "s")
    again = Screener.load(tmp_path / "s")
    assert (again.calibration.later == now.calibration.later).all()
    clean, _ = parted(400, 40)
    labels = dict(zip(map(str, clean.ids), map(str, clean.labels), strict=True))
    twice = updated(again, again.screen_outputs(clean), labels).screener
    assert twice.calibration.later.sum() == len(hurt) + len(clean)
