"""Who was wrong, by name: predictions beside labels, and the misclassified images of a run or of one class."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from uncertainty.brief import Brief
from uncertainty.errors import InputError
from uncertainty.evaluation.keras_batches import run_keras
from uncertainty.evaluation.listed import listed
from uncertainty.evaluation.mistakes import Mistakes
from uncertainty.evaluation.plots import Plots
from uncertainty.images.label_text import joined
from uncertainty.labels import arrays
from uncertainty.labels.arrays import class_names, classes_in, distinct, indices, row_names, run_over
from uncertainty.labels.meaning import NO_KNOWN_CLASS
from uncertainty.labels.tables import encoded, named_classes, other_names, table_probs, task_of, unanswered
from uncertainty.notebook.tabular import frame_of
from uncertainty.outputs import ModelOutputs, Task, probs_from_logits
from uncertainty.verdicts import Verdicts

if TYPE_CHECKING:
    import pyarrow as pa

    from uncertainty.classifiers import Classifier
    from uncertainty.images.given import Images
    from uncertainty.images.sources import AnyPath

logger = logging.getLogger("uncertainty")
_DECISION = 0.5


@dataclass(frozen=True, eq=False, repr=False)
class Outcomes(Mistakes, Plots, Brief):
    """What a classifier said of n images beside what they are; make one with a `from_` method.

    Parameters
    ----------
    names : (n,) strings.
    classes : names of the classes; the first `n_known` are the classifier's own, the others occur as labels only.
    truth, predicted : multiclass (n,) positions in `classes`; multilabel (n, len(classes)) booleans.
    probs : (n, n_known) probabilities, or None.
    task : "multiclass" or "multilabel".
    unanswered : multilabel (n, len(classes)) True where nobody said whether the image has the label; None: nowhere.
    table : n rows of whatever else is to be listed: p_wrong, flagged, reasons, columns of a manifest, image quality.

    Examples
    --------
    >>> found = Outcomes.from_arrays(["cat", "dog", "dog"], ["cat", "cat", "dog"], names=["a.jpg", "b.jpg", "c.jpg"])
    >>> found.misclassified().to_pylist()
    [{'file_name': 'b.jpg', 'label': 'dog', 'predicted_label': 'cat'}]
    >>> found.false_positives("cat")["file_name"].to_pylist(), found.false_negatives("cat")["file_name"].to_pylist()
    (['b.jpg'], [])

    """

    names: NDArray[np.str_]
    classes: tuple[str, ...]
    n_known: int
    truth: NDArray[Any]
    predicted: NDArray[Any]
    probs: NDArray[np.floating[Any]] | None
    task: Task
    table: pa.Table
    unanswered: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def _facts(self) -> dict[str, Any]:
        told = {"images": len(self), "wrong": int(self.wrong.sum()), "classes": len(self.classes)}
        return told if self.flagged is None else told | {"flagged": int(self.flagged.sum())}

    def to_pandas(self) -> Any:
        """Return all rows as a pandas.DataFrame, with the columns of `misclassified`; needs pandas."""
        return frame_of(listed(self, np.arange(len(self))))

    @classmethod
    def from_images(cls, classifier: Classifier, images: Images, *, labels: Any = None, **options: Any) -> Outcomes:
        """Run a classifier over images that have labels, or `labels` beside them, one for each.

        `images` and `options` are those of `Classifier.run`; images that can't be read, or whose label is no truth, are
        left out, and a warning counts them. Raises InputError where no label is left.
        """
        from uncertainty.evaluation.run_images import labelled_outputs

        return cls.from_outputs(labelled_outputs(classifier, images, labels, options), classifier.classes)

    @classmethod
    def from_verdicts(
        cls,
        verdicts: Verdicts | pa.Table,
        labels: Mapping[str, str] | AnyPath | None = None,
        classes: Sequence[str] | None = None,
    ) -> Outcomes:
        """Take the rows of verdicts that were read and have a label.

        `labels` are label by file name, or a table or folder of them; None: the table has them, by `join_labels`.
        A label means what `labels.meaning` says; one of no class is no truth, and a warning is logged.
        `classes` are needed only for a CSV or JSON table of more than 200 classes, which does not hold their names.
        """
        from uncertainty.evaluation.screening_quality import join_labels, labelled_rows
        from uncertainty.labels.by_name import read_labels, truths

        table = verdicts.table if isinstance(verdicts, Verdicts) else verdicts
        if labels is not None:
            told = labels if isinstance(labels, Mapping) else read_labels(labels)
            if whole := classes or Verdicts(table).classes:
                told = truths(told, whole, task_of(table))
            table = join_labels(table, told)
        task, rows = task_of(table), labelled_rows(table)
        known = list(classes or Verdicts(table).classes or named_classes(rows))
        predicted, truth = rows["predicted_label"], rows["label"]
        names = [*known, *other_names([predicted, truth], known, task)]
        return cls(
            names=np.asarray(rows["file_name"].to_pylist(), dtype=np.str_),
            classes=tuple(names),
            n_known=len(known),
            truth=encoded(truth, names, task),
            predicted=encoded(predicted, names, task),
            probs=table_probs(rows, known),
            task=task,
            table=rows,
            unanswered=unanswered(truth, names) if task == "multilabel" else None,
        )

    @classmethod
    def from_outputs(cls, outputs: ModelOutputs, classes: Sequence[str] | None = None) -> Outcomes:
        """Take labelled ModelOutputs; a label of -1 becomes a class of its own.

        Multilabel: -1 is an unknown answer, and rows without any other are left out, with a warning that counts them.
        """
        labels = outputs.require("labels", "Outcomes")
        known = class_names(classes, outputs.n_classes)
        foreign = outputs.task == "multiclass" and bool((labels < 0).any())
        found = cls(
            names=outputs.ids if isinstance(outputs.ids, np.ndarray) else np.asarray(outputs.ids, dtype=np.str_),
            classes=(*known, NO_KNOWN_CLASS) if foreign else known,
            n_known=len(known),
            truth=np.where(labels < 0, len(known), labels) if outputs.task == "multiclass" else labels > 0,
            predicted=outputs.predictions if outputs.task == "multiclass" else outputs.predictions.astype(bool),
            probs=outputs.probs,
            task=outputs.task,
            table=_no_columns(len(outputs)),
            unanswered=labels < 0 if outputs.task == "multilabel" else None,
        )
        return _answered(found)

    @classmethod
    def from_arrays(
        cls,
        labels: Any,
        predictions: Any = None,
        *,
        probs: Any = None,
        classes: Sequence[str] | None = None,
        names: Sequence[str] | None = None,
        task: Task = "multiclass",
    ) -> Outcomes:
        """Take labels and predictions: class names or indices (n,), multilabel (n, c) of 0 and 1, or lists of names.

        Without predictions they follow from `probs` (n, c): the largest, multilabel those of 0.5 or more. Labels of
        -1 belong to no known class, of several labels they are unknown answers, as NaN is; rows without one (None,
        NaN) are left out, and a warning counts them. Raises InputError where shapes do not fit, a label names no
        class, or probabilities are none.
        """
        if predictions is None and probs is None:
            raise InputError("give predictions or probs beside the labels; there is nothing to compare them with")
        p = None if probs is None else arrays.checked_probs(probs, task)
        if task == "multilabel":
            labels, predictions, classes = arrays.as_sets(labels, predictions, classes)
        labels, predictions, p, names = arrays.with_labels(labels, predictions, p, names)
        if p is not None:
            known = class_names(classes, p.shape[1])
        else:
            known = classes_in(labels, predictions, task) if classes is None else distinct(tuple(map(str, classes)))
        if predictions is None and p is not None:
            predictions = (p >= _DECISION) if task == "multilabel" else np.argmax(p, axis=1)
        truth, predicted = (indices(values, known, task) for values in (labels, predictions))
        n = len(truth)
        if len(predicted) != n or (p is not None and len(p) != n):
            raise InputError(f"{n} labels and {len(predicted)} predictions; give one of each for each image")
        if task == "multilabel" and (predicted < 0).any():
            raise InputError("predictions of several labels are 0 and 1; one of them is -1")
        foreign = task == "multiclass" and bool((truth < 0).any())
        found = cls(
            names=row_names(names, n),
            classes=(*known, NO_KNOWN_CLASS) if foreign else known,
            n_known=len(known),
            truth=np.where(truth < 0, len(known), truth) if task == "multiclass" else truth > 0,
            predicted=predicted if task == "multiclass" else predicted > 0,
            probs=p,
            task=task,
            table=_no_columns(n),
            unanswered=truth < 0 if task == "multilabel" else None,
        )
        return _answered(found)

    @classmethod
    def from_loader(
        cls,
        loader: Iterable[Any],
        model: Classifier | Any,
        *,
        classes: Sequence[str] | None = None,
        task: Task = "multiclass",
    ) -> Outcomes:
        """Run a model over batches of (inputs, labels) or (inputs, labels, names), such as a torch DataLoader.

        `model` is a Classifier, whose classes and task are taken, or any callable that maps inputs to logits (b, c).
        Without names in the batches, images are called "0", "1", … in the order of the loader: do not shuffle it.
        Raises InputError for an empty loader, and for a torch module in training mode, whose answers are random.
        """
        from uncertainty.classifiers.base import Classifier

        answers = model
        if isinstance(model, Classifier):
            answers, classes, task = partial(_logits, model), classes or model.classes, model.task
        labels, logits, names = run_over(loader, answers)
        known = class_names(classes, logits.shape[1])
        probs = probs_from_logits(logits, task)
        predictions = None
        if isinstance(model, Classifier) and model.decision_thresholds is not None:
            predictions = probs >= np.asarray(model.decision_thresholds)
        return cls.from_arrays(labels, predictions, probs=probs, classes=known, names=names, task=task)

    @classmethod
    def from_tf(
        cls,
        dataset: Iterable[Any],
        model: Any,
        *,
        output: Literal["logits", "probabilities"],
        classes: Sequence[str] | None = None,
        task: Task = "multiclass",
    ) -> Outcomes:
        """Run a Keras model over batches of (images, labels), such as a tf.data.Dataset; see `keras_batches`.

        `output` says what the model answers with. Images are called as in `from_loader`: do not shuffle.
        """
        found = run_keras(dataset, model, output, task)
        return cls.from_arrays(found.labels, probs=found.probs, classes=classes, names=found.names, task=task)

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """(n,) True where the prediction differs from the label (multilabel: any known decision of the row differs)."""
        return np.asarray(self.wrong_decisions.any(axis=1) if self.task == "multilabel" else self.wrong_decisions)

    @property
    def wrong_decisions(self) -> NDArray[np.bool_]:
        """Multilabel (n, len(classes)) True where a decision differs from a known answer; multiclass as `wrong`."""
        return np.asarray((self.truth != self.predicted) & self.known)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Like `truth`, True where the answer is known."""
        return np.ones(self.truth.shape, dtype=bool) if self.unanswered is None else ~self.unanswered

    @property
    def whole(self) -> NDArray[np.bool_]:
        """(n,) True where every answer is known: only of these can be said how often an image is wrong."""
        return np.asarray(self.known if self.task == "multiclass" else self.known.all(axis=1))

    @property
    def flagged(self) -> NDArray[np.bool_] | None:
        """(n,) True where the row was flagged; None where nobody screened it."""
        if "flagged" not in self.table.column_names:
            return None
        return np.asarray(self.table["flagged"].to_pylist(), dtype=np.bool_)

    def take(self, rows: Any) -> Outcomes:
        """Return the rows picked by positions or by a boolean mask, e.g. those of one camera."""
        picked = np.asarray(rows)
        picked = np.flatnonzero(picked) if picked.dtype == bool else picked.astype(np.int64)
        return replace(
            self,
            names=self.names[picked],
            truth=self.truth[picked],
            predicted=self.predicted[picked],
            probs=None if self.probs is None else self.probs[picked],
            table=self.table.take(picked),
            unanswered=None if self.unanswered is None else self.unanswered[picked],
        )

    def texts(self, which: NDArray[Any]) -> list[str]:
        """Return class names for rows of `truth` or `predicted`; multilabel: joined by semicolons."""
        names = np.asarray(self.classes, dtype=object)
        if self.task == "multiclass":
            return list(names[which])
        return [";".join(names[row]) for row in which]

    @property
    def labels(self) -> list[str]:
        """The labels of each row as text, see `label_text`: `(no label)` where it has none, `?dog` where none knows."""
        if self.task == "multiclass":
            return self.texts(self.truth)
        names = np.asarray(self.classes, dtype=object)
        return [joined(names[row], names[~known]) for row, known in zip(self.truth, self.known, strict=True)]


def _answered(outcomes: Outcomes) -> Outcomes:
    """Leave out rows of several labels of which no answer is known, with a warning that counts them."""
    known = outcomes.known if outcomes.unanswered is None else np.asarray(outcomes.known.any(axis=1))
    if known.all():
        return outcomes
    if not known.any():
        raise InputError(f"none of the {len(known)} rows has a known answer; there is nothing to compare with")
    logger.warning("left out %d of %d rows without a known answer", int((~known).sum()), len(known))
    return outcomes.take(known)


def _no_columns(n: int) -> pa.Table:
    import pyarrow as pa

    return pa.table({"row": np.arange(n)})


def _logits(classifier: Classifier, inputs: Any) -> NDArray[Any]:
    pixels = np.asarray(inputs.cpu() if hasattr(inputs, "cpu") else inputs, dtype=np.float32)
    names = [str(row) for row in range(len(pixels))]
    return np.asarray(classifier.outputs_from_inputs(names, pixels, passes=0).logits)
