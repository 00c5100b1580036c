import pytest

from uncertainty.errors import InputError
from uncertainty.labels.meaning import NO_TRUTH, resolve

ANIMALS = ("cat", "dog", "eel")
SORTED_AS_TEXT = ("0", "1", "10", "11", "2", "3")


@pytest.mark.parametrize("kind", [int, str])
@pytest.mark.parametrize(
    ("classes", "labels", "expected"),
    [
        (("1", "2", "3"), [1, 2, 3], [0, 1, 2]),
        (("1", "2", "3"), [3, 1], [2, 0]),
        (SORTED_AS_TEXT, [0, 1, 2, 3, 10, 11], [0, 1, 4, 5, 2, 3]),
        (ANIMALS, [0, 2, 1], [0, 2, 1]),
        (ANIMALS, [0, 7], [0, NO_TRUTH]),
        (ANIMALS, [-1, 0], [NO_TRUTH, 0]),
        (("1", "2", "3"), [1, 9], [0, NO_TRUTH]),
    ],
)
def test_integers_mean_the_same_as_numbers_and_as_text(kind, classes, labels, expected):
    assert resolve([kind(label) for label in labels], classes).positions.tolist() == expected


@pytest.mark.parametrize(
    ("classes", "labels", "said"),
    [
        (("1", "2", "3"), [0, 1, 2], "some are class names, and all can be positions, which differ"),
        (ANIMALS, [1, 2, 3], "run from 1 to 3, and positions of classes from 0 to 2"),
    ],
)
def test_two_readings_are_an_error_that_asks(classes, labels, said):
    with pytest.raises(InputError, match=said):
        resolve(labels, classes)


@pytest.mark.parametrize("label", ["fox", "cat;dog", "_unlabeled", "", "01", "1.0", "null", "cat dog"])
def test_what_is_no_class_is_no_truth_and_named(label):
    found = resolve(["cat", label], ANIMALS, "calibration")
    assert found.positions.tolist() == [0, NO_TRUTH]
    assert f"1 calibration label is no class of the model and no truth, e.g. {label!r}" in found.notes[0]


@pytest.mark.parametrize(("label", "told"), [("cat;dog", True), ("cat;fox", False), (";", False), ("fox", False)])
def test_several_labels_that_one_label_models_get_are_told(label, told):
    notes = resolve(["cat", label], ANIMALS).notes
    assert any("say task=multilabel" in note for note in notes) == told


def test_no_known_class_and_nothing():
    found = resolve(["(no known class)", None, "dog"], ANIMALS)
    assert found.positions.tolist() == [-1, NO_TRUTH, 1]
    assert found.notes == ()


def test_case_and_form_only_where_one_class_fits():
    assert resolve(["CAT", "ﬁsh"], ("cat", "fish")).positions.tolist() == [0, 1]
    assert resolve(["E\u0301clair"], ("\u00c9clair", "x")).positions.tolist() == [0]
    assert resolve(["CAT"], ("cat", "Cat")).positions.tolist() == [NO_TRUTH]


def test_integers_beside_names_are_no_positions():
    assert resolve(["cat", 1], ANIMALS).positions.tolist() == [0, NO_TRUTH]


def test_names_that_are_numbers_beside_positions_are_told():
    assert resolve([0, 1], SORTED_AS_TEXT).notes == ()
    assert resolve([2], SORTED_AS_TEXT).notes == ("the integer labels, e.g. 2, are class names, not positions",)


@pytest.mark.parametrize("labels", [["0.0", "2.0", None], ["0", "2.0", None], [0, "2.0", None]])
def test_integers_of_a_table_of_floats_are_integers(labels):
    assert resolve(labels, ANIMALS).positions.tolist() == [0, 2, NO_TRUTH]
    assert resolve(labels, ("2", "x", "0")).positions.tolist() == [2, 0, NO_TRUTH]
    assert resolve(["2.0", "1.0"], ("1.0", "2.0")).positions.tolist() == [1, 0]
