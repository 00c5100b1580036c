"""What came back is truth, or is kept apart by name; nothing is lost."""

import csv

import pyarrow as pa
import pytest

from uncertainty.errors import InputError
from uncertainty.evaluation.matching import DIFFERENT, KEPT_APART, SEVERAL, UNKNOWN_CLASS, UNKNOWN_FILE, returned_labels
from uncertainty.evaluation.outcomes import NO_KNOWN_CLASS

CLASSES = ("cat", "dog", "a;b")


def verdicts(*names, several=False):
    n = len(names)
    index = pa.nulls(n, pa.int32()) if several else pa.array([0] * n, pa.int32())
    predicted = pa.array(["cat"] * n)
    return pa.table({"file_name": names, "predicted_label": predicted, "predicted_index": index, "error": pa.nulls(n)})


def labels(path, rows, header=("file_name", "label", "annotator")):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_every_label_is_used_or_kept_apart(tmp_path):
    rows = [
        ("1", "cat", "ann"),
        ("1", "cat", "ben"),
        ("2", "cat", "ann"),
        ("2", "dog", "ben"),
        ("3", "yak", "ann"),
        ("4", NO_KNOWN_CLASS, "ann"),
        ("5", "cat;dog", "ann"),
        ("6", "a;b", "ann"),
        ("away", "cat", "ann"),
    ]
    found = returned_labels(labels(tmp_path / "l.csv", rows), verdicts(*"123456789"), CLASSES)
    assert found.labels == {"1": "cat", "4": NO_KNOWN_CLASS, "6": "a;b"}
    assert found.counts == {UNKNOWN_FILE: 1, DIFFERENT: 2, UNKNOWN_CLASS: 1, SEVERAL: 1}
    assert len(found.answers) == 8
    met = found.match(verdicts(*"123456789"))
    assert (met.matched, met.rows_without_label, met.labels_without_row) == (3, 6, 1)
    words = found.words()
    assert f"1 label kept apart in {KEPT_APART}, {UNKNOWN_FILE}, e.g. 'cat' of 'away'" in words
    assert any("'yak' of '3'; where it is true, call it '(no known class)'" in line for line in words)
    found.write(tmp_path, "verdicts")
    with (tmp_path / KEPT_APART).open(encoding="utf-8", newline="") as file:
        apart = list(csv.DictReader(file))
    assert [row["file_name"] for row in apart] == ["away", "2", "2", "3", "5"]
    assert {row["annotator"] for row in apart} == {"ann", "ben"}


def test_an_older_file_is_removed_where_nothing_is_kept_apart(tmp_path):
    returned_labels(
        labels(tmp_path / "l.csv", [("1", "yak", ""), ("2", "cat", "")]), verdicts("1", "2"), CLASSES
    ).write(tmp_path, "verdicts")
    assert (tmp_path / KEPT_APART).exists()
    found = returned_labels(labels(tmp_path / "l.csv", [("1", "cat", "")]), verdicts("1"), CLASSES)
    found.write(tmp_path, "verdicts")
    assert not (tmp_path / KEPT_APART).exists()
    assert found.words() == []


def test_sets_of_labels_are_the_same_in_any_order(tmp_path):
    rows = [
        ("1", "cat;dog", "x"),
        ("1", "dog; cat", "y"),
        ("2", "cat", "x"),
        ("2", "cat;dog", "y"),
        ("3", "cat;yak", "x"),
    ]
    found = returned_labels(labels(tmp_path / "l.csv", rows), verdicts(*"123", several=True), CLASSES)
    assert found.labels == {"1": "cat;dog"}
    assert found.counts == {DIFFERENT: 2, UNKNOWN_CLASS: 1}
    assert not any("in one cell" in line for line in found.words())
    nobody = [(name, label, "") for name, label, _ in [("1", "cat", ""), ("1", "dog", ""), ("2", "cat", "")]]
    for several in (True, False):
        found = returned_labels(labels(tmp_path / "n.csv", nobody), verdicts(*"12", several=several), CLASSES)
        assert ("write them in one cell, 'cat;dog'" in found.words()[0]) == several


def test_without_classes_no_label_is_strange(tmp_path):
    file = labels(tmp_path / "l.csv", [("1", "yak", "")])
    assert returned_labels(file, verdicts("1"), None).labels == {"1": "yak"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("1", "cat", ""), ("1", "dog", "")], "'1' has two labels, 'cat' and 'dog'; keep one"),
        ([("1", "yak", "")], "'yak' of '1' is no class of the model; write class names as the verdicts do"),
    ],
)
def test_where_nothing_can_be_used_it_says_why(tmp_path, rows, said):
    with pytest.raises(InputError) as caught:
        returned_labels(labels(tmp_path / "l.csv", rows), verdicts("1"), CLASSES)
    assert said in str(caught.value)
