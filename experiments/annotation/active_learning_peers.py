"""Strategies of other projects, called as their documentation shows: scikit-activeml 1.0.1 and Baal 2.1.0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.annotation.active_learning_loop import Round, Rows, Strategy
from experiments.annotation.active_learning_strategies import committee


def strongest_peers() -> dict[str, Strategy]:
    """Return those that saved most on a first look (digits, seed 0), by project and the names of their classes."""
    from skactiveml import pool

    return {
        "skactiveml UncertaintySampling": _skactiveml(
            lambda seed: pool.UncertaintySampling(method="margin_sampling", missing_label=-1, random_state=seed), "clf"
        ),
        "skactiveml Falcun": _skactiveml(lambda seed: pool.Falcun(missing_label=-1, random_state=seed), "clf"),
    }


def quick_peers() -> dict[str, Strategy]:
    """Return others that take about as long."""
    from baal.active import heuristics
    from skactiveml import pool

    return {
        "skactiveml Clue": _skactiveml(lambda seed: pool.Clue(missing_label=-1, random_state=seed), "estimator"),
        "baal Entropy": _baal(heuristics.Entropy()),
        "baal BALD": _baal(heuristics.BALD(), committee),
    }


def slow_peers() -> dict[str, Strategy]:
    """Return the others that were tried."""
    from skactiveml import pool

    return {
        "skactiveml Badge": _skactiveml(lambda seed: pool.Badge(missing_label=-1, random_state=seed), "clf"),
        "skactiveml CoreSet": _skactiveml(lambda seed: pool.CoreSet(missing_label=-1, random_state=seed)),
        "skactiveml TypiClust": _skactiveml(lambda seed: pool.TypiClust(missing_label=-1, random_state=seed)),
        "skactiveml MaxHerding": _skactiveml(lambda seed: pool.MaxHerding(missing_label=-1, random_state=seed)),
    }


def _skactiveml(make: Callable[[int], Any], model: str = "") -> Strategy:
    """Wrap a strategy; `model` names the argument that takes the head, which is fitted already."""

    def choose(at: Round) -> Rows:
        answers = np.full(len(at.features), -1)
        answers[at.labelled] = at.answers
        more = {} if not model else {model: _wrapped(at), "fit_" + model: False}
        return np.asarray(make(at.seed).query(at.features, answers, batch_size=at.n, **more))

    return choose


def _wrapped(at: Round) -> Any:
    from skactiveml.classifier import SklearnClassifier
    from sklearn.frozen import FrozenEstimator

    classifier = SklearnClassifier(FrozenEstimator(at.head), classes=at.head.classes_, missing_label=-1)
    return classifier.fit(at.features[at.labelled], at.answers)


def _baal(heuristic: Any, opinions: Callable[[Round], Any] | None = None) -> Strategy:
    def choose(at: Round) -> Rows:
        probs = at.probs if opinions is None else opinions(at)
        return at.candidates[np.asarray(heuristic(probs[at.candidates]))[: at.n]]

    return choose
