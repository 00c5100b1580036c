"""Several labels an image from verdicts to numbers: known answers count, unknown ones do not, none is an answer."""

import csv
import json

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics

from uncertainty.errors import InputError
from uncertainty.evaluation.class_slices import class_slices
from uncertainty.evaluation.comparison import compare
from uncertainty.evaluation.confusion import class_report
from uncertainty.evaluation.decision_quality import decision_report
from uncertainty.evaluation.outcomes import Outcomes
from uncertainty.evaluation.screening_quality import evaluate, join_labels
from uncertainty.evaluation.slices import slice_report
from uncertainty.images.label_text import of_answers
from uncertainty.outputs import ModelOutputs
from uncertainty.verdicts import Verdicts
from uncertainty.workflows.compare import compare_folders
from uncertainty.workflows.evaluate import evaluate_folder
from uncertainty.workflows.slices import slices_of_folder

CLASSES = ["cat", "dog", "eel"]


def made(n, seed=0):
    """Truth (n, 3), a fifth of it unknown, and probabilities that know it a little."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, 3)) < (0.5, 0.3, 0.1)).astype(int)
    probs = np.clip(0.5 + (truth - 0.5) * 0.5 + rng.normal(0, 0.3, (n, 3)), 0.01, 0.99)
    return np.where(rng.random((n, 3)) < 0.2, -1, truth), truth, probs


def verdicts(probs, **columns):
    said = probs >= 0.5
    n, told = len(probs), np.minimum(probs, 1 - probs)
    return pa.table(
        {
            "file_name": [f"{k}.png" for k in range(n)],
            "predicted_label": [";".join(np.array(CLASSES)[row]) for row in said],
            "predicted_index": pa.nulls(n, pa.int32()),
            "confidence": 1 - told.max(axis=1),
            "p_wrong": told.max(axis=1),
            "flagged": told.max(axis=1) > 0.4,
            "error": pa.nulls(n, pa.string()),
            "reasons": pa.array([[]] * n, pa.list_(pa.string())),
            **{f"prob_{name}": probs[:, k] for k, name in enumerate(CLASSES)},
            **{f"p_wrong_{name}": told[:, k] for k, name in enumerate(CLASSES)},
            **columns,
        }
    )


def texts(truth):
    return {f"{k}.png": text for k, row in enumerate(truth) if (text := of_answers(CLASSES, row.tolist()))}


def outcomes(truth, table):
    return Outcomes.from_verdicts(table, texts(truth), CLASSES)


def test_images_that_truly_have_no_label_are_in_every_number():
    """200 images, 81 without any label, 40 of which are called cat: 80 % of the decisions' images are right."""
    truth = np.zeros((200, 3), dtype=int)
    truth[81:, 0] = 1
    probs = np.where(truth == 1, 0.9, 0.1)
    probs[:40, 0] = 0.9
    probs[81:, 0] = [0.9] * 119
    found = outcomes(truth, verdicts(probs))
    report = class_report(found)
    assert (len(found), 1 - found.wrong.mean()) == (200, 0.8)
    cat = report.per_class[0]
    assert (cat.support, cat.false_positives, cat.true_negatives) == (119, 40, 41)
    assert cat.precision == pytest.approx(119 / 159)
    assert cat.labels_of_false_positives == cat.beside_false_positives == (("(no label)", 40),)


