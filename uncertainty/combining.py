"""How the combiner is learnt from calibration rows: experts and gates with ridges, everything judged out of fold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.combiner import Basis, Combiner, Condition, Floats, Linear, Mixture, RankAverage, Scale, Signals, expit
from uncertainty.errors import CalibrationError

FEW_ERRORS, TOO_FEW_ERRORS = 50, 10
CONDITIONS: tuple[Condition, ...] = ("clean", "damaged", "foreign")
_RIDGES = (10.0, 30.0, 100.0, 1000.0)
_GATE_RIDGE, _CLASS_RIDGE = 3.0, 10.0
_MOST_CLASSES = 1000
_FOLDS = 5
_KNOTS = 101


@dataclass(frozen=True, eq=False)
class Evidence:
    """Calibration rows.

    Parameters
    ----------
    names, scales, essential : (m,) of the estimators; the essential ones are kept when errors are few.
    signals : of n rows.
    classes : number of classes.
    wrong : (n,) whether the classifier was wrong.
    condition : (n,) position in CONDITIONS.
    weights : (n,) what a row counts: 1 if clean; copies so much that each condition has its declared share.
    groups : (n,) the image that a row comes from; copies are in the fold of their original.

    """

    names: tuple[str, ...]
    scales: tuple[Scale, ...]
    essential: NDArray[np.bool_]
    signals: Signals
    classes: int
    wrong: NDArray[np.bool_]
    condition: NDArray[np.int64]
    weights: Floats
    groups: NDArray[np.int64]

    def rows(self, condition: Condition) -> NDArray[np.bool_]:
        """(n,) which rows are of a condition."""
        return np.asarray(self.condition == CONDITIONS.index(condition))

    def only(self, columns: NDArray[np.bool_]) -> Evidence:
        """Return the same rows with some of the estimators."""
        kept = np.flatnonzero(columns)
        return replace(
            self,
            names=tuple(self.names[k] for k in kept),
            scales=tuple(self.scales[k] for k in kept),
            essential=self.essential[kept],
            signals=replace(self.signals, scores=self.signals.scores[:, kept]),
        )

    def take(self, rows: NDArray[np.bool_]) -> Evidence:
        """Return the rows of a mask."""
        facts = {name: getattr(self, name)[rows] for name in ("wrong", "condition", "weights", "groups")}
        return replace(self, signals=self.signals.take(rows), **facts)

    def errors(self, condition: Condition) -> int:
        """Return the number of errors among the rows of a condition."""
        return int(self.wrong[self.rows(condition)].sum())


@dataclass(frozen=True, eq=False)
class Combination:
    """A fitted combiner, p_wrong of each calibration row from folds without it, and what there is to say.

    A rank average learns nothing from labels but its mean, so there the rows are not held out.
    """

    combiner: Combiner
    out_of_fold: Floats
    report: dict[str, Any]
    notes: tuple[str, ...]


def combine(evidence: Evidence, seed: int = 0) -> Combination:
    """Fit a combiner to calibration rows.

    An expert learns from the errors of its condition: from 50 on all estimators are weighed, from 10 on the essential
    ones, about one for each kind of evidence. With fewer than 10 errors on clean rows nothing is learnt, and ranks are
    averaged. Ridges are chosen by cross-validated log loss; with nothing to learn all weights go to zero and p_wrong
    is the error rate of calibration.
    """
    if not evidence.rows("clean").any():
        raise CalibrationError("calibration has no rows; give labelled images that the classifier was not trained on")
    if evidence.errors("clean") < TOO_FEW_ERRORS:
        return _averaged(evidence)
    from threadpoolctl import threadpool_limits

    # Many small products: more threads only wait for each other, and could change the last bits of the result.
    with threadpool_limits(limits=1):
        return _mixed(evidence, _folds(evidence, seed))


def gain(evidence: Evidence, combination: Combination, columns: NDArray[np.bool_], seed: int = 0) -> str:
    """Say what the estimators in `columns` are worth: log loss on clean rows, out of fold, without and with them.

    Evidence that costs a second network or more passes should earn it.
    """
    if columns.all() or not columns.any():
        return ""
    without = combine(evidence.only(~columns), seed).report["log_loss"]
    with_them = combination.report["log_loss"]
    verdict = "gains" if with_them < without else "gains nothing"
    return f"{verdict}: log loss {without:.4f} without, {with_them:.4f} with it"


def _mixed(evidence: Evidence, folds: NDArray[np.int64]) -> Combination:
    """Choose each expert's ridge out of fold, then fit once without each fold and once to all rows."""
    gates = [c for c in CONDITIONS[1:] if evidence.rows(c).any()]
    experts: list[Condition] = ["clean"]
    notes: list[str] = []
    if "damaged" in gates and evidence.errors("damaged") >= TOO_FEW_ERRORS:
        experts.append("damaged")
    elif "damaged" in gates:
        gates.remove("damaged")
        notes.append(
            f"the damaged copies have {evidence.errors('damaged')} errors, fewer than {TOO_FEW_ERRORS}: "
            "nothing is learnt from them"
        )
    trained = [folds != fold for fold in range(_FOLDS)]
    bases = [_basis(evidence, rows) for rows in trained]
    ridges = {c: _best_ridge(evidence, c, trained, bases) for c in experts}
    out_of_fold = np.empty(len(folds))
    for rows, basis in zip(trained, bases, strict=True):
        fold = _mixture(evidence, rows, basis, ridges, gates)
        out_of_fold[~rows] = fold.p_wrong(evidence.signals.take(~rows))
    every = np.ones(len(folds), dtype=bool)
    return Combination(
        combiner=_mixture(evidence, every, _basis(evidence, every), ridges, gates),
        out_of_fold=out_of_fold,
        report={
            "combiner": "mixture",
            "experts": {c: {"errors": evidence.errors(c), "ridge": ridges[c]} for c in experts},
            "estimators": [n for n, k in zip(evidence.names, _kept(evidence, "clean"), strict=True) if k],
            **_judged(evidence, out_of_fold),
        },
        notes=(*notes, *(note for c in experts for note in _few_errors(evidence, c))),
    )


