"""What a cascade loses by the share of images that it looks at more deeply, at balanced effort; --data for three more:
python -m experiments.detection.cascade --portfolio FOLDER --splits 2.

Two choices of as many images are compared: those that `--cascade-share` takes, an interval of p_wrong at first sight
that is expected to gain most for the ranking; and those that do gain most, which nobody can know who has not looked at
all of them: no choice loses less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.detection.portfolio import cases
from experiments.shared import results_file
from experiments.shared.command_line import Options, options, say
from experiments.shared.fitted_screener import fitted
from experiments.shared.markdown import table
from experiments.shared.results_file import over_splits
from experiments.shared.splits import REGIMES, Split
from experiments.shared.thorough_splits import EFFORTS, bare, bare_split
from uncertainty.metrics import e_aurc
from uncertainty.screener.cascade import dear_columns
from uncertainty.screener.ranking_gain import ranking_gains

NAME = "cascade"
SHARES = (0.1, 0.2, 0.35, 0.5, 0.65, 0.8)
LEGEND = """\
Each cell is what E-AURC is higher than with full evidence on every image, in per cent of that: with the images that
`--cascade-share` takes / with those that gain most. Means over {splits} splits. The last column is the share of images
that `--cascade` takes, which may lose 1 % on calibration, and what it lost."""


def measured(split: Split, regimes: Sequence[str]) -> dict[str, Any]:
    """Return for every stream what is lost at each share, in per cent; nothing where there is no cascade."""
    without = EFFORTS["balanced"]
    screener = fitted(bare_split(split, without), deeper=dear_columns(dropout=True))
    if (cascade := screener.cascade) is None:
        return {}
    result = {}
    for regime in (r for r in regimes if r in split.streams and len(split.streams[r])):
        stream = bare(split.streams[regime], without)
        cheap = cascade.first_sight(screener.estimators, stream).astype(np.float64)
        full = replace(screener, cascade=None).p_wrong(stream).astype(np.float64)
        usual = cascade.wants(cheap)
        lost = {"0": _lost(stream.wrong, cheap, full, np.zeros(len(full), dtype=bool))}
        order = np.argsort(-ranking_gains(cheap, full, np.ones(len(full))), kind="stable")
        for share in SHARES:
            low, high = cascade.held_out.within(share)
            best = np.isin(np.arange(len(full)), order[: round(share * len(full))])
            lost[f"{share}"] = _lost(stream.wrong, cheap, full, (cheap >= low) & (cheap <= high))
            lost[f"{share} at best"] = _lost(stream.wrong, cheap, full, best)
        lost |= {"usual share": 100 * float(usual.mean()), "usual": _lost(stream.wrong, cheap, full, usual)}
        result[regime] = lost
    return result


def _lost(
    wrong: NDArray[np.bool_], cheap: NDArray[np.float64], full: NDArray[np.float64], deep: NDArray[np.bool_]
) -> float:
    least = e_aurc(wrong, full)
    return 100 * (e_aurc(wrong, np.where(deep, full, cheap)) - least) / max(least, 1e-12)


def document(results: dict[str, Any]) -> str:
    """Return the page, from the numbers."""
    head = ["case", "stream", "nobody", *(f"{share:.0%}" for share in SHARES), "`--cascade`"]
    rows = [
        [name, REGIMES[regime], *_cells(lost)] for name, streams in results.items() for regime, lost in streams.items()
    ]
    splits = max(len(lost["usual"]) for streams in results.values() for lost in streams.values())
    about = " ".join((__doc__ or "").split("\n\n", 1)[1].split())
    parts = ["# What a cascade loses, by how many images look deeper", about, LEGEND.format(splits=splits)]
    return "\n\n".join([*parts, table(head, rows)]) + "\n"


def _cells(lost: dict[str, list[float]]) -> list[str]:
    mean = {name: over_splits(values).value for name, values in lost.items()}
    by_share = (f"{mean[f'{share}']:+.0f} / {mean[f'{share} at best']:+.0f}" for share in SHARES)
    return [f"{mean['0']:+.0f}", *by_share, f"{mean['usual share']:.0f} %: {mean['usual']:+.1f}"]


def main(chosen: Options) -> None:
    """Measure what has its data, print and write the page and the numbers."""
    results: dict[str, Any] = {}
    for name, make in cases(chosen).items():
        rows = []
        for seed, parts in enumerate(make()[1]):
            say(f"{name}: split {seed + 1} of {chosen.splits}")
            found = [measured(split, regimes) for regimes, split in parts]
            rows.append({regime: lost for part in found for regime, lost in part.items()})
        results[name] = results_file.transposed(rows)
    results_file.publish(chosen.out, NAME, results, document)


if __name__ == "__main__":
    main(options(__doc__))