def test_unknown_answers_are_in_no_number_of_their_class():
    unknown, _, probs = made(400)
    found = outcomes(unknown, verdicts(probs))
    by_name = {name: k for k, name in enumerate(found.names)}
    rows = [by_name[f"{k}.png"] for k in range(400) if f"{k}.png" in by_name]
    kept = [k for k in range(400) if f"{k}.png" in by_name]
    assert len(rows) == (unknown >= 0).any(axis=1).sum()
    report = class_report(found)
    for k, row in enumerate(report.per_class):
        here = unknown[kept, k] >= 0
        true, score = unknown[kept, k][here] == 1, probs[kept, k][here]
        assert (row.unanswered, row.support) == ((~here).sum(), true.sum())
        assert row.true_negatives == (~true & (score < 0.5)).sum()
        assert row.precision == pytest.approx(metrics.precision_score(true, score >= 0.5))
        assert row.recall == pytest.approx(metrics.recall_score(true, score >= 0.5))
        assert row.average_precision == pytest.approx(metrics.average_precision_score(true, score.astype(np.float32)))
    wrong = (unknown[kept] != (probs[kept] >= 0.5)) & (unknown[kept] >= 0)
    assert np.array_equal(found.wrong[rows], wrong.any(axis=1))
    assert len(found.false_positives("cat")) == report.per_class[0].false_positives


def test_arrays_and_outputs_say_the_same_as_verdicts():
    unknown, _, probs = made(150, 1)
    joined = outcomes(unknown, verdicts(probs))
    arrays = Outcomes.from_arrays(unknown, probs=probs, classes=CLASSES, task="multilabel")
    gaps = np.where(unknown < 0, np.nan, unknown)
    names = [f"{k}.png" for k in range(150)]
    told = ModelOutputs.from_probs(names, probs, labels=gaps, task="multilabel")
    for found in (arrays, Outcomes.from_outputs(told, CLASSES)):
        assert np.array_equal(found.wrong, joined.wrong)
        assert np.array_equal(found.known, joined.known)
        assert class_report(found).per_class[1].precision == class_report(joined).per_class[1].precision
    lists = Outcomes.from_arrays([["cat"], [], ["eel", "cat"]], [["cat"], ["dog"], ["cat", "eel"]], task="multilabel")
    assert (lists.classes, lists.wrong.tolist()) == (("cat", "dog", "eel"), [False, True, False])
    with pytest.raises(InputError, match="none of the 2 rows has a known answer"):
        Outcomes.from_arrays([[-1, -1]] * 2, probs=[[0.5, 0.5]] * 2, task="multilabel")
    with pytest.raises(InputError, match="one of them is -1"):
        Outcomes.from_arrays([[1, 0]], [[-1, 0]], task="multilabel")


def test_decisions_class_by_class():
    unknown, _, probs = made(400, 2)
    flags = [name if p > 0.4 else "" for p, name in zip(np.minimum(probs, 1 - probs)[:, 0], ["cat"] * 400, strict=True)]
    found = outcomes(unknown, verdicts(probs, flagged_labels=flags))
    report = decision_report(found)
    wrong, known = found.wrong_decisions, found.known
    assert (report.n, report.errors, report.unanswered) == (known.sum(), wrong.sum(), (~known).sum())
    row, here = report.per_class[0], known[:, 0]
    doubt = np.minimum(found.probs, 1 - found.probs)[here, 0]
    assert row.auroc == pytest.approx(metrics.roc_auc_score(wrong[here, 0], doubt), abs=0.005)
    assert row.auroc_of_confidence == pytest.approx(row.auroc, abs=0.005)  # rounding makes and breaks ties
    assert (row.flagged, row.errors_flagged) == ((doubt > 0.4).sum(), (wrong[here, 0] & (doubt > 0.4)).sum())
    assert decision_report(Outcomes.from_arrays([0], [0])) is None


