"""Who was wrong, by name: the same answer from arrays, outputs, loaders and verdict tables, multilabel too."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from problems import made_problem

from uncertainty.errors import InputError, MissingColumnError, UncertaintyError
from uncertainty.evaluation.outcomes import NO_KNOWN_CLASS, Outcomes
from uncertainty.evaluation.screening_quality import join_labels
from uncertainty.outputs import ModelOutputs
from uncertainty.verdicts import Verdicts

CLASSES = ("cat", "dog", "eel", "fox")


def names_of(table):
    return table["file_name"].to_pylist()


def verdict_table(outputs, classes=CLASSES, flagged=None):
    """What a screening would write of these outputs, with the labels that they have."""
    n, multilabel = len(outputs), outputs.task == "multilabel"
    rows = outputs.predictions.astype(bool) if multilabel else None
    joined = [";".join(np.array(classes)[row]) for row in rows] if multilabel else None
    table = pa.table(
        {
            "file_name": list(map(str, outputs.ids)),
            "predicted_label": joined or [classes[k] for k in outputs.predictions],
            "predicted_index": pa.array([None] * n if multilabel else outputs.predictions.tolist(), pa.int32()),
            "confidence": pa.array(outputs.probs.max(axis=1), pa.float32()),
            "p_wrong": pa.array(1 - outputs.probs.max(axis=1), pa.float32()),
            "flagged": pa.array(np.zeros(n, bool) if flagged is None else flagged),
            "reasons": pa.array([["low_margin"]] * n, pa.list_(pa.string())),
            "error": pa.nulls(n, pa.string()),
            "meta_camera": ["roof", "door"] * (n // 2) + ["roof"] * (n % 2),
            "quality_blur": pa.array(np.arange(n), pa.float32()),
            **{f"prob_{name}": pa.array(outputs.probs[:, k], pa.float32()) for k, name in enumerate(classes)},
        }
    )
    truth = outputs.labels
    labels = [";".join(np.array(classes)[row][::-1]) for row in truth.astype(bool)] if multilabel else None
    return join_labels(table, dict(zip(names_of(table), labels or [classes[k] for k in truth], strict=True)))


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_every_source_lists_the_same_images(task):
    outputs = made_problem(300, 3, task)
    columns = {"classes": CLASSES, "names": outputs.ids, "task": task}
    logits = torch.tensor(np.asarray(outputs.logits))
    batches = [
        (logits[i : i + 64], torch.tensor(outputs.labels[i : i + 64]), outputs.ids[i : i + 64])
        for i in range(0, 300, 64)
    ]
    sources = [
        Outcomes.from_outputs(outputs, CLASSES),
        Outcomes.from_arrays(outputs.labels, probs=outputs.probs, **columns),
        Outcomes.from_arrays(outputs.labels, outputs.predictions, **columns),
        Outcomes.from_loader(batches, lambda inputs: inputs, classes=CLASSES, task=task),
        Outcomes.from_verdicts(verdict_table(outputs)),
    ]
    wrong = outputs.ids[outputs.wrong].tolist()
    truth, said = (x if task == "multilabel" else np.eye(4)[x] for x in (outputs.labels, outputs.predictions))
    for found in sources:
        assert names_of(found.misclassified()) == wrong
        for k, name in enumerate(CLASSES):
            expected = outputs.ids[(said[:, k] == 1) & (truth[:, k] == 0)]
            assert sorted(names_of(found.false_positives(name))) == sorted(expected.tolist())
            assert names_of(found.false_positives(k)) == names_of(found.false_positives(name))
            missed = outputs.ids[(said[:, k] == 0) & (truth[:, k] == 1)]
            assert sorted(names_of(found.false_negatives(name))) == sorted(missed.tolist())
        assert found.misclassified()["label"].to_pylist() == sources[0].misclassified()["label"].to_pylist() or (
            task == "multilabel"
        )


def test_lists_carry_everything_known_in_one_order():
    outputs = made_problem(60, 4)
    flagged = np.arange(60) % 2 == 0
    table = Outcomes.from_verdicts(verdict_table(outputs, flagged=flagged)).misclassified()
    leading = ["file_name", "label", "predicted_label", "confidence", "p_wrong", "outcome", "reasons"]
    assert table.column_names == [*leading, "meta_camera", "quality_blur", *(f"prob_{name}" for name in CLASSES)]
    rows = np.flatnonzero(outputs.wrong)
    assert table["quality_blur"].to_pylist() == rows.tolist()
    assert table["outcome"].to_pylist() == np.where(flagged[rows], "caught", "missed").tolist()
    np.testing.assert_allclose(table["prob_dog"].to_numpy(), outputs.probs[rows, 1], rtol=1e-6)


def test_the_surest_mistakes_come_first():
    probs = [[0.6, 0.4], [0.9, 0.1], [0.7, 0.3], [0.2, 0.8]]
    found = Outcomes.from_arrays([1, 1, 1, 0], probs=probs, classes=["cat", "dog"])
    assert names_of(found.false_positives("cat")) == ["1", "2", "0"]
    assert names_of(found.false_negatives("dog")) == ["1", "2", "0"]
    together = found.false_positives()
    assert together.column_names[0] == "class"
    assert list(zip(together["class"].to_pylist(), names_of(together), strict=True)) == [
        ("cat", "1"), ("cat", "2"), ("cat", "0"), ("dog", "3"),
    ]  # fmt: skip


def test_rows_without_label_and_unreadable_rows_stay_out():
    table = verdict_table(made_problem(6, 5))
    table = table.set_column(table.column_names.index("error"), "error", pa.array(["cut short", *[None] * 5]))
    table = join_labels(table, {name: "cat" for name in names_of(table)[:4]})
    assert len(Outcomes.from_verdicts(table)) == 3


def test_verdicts_and_labels_that_arrive_apart(tmp_path):
    outputs = made_problem(20, 9)
    table = verdict_table(outputs)
    labels = dict(zip(names_of(table), table["label"].to_pylist(), strict=True))
    (tmp_path / "l.csv").write_text("\n".join(["file_name,label", *map(",".join, labels.items())]), "utf-8")
    bare = table.drop_columns(["label", "correct"])
    wrong = outputs.ids[outputs.wrong].tolist()
    for verdicts, known in ((bare, labels), (Verdicts(bare), tmp_path / "l.csv"), (Verdicts(table), None)):
        assert names_of(Outcomes.from_verdicts(verdicts, known).misclassified()) == wrong
    with pytest.raises(InputError, match="join the labels first"):
        Outcomes.from_verdicts(bare)


def test_labels_that_the_classifier_does_not_know():
    outputs = made_problem(8, 6)
    table = join_labels(verdict_table(outputs), dict.fromkeys(map(str, outputs.ids), "yak"))
    found = Outcomes.from_verdicts(table)
    assert found.classes == (*CLASSES, "yak")
    assert found.n_known == 4
    assert len(found.false_negatives("yak")) == 8
    foreign = Outcomes.from_outputs(ModelOutputs(ids=["a"], logits=[[0.0, 1.0]], labels=[-1]))
    assert foreign.misclassified()["label"].to_pylist() == [NO_KNOWN_CLASS]


def test_many_classes_list_the_largest_probabilities_only():
    classes = [f"c{k}" for k in range(300)]
    probs = np.full((1, 300), 0.1 / 297)
    probs[0, [7, 9, 11]] = 0.5, 0.3, 0.1
    table = Outcomes.from_arrays(["c9"], probs=probs, classes=classes).misclassified()
    assert table["top_probs"].to_pylist() == ["c7 0.5;c9 0.3;c11 0.1;c0 0.000337;c1 0.000337"]


def test_verdicts_of_many_classes_in_a_list_column():
    classes = [f"c{k}" for k in range(300)]
    probs = np.random.default_rng(0).dirichlet(np.ones(300), 20).astype(np.float32)
    index = probs.argmax(axis=1)
    table = pa.table(
        {
            "file_name": [str(i) for i in range(20)],
            "predicted_label": [classes[k] for k in index],
            "predicted_index": pa.array(index, pa.int32()),
            "error": pa.nulls(20, pa.string()),
            "probs": list(probs),
        }
    )
    table = join_labels(table, {str(i): classes[(k + i % 2) % 300] for i, k in enumerate(index)})
    for found in (Outcomes.from_verdicts(table, classes=classes), Outcomes.from_verdicts(table)):
        assert names_of(found.misclassified()) == [str(i) for i in range(1, 20, 2)]
        assert found.n_known == 300
        assert found.probs.shape == (20, 300)


def test_a_classifier_runs_over_a_loader(world):
    from conftest import stripes

    pixels, labels = stripes(40, 11)
    inputs = pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255 - 0.5
    found = Outcomes.from_loader([(inputs[:25], labels[:25]), (inputs[25:], labels[25:])], world.classifier)
    expected = world.classifier.outputs_from_inputs(list(map(str, range(40))), inputs, passes=0, labels=labels)
    assert found.classes == world.classifier.classes
    assert names_of(found.misclassified()) == expected.ids[expected.wrong].tolist()


def test_multilabel_labels_in_any_order_and_none_at_all():
    table = pa.table(
        {
            "file_name": ["a", "b", "c"],
            "predicted_label": ["cat;dog", None, "dog"],
            "predicted_index": pa.nulls(3, pa.int32()),
            "error": pa.nulls(3, pa.string()),
        }
    )
    joined = join_labels(table, {"a": "dog; cat", "b": "cat", "c": "cat"})
    assert joined["correct"].to_pylist() == [True, False, False]
    found = Outcomes.from_verdicts(joined, classes=["cat", "dog"])
    assert found.false_negatives("cat")["file_name"].to_pylist() == ["b", "c"]
    assert found.false_positives("dog")["file_name"].to_pylist() == ["c"]


def test_no_rows_and_no_errors():
    none = Outcomes.from_arrays([], [], classes=["cat"])
    assert len(none.misclassified()) == len(none.false_positives("cat")) == 0
    right = Outcomes.from_arrays(["cat"], ["cat"])
    assert len(right.misclassified()) == 0
    assert right.false_negatives().column_names[0] == "class"


def test_slices_of_outcomes():
    outputs = made_problem(50, 8)
    found = Outcomes.from_outputs(outputs).take(outputs.wrong)
    assert len(found) == outputs.wrong.sum()
    assert found.wrong.all()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([0, 1],), {}, "give predictions or probs"),
        (([0, 1], [0]), {}, "2 labels and 1 predictions"),
        ((["yak"], ["cat"]), {"classes": ["cat"]}, "the label 'yak' is none of the 1 classes"),
        (([2], [0]), {"classes": ["cat", "dog"]}, r"labels lie in 2\.\.2; they must be integers in -1\.\.1"),
        (([0.5], [0]), {"classes": ["cat"]}, "must be integers"),
        (([0],), {"probs": [0.5]}, r"probs have shape \(1,\)"),
        (([0],), {"probs": [[0.5, 0.5]], "classes": ["cat"]}, "1 class names for 2 classes"),
        (([[0, 2]], [[0, 1]]), {"task": "multilabel"}, "multilabel labels are 0 and 1"),
        (([[0, 1]], [[0, 1]]), {"classes": ["cat"]}, "give one class for each image"),
        (([0], [0]), {"names": ["a", "b"]}, "one name for each"),
    ],
)
def test_arrays_that_do_not_fit(arguments, options, message):
    with pytest.raises(InputError, match=message):
        Outcomes.from_arrays(*arguments, **options)


def test_loaders_that_do_not_fit():
    same = lambda inputs: inputs  # noqa: E731
    for loader, model, message in (
        ([], same, "yields no batch"),
        ([np.zeros((2, 2))], same, "yields ndarray"),
        ([(np.zeros((2, 2)), [0])], same, "one row of logits for each"),
        ([(np.full((1, 2), np.nan), [0])], same, "all 1 rows of logits are NaN"),
        ([(np.zeros((1, 2)), [0])], torch.nn.Identity(), "in training mode"),
    ):
        with pytest.raises(InputError, match=message):
            Outcomes.from_loader(loader, model)
    with pytest.raises(MissingColumnError, match="labels"):
        Outcomes.from_outputs(ModelOutputs(ids=["a"], logits=[[0.0, 1.0]]))


def test_a_class_that_is_not_there_is_named():
    found = Outcomes.from_arrays([0] * 9, list(range(9)))
    with pytest.raises(InputError, match="no class 'cat'; the classes are '0', '1', '2', '3', '4' and 4 more"):
        found.false_positives("cat")


def test_a_row_that_is_not_finite_is_left_out_and_told(caplog):
    logits = torch.eye(3).repeat(4, 1)
    logits[7] = torch.nan
    names = [f"{i}.png" for i in range(12)]
    loader = [(logits[:6], [0, 1, 2] * 2, names[:6]), (logits[6:], [0, 1, 2] * 2, names[6:])]
    with caplog.at_level("WARNING", "uncertainty"):
        found = Outcomes.from_loader(loader, lambda inputs: inputs)
    assert len(found.wrong) == 11
    assert "left out 1 rows whose logits are NaN, infinite or beyond 1e18, e.g. '7.png'" in caplog.text
    with pytest.raises(InputError, match="all 12 rows of logits"):
        Outcomes.from_loader(loader, lambda inputs: inputs * torch.nan)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_answers_in_half_precision_or_with_a_gradient_are_taken(dtype):
    logits = torch.eye(3, dtype=dtype, requires_grad=True)
    assert not Outcomes.from_loader([(logits, torch.arange(3))], lambda inputs: inputs).wrong.any()


def test_labels_of_verdicts_mean_what_they_mean_elsewhere(world, tmp_path, caplog):
    verdicts = world.screener.screen(world.incoming)
    names = verdicts.table["file_name"].to_pylist()
    rows = [f'{{"file_name": "{name}", "label": {k % 3}}}' for k, name in enumerate(names)]
    (tmp_path / "l.jsonl").write_text("\n".join(rows))
    found = Outcomes.from_verdicts(verdicts, tmp_path / "l.jsonl")
    assert found.classes == ("cat", "dog", "eel")
    assert found.wrong.mean() < 0.5
    by_name = Outcomes.from_verdicts(verdicts, {name: ["Cat ", "dog", "fox"][k % 3] for k, name in enumerate(names)})
    assert by_name.classes == ("cat", "dog", "eel")
    assert len(by_name) == sum(k % 3 < 2 for k in range(len(names)))
    assert "are no class of the model and no truth, e.g. 'fox'" in caplog.text


def test_names_and_positions_are_not_mixed_and_numerals_sort_as_numbers():
    names = [str(i) for i in range(11)]
    for labels, predictions in ((names, np.arange(11)), (np.arange(11), names)):
        with pytest.raises(InputError, match="names and positions, one of each; give classes"):
            Outcomes.from_arrays(labels, predictions)
        assert not Outcomes.from_arrays(labels, predictions, classes=names).wrong.any()
    assert Outcomes.from_arrays(names, names).classes == tuple(names)


# ---- arrays with holes in them


class NotAvailable:
    """As pandas' NA: of what it is compared with, nothing is true or false."""

    def __ne__(self, other):
        raise TypeError("boolean value of NA is ambiguous")

    __hash__ = None


