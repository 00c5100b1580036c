"""The strategies of the package, and the usual ones that look at the head alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from experiments.annotation.active_learning_loop import Round, Rows, Strategy, probabilities, trained
from uncertainty.annotation import strategies
from uncertainty.annotation.candidates import Candidates
from uncertainty.annotation.facility_location import covering, facility_location
from uncertainty.outputs import Floats

COMMITTEE = 5


def margin(at: Round) -> Floats:
    """(n,) 1 minus the difference between the two largest probabilities."""
    top = np.sort(at.probs, axis=1)
    return 1 - (top[:, -1] - top[:, -2])


def committee(at: Round) -> Floats:
    """(n, c, m) probabilities of heads that were trained on bootstrap draws of the labelled rows."""
    rng, members = np.random.default_rng([at.seed, 2]), []
    while len(members) < COMMITTEE:
        rows = at.labelled[rng.integers(len(at.labelled), size=len(at.labelled))]
        if len(np.unique(at.task.labels[rows])) > 1:
            head = trained(at.features[rows], at.task.labels[rows])
            members.append(probabilities(head, at.features, at.task.classes))
    return np.stack(members, axis=2)


def packaged(strategy: Callable[..., Rows], doubt: Callable[[Round], Floats] = margin) -> Strategy:
    """Wrap a strategy of the package: rows of length 1, and `doubt` in the place of p_wrong."""

    def choose(at: Round) -> Rows:
        x = at.features / np.maximum(np.linalg.norm(at.features, axis=1, keepdims=True), 1e-9)
        rows = at.candidates
        return rows[strategy(Candidates(doubt(at)[rows], x[rows], at.probs[rows], x[at.labelled], at.seed), at.n)]

    return choose


OURS = "ours: covering"
STRATEGIES: dict[str, Strategy] = {
    "random": packaged(strategies.random),
    "margin": packaged(strategies.uncertainty),
    "k-centre": packaged(strategies.k_centre),
    "BADGE": packaged(strategies.badge),
    "weighted k-means": packaged(strategies.weighted_kmeans),
    "facility location": packaged(facility_location),
    OURS: packaged(covering),
}
"""What the package offers, with the margin of the head as doubt, and what it would do with other doubts."""
