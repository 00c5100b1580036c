"""Put the summary of all results into experiments/README.md: python -m experiments.detection.readme_summary."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from experiments.detection.quality_page import best_single
from experiments.shared import results_file
from experiments.shared.fitted_screener import MAX_SOFTMAX
from experiments.shared.markdown import SUMMARY, percent, placed, table
from experiments.shared.results_file import change, over_splits
from experiments.shared.splits import REGIMES
from uncertainty.evaluation.screening_quality import P_WRONG

README = Path(__file__).parent.parent / "README.md"
TOLERATED = 3.0
"""Per cent above the best single estimator from which on a cell is told as a loss."""


def summary(results: dict[str, dict[str, Any]]) -> str:
    """Return the table of all sets and regimes, and what was lost."""
    cells = [
        (result["title"], title, result["regimes"][regime])
        for result in results.values()
        for regime, title in REGIMES.items()
        if regime in result["regimes"]
    ]
    head = ["images", "stream", "max softmax", "best single estimator", "p_wrong", "change against max softmax"]
    head += ["against best single", "error rate predicted / observed"]
    counts = ", ".join(f"{result['title']} {len(result['splits'])}" for result in results.values())
    rows = table(head, [_row(*cell) for cell in cells])
    return "\n\n".join([f"Splits: {counts}.", rows, _losses(cells, results)])


def _row(images: str, stream: str, regime: dict[str, Any]) -> list[str]:
    scores, best = regime["scores"], best_single(regime["scores"])
    softmax, single, mine = (scores[name]["e_aurc"] for name in (MAX_SOFTMAX, best, P_WRONG))
    rates = [100 * over_splits(regime[f"{which}_error_rate"]).value for which in ("predicted", "observed")]
    return [
        images,
        stream,
        _thousandths(softmax),
        f"{_thousandths(single)} ({best})",
        f"**{_thousandths(mine)}**",
        percent(change(mine, softmax)),
        percent(change(mine, single)),
        f"{rates[0]:.1f} % / {rates[1]:.1f} %",
    ]


def _losses(cells: list[tuple[str, str, dict[str, Any]]], results: dict[str, dict[str, Any]]) -> str:
    lines = []
    for images, stream, regime in cells:
        scores, best = regime["scores"], best_single(regime["scores"])
        mine, where = scores[P_WRONG]["e_aurc"], f"- {images}, {stream}: p_wrong is"
        if (worse := change(mine, scores[MAX_SOFTMAX]["e_aurc"])).value > 0:
            lines.append(f"{where} worse than max softmax by {percent(worse)}.")
        if (worse := change(mine, scores[best]["e_aurc"])).value > TOLERATED:
            lines.append(f"{where} above {best} by {percent(worse)}.")
    lines += [line for result in results.values() for line in _kinds(result)]
    return "What was lost, in E-AURC:\n\n" + "\n".join(lines or ["- nothing: no cell and no kind of damage."])


def _kinds(result: dict[str, Any]) -> list[str]:
    changes = {
        kind: change(numbers[P_WRONG], numbers[MAX_SOFTMAX]) for kind, numbers in sorted(result["kinds"].items())
    }
    worse = [f"{kind} {percent(mean)}" for kind, mean in changes.items() if mean.value > 0]
    if not worse:
        return []
    return [f"- {result['title']}, inside single kinds of damage, worse than max softmax: {'; '.join(worse)}."]


def _thousandths(values: list[float]) -> str:
    return f"{1000 * over_splits(values).value:.1f}"


def main(folder: Path = results_file.RESULTS) -> None:
    """Write the summary of a folder of results into the README and print it."""
    new = summary(results_file.read(folder))
    README.write_text(placed(README.read_text(encoding="utf-8"), SUMMARY, new), encoding="utf-8")
    sys.stdout.write(new + "\n")


if __name__ == "__main__":
    main()
