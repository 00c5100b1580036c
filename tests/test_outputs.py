from __future__ import annotations

import re
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
import torch
from problems import made_problem

from uncertainty.errors import MissingColumnError, OutputsError
from uncertainty.outputs import ModelOutputs

COLUMNS = ("logits", "features", "mc_probs", "tta_probs", "quality", "embedding")


def table(**changes: Any) -> ModelOutputs:
    """Three rows, two classes, every column."""
    halves = np.full((3, 4, 2), 0.5)
    columns: dict[str, Any] = dict(
        ids=["a", "b", "c"],
        logits=[[0.0, 1.0], [2.0, 0.0], [0.0, 3.0]],
        features=np.arange(15.0).reshape(3, 5),
        mc_probs=halves,
        tta_probs=halves,
        quality=np.ones((3, 8)),
        embedding=np.ones((3, 6)),
        labels=[1, 1, 0],
    )
    return ModelOutputs(**(columns | changes))


def test_predictions_and_wrong_of_hand_made_rows() -> None:
    outputs = table()
    assert outputs.predictions.tolist() == [1, 0, 1]
    assert outputs.wrong.tolist() == [False, True, True]
    np.testing.assert_allclose(outputs.probs[0], [1 / (1 + np.e), np.e / (1 + np.e)])
    assert (len(outputs), outputs.n_classes) == (3, 2)


def test_an_image_of_no_known_class_is_always_wrong() -> None:
    assert table(labels=[-1, -1, -1]).wrong.all()


def test_probs_are_finite_at_any_logit() -> None:
    outputs = ModelOutputs(ids=["a"], logits=np.float32([[1e18, -1e18]]))
    assert outputs.probs.tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused_naming_column_and_row(column: str, bad: float) -> None:
    values = np.array(getattr(table(), column))
    values[1].flat[-1] = bad
    with pytest.raises(OutputsError, match=rf"^{column} has 1 values .* row 1$"):
        table(**{column: values})


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("bad", [1e200, -1e19, np.longdouble("1e300"), np.float32(3e38)])
def test_a_value_too_large_to_compute_with_is_refused_naming_column_value_and_row(column: str, bad: Any) -> None:
    values = np.array(getattr(table(), column), dtype=np.asarray(bad).dtype)
    values[1].flat[-1] = bad
    with pytest.raises(
        OutputsError, match=rf"^{column} has the value {re.escape(f'{float(bad):.4g}')} in row 1; values"
    ):
        table(**{column: values})


@pytest.mark.parametrize("column", COLUMNS)
def test_rows_must_match_the_ids(column: str) -> None:
    with pytest.raises(OutputsError, match=rf"^{column} has shape .* 3 rows"):
        table(**{column: getattr(table(), column)[:2]})


@pytest.mark.parametrize("column", COLUMNS)
def test_the_number_of_axes_is_checked(column: str) -> None:
    with pytest.raises(OutputsError, match=rf"^{column} has shape"):
        table(**{column: np.zeros(3)})


@pytest.mark.parametrize("column", COLUMNS)
def test_only_the_axis_of_rows_may_be_empty(column: str) -> None:
    shape = (3, *([0] * (getattr(table(), column).ndim - 1)))
    with pytest.raises(OutputsError, match="no axis but the first may be empty"):
        table(**{column: np.zeros(shape)})


def test_ids_must_be_unique_and_flat() -> None:
    with pytest.raises(OutputsError, match="'b' occurs 2 times"):
        table(ids=["b", "a", "b"])
    with pytest.raises(OutputsError, match="flat list"):
        table(ids=[["a", "b", "c"]])


@pytest.mark.parametrize("column", ["mc_probs", "tta_probs"])
def test_probabilities_must_be_probabilities_of_the_same_classes(column: str) -> None:
    with pytest.raises(OutputsError, match=rf"^{column} must be probabilities; its range is \[-0.5, "):
        table(**{column: np.full((3, 1, 2), -0.5)})
    with pytest.raises(OutputsError, match=rf"^{column} has 5 classes and logits have 2"):
        table(**{column: np.full((3, 1, 5), 0.2)})


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1], "shape"),
        ([0, 1, 2], r"-1\.\.1; got 0\.\.2"),
        ([0, 1, -2], r"got -2\.\.1"),
        ([0, 1, 0.5], "integers"),
        ([[0, 1], [1, 0], [1, 1]], "multiclass"),
    ],
)
def test_labels_that_no_class_has_are_refused(labels: Any, message: str) -> None:
    with pytest.raises(OutputsError, match=message):
        table(labels=labels)