def _judged(evidence: Evidence, p: Floats) -> dict[str, float]:
    clean = evidence.rows("clean")
    return {
        "error_rate": float(evidence.wrong[clean].mean()),
        "log_loss": float(_row_losses(p[clean], evidence.wrong[clean]).mean()),
    }


def _kept(evidence: Evidence, condition: Condition) -> NDArray[np.bool_]:
    few = evidence.errors(condition) < FEW_ERRORS and evidence.essential.any()
    return evidence.essential if few else np.ones(len(evidence.names), dtype=bool)


def _few_errors(evidence: Evidence, condition: Condition) -> list[str]:
    kept = _kept(evidence, condition)
    if kept.all():
        return []
    names = ", ".join(name for name, keep in zip(evidence.names, kept, strict=True) if keep)
    on = "calibration has" if condition == "clean" else "the damaged copies have"
    return [f"{on} {evidence.errors(condition)} errors, fewer than {FEW_ERRORS}: only {names} are combined"]


def _folds(evidence: Evidence, seed: int) -> NDArray[np.int64]:
    """Deal images to folds, wrong ones first, so that each fold has its share of the errors."""
    images, first = np.unique(evidence.groups, return_index=True)
    order = np.random.default_rng(seed).permutation(len(images))
    dealt = order[np.argsort(~evidence.wrong[first][order], kind="stable")]
    fold = np.empty(len(images), dtype=np.int64)
    fold[dealt] = np.arange(len(images)) % _FOLDS
    return fold[np.searchsorted(images, evidence.groups)]


def _basis(evidence: Evidence, rows: NDArray[np.bool_]) -> Basis:
    clean = rows & evidence.rows("clean")
    classes = evidence.classes if evidence.classes <= _MOST_CLASSES else 0
    return Basis.of(evidence.scales, evidence.signals.take(clean), classes)


def _best_ridge(
    evidence: Evidence, condition: Condition, trained: list[NDArray[np.bool_]], bases: list[Basis]
) -> float:
    own = evidence.rows(condition)
    held_out = np.empty((len(_RIDGES), len(own)))
    for rows, basis in zip(trained, bases, strict=True):
        inputs = basis(evidence.signals.take(own & ~rows))
        for k, ridge in enumerate(_RIDGES):
            held_out[k, own & ~rows] = expit(_expert(evidence, own & rows, basis, condition, ridge)(inputs))
    losses = _row_losses(held_out[:, own], evidence.wrong[own])
    best = losses[losses.mean(axis=1).argmin()]
    worse = losses - best
    error = worse.std(axis=1) / np.sqrt(losses.shape[1])
    return _RIDGES[int(np.flatnonzero(worse.mean(axis=1) <= error)[-1])]


