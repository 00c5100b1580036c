"""Is another way to combine the scores better than the mixture?
python -m experiments.detection.combiners --data FOLDER.

Other learners see calibration as it is, without damaged and foreign copies, as most users would stack scores; the
mixture's clean expert alone does too. All take the same scores, and but for `max softmax` give a probability.
Boosting and ridge regressions can only rise with a score. Nothing is chosen by what is measured on the streams.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.detection import combiners_page
from experiments.detection.combiners_page import ALONE, MIXTURE, SINGLE
from experiments.shared import results_file
from experiments.shared.combiner_evidence import Seen, Stream, sets, taken
from experiments.shared.command_line import Options, options, say
from experiments.shared.fitted_screener import MAX_SOFTMAX
from uncertainty.combination.evidence_rows import Evidence
from uncertainty.combination.fit import _CLASS_RIDGE, _folds, combine
from uncertainty.combination.held_regression import Prior
from uncertainty.combination.held_regression import fitted as held
from uncertainty.combination.mixture import Basis, Floats, Linear, expit
from uncertainty.metrics import augrc, e_aurc, log_loss

RIDGES = (3.0, 30.0, 300.0)
USUAL = 30.0
NAME = "combiners"
Rows = NDArray[np.bool_]
Learn = Callable[[Evidence, Rows, Basis], Callable[[Floats], Floats]]
"""From calibration rows to log-odds of the basis' inputs."""


def hinges(ridge: float) -> Learn:
    """Ridge logistic regression on four hinges a score: additive, monotone, piecewise linear."""
    return lambda evidence, rows, basis: _logistic(evidence, rows, basis, basis.sources < len(evidence.names), ridge)


def linear(ridge: float) -> Learn:
    """Ridge logistic regression with one slope a score, not below 0."""
    return lambda evidence, rows, basis: _logistic(evidence, rows, basis, _first(basis, len(evidence.names)), ridge)


def single(name: str) -> Learn:
    """Calibrate one score: its hinges alone."""

    def learn(evidence: Evidence, rows: Rows, basis: Basis) -> Linear:
        return _logistic(evidence, rows, basis, basis.sources == evidence.names.index(name), 1.0, classes=False)

    return learn


def boosting(evidence: Evidence, rows: Rows, basis: Basis) -> Callable[[Floats], Floats]:
    """Monotone gradient boosting: 60 small trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    m = len(evidence.names)
    columns = _first(basis, m)
    model = HistGradientBoostingClassifier(
        max_leaf_nodes=6,
        max_iter=60,
        learning_rate=0.05,
        l2_regularization=10,
        min_samples_leaf=20,
        monotonic_cst=[1] * m,
        early_stopping=False,
    ).fit(basis(evidence.signals.take(rows))[:, columns], evidence.wrong[rows])
    return lambda inputs: np.asarray(model.decision_function(inputs[:, columns]))


def _first(basis: Basis, m: int) -> Rows:
    """Return the mask of the first hinge of each score, which is the score itself."""
    return np.isin(np.arange(len(basis.sources)), np.searchsorted(basis.sources, np.arange(m)))


def _logistic(
    evidence: Evidence, rows: Rows, basis: Basis, used: Rows, ridge: float, *, classes: bool = True
) -> Linear:
    of_class = (basis.sources == len(evidence.names) + 1) & classes
    used = used | of_class
    return held(
        basis(evidence.signals.take(rows)),
        evidence.wrong[rows],
        np.ones(int(rows.sum())),
        Prior(np.where(of_class, _CLASS_RIDGE, ridge)[used], np.where(of_class, -np.inf, 0.0)[used], further=1.0),
        used,
    )


def out_of_fold(evidence: Evidence, learn: Learn) -> Floats:
    """(n,) log-odds of the clean rows, each from a model that did not see its fold; 0 elsewhere."""
    clean, fold = evidence.rows("clean"), _folds(evidence, seed=0)
    log_odds = np.zeros(len(clean))
    for k in np.unique(fold[clean]):
        rows, held_out = clean & (fold != k), clean & (fold == k)
        basis = _basis(evidence, rows)
        log_odds[held_out] = learn(evidence, rows, basis)(basis(evidence.signals.take(held_out)))
    return log_odds[clean]


def _basis(evidence: Evidence, rows: Rows) -> Basis:
    return Basis.of(evidence.scales, evidence.signals.take(rows), evidence.classes)


def best_ridge(evidence: Evidence, family: Callable[[float], Learn]) -> float:
    """Choose the ridge with the lowest log loss out of fold."""
    wrong = evidence.wrong[evidence.rows("clean")]
    return min(RIDGES, key=lambda ridge: log_loss(wrong, expit(out_of_fold(evidence, family(ridge)))))


def best_single(evidence: Evidence) -> str:
    """Return the score with the lowest AUGRC on calibration; scores that learn nothing need no folds for this."""
    clean = evidence.rows("clean")
    ranked = [augrc(evidence.wrong[clean], column) for column in evidence.signals.scores[clean].T]
    return evidence.names[int(np.argmin(ranked))]


def stacked(evidence: Evidence, members: dict[str, Learn]) -> Floats:
    """Super-learning: weights >= 0 of the members' log-odds out of fold, and an intercept; drawn to their mean."""
    held_out = np.stack([out_of_fold(evidence, learn) for learn in members.values()], axis=1)
    wrong = evidence.wrong[evidence.rows("clean")]
    k = len(members)
    prior = Prior(np.full(k, 20.0), np.zeros(k), 1 / k)
    found = held(held_out, wrong, np.ones(len(wrong)), prior, np.ones(k, dtype=bool))
    return np.append(found.weights, found.intercept)