def test_logits_are_the_one_column_that_must_be_there() -> None:
    with pytest.raises(OutputsError, match="logits are missing"):
        ModelOutputs(ids=["a"], logits=None)


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(OutputsError, match="'regression'"):
        table(task="regression")


def test_an_absent_column_is_named_with_who_needs_it() -> None:
    outputs = ModelOutputs(ids=["a"], logits=[[1.0, 0.0]])
    assert outputs.has("probs")
    assert not outputs.has("features")
    with pytest.raises(MissingColumnError, match="nn_distance needs the column 'features'"):
        outputs.require("features", "nn_distance")
    with pytest.raises(MissingColumnError, match="labels"):
        _ = outputs.wrong


@pytest.mark.parametrize("column", [*COLUMNS, "ids", "labels"])
def test_columns_are_read_only_and_the_callers_arrays_stay_writeable(column: str) -> None:
    with pytest.raises(ValueError, match="read-only"):
        getattr(table(), column)[0] = 0
    mine = np.array(getattr(table(), column))
    table(**{column: mine})
    assert mine.flags.writeable


def test_the_table_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        table().logits = None  # type: ignore[misc]


def test_float32_stays_and_integers_become_float64() -> None:
    assert table(features=np.ones((3, 2), np.float32)).features.dtype == np.float32
    assert table(logits=np.array([[1, 0], [0, 1], [2, 2]])).logits.dtype == np.float64


def test_multilabel_decides_label_by_label() -> None:
    logits = [[2.0, -2.0], [0.5, 0.5]]
    outputs = ModelOutputs(ids=["a", "b"], logits=logits, labels=[[1, 0], [1, 0]], task="multilabel")
    np.testing.assert_allclose(outputs.probs, 1 / (1 + np.exp(-np.array(logits))))
    assert outputs.predictions.tolist() == [[1, 0], [1, 1]]
    assert outputs.wrong.tolist() == [False, True]


def test_multilabel_has_a_threshold_for_each_class() -> None:
    outputs = ModelOutputs(ids=["a"], logits=[[0.0, 0.0]], task="multilabel", decision_thresholds=[0.6, 0.4])
    assert outputs.predictions.tolist() == [[0, 1]]
    with pytest.raises(OutputsError, match=r"2 numbers between 0 and 1; got \[0.5, 1.0\]"):
        ModelOutputs(ids=["a"], logits=[[0.0, 0.0]], task="multilabel", decision_thresholds=[0.5, 1.0])
    with pytest.raises(OutputsError, match="multilabel"):
        table(decision_thresholds=[0.5, 0.5])


def test_multilabel_labels_are_zeros_and_ones() -> None:
    with pytest.raises(OutputsError, match=r"-1\.\.1; got 0\.\.2"):
        ModelOutputs(ids=["a"], logits=[[0.0, 0.0]], labels=[[0, 2]], task="multilabel")
    with pytest.raises(OutputsError, match=r"must have shape \(1, 2\)"):
        ModelOutputs(ids=["a"], logits=[[0.0, 0.0]], labels=[0], task="multilabel")


def test_an_unknown_answer_is_neither_right_nor_wrong() -> None:
    logits, labels = [[2.0, -2.0]] * 4, [[1.0, np.nan], [0, -1], [np.nan, -1], [0, 0]]
    outputs = ModelOutputs(ids=list("abcd"), logits=logits, labels=labels, task="multilabel")
    assert outputs.labels.tolist() == [[1, -1], [0, -1], [-1, -1], [0, 0]]
    assert outputs.wrong_decisions[:, 0].tolist() == [False, True, False, True]
    assert not outputs.wrong_decisions[:, 1].any()
    assert outputs.wrong.tolist() == [False, True, False, True]
    assert outputs.answered.tolist() == [True, True, False, True]


