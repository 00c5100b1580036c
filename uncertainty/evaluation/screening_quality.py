"""Verdicts and labels: how good was the screening, and which images did the classifier get wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uncertainty import metrics
from uncertainty.brief import Brief
from uncertainty.errors import InputError
from uncertainty.files import plain
from uncertainty.labels.tables import parts, same_labels, task_of
from uncertainty.metrics.bootstrap import Metric, correlation, resampled, same_order
from uncertainty.metrics.intervals import Groups, Interval, difference, group_numbers
from uncertainty.metrics.ranking_intervals import INTERVALS
from uncertainty.notebook.tabular import frame_of
from uncertainty.verdicts import with_columns

if TYPE_CHECKING:
    import pyarrow as pa

P_WRONG = "p_wrong"
MAX_SOFTMAX = "max_softmax"
DIFFERENCE = "difference"
METRICS: Mapping[str, Metric] = {
    "auroc": metrics.auroc,
    "aurc": metrics.aurc,
    "e_aurc": metrics.e_aurc,
    "augrc": metrics.augrc,
    "errors_accepted_at_95_correct": metrics.errors_accepted_at_95_correct,
    "correct_flagged_at_95_errors": metrics.correct_flagged_at_95_errors,
    "errors_caught_at_10_percent": partial(metrics.errors_caught, budget=0.1),
    "errors_caught_at_20_percent": partial(metrics.errors_caught, budget=0.2),
}
"""What is measured of each score, see `uncertainty.metrics`."""
# A thousand resamples of 50,000 rows take some fifteen seconds; larger tables, whose intervals are narrow, get fewer.
_MOST_RESAMPLED_ROWS = 50_000_000
_FEWEST_RESAMPLES = 100


@dataclass(frozen=True)
class Match:
    """How the file names of verdicts and labels meet: rows with a label, rows without, labels without a row."""

    matched: int
    rows_without_label: int
    labels_without_row: int


@dataclass(frozen=True, repr=False)
class Evaluation(Brief):
    """How good the screening was on the rows that were read and have a label; None = can't be said from these rows.

    Every row is counted once, in `n`, `n_unreadable`, `n_unlabelled` or `n_partly_answered`, which are images of
    several labels of which some answer is unknown, so that nobody can say whether all of their decisions are right.
    `scores` holds the METRICS of `p_wrong`, of `max_softmax` (1 − the largest probability, what one would use without a
    screener) and of each `est_` column (in a cascade: of those that every row has); `intervals` holds 95 % intervals
    for the first two (see `metrics.ranking_intervals`) and for their `difference` on the same rows (p_wrong −
    max_softmax: for auroc and errors_caught positive is better, for the others negative); None = too few errors.
    """

    n: int
    n_unreadable: int
    n_unlabelled: int
    n_partly_answered: int
    n_errors: int
    accuracy: float | None
    unknown_labels: Mapping[str, int]
    """Labels that are none of the classes, with their counts; such a row counts as wrong. Empty without classes."""
    flagged_share: float | None
    errors_caught_by_flags: float | None
    """Share of the errors that were flagged."""
    caught_by_max_softmax: float | None
    """How many errors as many images would hold, chosen by max softmax; a tie that is cut counts by expectation."""
    precision_of_flags: float | None
    """Share of the flagged rows that are errors."""
    accuracy_of_unflagged: float | None
    predicted_error_rate: float | None
    """Mean of `p_wrong`, to be compared with `observed_error_rate`."""
    observed_error_rate: float | None
    ece: float | None
    brier: float | None
    scores: Mapping[str, Mapping[str, float | None]]
    intervals: Mapping[str, Mapping[str, Interval | None]]
    resamples: int
    """Bootstrap resamples behind the intervals of differences."""

    @property
    def best_single(self) -> str | None:
        """The estimator that alone has the least E-AURC on these very rows; None where none has less than max softmax.

        >>> scores = {"max_softmax": {"e_aurc": 0.2}, "est_margin": {"e_aurc": 0.1}, "est_energy": {"e_aurc": 0.3}}
        >>> Evaluation(**dict.fromkeys(Evaluation.__dataclass_fields__) | {"scores": scores}).best_single
        'est_margin'
        """
        areas = {name: of["e_aurc"] for name, of in self.scores.items() if name != P_WRONG}
        known = {name: area for name, area in areas.items() if area is not None}
        best = min(known, key=known.__getitem__, default=MAX_SOFTMAX)
        return None if known.get(best) == known.get(MAX_SOFTMAX) else best

    def to_pandas(self) -> Any:
        """Return the metrics of each score as a pandas.DataFrame, a row a score; needs pandas."""
        import pyarrow as pa

        return frame_of(pa.Table.from_pylist([{"score": name, **of} for name, of in self.scores.items()]))

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers, strings and dictionaries, ready for `json.dump`; what can't be said is None."""
        return dict(plain(self))