def test_dark_images_of_one_class():
    """Dark cats are missed, dark dogs are not."""
    rng = np.random.default_rng(3)
    truth = np.zeros((400, 3), dtype=int)
    truth[:200, 0] = truth[200:, 1] = 1
    dark = rng.random(400) < 0.3
    probs = np.where(truth == 1, 0.9, 0.1)
    probs[dark & (truth[:, 0] == 1) & (rng.random(400) < 0.6), 0] = 0.2
    found = outcomes(truth, verdicts(probs, quality_brightness=np.where(dark, 0.1, 0.6)))
    usual = {"brightness": [0.3, 0.9]}
    first, *others = class_slices(found, usual=usual)
    assert (first.class_name, first.name, first.conclusion) == ("cat", "dark", "more errors")
    assert (first.n, first.n_rest) == ((dark[:200]).sum(), (~dark[:200]).sum())
    assert first.n_errors == found.wrong_decisions[:200, 0].sum()
    assert {one.conclusion for one in others} == {"no evidence"}
    assert class_slices(Outcomes.from_arrays([0, 1], [0, 1])) == ()
    unknown = np.where(dark[:, None], -1, truth)
    assert not class_slices(outcomes(unknown, verdicts(probs, quality_brightness=np.where(dark, 0.1, 0.6))))
    assert slice_report(found, usual=usual).n == 400


def test_files_of_an_evaluation_and_of_a_comparison(tmp_path):
    unknown, truth, probs = made(200, 4)
    for folder, p in (("a", probs), ("b", np.where(truth == 1, 0.9, 0.2))):
        (tmp_path / folder).mkdir()
        Verdicts(verdicts(p)).write(tmp_path / folder / "verdicts.parquet")
    with (tmp_path / "l.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["file_name", *CLASSES])
        out.writerows([f"{k}.png", *("" if one < 0 else one for one in row)] for k, row in enumerate(unknown.tolist()))
    evaluate_folder(tmp_path / "a", tmp_path / "l.csv", resamples=5)
    saved = json.loads((tmp_path / "a" / "evaluation.json").read_text())
    whole, some = (unknown >= 0).all(axis=1), (unknown >= 0).any(axis=1)
    assert (saved["n"], saved["n_partly_answered"]) == (whole.sum(), (some & ~whole).sum())
    assert saved["n_unlabelled"] == (~some).sum()
    assert f"{whole.sum()} of 200 images are wholly answered" in saved["in_words"][0]
    assert saved["decisions"]["n"] + saved["decisions"]["unanswered"] == 3 * some.sum()
    with (tmp_path / "a" / "per_decision.csv").open() as file:
        assert [row["class"] for row in csv.DictReader(file)] == CLASSES
    with (tmp_path / "a" / "errors.csv").open() as file:
        assert any("?" in row["label"] for row in csv.DictReader(file))
    slices_of_folder(tmp_path / "a", tmp_path / "l.csv")
    assert (tmp_path / "a" / "slices_per_class.csv").exists()
    found = compare_folders(tmp_path / "a", tmp_path / "b", tmp_path / "l.csv", tmp_path / "c", resamples=5)
    assert (found.n, found.n_broken, found.both_wrong) == (saved["n"], 0, 0)
    assert found.n_fixed == saved["n_errors"]


def test_unknown_answers_do_not_move_how_often_images_are_wrong():
    """Counted as right, images that nobody answered whole made errors rarer; with only known errors, more frequent."""
    unknown, truth, probs = made(4000, 6)
    wrong = (truth != (probs >= 0.5)).any(axis=1)
    all_known, some_known = (evaluate(join_labels(verdicts(probs), texts(t)), resamples=5) for t in (truth, unknown))
    assert all_known.observed_error_rate == pytest.approx(wrong.mean())
    assert some_known.observed_error_rate == pytest.approx(wrong.mean(), abs=0.02)
    assert some_known.n == (unknown >= 0).all(axis=1).sum()
    assert some_known.scores["p_wrong"]["auroc"] == pytest.approx(all_known.scores["p_wrong"]["auroc"], abs=0.02)
    found = outcomes(unknown, verdicts(probs))
    assert slice_report(found).n == some_known.n


def test_two_runs_on_the_same_sets_in_another_order():
    _, truth, probs = made(60, 5)
    tables = [join_labels(verdicts(probs), labels) for labels in (texts(truth), _turned(texts(truth)))]
    assert compare(*tables, resamples=5).n_broken == 0


def _turned(labels):
    return {name: ";".join(reversed(text.split(";"))) for name, text in labels.items()}