def test_of_one_label_no_class_is_an_answer() -> None:
    outputs = ModelOutputs(ids=["a"], logits=[[0.0, 1.0]], labels=[-1])
    assert (outputs.answered.tolist(), outputs.wrong.tolist()) == ([True], [True])
    with pytest.raises(OutputsError, match="use wrong"):
        _ = outputs.wrong_decisions


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_from_probs_gives_the_probabilities_back(task: Any) -> None:
    made = made_problem(50, seed=1, task=task)
    back = ModelOutputs.from_probs(made.ids, made.probs, task=task)
    np.testing.assert_allclose(back.probs, made.probs, atol=1e-9)
    assert (back.predictions == made.predictions).all()


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_from_probs_keeps_certain_rows_finite(task: Any) -> None:
    back = ModelOutputs.from_probs(["a"], [[1.0, 0.0]], task=task)
    np.testing.assert_allclose(back.probs, [[1.0, 0.0]], atol=1e-9)


@pytest.mark.parametrize(
    ("probs", "message"),
    [
        ([[0.5, 0.6]], "row 0 sums to 1.1"),
        ([[1.5, -0.5]], "finite numbers"),
        ([[np.nan, 1]], "finite"),
        ([1.0], "shape"),
    ],
)
def test_from_probs_refuses_what_is_no_probability(probs: Any, message: str) -> None:
    with pytest.raises(OutputsError, match=message):
        ModelOutputs.from_probs(["a"], probs)


def test_from_probs_takes_the_other_columns() -> None:
    outputs = ModelOutputs.from_probs(["a"], [[0.2, 0.8]], labels=[1], features=[[1.0]])
    assert outputs.features.tolist() == [[1.0]]
    assert outputs.wrong.tolist() == [False]


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_take_and_concatenate_are_inverse(task: Any) -> None:
    whole = made_problem(20, seed=1, task=task)
    joined = ModelOutputs.concatenate([whole.take(np.arange(7)), whole.take(np.arange(20) >= 7)])
    for column in ("ids", "logits", "features", "mc_probs", "quality", "labels"):
        np.testing.assert_array_equal(getattr(joined, column), getattr(whole, column))
    assert joined.task == task


def test_take_keeps_the_order_asked_for_and_may_be_empty() -> None:
    assert table().take([2, 0]).ids.tolist() == ["c", "a"]
    empty = table().take([])
    assert len(empty) == 0
    assert empty.n_classes == 2
    assert empty.predictions.shape == empty.wrong.shape == (0,)


def test_concatenate_refuses_parts_that_differ() -> None:
    one = ModelOutputs(ids=["a"], logits=[[1.0, 0.0]])
    with pytest.raises(OutputsError, match="at least one part"):
        ModelOutputs.concatenate([])
    with pytest.raises(OutputsError, match="columns or task"):
        ModelOutputs.concatenate([one, ModelOutputs(ids=["b"], logits=[[1.0, 0.0]], features=[[1.0]])])
    with pytest.raises(OutputsError, match="shape"):
        ModelOutputs.concatenate([one, ModelOutputs(ids=["b"], logits=[[1.0, 0.0, 2.0]])])
    with pytest.raises(OutputsError, match="'a' occurs 2 times"):
        ModelOutputs.concatenate([one, one])


def test_an_item_is_one_row_and_a_slice_several():
    outputs = ModelOutputs(ids=list("abcd"), logits=np.arange(8.0).reshape(4, 2), labels=[0, 1, 0, 1])
    assert outputs[2].ids.tolist() == ["c"]
    assert outputs[-1].logits.tolist() == [[6.0, 7.0]]
    assert outputs[1:3].labels.tolist() == [1, 0]
    with pytest.raises(IndexError):
        outputs[4]


