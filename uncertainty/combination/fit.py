"""How the combiner is learnt from calibration rows: experts and gates with ridges, everything judged out of fold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.evidence_rows import CONDITIONS, Evidence
from uncertainty.combination.folds import FOLDS, folds
from uncertainty.combination.held_regression import Prior, fitted
from uncertainty.combination.mixture import Basis, Condition, Floats, Linear, Mixture
from uncertainty.combination.platt_scaling import PlattScaling
from uncertainty.combination.tails import Tails
from uncertainty.errors import CalibrationError
from uncertainty.metrics.row_log_loss import row_losses

FEW_ERRORS = 10
# How strongly weights are held back. No strength is chosen by errors: of few errors that chooses noise.
_RIDGE, _GATE_RIDGE, _CLASS_RIDGE = 10.0, 3.0, 10.0
_FEW = 10
"""With e errors all of them are 1 + 10 / (e + 1) times as strong, since what so few say is mostly chance."""
_MOST_CLASSES = 1000
# The start: so much of log-odds a spread, shared by the scores that are begun with; they repeat each other in part.
_START, _SHARED = 1.8, 0.75
_ROWS, _ERRORS = 20, 50
"""Rows of which the start is half as steep as of many, and errors from which on half of it, and later more, is the
posterior that labels have taught."""


@dataclass(frozen=True, eq=False)
class Combination:
    """A fitted combiner, p_wrong of each calibration row from folds without it, and what there is to say.

    `folds` (n,) are those of the rows, and `without` the combiner that was fitted without each of them.
    """

    combiner: Mixture
    out_of_fold: Floats
    report: dict[str, Any]
    notes: tuple[str, ...]
    folds: NDArray[np.int64]
    without: tuple[Mixture, ...]


def combine(evidence: Evidence, seed: int = 0) -> Combination:
    """Fit a combiner to calibration rows.

    The clean expert is drawn towards a start that needs no errors: equal weights on the best score of each kind of
    evidence, and with more errors on the posterior that labels have taught. Errors move it from there. The damaged
    expert is drawn towards the clean one. Few errors move all of it less, see `_held`; several labels, see `_scaled`.
    """
    if not evidence.rows("clean").any():
        raise CalibrationError("calibration has no rows; give labelled images that the classifier was not trained on")
    from threadpoolctl import threadpool_limits

    # Many small products: more threads only wait for each other, and could change the last bits of the result.
    with threadpool_limits(limits=1):
        return _mixed(evidence, _folds(evidence, seed))


def combined_without(evidence: Evidence, left_out: NDArray[np.bool_], like: Mixture) -> Mixture:
    """Return a combiner of the same experts and gates, fitted to the rows that are not left out."""
    return _mixture(evidence, ~left_out, _basis(evidence, ~left_out), list(like.experts), list(like.gates))


def _mixed(evidence: Evidence, folds: NDArray[np.int64]) -> Combination:
    """Fit once without each fold and once to all rows."""
    gates = [c for c in CONDITIONS[1:] if evidence.rows(c).any() or (c == "foreign" and evidence.by_distance)]
    experts: list[Condition] = ["clean"]
    if "damaged" in gates and evidence.errors("damaged") >= FEW_ERRORS:
        experts.append("damaged")
    elif "damaged" in gates:
        gates.remove("damaged")
    trained = [folds != fold for fold in range(FOLDS)]
    bases = [_basis(evidence, rows) for rows in trained]
    every = np.ones(len(folds), dtype=bool)
    combiner = _mixture(evidence, every, _basis(evidence, every), experts, gates)
    without = tuple(_mixture(evidence, rows, basis, experts, gates) for rows, basis in zip(trained, bases, strict=True))
    if evidence.classes == 0:
        combiner, without = _scaled(evidence, folds, combiner, without)
    out_of_fold = np.empty(len(folds))
    for rows, fold in zip(trained, without, strict=True):
        out_of_fold[~rows] = fold.p_wrong(evidence.signals.take(~rows))
    return Combination(
        combiner=combiner,
        out_of_fold=out_of_fold,
        report={
            "combiner": "mixture",
            "experts": {c: {"errors": evidence.errors(c), "ridge": _RIDGE * _held(evidence, every)} for c in experts},
            "estimators": list(evidence.names),
            **_judged(evidence, out_of_fold),
        },
        notes=few_errors(evidence),
        folds=folds,
        without=without,
    )


def _scaled(
    evidence: Evidence, folds: NDArray[np.int64], combiner: Mixture, without: tuple[Mixture, ...]
) -> tuple[Mixture, tuple[Mixture, ...]]:
    """Give the clean expert the level and the slope that it has for rows that it did not learn from.

    With several labels the posterior, and so the start, takes the decisions of an image for independent: it is too
    timid. Weights that are held to it stay so, and a start as steep as it should be ranks worse.
    """
    clean, outer = evidence.rows("clean"), np.empty(len(folds))
    for fold, mixture in enumerate(without):
        outer[folds == fold] = mixture.experts["clean"](mixture.basis(evidence.signals.take(folds == fold)))
    inner = _without_pairs(evidence, folds)
    each = (_rescaled(evidence, clean & (folds != k), inner[k], without[k]) for k in range(FOLDS))
    return _rescaled(evidence, clean, outer, combiner), tuple(each)


def _without_pairs(evidence: Evidence, folds: NDArray[np.int64]) -> Floats:
    """Return (folds, n) log-odds of each row by clean experts that saw neither its fold nor that of the first axis."""
    log_odds = np.empty((FOLDS, len(folds)))
    for pair in combinations(range(FOLDS), 2):
        rows = ~np.isin(folds, pair)
        basis = _basis(evidence, rows)
        expert = _expert(evidence, rows, basis, "clean")
        for unseen, judged in (pair, pair[::-1]):
            log_odds[unseen, folds == judged] = expert(basis(evidence.signals.take(folds == judged)))
    return log_odds


def _rescaled(evidence: Evidence, rows: NDArray[np.bool_], log_odds: Floats, mixture: Mixture) -> Mixture:
    ridge = _RIDGE * _held(evidence, rows)
    scaling = PlattScaling.fit(log_odds[rows], evidence.taught[rows], evidence.counts("clean")[rows], ridge)
    return replace(mixture, experts=mixture.experts | {"clean": scaling.of_expert(mixture.experts["clean"])})


def _judged(evidence: Evidence, p: Floats) -> dict[str, float]:
    clean = evidence.rows("clean")
    weights = evidence.weights[clean]
    return {
        "error_rate": float(np.average(evidence.wrong[clean], weights=weights)),
        "log_loss": float(np.average(row_losses(p[clean], evidence.wrong[clean]), weights=weights)),
    }


def few_errors(evidence: Evidence) -> tuple[str, ...]:
    """Say of which rows there are too few errors to learn much, or anything, from."""
    damaged = evidence.errors("damaged")
    notes = _few_clean_errors(evidence)
    if evidence.rows("damaged").any() and damaged < FEW_ERRORS:
        few = f"the damaged copies have {damaged} errors, fewer than {FEW_ERRORS}"
        notes.append(f"{few}: nothing is learnt from them")
    return tuple(notes)


def _few_clean_errors(evidence: Evidence) -> list[str]:
    if (errors := evidence.errors("clean")) >= FEW_ERRORS:
        return []
    start = ", ".join(name for name, begun in zip(evidence.names, evidence.start, strict=True) if begun) or "all scores"
    return [
        f"calibration has {errors} errors, fewer than {FEW_ERRORS}: p_wrong ranks much as equal weights on {start} do, "
        "and its level is uncertain; give more labelled images"
    ]


def _folds(evidence: Evidence, seed: int) -> NDArray[np.int64]:
    """Put each row into the fold of its image; the first row of an image is the clean one."""
    images, first = np.unique(evidence.groups, return_index=True)
    clusters = None if evidence.clusters is None else evidence.clusters[first]
    return folds(evidence.wrong[first], seed, clusters)[np.searchsorted(images, evidence.groups)]


def _clean(evidence: Evidence, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    clean = rows & (evidence.counts("clean") > 0)
    # Of a single row of calibration its fold leaves nothing.
    return clean if clean.any() else evidence.rows("clean")


def _tails(evidence: Evidence, rows: NDArray[np.bool_]) -> Tails:
    clean = _clean(evidence, rows)
    columns = [] if evidence.far is None else np.flatnonzero(evidence.far).tolist()
    return Tails.of(evidence.signals.scores[clean], columns, evidence.counts("clean")[clean], evidence.unknown)


def _basis(evidence: Evidence, rows: NDArray[np.bool_]) -> Basis:
    clean = _clean(evidence, rows)
    classes = evidence.classes if evidence.classes <= _MOST_CLASSES else 0
    return Basis.of(evidence.scales, evidence.signals.take(clean), classes, evidence.counts("clean")[clean])


def _mixture(
    evidence: Evidence,
    rows: NDArray[np.bool_],
    basis: Basis,
    experts: list[Condition],
    gates: list[Condition],
) -> Mixture:
    clean = _expert(evidence, rows, basis, "clean")
    return Mixture(
        names=evidence.names,
        basis=basis,
        experts={c: clean if c == "clean" else _expert(evidence, rows, basis, c, clean) for c in experts},
        gates={c: _gate(evidence, rows, basis, c) if evidence.rows(c).any() else _tails(evidence, rows) for c in gates},
    )


def _held(evidence: Evidence, rows: NDArray[np.bool_]) -> float:
    """Return how many times as strong as with many errors ridges are, for the errors among clean rows."""
    wrong = rows & evidence.rows("clean") & evidence.wrong
    return 1 + _FEW / (1 + float(evidence.counts("clean")[wrong].sum()))


def _expert(
    evidence: Evidence, rows: NDArray[np.bool_], basis: Basis, condition: Condition, like: Linear | None = None
) -> Linear:
    """Fit P(wrong | x, condition), drawn to another expert, or to the start.

    The clean one does not read context, which says nothing about clean images.
    """
    m, counts = len(evidence.names), evidence.counts(condition)
    own = rows & (counts > 0)
    used = np.append(np.ones(m, dtype=bool), [condition != "clean", True])[basis.sources]
    of_class = basis.sources == m + 1
    center = _start(evidence, own, basis) if like is None else np.array(like.weights)
    prior = Prior(
        ridge=_held(evidence, rows) * np.where(of_class, _CLASS_RIDGE, _RIDGE)[used],
        lowest=np.where(of_class, -np.inf, 0.0)[used],
        center=center[used],
        further=1.0,
    )
    return fitted(basis(evidence.signals.take(own)), evidence.taught[own], counts[own], prior, used)


def _start(evidence: Evidence, rows: NDArray[np.bool_], basis: Basis) -> Floats:
    """Return the weights that the clean expert is drawn towards.

    F scores that are begun with have a weight of c / F^0.75 in spreads, which no error is needed to set; less where
    a score calls many right images wrong, and all of it where few rows tell the spreads. With e errors, e / (e + 50)
    of this is the posterior in its place.
    """
    begun = evidence.start > 0
    if not (begun | evidence.posterior).any():
        begun = np.ones(len(begun), dtype=bool)
    each = np.where(begun, _START / max(1, begun.sum()) ** _SHARED, 0.0) * _trusted(evidence, rows)
    counts = evidence.counts("clean")
    count, errors = counts[rows].sum(), counts[rows & evidence.wrong].sum()
    each *= count / (count + _ROWS)
    learnt = np.where(evidence.posterior, basis.spreads, 0.0)
    share = errors / (errors + _ERRORS) if evidence.posterior.any() else 0.0
    if not begun.any():
        share = 1.0
    weights = np.zeros(len(basis.sources))
    first = np.searchsorted(basis.sources, np.arange(len(begun)))  # the first hinge of each score
    weights[first] = share * learnt + (1 - share) * each
    return weights


def _trusted(evidence: Evidence, rows: NDArray[np.bool_]) -> Floats:
    """Return (m,) in 0..1: less for a score that is above a half, so for an error, on many right rows."""
    right = rows & ~evidence.wrong
    weights = evidence.counts("clean")[right]
    doubted = weights @ (evidence.signals.scores[right] > 0.5) / max(weights.sum(), 1e-12)
    limits = np.where(evidence.start > 0, evidence.start, np.inf)
    return np.asarray(np.maximum(1 - doubted / (2 * limits), 0.0))


def _gate(evidence: Evidence, rows: NDArray[np.bool_], basis: Basis, condition: Condition) -> Linear:
    """Fit the log-odds of a condition against clean; weights may have either sign, the intercept holds the shares."""
    both = rows & (evidence.rows("clean") | evidence.rows(condition))
    weights, hit = evidence.weights, evidence.rows(condition).astype(np.float64)
    if evidence.shares is not None:
        of_both = evidence.shares[:, [0, CONDITIONS.index(condition)]]
        weights, hit = weights * of_both.sum(axis=1), of_both[:, 1] / np.maximum(of_both.sum(axis=1), 1e-12)
    used = basis.sources != len(evidence.names) + 1
    ridge = _held(evidence, rows) * _GATE_RIDGE
    prior = Prior(np.full(int(used.sum()), ridge), np.full(int(used.sum()), -np.inf))
    return fitted(basis(evidence.signals.take(both)), hit[both], weights[both], prior, used)
