"""A Keras model run over batches as TensorFlow users have them; neither TensorFlow nor Keras is imported here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uncertainty.checks.array_values import as_array, numbers
from uncertainty.errors import InputError
from uncertainty.labels.arrays import run_over
from uncertainty.outputs import Task, probs_from_logits

Output = Literal["logits", "probabilities"]
_INFINITE = -1


class Answered(NamedTuple):
    """Labels (n,), multilabel (n, c); probabilities (n, c); and names where the batches had them."""

    labels: NDArray[Any]
    probs: NDArray[np.float64]
    names: list[str] | None


def run_keras(dataset: Iterable[Any], model: Any, output: Output, task: Task) -> Answered:
    """Run a model over batches of (images, labels) or (images, labels, names), without dropout.

    `dataset` is a tf.data.Dataset, a keras PyDataset, or anything that yields such batches; `model` a Keras model, of
    which `predict_on_batch` is called, or any callable. Labels are positions, also of shape (b, 1), or one-hot (b, c).
    One output is the answer of a yes-or-no model: the second of two classes. One-hot labels of a multilabel model stay.

    Raises InputError where `output` is neither logits nor probabilities, for a data set that never ends, for batches of
    another form, such as with sample weights, and for answers that are no probabilities though they should be.
    """
    if output not in ("logits", "probabilities"):
        raise InputError(f"output is {output!r}; say whether the model answers with 'logits' or 'probabilities'")
    cardinality = getattr(dataset, "cardinality", None)
    if callable(cardinality) and int(cardinality()) == _INFINITE:
        raise InputError("the data set never ends; leave out repeat(), or take() some batches of it")
    call = getattr(model, "predict_on_batch", model)
    labels, answers, names = run_over(_batches(dataset), lambda inputs: _two_axes(call(inputs), output), what=output)
    truth = labels if task == "multilabel" else _positions(labels, answers.shape[1])
    return Answered(truth, probs_from_logits(answers, task) if output == "logits" else answers, names)


def _batches(dataset: Any) -> Iterator[tuple[Any, ...]]:
    """Yield batches with inputs and labels as NumPy knows them; a PyDataset has no end of its own."""
    counted = hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__") and not hasattr(dataset, "__iter__")
    for batch in (dataset[k] for k in range(len(dataset))) if counted else dataset:
        if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
            raise InputError(f"the data set yields {type(batch).__name__}; it must yield (images, labels) batches")
        inputs = batch[0] if isinstance(batch[0], dict | tuple | list) else as_array("images", batch[0])
        yield (inputs, as_array("labels", batch[1]), *map(_names, batch[2:]))


def _names(given: Any) -> list[str]:
    array = as_array("names", given)
    if array.dtype.kind not in "OSU":
        raise InputError(
            f"the third of each batch is {array.dtype}; give (images, labels), or names there: leave out sample "
            "weights with dataset.map(lambda x, y, w: (x, y))"
        )
    return [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in array.ravel().tolist()]


def _two_axes(answer: Any, output: Output) -> NDArray[Any]:
    """Return (b, c) answers; of one output, (b, 1), the two classes of a yes-or-no model."""
    array = numbers(output, answer).astype(np.float64)
    if array.ndim != 2 or array.shape[1] != 1:
        return array
    return np.hstack([-array / 2, array / 2]) if output == "logits" else np.hstack([1 - array, array])


def _positions(labels: NDArray[Any], classes: int) -> NDArray[Any]:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.shape[1] == classes:
        if not ((labels == 0) | (labels == 1)).all() or (labels.sum(axis=1) != 1).any():
            raise InputError("labels are neither positions nor one-hot; where several are true say task='multilabel'")
        return np.asarray(labels.argmax(axis=1))
    return labels