BAD_ARRAYS = {
    "complex": (np.ones((3, 2)) * 1j, "hold complex numbers"),
    "complex tensor": (torch.ones(3, 2, dtype=torch.complex64), "hold complex numbers"),
    "masked": (np.ma.masked_array(np.ones((3, 2)), mask=np.eye(3, 2)), "are a masked array"),
    "ragged": ([[1.0, 2.0], [1.0], [2.0, 3.0]], "can't be read as one array: rows differ in length"),
    "text": ([["a", "b"]] * 3, "must be numbers; got text such as 'a'"),
    "None": ([[1.0, None]] * 3, "must be numbers; got NoneType"),
    "times": (np.zeros((3, 2), "M8[s]"), "hold times"),
    "mapping": ({"a": 1}, "must be numbers; got dict"),
    "beyond 64 bits": ([[2**70, 0]] * 3, "must be numbers; got one that 64 bits"),
}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("kind", BAD_ARRAYS)
def test_what_is_no_array_of_numbers_is_refused_in_one_line(kind: str, column: str) -> None:
    values, said = BAD_ARRAYS[kind]
    with pytest.raises(OutputsError, match=f"^{column} {said}") as caught:
        table(**{column: values})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["cat", "dog", "cat"], "got text such as 'cat': give their positions among the classes"),
        (["0", "1", "0"], "got text such as '0'"),
        ([0, None, 1], "got None in row 1"),
        ([0, np.nan, 1], "row 1 has nan"),
        ([0, 1, np.inf], r"-1..1; got 0..inf"),
        ([[0], [1, 0], []], "rows differ in length"),
        (np.ma.masked_array([0, 1, 0], mask=[0, 1, 0]), "masked"),
        ([0, 2**70, 0], "64 bits"),
    ],
)
def test_labels_that_are_no_positions_say_so(labels: Any, said: str) -> None:
    with pytest.raises(OutputsError, match=f"^labels .*{said}"):
        table(labels=labels)


@pytest.mark.parametrize("ids", [["a", ["b"], "c"], ["a", None, "c"], None, "abc", [b"a", b"b", b"c"]])
def test_ids_that_are_no_text(ids: Any) -> None:
    with pytest.raises(OutputsError, match=r"^ids "):
        table(ids=ids)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int8])
@pytest.mark.parametrize("form", ["plain", "grad", "list", "conj"])
def test_torch_tensors_are_taken(dtype: torch.dtype, form: str) -> None:
    values: Any = torch.tensor([[0, 1], [2, 0], [0, 3]], dtype=dtype)
    if form == "grad" and dtype.is_floating_point:
        values.requires_grad_()
    values = {"list": list(values), "conj": values.conj()}.get(form, values)
    outputs = table(logits=values)
    assert outputs.logits.tolist() == [[0, 1], [2, 0], [0, 3]]
    assert outputs.logits.dtype == (np.float32 if dtype.is_floating_point and dtype.itemsize < 8 else np.float64)


@pytest.mark.parametrize("column", [*COLUMNS, "ids", "labels"])
@pytest.mark.parametrize("handed", ["itself", "read-only view", "tensor"])
def test_writing_into_the_callers_array_changes_nothing(column: str, handed: str) -> None:
    mine = np.array(getattr(table(), column))
    before = mine.copy()
    given: Any = mine.view()
    if handed == "read-only view":
        given.flags.writeable = False
    elif handed == "tensor" and column != "ids":
        given = torch.from_numpy(mine)
    outputs = table(**{column: given})
    mine[:] = mine[::-1].copy()
    np.testing.assert_array_equal(getattr(outputs, column), before)


def test_one_buffer_for_all_batches() -> None:
    buffer, parts = np.empty((2, 3)), []
    for k in range(3):
        buffer[:] = k
        parts.append(ModelOutputs(ids=[f"{k}a", f"{k}b"], logits=buffer))
    assert ModelOutputs.concatenate(parts).logits[:, 0].tolist() == [0, 0, 1, 1, 2, 2]


def test_arrays_of_our_own_are_not_copied_again() -> None:
    whole = table()
    assert ModelOutputs(ids=whole.ids, logits=whole.logits).logits is whole.logits
    picked = whole.take([0, 2])
    assert picked.logits.base is None


@pytest.mark.parametrize("column", ["mc_probs", "tta_probs"])
def test_probabilities_sum_to_one(column: str) -> None:
    values = np.full((3, 4, 2), 0.5)
    values[1, 2] = 0.9
    with pytest.raises(OutputsError, match=rf"^{column} must sum to 1 in each row; row 1 sums to 1.8"):
        table(**{column: values})
    rounded = np.full((3, 4, 2), 0.502)
    assert table(**{column: rounded}).has(column)


@pytest.mark.parametrize("ids", [[float("nan"), "b"], [None, "b"], np.array([np.nan, 1.0])])
def test_a_missing_id_is_no_name(ids):
    with pytest.raises(OutputsError, match="ids must be text; got"):
        ModelOutputs(ids=ids, logits=np.zeros((2, 2)))
