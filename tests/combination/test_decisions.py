"""Single decisions: probabilities that hold out of fold, shared strength, conditions of the image, unknown answers."""

from dataclasses import replace

import numpy as np
import pytest
from problems import known_good, made_problem

from uncertainty.combination.decision_experts import DecisionExperts, shares
from uncertainty.errors import ArtifactError
from uncertainty.estimators import create
from uncertainty.metrics import auroc, ece
from uncertainty.screener import Screener
from uncertainty.screener.checks import check

REFERENCE, CALIBRATION = known_good(200, 1, "multilabel"), made_problem(600, 2, "multilabel")
TEST = made_problem(1200, 3, "multilabel")


@pytest.fixture(scope="module")
def screener() -> Screener:
    return Screener.fit_outputs(REFERENCE, CALIBRATION)


def decisions(screener, outputs):
    table = screener.screen_outputs(outputs).table
    return np.stack([table[f"p_wrong_{k}"].to_numpy() for k in range(outputs.n_classes)], axis=1), table


def test_each_decision_is_calibrated_and_better_told_than_by_its_distance(screener):
    p, table = decisions(screener, TEST)
    wrong, distance = TEST.wrong_decisions, -np.abs(TEST.logits)
    by_class = [(auroc(wrong[:, k], p[:, k]), auroc(wrong[:, k], distance[:, k])) for k in range(4)]
    assert np.mean([ours - theirs for ours, theirs in by_class]) > 0.03
    assert max(ece(wrong[:, k], p[:, k]) for k in range(4)) < 0.025
    assert (p <= table["p_wrong"].to_numpy()[:, None]).all()
    assert ece(TEST.wrong, table["p_wrong"].to_numpy()) < 0.03


def test_the_kept_rows_are_as_good_as_new_ones(screener):
    rows = screener.decisions.rows
    assert rows.p_wrong.shape == (600, 4)
    assert (rows.wrong == CALIBRATION.wrong_decisions).all()
    assert (rows.said == (CALIBRATION.predictions == 1)).all()
    new, _ = decisions(screener, TEST)
    kept = np.mean([auroc(rows.wrong[:, k] == 1, rows.p_wrong[:, k]) for k in range(4)])
    assert kept == pytest.approx(np.mean([auroc(TEST.wrong_decisions[:, k], new[:, k]) for k in range(4)]), abs=0.03)


def test_of_labels_that_mean_nothing_nothing_is_learnt():
    shuffled = CALIBRATION.labels[np.random.default_rng(0).permutation(600)]
    nothing = replace(CALIBRATION, labels=np.where(shuffled, 1 - CALIBRATION.predictions, CALIBRATION.predictions))
    rows = Screener.fit_outputs(REFERENCE, nothing).decisions.rows
    told = [auroc(rows.wrong[:, k] == 1, rows.p_wrong[:, k]) for k in range(4)]
    assert abs(np.mean(told) - 0.5) < 0.06


@pytest.mark.simulation
def test_of_labels_that_mean_nothing_no_image_is_told_by_any_estimator():
    told = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        rows = made_problem(300, 100 + seed, "multilabel")
        flips = rng.random((300, 4)) < 0.12
        nothing = replace(rows, labels=np.where(flips, 1 - rows.predictions, rows.predictions))
        learnt = Screener.fit_outputs(REFERENCE, nothing)
        told.append(auroc(learnt.calibration.wrong, learnt.calibration.p_wrong))
    assert abs(np.mean(told) - 0.5) < 0.03


def test_an_unknown_answer_teaches_nothing():
    labels = CALIBRATION.labels.copy()
    labels[100:500, 2] = -1
    names = ("least_confidence", "label_mahalanobis", "fused_decisions")
    spoilt = np.where(labels == -1, 1 - CALIBRATION.predictions, labels)
    unknown, wrong = (
        Screener.fit_outputs(REFERENCE, replace(CALIBRATION, labels=one), estimators=[create(name) for name in names])
        for one in (labels, spoilt)
    )
    p, _ = decisions(unknown, TEST)
    assert ece(TEST.wrong_decisions[:, 2], p[:, 2]) < 0.04
    assert decisions(wrong, TEST)[0][:, 2].mean() > 3 * p[:, 2].mean()
    assert (unknown.decisions.rows.wrong[100:500, 2] == -1).all()


def test_a_class_never_positive_and_one_always_are_no_fault():
    labels = CALIBRATION.labels.copy()
    labels[:, 0], labels[:, 1] = 0, 1
    screener = Screener.fit_outputs(replace(REFERENCE, labels=None), replace(CALIBRATION, labels=labels))
    p, _ = decisions(screener, TEST)
    assert np.isfinite(p).all()
    said = TEST.predictions == 1
    assert p[said[:, 0], 0].mean() > 0.8  # of a label that nobody ever gave every mention is wrong
    assert p[~said[:, 1], 1].mean() > 0.8


