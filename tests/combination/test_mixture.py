"""The model as plain numbers: worked by hand, finite everywhere, the same bits after JSON."""

import json
from dataclasses import replace

import numpy as np
import pytest

from uncertainty.combination.mixture import Basis, Linear, Mixture, Signals, expit, from_dict, logit
from uncertainty.errors import ArtifactError

LINE, HINGE = (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0)


def signals(scores, context=None, predicted=None):
    scores = np.array(scores, dtype=np.float64)
    context = np.zeros((len(scores), 0)) if context is None else np.array(context, dtype=np.float64)
    return Signals(scores, context, np.zeros(len(scores), np.int64) if predicted is None else np.array(predicted))


def mixture(weights, intercept=0.0, scales=("plain",), center=0.0, spread=1.0, **gates):
    """Experts and gates of one score each; gates are name=(gate's intercept, expert's intercept or None)."""
    m = len(scales)
    flat = (0.0,) * (4 * m + 1)
    experts = {k: Linear(flat, wrong) for k, (_, wrong) in gates.items() if wrong is not None}
    return Mixture(
        names=tuple(f"score_{j}" for j in range(m)),
        basis=Basis(scales, (center,) * m, (spread,) * m, (), (), classes=1),
        experts={"clean": Linear((*weights, 0.0), intercept)} | experts,
        gates={k: Linear(flat, odds) for k, (odds, _) in gates.items()},
    )


def random_mixture(seed, scales=("plain", "log", "logit")):
    """Three scores, two context columns, all three conditions, experts that rise with every score."""
    rng = np.random.default_rng(seed)
    size = 4 * len(scales) + 4 + 2
    expert = [Linear(tuple(rng.exponential(0.3, size).tolist()), -3.0 + k) for k in range(2)]
    usual = list(expert[0].weights)
    usual[-6:] = [0.0, 0.0, 0.0, 0.0, 0.7, -0.7]  # context says nothing of clean images, the class does
    expert[0] = Linear(tuple(usual), -3.0)
    gates = [Linear(tuple(rng.normal(0, 0.3, size).tolist()), -2.0) for _ in range(2)]
    return Mixture(
        names=("a", "b", "c"),
        basis=Basis(scales, (0.1, 0.2, 0.3), (1.0, 2.0, 0.5), (0.0, 1.0), (1.0, 1e-6), classes=2),
        experts={"clean": expert[0], "damaged": expert[1]},
        gates={"damaged": gates[0], "foreign": gates[1]},
    )


COMBINERS = {"mixture": random_mixture(0), "clean alone": mixture(LINE * 3, scales=("plain",) * 3)}
each_combiner = pytest.mark.parametrize("combiner", COMBINERS.values(), ids=COMBINERS.keys())


def inputs(combiner, n, seed=0):
    rng = np.random.default_rng(seed)
    context = rng.normal(size=(n, 2 if combiner is COMBINERS["mixture"] else 0))
    return signals(rng.random((n, 3)), context, rng.integers(-1, 2, n))


def test_one_expert_by_hand():
    # z = (5 - 1) / 2 = 2: the line adds 2 to its median's 0, the hinge at 0.5 adds 1.5.
    one = mixture((1.0, 0.0, 2.0, 0.0), -5.0, center=1.0, spread=2.0)
    assert one.contributions(signals([[5.0]])).tolist() == [[5.0, 0.0, 0.0]]
    assert one.p_wrong(signals([[5.0]])).tolist() == [0.5]


def test_hinges_by_hand():
    # Clipped at 6; from the median 0 on: -6..6, and max(z - h, 0) - max(-h, 0) for h = -0.7, 0.5, 1.3.
    basis = Basis(("plain",), (0.0,), (1.0,), (), (), classes=0)
    expected = [[0, 0, 0, 0], [2, 2, 1.5, 0.7], [-1, -0.7, 0, 0], [6, 6, 5.5, 4.7], [-6, -0.7, 0, 0]]
    found = basis(signals([[0.0], [2.0], [-1.0], [99.0], [-99.0]]))
    assert found.round(12).tolist() == expected


def test_context_by_hand():
    # Half a spread to either side is usual; beyond four all is alike.
    basis = Basis((), (), (), (10.0,), (2.0,), classes=0)
    found = basis(signals(np.zeros((5, 0)), [[10.0], [11.0], [13.0], [6.0], [1e9]]))
    assert found.tolist() == [[0, 0], [0, 0], [1, 0], [0, 1.5], [3.5, 0]]


def test_scales_by_hand():
    # ln(e²) = 2, and logit(¾) = ln 3.
    log, logistic = mixture(LINE, scales=("log",)), mixture(LINE, scales=("logit",))
    assert log.contributions(signals([[np.exp(2)]]))[0, 0] == pytest.approx(2)
    assert logistic.p_wrong(signals([[0.75]]))[0] == pytest.approx(0.75)


