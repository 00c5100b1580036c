"""Buying labels in batches: the head is trained again after each, and the accuracy on a fixed test set is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.outputs import Floats

Rows = NDArray[np.int64]
STEPS = 20
DIMENSIONS = 128
STRENGTH = 10.0
"""Inverse strength of the L2 penalty, where the mean squared norm of the features is 1."""
_TEST_SEED, _START_SEED = 11, 12


@dataclass(frozen=True, eq=False)
class Task:
    """A pool to buy labels from and a fixed test set; the first batch is random, and so many are bought in all."""

    features: Floats
    labels: Rows
    test_features: Floats
    test_labels: Rows
    batch: int
    steps: int = STEPS

    @property
    def classes(self) -> int:
        """Number of classes; the pool holds each of them."""
        return int(self.labels.max()) + 1

    @property
    def counts(self) -> list[int]:
        """Labels bought after each step."""
        return [self.batch * (k + 1) for k in range(self.steps)]


@dataclass(frozen=True, eq=False)
class Round:
    """What a strategy may look at: the features of the whole pool, the head, and the labels bought so far."""

    task: Task
    labelled: Rows
    head: Any
    seed: int

    @property
    def features(self) -> Floats:
        """(n, d) features of the pool."""
        return self.task.features

    @property
    def answers(self) -> Rows:
        """Labels of the labelled rows, in their order."""
        return self.task.labels[self.labelled]

    @property
    def n(self) -> int:
        """How many are wanted."""
        return self.task.batch

    @cached_property
    def candidates(self) -> Rows:
        """Rows of the pool without a label."""
        return np.delete(np.arange(len(self.task.labels)), self.labelled)

    @cached_property
    def probs(self) -> Floats:
        """(n, c) what the head says about the whole pool."""
        return probabilities(self.head, self.features, self.task.classes)


Strategy = Callable[[Round], Rows]
"""Returns rows of the pool, `n` different ones without a label."""


def task(features: Floats, labels: Rows, sizes: tuple[int, int], batch: int, seed: int, steps: int = STEPS) -> Task:
    """Draw pool and test set at random and reduce the features by what the pool shows, without its labels."""
    order = np.random.default_rng([seed, _TEST_SEED]).permutation(len(labels))
    pool, test = order[: sizes[0]], order[sizes[0] : sum(sizes)]
    reduced, reduced_test = reduce(features[pool], features[test])
    return Task(reduced, labels[pool], reduced_test, labels[test], batch, steps)


def reduce(pool: Floats, test: Floats) -> tuple[Floats, Floats]:
    """Standardise, keep the main directions and scale to a mean squared norm of 1, all learnt from the pool."""
    from sklearn.decomposition import PCA

    mean, scale = pool.mean(axis=0), pool.std(axis=0)
    scale = scale + 0.1 * scale.mean()  # columns that hardly change stay small
    both = [(part - mean) / scale for part in (pool, test)]
    if pool.shape[1] > DIMENSIONS:
        found = PCA(DIMENSIONS, svd_solver="randomized", random_state=0).fit(both[0])
        both = [found.transform(part) for part in both]
    size = np.sqrt((both[0] ** 2).sum(axis=1).mean())
    return both[0] / size, both[1] / size


def trained(features: Floats, labels: Rows) -> Any:
    """Train the head, which is the same for every strategy."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=STRENGTH, tol=1e-3, max_iter=300).fit(features, labels)


def probabilities(head: Any, features: Floats, classes: int) -> Floats:
    """Return (n, c) probabilities; classes that the head never saw get 0."""
    probs = np.zeros((len(features), classes))
    probs[:, head.classes_] = head.predict_proba(features)
    return probs


def start(task: Task, seed: int) -> Rows:
    """Draw the first batch, the same for every strategy, anew until it holds two classes."""
    for attempt in range(100):
        rows = np.random.default_rng([seed, _START_SEED, attempt]).permutation(len(task.labels))[: task.batch]
        if len(np.unique(task.labels[rows])) > 1:
            return rows
    raise ValueError("100 random batches held a single class each")


def curve(task: Task, strategy: Strategy, seed: int) -> list[float]:
    """Return the accuracy on the test set after each step."""
    labelled, found = start(task, seed), []
    for step in range(task.steps):
        head = trained(task.features[labelled], task.labels[labelled])
        found.append(float((head.predict(task.test_features) == task.test_labels).mean()))
        if step + 1 < task.steps:
            chosen = strategy(Round(task, labelled, head, seed * 1000 + step))
            labelled = np.append(labelled, checked(chosen, labelled, task.batch))
    return found


def checked(chosen: Rows, labelled: Rows, n: int) -> Rows:
    """Return the rows if they are n different ones without a label."""
    rows = np.asarray(chosen, dtype=np.int64)
    if len(rows) != n or len(np.unique(np.append(labelled, rows))) != len(labelled) + n:
        raise ValueError(f"a strategy must choose {n} new rows, each once; got {len(rows)}")
    return rows


def labels_needed(counts: Sequence[int], accuracy: Sequence[float], target: float) -> float:
    """Return how many labels a curve first needs to reach the target, between its points on straight lines.

    A curve that never gets there needs the whole budget. One that starts there needs the first batch. Half-way from
    0.8 at 20 labels to 0.9 at 40:

    >>> labels_needed([20, 40, 60], [0.8, 0.9, 0.95], target=0.85)
    30.0
    """
    for k, value in enumerate(accuracy):
        if value >= target:
            if k == 0:
                return float(counts[0])
            share = (target - accuracy[k - 1]) / (value - accuracy[k - 1])
            return float(counts[k - 1] + share * (counts[k] - counts[k - 1]))
    return float(counts[-1])
