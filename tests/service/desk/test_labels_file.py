"""What comes out of a review is what `evaluate`, `labels` and `update` read."""

import csv

import pyarrow as pa
import pytest

from uncertainty.labels.imports import read_annotations
from uncertainty.labels.inclusion import read_inclusion
from uncertainty.service.desk.answers import Kind
from uncertainty.service.desk.labels_file import LABELS, UNUSABLE, labels_text
from uncertainty.service.desk.plan import Plan
from uncertainty.service.desk.turns import How, Person
from uncertainty.verdicts import Verdicts
from uncertainty.workflows.check_labels import check_labels
from uncertainty.workflows.evaluate import evaluate_folder

ANN, BEN = Person("1", "ann"), Person("2", "ben")
ODD = ("=1+1", '<script>bad("x")</script>', "a;b")


def through(desk, who, n, kind=Kind.CLASS, chosen=(0,)):
    for _ in range(n):
        one = desk.take(who, 1)[0]
        desk.answer(who, one["item"], desk.vocabulary.answer(kind, chosen), How(one["how"]), 1.5)


def test_labels_come_back_as_they_were_given(desk_of):
    desk = desk_of(12, ODD)
    for k in range(3):
        through(desk, ANN, 2, chosen=[k])
    through(desk, BEN, 1, Kind.UNKNOWN)
    through(desk, BEN, 1, Kind.UNUSABLE)
    through(desk, BEN, 1, Kind.SKIP)
    path = desk.write_labels()
    found = read_annotations(path).rows
    assert [one.label for one in found] == [name for name in ODD for _ in range(2)] + ["(no known class)"]
    assert [one.annotator for one in found] == ["ann"] * 6 + ["ben"]
    assert path.name == LABELS
    assert labels_text(desk.screened, desk.store.standing()) == path.read_bytes().decode()
    unusable = list(csv.DictReader((path.parent / UNUSABLE).read_text("utf-8").splitlines()))
    assert [row["annotator"] for row in unusable] == ["ben"]
    evaluation = evaluate_folder(desk.settings.out, path).evaluation
    assert (evaluation.n, evaluation.n_errors) == (7, desk.standing().found)


def test_two_people_agree_as_labels_says(desk_of):
    desk = desk_of(12, plan=Plan(explore=0.0, second=1.0))
    for k in range(6):
        through(desk, ANN, 1, chosen=[k % 3])
    for k in range(6):
        through(desk, BEN, 1, chosen=[k % 3 if k else 1])
    (here,) = desk.agreement()
    (there,) = check_labels(desk.settings.out, desk.write_labels()).agreement
    assert (here.n, here.observed, here.kappa) == (there.n, there.observed, there.kappa)
    assert here.observed == pytest.approx(5 / 6)
    assert len(desk.standing().differing) == 1


def test_chances_say_what_the_labels_stand_for(desk_of):
    desk = desk_of(30, plan=Plan(explore=0.5))
    through(desk, ANN, 10)
    chances = read_inclusion(desk.write_labels())
    assert sum(1 / chance for chance in chances.values()) == pytest.approx(30)
    assert 0 < min(chances.values()) < 1
    estimate = desk.standing().accuracy
    assert estimate.stand_for == pytest.approx(30)
    assert evaluate_folder(desk.settings.out, desk.write_labels()).design == estimate


def several_labels(table):
    """The table of a classifier that gives each image any number of labels."""
    n = len(table)
    for name, values in (
        ("predicted_label", pa.array(["dog;cat", "", "eel"] * (n // 3))),
        ("predicted_index", pa.nulls(n, pa.int32())),
    ):
        table = table.set_column(table.column_names.index(name), name, values)
    return table


def test_several_labels_an_image(desk_of):
    desk = desk_of(12, change=several_labels)
    records = desk.take(ANN, 12)
    assert {tuple(one["said"]) for one in records} == {(1, 0), (), (2,)}
    for one in records:
        desk.answer(ANN, one["item"], desk.vocabulary.answer(Kind.CLASS, one["said"][::-1]), How.RANKED)
    assert desk.standing().found == 0
    desk.undo(ANN)
    desk.answer(ANN, records[-1]["item"], desk.vocabulary.answer(Kind.CLASS, [0, 1, 2]), How.RANKED)
    assert desk.standing().found == 1
    labelled = {one.names[0]: one.label for one in read_annotations(desk.write_labels()).rows}
    assert set(labelled.values()) >= {"cat;dog", "eel", "cat;dog;eel"}
    assert evaluate_folder(desk.settings.out, desk.settings.out / LABELS).evaluation.n_errors == 1


def test_a_review_goes_on_where_it_ended_and_of_other_verdicts_not_at_all(desk_of):
    desk = desk_of(20)
    through(desk, ANN, 3)
    through(desk, ANN, 1, Kind.SKIP)
    before = desk.standing()
    desk.close()
    assert (desk.settings.out / LABELS).exists()
    again = desk_of(20)
    assert again.standing() == before
    assert again.take(ANN, 1)[0]["item"] not in {one.item for one in again.store.standing()}
    again.store.close()
    with pytest.raises(Exception, match=r"was begun with explore 0\.0, not 0\.5; go on with that"):
        desk_of(20, plan=Plan(explore=0.5))
    verdicts = Verdicts.read(desk.settings.out)
    Verdicts(verdicts.table.slice(0, 10)).write(desk.settings.out / "verdicts.parquet")
    with pytest.raises(Exception, match="keeps the labels of another screening"):
        desk_of(20)
