"""What is left of answers under a promise: a class or the mean image below what was wanted, precision and recall."""

import numpy as np

from experiments.multilabel.answers import PRECISION, RECALL, WAYS, judged_answers, measured_answers
from experiments.multilabel.page import page
from experiments.multilabel.solar import labels_of
from uncertainty import ModelOutputs

TRUTH = np.array([[1, 0], [1, 1], [0, 1]], dtype=bool)


def test_precision_counts_what_is_said_and_recall_what_is_there():
    said = np.array([[1, 1], [1, 1], [0, 0]], dtype=bool)
    found = judged_answers(said, TRUTH, PRECISION)  # by class 1 and 1/2, by image 1/2, 1 and, of nothing said, 0
    assert (found["a class is below"], found["the mean image is below"], found["classes"]) == (1, 1, 2)
    assert (found["precision"], found["recall"]) == (3 / 4, 3 / 4)
    assert judged_answers(TRUTH, TRUTH, RECALL)["the mean image is below"] == 0


def test_a_class_that_nobody_says_is_promised_nothing():
    only = TRUTH & np.array([True, False])
    assert judged_answers(only, TRUTH, PRECISION)["a class is below"] == 0
    assert judged_answers(only, TRUTH, PRECISION)["classes"] == 1


def test_ours_keep_what_they_promise_where_single_classes_differ(monkeypatch):
    rng = np.random.default_rng(0)
    carried = rng.random((3000, 2)) < 0.4
    logits = np.where(carried, 2.0, -2.0) + rng.normal(size=(3000, 2)) * [0.7, 3.0]
    made = ModelOutputs(ids=np.arange(3000).astype(str), logits=logits, labels=carried, task="multilabel")
    for kind in WAYS:
        monkeypatch.setitem(WAYS, kind, {})  # without MAPIE
    found = measured_answers(made, 20)
    assert found["kept"]["precision"]["thresholds"]["a class is below"] <= 0.2
    assert found["kept"]["recall"]["thresholds"]["recall"] > 0.9


def test_cells_and_their_copies_have_labels_and_what_is_no_cell_has_none():
    ids = np.array(["elpv/00001#jpeg", "unknown/00001", "elpv/00000"])
    assert labels_of(ids, np.array([[1, 0], [0, 1]])).tolist() == [[0, 1], [0, 0], [1, 0]]


def test_the_page_tells_how_many_splits_each_effort_has_and_which_promise_was_made():
    numbers = {name: [0.5, 0.5] for name in ("e_aurc least_confidence", "e_aurc p_wrong", "e_aurc cleanlab")}
    numbers |= {f"e_aurc est_{name}": [0.5, 0.5] for name in ("entropy", "fused_decisions")}
    numbers |= {name: [0.5, 0.5] for name in ("error rate", "predicted", "auroc by distance", "auroc by p_wrong")}
    for name in ("ece", "ece of decisions", "mean ece of a class", "largest ece of a class"):
        numbers |= {name: [0.02, 0.04], f"{name} by chance": [0.01, 0.01]}
    numbers |= {"ece of two numbers": [0.02, 0.02], "suggested": [0.2, 0.4], "suggested said": [0.6, 0.6]}
    numbers |= {"suggested right": [0.5, 0.6], "classifier right there": [0.1, 0.2]}
    fewer = {name: [values[0], None] for name, values in numbers.items()}
    kept = dict.fromkeys(("a class is below", "the mean image is below", "precision", "recall", "classes"), 0.03)
    answers = {"draws": 7, "kept": {"precision": {"thresholds": kept, "MAPIE, LTT": kept}}}
    text = page({"digits": {"fast": {"clean": numbers}, "balanced": {"clean": fewer}, "answers": answers}})
    for told in (
        "Splits: 2 at `fast`, 1 at `balanced`.",
        "0.030 (0.010, 0.020)",
        "| fast | in distribution | 30.0 % | 55.0 % | 60.0 % | 15.0 % |",
        "same 7 draws",
        "| thresholds | **3.0 %** | 3.0 % |",
        "| MAPIE, LTT | 3.0 % | **3.0 %** |",
    ):
        assert told in text
