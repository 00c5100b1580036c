"""What the comparison's page and figures are made of: cells, the best in each, and what a score costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.shared.costs import Costs
from experiments.shared.fitted_screener import MAX_SOFTMAX
from experiments.shared.image_sets import TITLES
from experiments.shared.results_file import change, over_splits
from experiments.shared.splits import REGIMES
from experiments.shared.thorough_splits import EFFORTS

OURS, SINGLE = "p_wrong", "uncertainty"
"""Projects of our own scores: the combination, whose name goes before the effort, and single estimators."""
BASELINE = MAX_SOFTMAX
COLUMNS = ("mc_probs", "embedding", "tta_probs")
"""Columns that cost more than the plain pass."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One set and regime; `counts` is what the results say of it, `about` whose each score is."""

    images: str
    stream: str
    counts: dict[str, Any]
    about: dict[str, Any]

    @property
    def scores(self) -> dict[str, Any]:
        """Metrics by score, without scores that failed in any split."""
        return {name: m for name, m in self.counts["scores"].items() if None not in m["e_aurc"]}

    def project(self, name: str) -> str:
        """Whose score it is."""
        return str(self.about[name]["project"])

    def e_aurc(self, name: str) -> list[float]:
        """Return a value for each split."""
        values: list[float] = self.counts["scores"][name]["e_aurc"]
        return values

    def mean(self, name: str) -> float:
        """Mean E-AURC."""
        return over_splits(self.e_aurc(name)).value

    def thousandths(self, name: str) -> str:
        """Mean E-AURC x1000, as text."""
        return f"{1000 * self.mean(name):.1f}"

    def metric(self, name: str, key: str, factor: float, decimals: int) -> str:
        """Return the mean of a metric with its interval, as text."""
        mean = over_splits(self.counts["scores"][name][key])
        half = "" if np.isnan(mean.half) else f" ± {mean.half * factor:.{decimals}f}"
        return f"{mean.value * factor:.{decimals}f}{half}"


def cells(results: dict[str, Any]) -> Iterator[Cell]:
    """Go through sets and regimes, in order."""
    for name, result in results["sets"].items():
        for regime, counts in result["regimes"].items():
            yield Cell(TITLES[name], REGIMES[regime], counts, results["scores"])


def best(cell: Cell, *, others: bool) -> str:
    """Return the score with the lowest mean E-AURC, in hindsight, of other projects or of our single estimators."""
    wanted = [n for n in cell.scores if cell.project(n) != OURS and (cell.project(n) != SINGLE) == others]
    return min(wanted, key=cell.mean)


def of_project(cell: Cell, project: str) -> list[str]:
    """Return its scores in this cell."""
    return [name for name in cell.scores if cell.project(name) == project]


def projects(found: Sequence[Cell]) -> list[str]:
    """Return the other projects, in order."""
    named = dict.fromkeys(cell.project(name) for cell in found for name in cell.scores)
    return [project for project in named if project not in (OURS, SINGLE)]


def efforts_of(found: Sequence[Cell]) -> list[str]:
    """Return the efforts that any cell has, in order."""
    names = dict.fromkeys(name for cell in found for name in cell.about if cell.project(name) == OURS)
    return [name.removeprefix(f"{OURS} ") for name in names if any(name in cell.scores for cell in found)]


def everywhere(found: Sequence[Cell]) -> list[tuple[str, float, float]]:
    """Return (score, mean, worst) change against max softmax in per cent, of scores that every cell has, best first."""
    names = [name for name in found[0].scores if all(name in cell.scores for cell in found)]
    changes = {n: [change(cell.e_aurc(n), cell.e_aurc(BASELINE)).value for cell in found] for n in names}
    return sorted(((n, float(np.mean(v)), max(v)) for n, v in changes.items()), key=lambda row: row[1])


def costs_of(costs: Costs, views: float) -> dict[str, float]:
    """Return what each column costs in passes of the classifier, and what each effort costs in all.

    >>> costs_of(Costs(second=2.0, dropout=9.0, dear=True), 5)["p_wrong balanced"]
    4.0
    """
    columns = dict(zip(COLUMNS, (costs.dropout, costs.second, views), strict=True))
    return columns | {f"{OURS} {effort}": costs.of(effort, views) for effort in EFFORTS}


def relative_cost(results: dict[str, Any], images: str, name: str) -> float | None:
    """Return what an image costs for this score, in passes of the classifier; None where it was not measured."""
    result = results["sets"][images]
    if not any(name in regime["scores"] for regime in result["regimes"].values()) or name in result["failed"]:
        return None
    costs = result["costs"]
    return float(
        costs[name] if name in costs else 1 + sum(costs[c] for c in results["scores"][name]["needs"] if c in COLUMNS)
    )