def test_mixture_by_hand():
    # Clean 0.2, damaged 0.6 at odds 1/3, foreign 1 at odds 1/6.
    wrong = {"damaged": (np.log(1 / 3), float(logit(0.6)))}
    two = mixture(LINE, float(logit(0.2)), **wrong)
    assert two.p_wrong(signals([[0.0]]))[0] == pytest.approx((0.2 + 0.6 / 3) / (1 + 1 / 3))
    three = mixture(LINE, float(logit(0.2)), **wrong, foreign=(np.log(1 / 6), None))
    assert three.p_wrong(signals([[0.0]]))[0] == pytest.approx((0.2 + 0.6 / 3 + 1 / 6) / (1 + 1 / 3 + 1 / 6))


def test_without_gates_p_wrong_never_falls_as_a_score_rises():
    combiner = COMBINERS["clean alone"]
    rng = np.random.default_rng(0)
    low = inputs(combiner, 500)
    for j in range(3):
        higher = low.scores.copy()
        higher[:, j] += rng.random(500)
        assert (combiner.p_wrong(replace(low, scores=higher)) >= combiner.p_wrong(low)).all()


@each_combiner
def test_each_row_on_its_own_and_a_probability(combiner):
    found = inputs(combiner, 50)
    p = combiner.p_wrong(found)
    assert p.shape == (50,)
    assert p.dtype == np.float64
    assert ((p > 0) & (p < 1)).all()
    nothing = found.take(np.zeros(50, dtype=bool))
    assert combiner.p_wrong(found.take(np.arange(50)[::-1]))[::-1] == pytest.approx(p, rel=1e-12)
    assert [combiner.p_wrong(found.take([i]))[0] for i in range(50)] == pytest.approx(p, rel=1e-12)
    assert combiner.p_wrong(nothing).shape == (0,)
    assert combiner.contributions(nothing).shape == (0, 5)


@each_combiner
def test_inputs_are_left_alone(combiner):
    found, same = inputs(combiner, 5), inputs(combiner, 5)
    combiner.p_wrong(found)
    combiner.contributions(found)
    assert (found.scores == same.scores).all()
    assert (found.context == same.context).all()


@each_combiner
def test_contributions_sum_to_the_log_odds(combiner):
    found = inputs(combiner, 200)
    start = combiner.experts["clean"].intercept
    parts = combiner.contributions(found)
    # Where nothing speaks for another condition, what the gates change belongs to no source.
    own = np.isclose(parts.sum(axis=1) + start, logit(combiner.p_wrong(found)), atol=1e-9)
    assert own.mean() > 0.95


@each_combiner
def test_saved_as_json_it_answers_the_same_bits(combiner):
    found = inputs(combiner, 200)
    back = from_dict(json.loads(json.dumps(combiner.to_dict())))
    assert back == combiner
    assert back.p_wrong(found).tobytes() == combiner.p_wrong(found).tobytes()
    assert back.contributions(found).tobytes() == combiner.contributions(found).tobytes()


@each_combiner
def test_a_damaged_combiner_is_refused(combiner):
    saved = combiner.to_dict()
    damaged = [saved | {"extra": 1}, *({k: v for k, v in saved.items() if k != gone} for gone in saved)]
    for one in damaged:
        with pytest.raises(ArtifactError, match="the saved combiner is damaged") as caught:
            from_dict(one)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("extreme", [-1e300, -1.0, 0.0, 5e-324, 1.0, 1e300])
@each_combiner
def test_scores_far_outside_calibration_stay_finite(combiner, extreme):
    for scores in (np.full((1, 3), extreme), np.array([[extreme, 0.5, 0.5]])):
        found = replace(inputs(combiner, 1), scores=scores)
        p = combiner.p_wrong(found)
        assert ((p >= 0) & (p <= 1)).all()
        assert np.isfinite(combiner.contributions(found)).all()


@pytest.mark.parametrize("extreme", [-1e300, 1e300])
def test_context_far_outside_calibration_stays_finite(extreme):
    combiner = COMBINERS["mixture"]
    p = combiner.p_wrong(signals([[0.5] * 3], [[extreme] * 2]))
    assert 0 <= p[0] <= 1


def test_gates_and_experts_that_are_certain_stay_finite():
    sure = mixture(LINE, 800.0, damaged=(900.0, -800.0), foreign=(-900.0, None))
    assert sure.p_wrong(signals([[0.0]])).tolist() == [0.0]
    sure = mixture(LINE, -800.0, foreign=(900.0, None))
    assert sure.p_wrong(signals([[0.0]])).tolist() == [1.0]
    assert np.isfinite(sure.contributions(signals([[1.0]]))).all()


def test_logit_undoes_expit_and_is_finite_at_its_ends():
    x = np.linspace(-20, 20, 41)
    assert logit(expit(x)) == pytest.approx(x, abs=1e-6)
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()
    assert expit([0.0, np.log(3)]) == pytest.approx([0.5, 0.75])


def test_the_predicted_class_by_hand():
    one = mixture(LINE, -1.0)
    one = Mixture(one.names, one.basis, {"clean": Linear((*LINE, 1.0), -1.0)}, {})
    found = signals([[0.0], [0.0], [0.0]], predicted=[0, -1, 7])
    assert one.p_wrong(found)[0] == 0.5
    assert one.p_wrong(found)[1:] == pytest.approx([1 / (1 + np.e)] * 2)
    assert one.contributions(found)[:, -1].tolist() == [1.0, 0.0, 0.0]