@pytest.mark.parametrize("missing", [None, float("nan"), "", "  ", NotAvailable()])
def test_rows_without_a_label_are_left_out_and_counted(missing, caplog):
    for labels in (np.array(["cat", missing, "dog"], object), ["cat", missing, "dog"]):
        found = Outcomes.from_arrays(labels, ["cat", "dog", "dog"], names=["a", "b", "c"])
        assert found.names.tolist() == ["a", "c"]
        assert found.classes == ("cat", "dog")
        assert not found.wrong.any()
    assert "left out 1 of 3 rows that have no label" in caplog.text


@pytest.mark.parametrize("missing", [None, float("nan"), ""])
def test_a_missing_prediction_is_no_class(missing):
    for classes in (None, ["cat", "dog"]):
        with pytest.raises(InputError, match="row 1 has no prediction"):
            Outcomes.from_arrays(["cat", "dog"], ["cat", missing], classes=classes)
    with pytest.raises(InputError, match="row 0 has no prediction"):
        Outcomes.from_arrays([0, 1], np.array([np.nan, 1]), classes=["cat", "dog"])


def test_float_labels_with_holes(caplog):
    probs = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    found = Outcomes.from_arrays(np.array([0, np.nan, 1.0]), probs=probs)
    assert found.truth.tolist() == [0, 1]
    assert len(found.probs) == 2
    with pytest.raises(InputError, match="none of the 2 rows has a label"):
        Outcomes.from_arrays([None, None], ["a", "b"])


@pytest.mark.parametrize(
    ("probs", "said"),
    [
        ([[0.5, np.nan], [0.5, 0.5]], "row 0 of probs is"),
        ([[0.5, 0.5], [2.0, -1.0]], "not logits"),
        ([[0.5, 0.5], [0.5, 0.2]], "row 1 of probs sums to 0.7"),
        ([[0.5], [0.5]], "one column; of a yes-or-no answer give two"),
    ],
)
def test_probabilities_are_checked(probs, said):
    with pytest.raises(InputError, match=said):
        Outcomes.from_arrays([0, 0], probs=probs)


def test_two_classes_of_one_name():
    with pytest.raises(InputError, match="two classes are called 'cat'"):
        Outcomes.from_arrays([0, 1], probs=[[0.5, 0.5]] * 2, classes=["cat", "cat"])
    with pytest.raises(InputError, match="two classes are called 'cat'"):
        Outcomes.from_arrays(["cat"], ["cat"], classes=["cat", "cat"])


def test_lists_of_names_for_several_labels_are_refused_in_words():
    with pytest.raises(UncertaintyError, match="rows differ in length or kind"):
        Outcomes.from_arrays([["cat"], ["cat", "dog"]], [["cat"], ["dog"]])