def learnt(evidence: Evidence) -> tuple[str, Basis, dict[str, Callable[[Floats], Floats]]]:
    """Fit each learner to the clean rows; returns the best single score, the basis, and log-odds by learner."""
    clean, name = evidence.rows("clean"), best_single(evidence)
    basis = _basis(evidence, clean)
    members = {"linear": linear(USUAL), "hinges": hinges(USUAL), "boosting": boosting, SINGLE: single(name)}
    models = {member: learn(evidence, clean, basis) for member, learn in members.items()}
    for family, of in {"linear": linear, "hinges": hinges}.items():
        models[f"{family} chosen"] = of(best_ridge(evidence, of))(evidence, clean, basis)
    weights = stacked(evidence, members)
    stack = [models[member] for member in members]
    models["stack"] = lambda x: np.stack([model(x) for model in stack], axis=1) @ weights[:-1] + weights[-1]
    return name, basis, models


def cross_validated(evidence: Evidence) -> dict[str, Floats]:
    """(n,) p of an error of the clean rows by learner, from fits without their fold, all choices made anew in each."""
    clean = taken(evidence.rows("clean"), evidence)
    fold, held_out = _folds(clean, seed=0), {}
    for k in np.unique(fold):
        _, basis, models = learnt(taken(fold != k, clean))
        inputs = basis(clean.signals.take(fold == k))
        for name, model in models.items():
            held_out.setdefault(name, np.empty(len(fold)))[fold == k] = expit(model(inputs))
    return held_out


def measured(seen: Seen) -> dict[str, Any]:
    """Return the numbers of a split by stream and method; JSON values.

    The mixture is cross-validated by itself, in the same folds: only its ridges were chosen by all of them.
    """
    evidence = seen.calibration
    combination, clean = combine(evidence), evidence.rows("clean")
    mixture = combination.combiner
    name, basis, models = learnt(evidence)
    experts = {**models, "clean expert": mixture.experts["clean"]}
    alone = replace(mixture, experts={**mixture.experts, "clean": models[SINGLE]})

    def judged(stream: Stream) -> dict[str, Any]:
        p = {MIXTURE: mixture.p_wrong(stream.signals), ALONE: alone.p_wrong(stream.signals)}
        p[MAX_SOFTMAX] = seen.softmax(stream)
        inputs = basis(stream.signals)
        p |= {learner: expit(model(inputs)) for learner, model in experts.items()}
        return {method: numbers(stream.wrong, values) for method, values in p.items()}

    held_out = {
        MIXTURE: combination.out_of_fold[clean],
        MAX_SOFTMAX: seen.softmax(Stream(evidence.signals.take(clean), evidence.wrong[clean])),
        **cross_validated(evidence),
    }
    calibration = {method: numbers(evidence.wrong[clean], values) for method, values in held_out.items()}
    streams = {regime: judged(stream) for regime, stream in seen.streams.items()}
    return {"single": name, "calibration": calibration, **streams}


def numbers(wrong: Rows, p: Floats) -> dict[str, float]:
    """Judge one method on one stream."""
    return {"e_aurc": e_aurc(wrong, p), "augrc": augrc(wrong, p), "log_loss": log_loss(wrong, p)}


def main(chosen: Options) -> None:
    """Measure what has its data, print and write the page and the numbers."""
    results: dict[str, Any] = {}
    for name, make in sets(chosen).items():
        rows = []
        for seed, seen in enumerate(make()):
            say(f"{name}: split {seed + 1} of {chosen.splits}")
            rows.append(measured(seen.at("fast")))
        results[name] = results_file.transposed(rows)
    results_file.publish(chosen.out, NAME, results, combiners_page.document)


if __name__ == "__main__":
    main(options(__doc__))
