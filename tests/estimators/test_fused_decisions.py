"""One posterior a label: what each source adds, unknown answers, and known-good rows that come and go."""

from dataclasses import replace

import numpy as np
import pytest
from problems import known_good, made_problem

from uncertainty import ModelOutputs, Screener
from uncertainty.errors import InputError
from uncertainty.estimators import create
from uncertainty.metrics import auroc

REFERENCE, CALIBRATION = known_good(200, 1, "multilabel"), made_problem(400, 2, "multilabel")
TEST = made_problem(1000, 3, "multilabel")


def judge(reference=REFERENCE, calibration=CALIBRATION):
    return create("fused_decisions").fit(calibration, reference)


def told(estimator, outputs):
    q, wrong = estimator.decision_log_odds(outputs), outputs.wrong_decisions
    return np.mean([auroc(wrong[:, k], q[:, k]) for k in range(outputs.n_classes)])


def bare(outputs, *columns):
    return replace(outputs, **dict.fromkeys(columns))


def test_a_second_opinion_tells_more_than_the_classifier_alone():
    every = ("features", "mc_probs", "tta_probs", "embedding")
    alone = judge(bare(REFERENCE, *every), bare(CALIBRATION, *every))
    assert alone.reads == ("logits",)
    assert "index_" not in vars(alone)
    assert told(judge(), TEST) > told(alone, TEST) + 0.003


def test_what_calibration_or_the_reference_lacks_is_not_read():
    assert "embedding" not in judge(bare(REFERENCE, "embedding")).reads
    assert "tta_probs" not in judge(calibration=bare(CALIBRATION, "tta_probs")).reads


def test_unknown_answers_teach_as_little_as_rows_that_are_not_there():
    labels = CALIBRATION.labels.copy()
    labels[:100] = -1
    one = judge(calibration=replace(CALIBRATION, labels=labels))
    other = judge(calibration=CALIBRATION.take(np.arange(100, 400)))
    np.testing.assert_allclose(one.decision_log_odds(TEST), other.decision_log_odds(TEST), atol=1e-3)


def test_a_label_that_no_known_good_row_tells_has_the_weights_of_the_others():
    labels = REFERENCE.labels.copy()
    labels[:, 3] = -1
    q = judge(replace(REFERENCE, labels=labels)).decision_log_odds(TEST)
    assert auroc(TEST.wrong_decisions[:, 3], q[:, 3]) > 0.8


def test_labels_that_never_stand_together_are_doubted_together():
    """Two labels that exclude each other in the reference, both as good as certain to the classifier."""
    rng = np.random.default_rng(0)
    truth = np.eye(2, dtype=np.int64)[rng.integers(0, 2, 400)]
    logits = np.where(truth == 1, 1.0, -1.0) + rng.normal(size=(400, 2))
    rows = ModelOutputs(ids=[f"r{i}" for i in range(400)], logits=logits, labels=truth, task="multilabel")
    both = ModelOutputs(ids=["both", "one"], logits=[[2.0, 2.0], [2.0, -2.0]], task="multilabel")
    score = judge(rows.take(np.arange(200)), rows.take(np.arange(200, 400))).score(both)
    assert score[0] > score[1] + 1


def test_known_good_rows_come_and_go_with_their_labels():
    screener = Screener.fit_outputs(REFERENCE, CALIBRATION)
    more = known_good(50, 9, "multilabel")
    changed = screener.with_known_good(more)
    back = changed.without_known_good([str(name) for name in more.ids])
    own = [next(e for e in s.estimators if e.name == "fused_decisions") for s in (screener, changed, back)]
    assert [len(e.carried_) for e in own] == [len(e.index_.vectors) for e in own]
    assert len(own[1].carried_) == len(own[0].carried_) + len(more)
    np.testing.assert_array_equal(own[2].carried_, own[0].carried_)
    np.testing.assert_array_equal(back.p_wrong(TEST), screener.p_wrong(TEST))


def test_other_estimators_say_nothing_of_single_decisions():
    with pytest.raises(InputError, match="least_confidence says nothing of single decisions"):
        create("least_confidence").decision_log_odds(TEST)