def match_labels(table: pa.Table, labels: Mapping[str, str]) -> Match:
    """Count how the file names of a verdict table and of labels meet.

    >>> import pyarrow as pa
    >>> match_labels(pa.table({"file_name": ["a.jpg", "b.jpg"]}), {"b.jpg": "cat", "c.jpg": "dog"})
    Match(matched=1, rows_without_label=1, labels_without_row=1)
    """
    names = _column(table, "file_name").to_pylist()
    matched = sum(name in labels for name in names)
    return Match(matched, len(names) - matched, len(labels.keys() - set(names)))


def join_labels(table: pa.Table, labels: Mapping[str, str]) -> pa.Table:
    """Return the verdict table with `label` and `correct` (predicted_label == label), matched by file_name exactly.

    Both are null without a label; `correct` is also null where nothing was predicted, in a row that could not be read.
    A label that the classifier does not know counts as wrong. Multilabel: the names are joined by semicolons, in any
    order, see `label_text`; `correct` is null where nobody answered for one. Earlier `label` and `correct` columns
    are replaced. `match_labels` counts what met. Raises InputError when there are rows and labels, and no name matches.

    >>> import pyarrow as pa
    >>> table = pa.table({"file_name": ["a.jpg", "b.jpg"], "predicted_label": ["cat", "cat"]})
    >>> join_labels(table, {"b.jpg": "dog"}).select(["label", "correct"]).to_pylist()
    [{'label': None, 'correct': None}, {'label': 'dog', 'correct': False}]
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    names = _column(table, "file_name").to_pylist()
    if names and not any(name in labels for name in names):
        raise InputError(_no_match(names, labels))
    label = pa.array([labels.get(name) for name in names], pa.string())
    predicted = _column(table, "predicted_label").cast(pa.string())
    if task_of(table) == "multilabel":
        # An empty cell of a CSV is a null; where the image was read, it means that no label was predicted.
        predicted = pc.if_else(pc.is_null(table["error"]), pc.fill_null(predicted, ""), pa.scalar(None, pa.string()))
        table = with_columns(table, pa.table({"predicted_label": predicted}))
        correct = pa.array(same_labels(predicted, label), pa.bool_())
    else:
        correct = pc.equal(predicted, pa.chunked_array([label]))
    return with_columns(table, pa.table({"label": label, "correct": correct}))


def evaluate(
    table: pa.Table,
    *,
    classes: Sequence[str] | None = None,
    seed: int = 0,
    resamples: int = 1000,
    groups: Mapping[str, str] | None = None,
) -> Evaluation:
    """Measure a verdict table that has `label` and `correct`, see `join_labels`.

    Without errors, or with nothing else, what needs both is None. `classes` are the names that the classifier knows;
    with them labels of no known class are listed. `groups` says by file name which images belong together, such as
    frames of one film: then groups are drawn and counted. Tables above 50,000 rows get fewer than `resamples`
    resamples. Raises InputError for a column that is absent, or empty in rows that were read.

    Two of four are wrong; the one flag caught one of them:

    >>> import pyarrow as pa
    >>> table = pa.table({"file_name": list("abcd"), "label": ["cat"] * 4, "correct": [True, False, True, False],
    ...     "confidence": [0.9, 0.8, 0.7, 0.6], "p_wrong": [0.1, 0.2, 0.3, 0.4], "error": pa.nulls(4, pa.string()),
    ...     "flagged": [False, False, False, True]})
    >>> result = evaluate(table, resamples=10)
    >>> result.errors_caught_by_flags, result.precision_of_flags, round(result.accuracy_of_unflagged, 3)
    (0.5, 1.0, 0.667)
    >>> result.scores["p_wrong"]["auroc"], round(result.predicted_error_rate, 3), result.observed_error_rate
    (0.75, 0.25, 0.5)
    """
    unreadable = int(_mask(_column(table, "error").is_valid()).sum())
    rows = measurable(table)
    wrong, scores = ~_mask(rows["correct"]), _scores(rows)
    resamples = fewer_resamples(resamples, len(wrong))
    return Evaluation(
        n=len(wrong),
        n_unreadable=unreadable,
        n_unlabelled=table.num_rows - unreadable - (told := labelled_rows(table).num_rows),
        n_partly_answered=told - len(wrong),
        n_errors=int(wrong.sum()),
        unknown_labels=_unknown_labels(rows, classes),
        **_flag_quality(wrong, flagged := _mask(_column(rows, "flagged"))),
        caught_by_max_softmax=_caught(wrong, scores[MAX_SOFTMAX], int(flagged.sum())),
        **_calibration(wrong, scores[P_WRONG]),
        scores={name: {m: _known(metric(wrong, s)) for m, metric in METRICS.items()} for name, s in scores.items()},
        intervals=_intervals(
            wrong,
            [scores[P_WRONG], scores[MAX_SOFTMAX]],
            resamples,
            seed,
            group_numbers(rows["file_name"].to_pylist(), groups),
        ),
        resamples=resamples,
    )


def fewer_resamples(wanted: int, n: int) -> int:
    """Return how many resamples of n rows to draw: as many as wanted up to 50,000 rows, then fewer, at least 100.

    >>> fewer_resamples(1000, 500), fewer_resamples(1000, 100_000), fewer_resamples(1000, 10**9)
    (1000, 500, 100)
    """
    return min(wanted, max(_FEWEST_RESAMPLES, _MOST_RESAMPLED_ROWS // max(n, 1)))


def measurable(table: pa.Table) -> pa.Table:
    """Return the rows that were read and have a label that says whether they are right."""
    import pyarrow.compute as pc

    return table.filter(pc.and_(_column(table, "error").is_null(), _column(table, "correct").is_valid()))


def labelled_rows(table: pa.Table) -> pa.Table:
    """Return the rows that were read and have a label, with every answer known or not."""
    import pyarrow.compute as pc

    return table.filter(pc.and_(_column(table, "error").is_null(), _column(table, "label").is_valid()))


def _scores(rows: pa.Table) -> dict[str, NDArray[np.float64]]:
    estimators = [name for name in rows.column_names if name.startswith("est_")]
    if "effort" in rows.column_names:  # in a cascade, what only some images got can't be compared with what all got
        estimators = [name for name in estimators if not rows[name].null_count]
    scores = {name: _numbers(rows, name) for name in estimators}
    # Near certainty 1 - confidence is 0 in float32 for many rows at once; the estimator still tells them apart.
    softmax = scores["est_least_confidence"] if "est_least_confidence" in scores else 1 - _numbers(rows, "confidence")
    return {P_WRONG: _numbers(rows, P_WRONG), MAX_SOFTMAX: softmax, **scores}


def _flag_quality(wrong: NDArray[np.bool_], flagged: NDArray[np.bool_]) -> dict[str, float | None]:
    caught = int((wrong & flagged).sum())
    return {
        "accuracy": _share(int((~wrong).sum()), len(wrong)),
        "flagged_share": _share(int(flagged.sum()), len(wrong)),
        "errors_caught_by_flags": _share(caught, int(wrong.sum())),
        "precision_of_flags": _share(caught, int(flagged.sum())),
        "accuracy_of_unflagged": _share(int((~wrong & ~flagged).sum()), int((~flagged).sum())),
    }


def _caught(wrong: NDArray[np.bool_], score: NDArray[np.float64], flags: int) -> float | None:
    """Count the errors among as many rows of the highest scores; None where there are none."""
    if not wrong.any():
        return None
    # Half a row more, so that no rounding takes one away.
    return metrics.errors_caught(wrong, score, min((flags + 0.5) / len(wrong), 1.0)) * int(wrong.sum())


def _calibration(wrong: NDArray[np.bool_], p_wrong: NDArray[np.float64]) -> dict[str, float | None]:
    return {
        "predicted_error_rate": float(p_wrong.mean()) if len(wrong) else None,
        "observed_error_rate": _share(int(wrong.sum()), len(wrong)),
        "ece": _known(metrics.ece(wrong, p_wrong)),
        "brier": _known(metrics.brier(wrong, p_wrong)),
    }


def _intervals(
    wrong: NDArray[np.bool_], scores: Sequence[NDArray[np.float64]], resamples: int, seed: int, groups: Groups
) -> dict[str, dict[str, Interval | None]]:
    """All metrics of p_wrong and max softmax, and their differences on the same resamples, which are drawn once."""
    alone = [{name: of(wrong, score, 0.95, groups) for name, of in INTERVALS.items()} for score in scores]
    if same_order(*scores):
        apart = {name: Interval(0.0, 0.0, 0.0) if one.known else one for name, one in alone[0].items()}
    else:
        draws = resampled(wrong, scores, resamples=resamples, seed=seed, groups=groups)
        values = np.array([[[metric(*pair) for pair in both] for metric in METRICS.values()] for both in draws])
        values = values.reshape(-1, len(METRICS), 2)
        apart = {
            name: difference(alone[0][name], alone[1][name], correlation(values[:, i]))
            for i, name in enumerate(METRICS)
        }
    columns = {P_WRONG: alone[0], MAX_SOFTMAX: alone[1], DIFFERENCE: apart}
    return {name: {key: one if one.known else None for key, one in of.items()} for name, of in columns.items()}


def _unknown_labels(rows: pa.Table, classes: Sequence[str] | None) -> dict[str, int]:
    if classes is None:
        return {}
    counts = Counter(_column(rows, "label").to_pylist())
    known, several = frozenset(classes), task_of(rows) == "multilabel"
    return {
        label: count
        for label, count in sorted(counts.items())
        if not known.issuperset(parts(label, known)[0] if several else [label])
    }


def _no_match(names: Sequence[str], labels: Mapping[str, str]) -> str:
    if not labels:
        return "there are no labels; give at least one file name with its label"
    return (
        f"no label has the name of a screened image: images are named like {names[0]!r}, labels like "
        f"{next(iter(labels))!r}; name them by the path relative to the folder that was screened, with forward slashes"
    )


def _column(table: pa.Table, name: str) -> Any:
    if name in table.column_names:
        return table[name]
    advice = "join the labels first" if name in ("label", "correct") else "it is no verdict table"
    raise InputError(f"the table has no column {name!r}; {advice}")


def _numbers(rows: pa.Table, name: str) -> NDArray[np.float64]:
    column = _column(rows, name)
    values = np.asarray(column.to_numpy(), dtype=np.float64)
    if missing := int(np.isnan(values).sum()):
        raise InputError(
            f"the column {name!r} is empty in {missing} of {len(values)} rows that were read; screen again"
        )
    return values


def _mask(column: Any) -> NDArray[np.bool_]:
    return np.asarray(column.to_pylist(), dtype=np.bool_)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