def _mixture(
    evidence: Evidence,
    rows: NDArray[np.bool_],
    basis: Basis,
    ridges: dict[Condition, float],
    gates: list[Condition],
) -> Mixture:
    return Mixture(
        names=evidence.names,
        basis=basis,
        experts={c: _expert(evidence, rows & evidence.rows(c), basis, c, ridge) for c, ridge in ridges.items()},
        gates={c: _gate(evidence, rows, basis, c) for c in gates},
    )


def _expert(evidence: Evidence, rows: NDArray[np.bool_], basis: Basis, condition: Condition, ridge: float) -> Linear:
    """Fit P(wrong | x, condition); the clean one does not read context, which says nothing about clean images."""
    m = len(evidence.names)
    used = np.append(_kept(evidence, condition), [condition != "clean", True])[basis.sources]
    of_class = basis.sources == m + 1
    return _fit(
        basis(evidence.signals.take(rows)),
        evidence.wrong[rows],
        np.ones(int(rows.sum())),
        ridge=np.where(of_class, _CLASS_RIDGE, ridge)[used],
        lowest=np.where(of_class, -np.inf, 0.0)[used],
        used=used,
    )


def _gate(evidence: Evidence, rows: NDArray[np.bool_], basis: Basis, condition: Condition) -> Linear:
    """Fit the log-odds of a condition against clean; weights may have either sign, the intercept holds the shares."""
    both = rows & (evidence.rows("clean") | evidence.rows(condition))
    used = basis.sources != len(evidence.names) + 1
    ridge, lowest = np.full(int(used.sum()), _GATE_RIDGE), np.full(int(used.sum()), -np.inf)
    hit = evidence.rows(condition)[both]
    return _fit(basis(evidence.signals.take(both)), hit, evidence.weights[both], ridge=ridge, lowest=lowest, used=used)


def _fit(
    inputs: Floats, hit: NDArray[np.bool_], weights: Floats, *, ridge: Floats, lowest: Floats, used: NDArray[np.bool_]
) -> Linear:
    """Minimise Σ weight · log loss + ½ Σ ridge · w² over w >= lowest and a free intercept (L-BFGS-B)."""
    from scipy.optimize import minimize

    x, y = inputs[:, used], hit.astype(np.float64)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        w, intercept = parameters[:-1], parameters[-1]
        log_odds = x @ w + intercept
        value = weights @ (np.logaddexp(0, log_odds) - y * log_odds) + ridge @ w**2 / 2
        slope = weights * (expit(log_odds) - y)
        return float(value), np.append(x.T @ slope + ridge * w, slope.sum())

    rate = np.clip(weights @ y / weights.sum(), 1e-6, 1 - 1e-6)
    start = np.append(np.zeros(x.shape[1]), np.log(rate / (1 - rate)))
    bounds = [(low, None) for low in lowest] + [(None, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500}).x
    full = np.zeros(len(used))
    full[used] = found[:-1]
    return Linear(tuple(full.tolist()), float(found[-1]))


def _averaged(evidence: Evidence) -> Combination:
    """Average ranks; the intercept makes the mean p_wrong (errors + ½) / (n + 1), which is never 0."""
    kept = evidence.essential if evidence.essential.any() else np.ones(len(evidence.names), dtype=bool)
    clean = evidence.rows("clean")
    signals = evidence.signals.take(clean)
    knots = np.quantile(signals.scores[:, kept], np.linspace(0, 1, _KNOTS), axis=0).T
    plain = RankAverage(evidence.names, tuple(kept.tolist()), tuple(tuple(k) for k in knots.tolist()), 0.0)
    rate = (evidence.errors("clean") + 0.5) / (clean.sum() + 1)
    fitted = replace(plain, intercept=_shift(plain.contributions(signals).sum(axis=1), rate))
    p = fitted.p_wrong(evidence.signals)
    names = ", ".join(name for name, keep in zip(evidence.names, kept, strict=True) if keep)
    note = (
        f"calibration has {evidence.errors('clean')} errors, fewer than {TOO_FEW_ERRORS}: nothing was learnt from "
        f"them, p_wrong is a rank average of {names} and only its mean is calibrated"
    )
    return Combination(fitted, p, {"combiner": "rank_average", **_judged(evidence, p)}, (note,))


def _shift(log_odds: Floats, rate: float) -> float:
    from scipy.optimize import brentq

    return float(brentq(lambda a: expit(log_odds + a).mean() - rate, -60, 60))


def _row_losses(p: Floats, wrong: NDArray[np.bool_]) -> Floats:
    return np.asarray(-np.log(np.maximum(np.where(wrong, p, 1 - p), 1e-12)))