def test_without_the_judge_the_classifier_itself_tells():
    names = ("least_confidence", "image_quality")
    plain = Screener.fit_outputs(REFERENCE, CALIBRATION, estimators=[create(name) for name in names])
    p, _ = decisions(plain, TEST)
    assert max(ece(TEST.wrong_decisions[:, k], p[:, k]) for k in range(4)) < 0.03
    assert np.mean([auroc(TEST.wrong_decisions[:, k], p[:, k]) for k in range(4)]) > 0.85


def test_no_errors_and_three_rows():
    few = CALIBRATION.take(~CALIBRATION.wrong).take(np.arange(3))
    p, _ = decisions(Screener.fit_outputs(REFERENCE, few), TEST)
    assert np.isfinite(p).all()
    assert 0 < p.mean() < 0.5


def test_rows_kept_back_are_judged_by_what_never_saw_them():
    screener = Screener.fit_outputs(REFERENCE, CALIBRATION, certify_share=0.4)
    kept = screener.calibration.certifying
    p, _ = decisions(screener, replace(CALIBRATION.take(kept), ids=np.arange(kept.sum()).astype(str)))
    np.testing.assert_allclose(screener.decisions.rows.p_wrong[kept], p, atol=1e-6)


def test_a_cascade_has_decisions_at_first_sight_too(tmp_path):
    screener = Screener.fit_outputs(REFERENCE, CALIBRATION, deeper=("embedding", "tta_probs"))
    p, table = decisions(screener, TEST)
    assert set(table["effort"].to_pylist()) == {"fast", "thorough"}
    assert max(ece(TEST.wrong_decisions[:, k], p[:, k]) for k in range(4)) < 0.03
    screener.save(tmp_path)
    loaded = Screener.load(tmp_path, None)
    assert loaded.id == screener.id
    assert loaded.screen_outputs(TEST).table.equals(table)


def test_more_than_200_classes_have_one_list(tmp_path):
    def wide(outputs):
        times = {name: np.tile(getattr(outputs, name), 51) for name in ("logits", "labels")}
        left_out = dict.fromkeys(("mc_probs", "tta_probs", "embedding", "decision_thresholds"))
        return replace(outputs, **left_out, **times)

    few = [wide(rows.take(np.arange(60))) for rows in (REFERENCE, CALIBRATION)]
    screener = Screener.fit_outputs(*few, estimators=[create("least_confidence"), create("entropy")])
    verdicts = screener.screen_outputs(wide(TEST.take(np.arange(5))))
    assert len(verdicts.table["p_wrongs"][0].as_py()) == 204
    verdicts.write(tmp_path / "verdicts.csv")
    back = type(verdicts).read(tmp_path / "verdicts.csv").table
    np.testing.assert_allclose(back["p_wrongs"].to_pylist(), verdicts.table["p_wrongs"].to_pylist(), rtol=1e-6)


def test_no_label_is_right_of_an_image_of_no_known_content():
    experts = DecisionExperts.fit(
        np.zeros((4, 2)), np.zeros((4, 2), dtype=np.int8), {"clean": np.ones(4, dtype=bool)}, np.ones(4)
    )
    unknown = shares(np.array([[0.0, 50.0]]), ["clean", "foreign"])
    assert experts.p_wrong(np.zeros((1, 2)), np.array([[True, False]]), unknown).round(6).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("damage", [{}, {"experts": {}}, {"experts": {"clean": {"weights": [1.0]}}}])
def test_damaged_decisions_are_told(screener, damage):
    saved = screener.decisions.experts.to_dict()
    assert DecisionExperts.from_dict(saved) == screener.decisions.experts
    with pytest.raises(ArtifactError, match="saved experts of decisions are damaged"):
        DecisionExperts.from_dict({"center": 0.0, "spread": 1.0} | damage)


def test_decisions_on_disk_that_no_fit_gives_are_refused(screener):
    kept = screener.decisions
    check(screener, {})
    for wrong in (
        replace(kept, rows=kept.rows.take(np.arange(600) < 5)),
        replace(kept, rows=replace(kept.rows, p_wrong=kept.rows.p_wrong + 1)),
        replace(kept, experts=replace(kept.experts, spread=0.0)),
    ):
        with pytest.raises(ArtifactError, match="decisions"):
            check(replace(screener, decisions=wrong), {})
