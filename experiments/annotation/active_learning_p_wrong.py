"""p_wrong of a pool from nothing but the labels bought so far: the head's answers out of fold calibrate a screener."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.annotation.active_learning_loop import Round, trained
from experiments.annotation.active_learning_strategies import margin
from uncertainty import ModelOutputs, Screener
from uncertainty.errors import UncertaintyError
from uncertainty.outputs import Floats

FOLDS = 5
_NEVER = -30.0
"""Logit of a class that the head has not met yet."""


def p_wrong(at: Round) -> Floats:
    """(n,) p_wrong of the pool; the margin where there are too few labels to fit a screener.

    One half of the labelled rows is the reference, the other calibrates with answers of heads that did not learn from
    them: a row must not be its own neighbour.
    """
    order = np.random.default_rng([at.seed, 4]).permutation(len(at.labelled))
    held_out = ModelOutputs.concatenate([_held_out(at, order[k::FOLDS], order) for k in range(FOLDS)])
    reference, calibration = held_out.take(np.arange(len(order)) % 2 == 0), held_out.take(np.arange(len(order)) % 2 > 0)
    try:
        screener = Screener.fit_outputs(reference.take(~reference.wrong), calibration)
    except UncertaintyError:
        return margin(at)
    pool = np.arange(len(at.features))
    return screener.p_wrong(_outputs(at, at.head, pool, labelled=False)).astype(np.float64)


def _held_out(at: Round, part: NDArray[np.int64], order: NDArray[np.int64]) -> ModelOutputs:
    rest = at.labelled[np.setdiff1d(order, part)]
    answers = at.task.labels[rest]
    head = trained(at.features[rest], answers) if len(np.unique(answers)) > 1 else at.head
    return _outputs(at, head, at.labelled[part], labelled=True)


def _outputs(at: Round, head: Any, rows: NDArray[np.int64], *, labelled: bool) -> ModelOutputs:
    logits = np.full((len(rows), at.task.classes), _NEVER, dtype=np.float32)
    logits[:, head.classes_] = np.log(np.maximum(head.predict_proba(at.features[rows]), np.exp(_NEVER)))
    return ModelOutputs(
        ids=[f"row {row}" if labelled else f"pool {row}" for row in rows],
        logits=logits,
        features=at.features[rows].astype(np.float32),
        labels=at.task.labels[rows] if labelled else None,
    )
