"""Verdicts, and labels where there are any, as plain data: everything that the page says, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.evaluation.screening_quality import MAX_SOFTMAX, P_WRONG
from uncertainty.labels.tables import split
from uncertainty.report import curves
from uncertainty.report.decisions import Decisions
from uncertainty.report.matrix import confusion
from uncertainty.report.rows import Rows
from uncertainty.report.together import together

_PRIVATE = ("input_root",)  # where files lie on somebody's machine is nobody else's business


def gather(rows: Rows, summary: Mapping[str, Any], evaluation: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the page says of all images together; the gallery's images are added by `described`."""
    readable, judged = rows.readable, rows.readable & rows.labelled
    classes = rows.classes
    return {
        "classes": classes,
        "estimators": rows.estimators,
        "counts": {
            "images": len(rows),
            "unreadable": int((~readable).sum()),
            "flagged": int(rows.flagged.sum()),
            "flagged_readable": int((rows.flagged & readable).sum()),
            "labelled": int(judged.sum()),
            "errors": int((judged & rows.wrong).sum()),
            "caught": int((judged & rows.wrong & rows.flagged).sum()),
            "expected_errors": float(rows.p_wrong[readable].sum()),
            "expected_in_flagged": float(rows.p_wrong[readable & rows.flagged].sum()),
        },
        "by_rank": bool((np.diff(rows.flagged[readable].astype(int)) <= 0).all()),
        "budget": curves.budgets(
            rows.p_wrong[readable],
            rows.labelled[readable],
            rows.wrong[readable],
            int((rows.flagged & readable).sum()),
        ),
        "charts": _charts(rows, judged),
        "confusion": _confusion(rows, judged, classes),
        "several": None if rows.one_class_each else _several(rows),
        "evaluation": None if evaluation is None else finite(evaluation),
        "summary": finite({key: value for key, value in summary.items() if key not in _PRIVATE}),
    }


def _charts(rows: Rows, judged: NDArray[np.bool_]) -> dict[str, Any]:
    readable = rows.readable
    if not judged.any():
        return {"histogram": curves.histogram(rows.p_wrong, {"all": readable})}
    wrong, p_wrong = rows.wrong[judged], rows.p_wrong[judged]
    raw = rows.scores().get("least_confidence", 1 - rows.confidence)[judged]
    scores = {P_WRONG: p_wrong} | ({} if np.isnan(raw).any() else {MAX_SOFTMAX: raw})
    return {
        "risk": curves.risk_coverage(wrong, scores),
        "histogram": curves.histogram(rows.p_wrong, {"right": judged & ~rows.wrong, "wrong": judged & rows.wrong}),
        "reliability": curves.reliability(wrong, p_wrong),
    }


def _confusion(rows: Rows, judged: NDArray[np.bool_], classes: list[str]) -> dict[str, Any] | None:
    if not judged.any() or not rows.one_class_each:
        return None
    number = {name: k for k, name in enumerate(classes)}
    at = np.flatnonzero(judged).tolist()
    truth, predicted = ([number[str(column[i])] for i in at] for column in (rows.label, rows.predicted))
    return confusion(truth, predicted, rows.flagged[judged].tolist())


def _several(rows: Rows) -> dict[str, Any]:
    decisions = Decisions.of(rows)
    return {"by_class": finite(decisions.by_class(rows.readable)), "together": together(decisions)}


def chosen(rows: Rows, most: int) -> list[int]:
    """Return the rows that the gallery shows: all, or at most so many, flagged and wrong ones first."""
    urgent = rows.flagged | rows.wrong
    order = np.argsort(~urgent, kind="stable")[:most]
    return sorted(order.tolist())


def described(rows: Rows, shown: list[int], classes: list[str]) -> list[dict[str, Any]]:
    """Return one record for each row of the gallery; what is not known is left out."""
    number = {name: k for k, name in enumerate(classes)}
    standing, likeliest, scores = rows.standing(), rows.likeliest(shown), rows.scores()
    decisions, records = None if rows.one_class_each else Decisions.of(rows), []
    for i, top in zip(shown, likeliest, strict=True):
        record = {
            "name": rows.names[i],
            "p": _exact(rows.p_wrong[i]),
            "rank": i + 1,
            "confidence": _exact(rows.confidence[i]),
            "flagged": bool(rows.flagged[i]),
            "predicted": None if decisions else number.get(rows.predicted[i] or ""),
            "suggested": _suggested(rows.suggested[i], number, several=decisions is not None),
            "label": None if decisions or rows.label[i] is None else number[str(rows.label[i])],
            "wrong": _wrong(rows, decisions, i),
            "reasons": rows.reasons[i],
            "error": rows.error[i],
            "top": [[number[name], _exact(p)] for name, p in top],
            "standing": standing[i].tolist() if rows.readable[i] else [],
            "scores": [_short(score[i]) for score in scores.values()] if rows.readable[i] else [],
        }
        sets = decisions.of_image(i) if decisions and rows.readable[i] else {}
        records.append({key: value for key, value in record.items() if value is not None and value != []} | sets)
    return records


def _wrong(rows: Rows, decisions: Decisions | None, i: int) -> bool | None:
    """Say whether an image is wrong; of several labels it may surely be though not every answer is known."""
    if decisions is not None and decisions.wrong[i].any():
        return True
    return bool(rows.wrong[i]) if rows.labelled[i] else None


def _suggested(other: tuple[str, float] | None, number: dict[str, int], *, several: bool) -> list[Any] | None:
    """Return what is suggested and how probable it is: a class, or of several labels a list of them."""
    if other is None:
        return None
    label, sure = other
    named = [number[name] for name in split(label, frozenset(number)) if name in number]
    return [named if several else number.get(label), _exact(sure)]


def finite(value: Any) -> Any:
    """Return plain data with None where a number is NaN or infinite, which JSON can't say.

    >>> finite({"a": [1.0, float("nan")]})
    {'a': [1.0, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _short(value: float, digits: int = 5) -> float | None:
    return None if math.isnan(value) else float(f"{value:.{digits}g}")


def _exact(probability: float) -> float | None:
    """Return a probability that the page shows as the tables do, rounded once."""
    return _short(probability, curves.EXACT)
