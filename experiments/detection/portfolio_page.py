"""The page of the portfolio, from its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.shared.image_sets import TITLES
from experiments.shared.markdown import percent, table
from experiments.shared.results_file import Mean, change, over_splits
from experiments.shared.splits import REGIMES

EFFORTS = ("fast", "balanced", "thorough")
Cells = dict[tuple[str, str], dict[str, Any]]
"""Numbers by case and stream."""
ABOUT = """\
E-AURC of `p_wrong` against max softmax on the same stream, minus is better: means over {splits} splits with 95 %
t-intervals. The mean over cells weighs each cell alike, and its interval is over the splits. Where the outputs have no
augmented views that the classifier bears, `thorough` is `balanced`. Logits are float64 and tied rows count by their
expected order, so sure rows flatter nobody. Clothing and signs are heads on a frozen EfficientNet-Lite0, with Lite1 as
the second opinion; `cifar56` is a ResNet-56 trained on clean PNG files and met with JPEG."""
LEVELS = """\
ECE of p_wrong over 15 bins of equal mass, and the error rate that it predicts, in per cent, beside the observed one."""
FEW = """\
The same with so many errors in calibration, at its error rate; without errors it keeps the right rows that come with
five. One draw a split, of the cells whose calibration has more errors than that."""


def cells_of(results: dict[str, Any]) -> Cells:
    """Return the numbers by case and stream."""
    return {(name, regime): cell for name, by_regime in results.items() for regime, cell in by_regime.items()}


def changes(cells: Cells, count: str, effort: str) -> dict[tuple[str, str], Mean]:
    """Return the change of E-AURC in each cell that was measured with so many errors."""
    return {key: _change(cell, count, effort) for key, cell in cells.items() if effort in cell.get(count, {})}


def _change(cell: Mapping[str, Any], count: str, effort: str) -> Mean:
    return change(cell[count][effort]["e_aurc"], cell["max_softmax"])


def mean_over_cells(cells: Cells, count: str, effort: str) -> Mean:
    """Average the relative changes over the cells, split by split, so that the interval is over the splits.

    >>> one, two = ({"max_softmax": [2.0, 2.0], "all": {"fast": {"e_aurc": e}}} for e in ([1.0, 1.0], [2.0, 2.0]))
    >>> mean_over_cells({("a", "clean"): one, ("b", "clean"): two}, "all", "fast")
    Mean(value=-25.0, half=0.0)
    """
    relative = []
    for cell in cells.values():
        if effort in cell.get(count, {}):
            mine, softmax = (_floats(v) for v in (cell[count][effort]["e_aurc"], cell["max_softmax"]))
            relative.append(100 * (mine - softmax) / np.nanmean(np.where(np.isnan(mine), np.nan, softmax)))
    return over_splits(np.nanmean(relative, axis=0).tolist()) if relative else Mean(np.nan, np.nan)


def _floats(values: list[float | None]) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def document(results: dict[str, Any]) -> str:
    """Return the page."""
    cells = cells_of(results)
    splits = len(next(iter(cells.values()))["max_softmax"])
    parts = ["# All cells at every effort", " ".join(ABOUT.format(splits=splits).split())]
    parts += [_headline(cells), _by_cell(cells), "## Levels", " ".join(LEVELS.split()), _levels(cells)]
    if counts := _counts(cells):
        parts += ["## Few errors in calibration", " ".join(FEW.split())]
        parts += [_few(cells, counts), _few_by_cell(cells, counts)]
    return "\n\n".join(parts) + "\n"


def _headline(cells: Cells) -> str:
    own = {key for key in cells if key[0] in TITLES}
    groups = {"all": cells, "the three sets": {k: c for k, c in cells.items() if k in own}}
    groups["the arrays"] = {k: c for k, c in cells.items() if k not in own}
    rows = [
        [f"mean over {len(group)} cells, {name}", *(percent(mean_over_cells(group, "all", e)) for e in EFFORTS)]
        for name, group in groups.items()
        if group and (name == "all" or len(group) < len(cells))
    ]
    rows.append(["worst cell", *(_worst(changes(cells, "all", effort)) for effort in EFFORTS)])
    return table(["", *(f"`{effort}`" for effort in EFFORTS)], rows)


def _worst(found: dict[tuple[str, str], Mean]) -> str:
    case, regime = key = max(found, key=lambda k: found[k].value)
    return f"{percent(found[key])}: {_title(case)}, {REGIMES[regime]}"


def _title(case: str) -> str:
    return TITLES.get(case, case)


def _by_cell(cells: Cells) -> str:
    rows = [
        [
            _title(case),
            REGIMES[regime],
            f"{1000 * over_splits(cell['max_softmax']).value:.1f}",
            *(percent(_change(cell, "all", effort)) for effort in EFFORTS),
        ]
        for (case, regime), cell in cells.items()
    ]
    return table(["case", "stream", "max softmax, E-AURC x1000", *(f"`{effort}`" for effort in EFFORTS)], rows)


def _levels(cells: Cells) -> str:
    rows = []
    for (case, regime), cell in cells.items():
        found = {e: {k: 100 * over_splits(v).value for k, v in cell["all"][e].items()} for e in EFFORTS}
        observed = f"{found['fast']['observed_error_rate']:.1f}"
        said = [f"{found[e]['ece']:.1f}; {found[e]['predicted_error_rate']:.1f}" for e in EFFORTS]
        rows.append([_title(case), REGIMES[regime], observed, *said])
    head = ["case", "stream", "error rate observed", *(f"`{effort}`: ECE; predicted" for effort in EFFORTS)]
    return table(head, rows)


def _counts(cells: Cells) -> list[str]:
    found = {count for cell in cells.values() for count in cell if count.isdigit()}
    return sorted(found, key=int)


def _few(cells: Cells, counts: list[str]) -> str:
    rows = []
    for effort in EFFORTS[:2]:
        for what in ("mean", "worst cell"):
            line = []
            for count in counts:
                found = changes(cells, count, effort)
                mean = percent(mean_over_cells(cells, count, effort))
                line.append(f"{mean}, {len(found)} cells" if what == "mean" else _worst(found))
            rows.append([f"`{effort}`, {what}", *line])
    return table(["", *(f"{count} errors" for count in counts)], rows)


def _few_by_cell(cells: Cells, counts: list[str]) -> str:
    columns = [(effort, count) for effort in EFFORTS[:2] for count in counts]
    rows = [
        [_title(case), REGIMES[regime], *(_few_cell(cell, effort, count) for effort, count in columns)]
        for (case, regime), cell in cells.items()
    ]
    return table(["case", "stream", *(f"`{effort}`, {count} errors" for effort, count in columns)], rows)


def _few_cell(cell: Mapping[str, Any], effort: str, count: str) -> str:
    return percent(_change(cell, count, effort)) if effort in cell.get(count, {}) else ""
