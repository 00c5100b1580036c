"""What is learnt from calibration rows: nothing from noise, more than any single score from signal, all out of fold."""

import json
from dataclasses import replace

import numpy as np
import pytest

from uncertainty.combination.evidence_rows import CONDITIONS, Evidence
from uncertainty.combination.fit import _basis, _folds, _mixed, _mixture, combine
from uncertainty.combination.mixture import Signals
from uncertainty.combination.platt_scaling import PlattScaling
from uncertainty.errors import CalibrationError
from uncertainty.metrics import auroc, ece

PLAIN, LOG, LOGIT = "plain", "log", "logit"


def evidence(n=1000, m=4, seed=0, signal=1.0, rate=0.15, scale=PLAIN, errors=None):
    """n clean rows, m normal scores; those of errors are higher, by less and less from score to score."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(n) < rate if errors is None else rng.permutation(np.arange(n) < errors)
    z = rng.normal(size=(n, m)) + signal * wrong[:, None] * np.linspace(1, 0.3, m)
    return Evidence(
        names=tuple(f"score_{j}" for j in range(m)),
        scales=(scale,) * m,
        start=np.where(np.arange(m) == 1, np.inf, 0.0),
        posterior=np.zeros(m, dtype=bool),
        signals=Signals(
            scores=z if scale == PLAIN else 1 / (1 + np.exp(-z)) if scale == LOGIT else np.exp(z),
            context=rng.normal(size=(n, 2)),
            predicted=rng.integers(0, 3, n),
        ),
        classes=3,
        wrong=wrong,
        condition=np.zeros(n, dtype=np.int64),
        weights=np.ones(n),
        groups=np.arange(n),
    )


def with_copies(clean, share, condition="damaged", seed=0, rise=1.0, wrong=0.5, seen=4):
    """Add a copy of each clean row; its context and scores are higher by `seen` and `rise`, `wrong` more are wrong."""
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(clean.rows("clean"))
    n = len(rows)
    own = clean.signals.take(rows)
    more = replace(
        taken(clean, rows),
        signals=Signals(own.scores + rise, own.context + seen, own.predicted),
        wrong=clean.wrong[rows] | (rng.random(n) < wrong),
        condition=np.full(n, CONDITIONS.index(condition)),
        weights=np.full(n, share / (1 - share)),
    )
    return joined(clean, more)


COLUMNS = ("wrong", "condition", "weights", "groups")
SIGNALS = ("scores", "context", "predicted")


def joined(one, more):
    columns = {name: np.concatenate([getattr(one, name), getattr(more, name)]) for name in COLUMNS}
    both = (one.signals, more.signals)
    signals = Signals(*(np.concatenate([getattr(part, name) for part in both]) for name in SIGNALS))
    return replace(one, signals=signals, **columns)


def taken(one, rows):
    columns = {name: getattr(one, name)[rows] for name in COLUMNS}
    return replace(one, signals=one.signals.take(rows), **columns)


def with_scores(one, scores, **others):
    return replace(one, signals=replace(one.signals, scores=scores, **others))


def p_of(combination, one):
    return combination.combiner.p_wrong(one.signals)


@pytest.mark.parametrize("scale", [PLAIN, LOG, LOGIT])
def test_without_copies_p_wrong_rises_with_every_score(scale):
    combination, low = combine(evidence(scale=scale)), evidence(500, seed=5, scale=LOGIT)
    rng = np.random.default_rng(0)
    for j in range(4):
        higher = low.signals.scores.copy()
        higher[:, j] += rng.random(500) * (1 - higher[:, j])
        assert (p_of(combination, with_scores(low, higher)) >= p_of(combination, low)).all()


def test_an_expert_never_takes_a_score_for_good_news():
    combiner = combine(with_copies(evidence(), 0.2)).combiner
    for expert in combiner.experts.values():
        assert min(np.array(expert.weights)[combiner.basis.sources < 4]) >= 0


def test_a_score_that_falls_with_errors_is_silenced():
    found = evidence(2000)
    turned = with_scores(found, found.signals.scores * [1, -1, 1, 1])
    parts = combine(turned).combiner.contributions(turned.signals)
    assert np.abs(parts[:, 1]).max() < 0.1
    assert np.abs(parts[:, 0]).max() > 1


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("scale", [PLAIN, LOG, LOGIT])
@pytest.mark.parametrize("errors", [0, 4, 20, 200, 1000])
def test_constant_scores_give_the_calibration_error_rate(value, scale, errors):
    found = evidence(1000, errors=errors, scale=scale)
    found = with_scores(found, np.full((1000, 4), value), predicted=np.zeros(1000, dtype=np.int64))
    combination = combine(found)
    expected = (errors + 0.5) / 1001  # half an error more in one row more
    assert p_of(combination, taken(found, [0]))[0] == pytest.approx(expected, abs=1e-3)
    assert np.isfinite(p_of(combination, evidence(5, scale=scale))).all()
    assert np.isfinite(combination.out_of_fold).all()


def test_constant_scores_give_the_error_rate_weighted_by_share():
    found = with_copies(evidence(1000, errors=100), 0.2)
    nothing = Signals(np.zeros((2000, 4)), np.zeros((2000, 2)), np.zeros(2000, dtype=np.int64))
    found = replace(found, signals=nothing)
    rate = 0.8 * 0.1 + 0.2 * found.wrong[1000:].mean()
    assert p_of(combine(found), taken(found, [0]))[0] == pytest.approx(rate, abs=1e-3)


def test_shuffled_errors_teach_nothing():
    apart, inside, away = [], [], []
    for seed in range(12):
        shuffled, test = evidence(seed=seed, signal=0), evidence(4000, seed=100 + seed, signal=0)
        combination = combine(shuffled, seed)
        p = p_of(combination, test)
        apart.append(auroc(test.wrong, p))
        inside.append(auroc(shuffled.wrong, combination.out_of_fold))
        away.append(np.abs(p - shuffled.wrong.mean()).mean())
    # Standard errors: 0.0125 / √12 on the test rows, 0.025 / √12 on the calibration rows.
    assert np.mean(apart) == pytest.approx(0.5, abs=0.012)
    assert np.mean(inside) == pytest.approx(0.5, abs=0.03)
    assert np.mean(away) < 0.03  # what is left of the start


@pytest.mark.parametrize("scale", [PLAIN, LOG, LOGIT])
def test_beats_the_best_single_score(scale):
    test = evidence(20_000, seed=99, scale=scale)
    best = max(auroc(test.wrong, score) for score in test.signals.scores.T)
    assert auroc(test.wrong, p_of(combine(evidence(2000, scale=scale)), test)) > best + 0.05


def test_copies_help_on_damaged_rows_and_cost_next_to_nothing_on_clean_ones():
    clean, new = evidence(2000), evidence(8000, seed=9)
    damaged = taken(with_copies(new, 0.5, seed=10, rise=0.0), np.arange(8000, 16_000))
    without, mixed = combine(clean), combine(with_copies(clean, 0.1, rise=0.0))
    assert auroc(new.wrong, p_of(mixed, new)) > auroc(new.wrong, p_of(without, new)) - 0.003
    both = np.concatenate([new.wrong, damaged.wrong])
    pooled = [np.concatenate([p_of(one, new), p_of(one, damaged)]) for one in (without, mixed)]
    assert auroc(both, pooled[1]) > auroc(both, pooled[0]) + 0.05
    assert p_of(mixed, damaged).mean() > p_of(without, damaged).mean() + 0.1


def test_out_of_fold_p_wrong_is_calibrated():
    found = evidence(5000)
    p = combine(found).out_of_fold
    assert ece(found.wrong, p) < 0.02  # 0.012 by chance alone
    assert p.mean() == pytest.approx(found.wrong.mean(), abs=0.003)


def test_with_copies_p_wrong_is_calibrated_on_what_was_declared():
    found = with_copies(evidence(3000), 0.3)
    p = combine(found).out_of_fold
    expected = found.weights @ found.wrong / found.weights.sum()
    assert found.weights @ p / found.weights.sum() == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("errors", [0, 1, 9, 10, 200])
def test_what_few_errors_can_not_say_is_said(errors):
    combination = combine(evidence(errors=errors))
    said = " ".join(combination.notes)
    assert (
        f"calibration has {errors} errors, fewer than 10: p_wrong ranks much as equal weights on score_1 do" in said
    ) == (errors < 10)
    json.dumps(combination.report)


@pytest.mark.parametrize("errors", [0, 1, 9])
def test_few_errors_change_the_ranks_of_the_start_little_and_answer_their_rate(errors):
    found = evidence(errors=errors)
    combination = combine(found)
    p = p_of(combination, found)
    assert np.corrcoef(p.argsort().argsort(), found.signals.scores[:, 1].argsort().argsort())[0, 1] > 0.85
    assert p.mean() == pytest.approx((errors + 0.5) / 1001, rel=0.3)
    assert p.min() > 0


def test_without_a_start_all_scores_have_a_say():
    found = replace(evidence(errors=0), start=np.zeros(4))
    moved = combine(found).combiner.contributions(found.signals)[:, :4]
    assert (moved.std(axis=0) > 0.02).all()


@pytest.mark.parametrize("errors", [10, 30])
def test_few_errors_do_not_lose_to_a_start_that_says_all(errors):
    """Only the start knows anything; the other scores are noise that few errors could mistake for news."""
    lost = []
    for seed in range(8):
        found = one_that_knows(evidence(600, m=8, seed=seed, signal=0, errors=errors))
        test = one_that_knows(evidence(6000, m=8, seed=50 + seed, signal=0, errors=10 * errors))
        lost.append(auroc(test.wrong, test.signals.scores[:, 1]) - auroc(test.wrong, p_of(combine(found), test)))
    assert np.mean(lost) < 0.01


@pytest.mark.parametrize(("errors", "times"), [(0, 11.0), (1, 6.0), (9, 2.0), (99, 1.1)])
def test_the_fewer_errors_the_harder_the_weights_are_held(errors, times):
    found = with_copies(evidence(400, errors=errors), 0.05)
    for expert in combine(found).report["experts"].values():
        assert expert["ridge"] == pytest.approx(10 * times)


@pytest.mark.parametrize("errors", [0, 5])
def test_a_handful_of_rows_and_their_copies_do_not_lose_to_the_start(errors):
    """Forty rows tell little of what damage looks like, and must not outweigh the score that knows."""
    lost = []
    for seed in range(4):
        found = one_that_knows(
            with_copies(evidence(40, m=8, seed=seed, signal=0, errors=errors), 0.05, seed=seed, seen=1)
        )
        test = one_that_knows(evidence(6000, m=8, seed=50 + seed, signal=0, errors=750))
        lost.append(auroc(test.wrong, test.signals.scores[:, 1]) - auroc(test.wrong, p_of(combine(found), test)))
    assert np.mean(lost) < 0.003


def test_few_damaged_copies_say_what_the_clean_rows_say():
    """Without a difference that copies show, the damaged expert ranks as the clean one."""
    found = with_copies(evidence(200, errors=20), 0.05, rise=0, wrong=0, seen=0)
    clean, damaged = (np.array(combine(found).combiner.experts[c].weights) for c in ("clean", "damaged"))
    assert damaged == pytest.approx(clean, abs=0.3)
    assert clean.max() > 1


def test_many_errors_leave_the_start_behind():
    """The start knows nothing and the others do: weights that it keeps would be noise in the ranking."""
    found, test = evidence(3000), evidence(5000, seed=9)
    silent = [with_second(one, np.zeros(len(one.wrong))) for one in (found, test)]
    noisy = [with_second(one, np.random.default_rng(k).normal(size=len(one.wrong))) for k, one in enumerate(silent)]
    best, mine = (auroc(test.wrong, p_of(combine(one), other)) for one, other in (silent, noisy))
    assert mine > best - 0.005


def one_that_knows(found):
    return with_second(found, found.signals.scores[:, 1] + 2 * found.wrong)


def with_second(found, values):
    scores = found.signals.scores.copy()
    scores[:, 1] = values
    return with_scores(found, scores)


@pytest.mark.parametrize("n", [1, 2, 7, 30])
def test_nothing_but_errors_is_answered_with_near_certainty(n):
    found = replace(evidence(n), wrong=np.ones(n, dtype=bool))
    combination = combine(found)
    for p in (p_of(combination, found), combination.out_of_fold):
        assert p.mean() > (n - 0.01) / (n + 1)
        assert (p <= 1).all()


def test_no_rows_are_refused():
    with pytest.raises(CalibrationError, match="calibration has no rows"):
        combine(taken(evidence(), []))


@pytest.mark.parametrize("errors", [None, 30, 5])
def test_the_order_of_rows_does_not_matter(errors):
    found = with_copies(evidence(400, errors=errors), 0.3)
    shuffled = np.random.default_rng(0).permutation(400)
    order = np.concatenate([shuffled, 400 + shuffled[::-1]])
    first, second = combine(found, seed=3), combine(taken(found, order), seed=3)
    assert second.out_of_fold == pytest.approx(first.out_of_fold[order], rel=5e-3)
    test = evidence(100, seed=5)
    assert p_of(second, test) == pytest.approx(p_of(first, test), rel=5e-3)


def test_the_same_seed_gives_the_same_combiner():
    found = with_copies(evidence(300), 0.2)
    assert combine(found, seed=1).combiner == combine(found, seed=1).combiner


def test_units_of_a_score_do_not_matter():
    found = evidence(800)
    scaled = with_scores(found, found.signals.scores * [1e-3, 1, 7, 1e6] + [0, 5, -3, 1e6])
    assert combine(scaled).out_of_fold == pytest.approx(combine(found).out_of_fold, rel=5e-3)


def test_extreme_scores_in_calibration_do_no_harm():
    usual, test = evidence(2000), evidence(5000, seed=9)
    scores = usual.signals.scores.copy()
    scores[:4] = [[-1e300] * 4, [1e300] * 4, [1e300, -1e300, 0, 0], [5e-324] * 4]
    harmed = combine(with_scores(usual, scores))
    assert np.isfinite(harmed.out_of_fold).all()
    assert auroc(test.wrong, p_of(harmed, test)) > auroc(test.wrong, p_of(combine(usual), test)) - 0.01


def test_copies_of_an_image_share_a_fold_and_each_fold_has_its_share_of_errors():
    found = with_copies(evidence(500), 0.3)
    found = taken(found, np.random.default_rng(0).permutation(1000))
    folds = _folds(found, seed=0)
    for image in range(500):
        assert len(set(folds[found.groups == image])) == 1
    assert np.ptp(np.bincount(folds[found.rows("clean")])) <= 1
    first = np.unique(found.groups, return_index=True)[1]
    assert np.ptp(np.bincount(folds[first], found.wrong[first])) <= 1


def test_a_row_has_no_part_in_its_own_out_of_fold_p_wrong():
    found = with_copies(evidence(300), 0.3)
    folds = _folds(found, seed=0)

    def held_out(one, fold):
        rows = folds != fold
        fitted = _mixture(one, rows, _basis(one, rows), ["clean", "damaged"], ["damaged"])
        return fitted.p_wrong(one.signals.take(~rows))

    for row in (0, 17, 350):
        changed = found.wrong.copy()
        changed[row] = not changed[row]
        other = replace(found, wrong=changed)
        for fold in range(5):
            same = held_out(other, fold) == held_out(found, fold)
            assert same.all() == (fold == folds[row])


def test_the_out_of_fold_p_wrong_is_that_of_models_without_the_fold():
    found = with_copies(evidence(300), 0.3)
    combination, folds = combine(found, seed=4), _folds(found, seed=4)
    experts = list(combination.report["experts"])
    for fold in range(5):
        rows = folds != fold
        fitted = _mixture(found, rows, _basis(found, rows), experts, list(combination.combiner.gates))
        assert (fitted.p_wrong(found.signals.take(~rows)) == combination.out_of_fold[~rows]).all()


def test_twice_the_share_is_not_twice_the_weight():
    once, twice = (with_copies(evidence(1500), share, rise=0, seen=0) for share in (0.1, 0.2))
    test = evidence(1000, seed=7)
    p = p_of(combine(once), test).mean()
    assert p_of(combine(twice), test).mean() > p + 0.03
    assert p_of(combine(replace(once, weights=2 * once.weights)), test).mean() == pytest.approx(p, abs=0.003)


def test_foreign_rows_are_taken_for_wrong():
    found = with_copies(evidence(1500), 0.1, condition="foreign", rise=2.0, wrong=1.0)
    new = taken(
        with_copies(evidence(1000, seed=8), 0.1, condition="foreign", rise=2.0, wrong=1.0), np.arange(1000, 2000)
    )
    p = p_of(combine(found), new)
    assert p.mean() > 0.7
    assert p.mean() > p_of(combine(evidence(1500)), new).mean()


def test_a_class_that_is_often_wrong_is_doubted_and_a_rare_one_hardly():
    found = evidence(1500)
    rare = np.arange(1500) < 2
    predicted = np.where(rare, 2, np.where(found.wrong & (np.arange(1500) % 4 > 0), 1, 0))
    found = replace(with_scores(found, found.signals.scores, predicted=predicted), wrong=found.wrong | rare)
    combiner = combine(found).combiner
    often, seldom, twice = (
        combiner.contributions(replace(found.signals, predicted=np.full(1500, k)))[0, -1] for k in (1, 0, 2)
    )
    assert often > 1.5 > 0 > seldom
    assert twice < 1


def test_without_a_single_predicted_class_there_is_no_doubt_of_classes():
    found = evidence(500)
    found = with_scores(found, found.signals.scores, predicted=np.full(500, -1))
    combination = combine(found)
    assert (combination.combiner.contributions(found.signals)[:, -1] == 0).all()
    assert np.isfinite(combination.out_of_fold).all()


def timid(n=800, seed=4):
    """Rows of several labels and a single score, a posterior of half the log-odds that there are."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-0.5, 3, n)
    one = evidence(n, m=1)
    signals = Signals(log_odds[:, None] / 2, np.empty((n, 0)), np.full(n, -1))
    wrong = rng.random(n) < 1 / (1 + np.exp(-log_odds))
    return replace(one, signals=signals, posterior=np.ones(1, dtype=bool), start=np.zeros(1), wrong=wrong, classes=0)


def slope(combination, one):
    p, wrong = combination.out_of_fold, one.wrong
    return PlattScaling.fit(np.log(p) - np.log1p(-p), wrong, np.ones(len(p)), 0.01).slope


def test_a_timid_posterior_of_several_labels_gets_the_slope_that_it_has_out_of_fold():
    rows = timid()
    several, one = combine(rows), combine(replace(rows, classes=2))
    assert slope(one, rows) > 1.05
    assert slope(several, rows) == pytest.approx(1, abs=0.04)
    assert (np.argsort(p_of(several, rows)) == np.argsort(p_of(one, rows))).all()


def test_the_slope_of_a_fold_is_not_learnt_from_it():
    rows = timid(300)
    folds = _folds(rows, 0)
    turned = replace(rows, wrong=np.where(folds == 0, ~rows.wrong, rows.wrong))
    one, other = _mixed(rows, folds), _mixed(turned, folds)
    assert (one.out_of_fold[folds == 0] == other.out_of_fold[folds == 0]).all()
    assert (one.out_of_fold[folds != 0] != other.out_of_fold[folds != 0]).all()
