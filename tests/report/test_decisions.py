"""Several labels an image, as the page has them: counts of `evaluate`, thresholds, doubts, and labels together."""

import json

import numpy as np
import pytest

from tests.report.reports import data_of, label_sets_for, several_table, write_labels, write_screening
from uncertainty.report.build import write_report
from uncertainty.report.decisions import MOST_DOUBTS, MOST_POINTS, Decisions
from uncertainty.report.illustrations import doubted
from uncertainty.report.rows import Rows
from uncertainty.report.together import together
from uncertainty.screener.nearest_known_good import KnownGood

NAMES = [f"{i:03}.png" for i in range(60)]


def page(tmp_path, count, flags=False, suffix="parquet"):
    classes = [f"kind {k}" for k in range(count)]
    table = several_table(NAMES, classes, flags=flags)
    out = write_screening(tmp_path / "out", table)
    rate = 0.25 / count
    labels = write_labels(tmp_path / "l.csv", label_sets_for(table, classes, wrong=rate, unanswered=rate))
    data = data_of(write_report(out, labels=labels).path)
    return data, json.loads((out / "evaluation.json").read_text("utf-8"))


@pytest.mark.parametrize("count", [5, 230])
def test_counts_of_each_class_are_those_of_evaluate(tmp_path, count):
    data, told = page(tmp_path, count, flags=True)
    assert data["classes"] == [f"kind {k}" for k in range(count)]
    by_name = {row["class"]: row for row in told["per_class"]}
    decisions = {row["class_name"]: row for row in told["decisions"]["per_class"]}
    errors = 0
    for one in data["several"]["by_class"]:
        name = data["classes"][one["class"]]
        counted = [one["n"], one["wrongly_given"] + one["not_recognised"]]
        assert counted == [decisions[name]["n"], decisions[name]["errors"]]
        assert one["flagged"] >= decisions[name]["flagged"]  # which leaves out those that nobody answered
        errors += counted[1]
        if name in by_name:
            assert one["carried"] == by_name[name]["support"]
            assert one["wrongly_given"] == by_name[name]["false_positives"]
    assert errors == told["decisions"]["errors"]
    assert data["confusion"] is None


def test_a_threshold_gives_what_the_table_says(tmp_path):
    data, _ = page(tmp_path, 5)
    table = several_table(NAMES, [f"kind {k}" for k in range(5)])
    for one in data["several"]["by_class"]:
        curve = one["curve"]
        assert len(curve["given"]) <= MOST_POINTS
        assert curve["hits"][curve["present"]] == one["carried"] - one["not_recognised"]
        assert curve["given"][curve["present"]] == one["carried"] - one["not_recognised"] + one["wrongly_given"]
        assert (curve["hits"][-1], curve["given"][-1]) == (one["carried"], one["n"])
        probs = np.array(table[f"prob_kind {one['class']}"])
        said = np.array(
            ["kind " + str(one["class"]) in (p or "").split(";") for p in table["predicted_label"].to_pylist()]
        )
        assert (probs >= curve["threshold"][curve["present"]] - 1e-6).sum() == said.sum()


def test_an_image_tells_its_most_doubtful_decisions_and_what_nobody_answered(tmp_path):
    data, _ = page(tmp_path, 230)
    for image in data["images"]:
        doubts = [p for _, p, _ in image["doubts"]]
        assert len(doubts) == MOST_DOUBTS
        assert doubts == sorted(doubts, reverse=True)
        assert not set(image["label"]) & set(image["unanswered"])
        wrong = set(image["predicted"]) ^ set(image["label"])
        told = wrong - set(image["unanswered"])
        assert image.get("wrong") == (True if told else None if image["unanswered"] else False)


def test_what_is_looked_at_again_are_wrong_decisions_first_and_doubtful_ones(tmp_path):
    said, known = np.array([[True, False, True]]), np.ones((1, 3), dtype=bool)
    p_wrong = np.array([[0.1, 0.5, 0.4]])
    right = Decisions(said, said, known, p_wrong, p_wrong, None)
    wrong = Decisions(said, np.array([[False, False, True]]), known, p_wrong, p_wrong, None)
    asked = [[(q.title, q.target) for q in doubted(d, [0], [2, 0, 1])[0]] for d in (right, wrong)]
    assert asked == [[("in doubt", 2), ("in doubt", 0)], [("wrongly given", 1), ("in doubt", 2)]]


def test_labels_together_are_counted_where_they_are_answered():
    said = np.array([[True, True], [True, True], [False, True]])
    known = np.array([[True, True], [True, False], [True, True]])
    carried = np.array([[True, False], [True, True], [True, True]])
    nothing = np.full((3, 2), np.nan)
    found = together(Decisions(said, carried, known, nothing, nothing, None))
    assert found["said"] == [[0, 0, 2], [0, 1, 2], [1, 1, 3]]
    assert found["carried"] == [[0, 0, 3], [0, 1, 1], [1, 1, 1]]
    assert found["pairs"] == []


def test_known_good_images_of_a_label_are_those_that_carry_it():
    vectors = np.float32([[1, 0], [0, 1], [0.6, 0.8]])
    carried = np.array([[1, 0], [-1, 1], [1, 1]], dtype=np.int8)
    good = KnownGood(("a", "b", "c"), np.zeros(3, dtype=np.int64), vectors, carried)
    assert good.nearest(np.array([0.0, 1.0]), 0)[0] == [2, 0]
    assert good.nearest(np.array([0.0, 1.0]))[0] == [1, 2, 0]


def test_rows_without_p_wrong_of_decisions_doubt_what_is_near_a_half():
    table = several_table(NAMES[:4], ["a", "b"])
    rows = Rows.of(table.drop_columns(["p_wrong_a", "p_wrong_b"]))
    decisions = Decisions.of(rows)
    for row in range(4):
        first, *_ = decisions.doubts(row)
        assert abs(decisions.probs[row, first] - 0.5) == np.abs(decisions.probs[row] - 0.5).min()
    assert decisions.by_class(rows.readable)[0]["expected"] is None


def test_the_page_says_which_images_count_as_wrong(tmp_path):
    page(tmp_path, 3)
    assert "An image counts as wrong where any of its labels is." in (tmp_path / "out" / "report.html").read_text(
        "utf-8"
    )
