"""What more effort adds to one forward pass, and a cascade saves:
python -m experiments.detection.efforts --data FOLDER.

`fast` is one pass, with dropout where that costs little (on CIFAR-10 the dropout of the network stands in its middle
and waits for `thorough`). `balanced` adds an independent backbone: EfficientNet-Lite0, at 128 pixels for CIFAR-10 and
at 64 for the digits; Lite1 for the solar cells, whose classifier has the weights of Lite0; and the flipped image where
the classifier bears it. `thorough` adds other augmented views: shifts on CIFAR-10, and on the others those that the
classifier bears, judged on calibration. With `--cascade` only images whose verdict it could still change are looked at
more deeply, at a loss of 1 % or of 5 % of E-AURC on calibration. Cost is in passes of the classifier, by
multiplications; for the digits it is tiny.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.shared import results_file, thorough_splits
from experiments.shared.command_line import Options, options, say
from experiments.shared.costs import Costs
from experiments.shared.fitted_screener import fitted, max_softmax
from experiments.shared.markdown import SUMMARY, percent, placed, table
from experiments.shared.results_file import change, over_splits
from experiments.shared.splits import REGIMES, Split
from experiments.shared.thorough_splits import EFFORTS, bare, bare_split, columns_left_out, views_of
from uncertainty import ModelOutputs, Screener
from uncertainty.decisions.thresholds import budget_threshold
from uncertainty.metrics import auroc, e_aurc, ece
from uncertainty.screener.cascade import dear_columns

CASCADES = {"--cascade": 0.01, "--cascade-loss 0.05": 0.05}
TITLES = {"cifar10": "CIFAR-10", "solar_cells": "Solar cells", "digits": "Digits"}
NAME = "efforts"
README = Path(__file__).parent.parent.parent / "README.md"


def measured(split: Split, costs: Costs, regimes: Sequence[str]) -> dict[str, Any]:
    """Judge every stream at every effort; JSON values."""
    result: dict[str, Any] = {}
    views = views_of(split)
    for effort, without in columns_left_out(split, costs).items():
        dear = () if effort == "fast" else dear_columns(dropout=costs.dear)
        screener = fitted(bare_split(split, without), deeper=dear)
        passes = costs.of("fast", views), costs.of(effort, views)
        for name, one in cascades(effort, screener).items():
            for regime in (r for r in regimes if r in split.streams):
                numbers = judged(one, screener, bare(split.streams[regime], without), passes)
                result.setdefault(regime, {})[name] = numbers
    if costs.views and not views:  # the classifier bears none, so thorough effort is balanced
        for by_effort in result.values():
            by_effort |= {k.replace("balanced", "thorough"): v for k, v in by_effort.items() if k != "fast"}
    return result


def cascades(effort: str, screener: Screener) -> dict[str, Screener]:
    """Return the screener with full evidence for every image, and as cascades of several losses."""
    if screener.cascade is None:
        return {effort: screener}
    full = replace(screener, cascade=None)
    several = {
        f"{effort} {option}": replace(screener, cascade=replace(screener.cascade, loss=loss)).with_budget(
            screener.budget
        )
        for option, loss in CASCADES.items()
    }
    return {effort: full, **several}


def judged(
    screener: Screener, all_of_it: Screener, stream: ModelOutputs, passes: tuple[float, float]
) -> dict[str, Any]:
    """Return how good p_wrong is, and how many images went deeper at what cost; `passes` are at least and at most."""
    p_wrong, softmax, share, otherwise = screener.p_wrong(stream), max_softmax(stream), 1.0, 0.0
    if (cascade := screener.cascade) is not None:
        share = float(cascade.wants(cascade.first_sight(screener.estimators, stream)).mean())
        rows = cascade.held_out
        threshold = budget_threshold(rows.full.astype(np.float32), rows.weights, screener.budget)
        full = replace(all_of_it, cascade=None).p_wrong(stream) >= np.float32(threshold)
        otherwise = float(((p_wrong >= np.float32(screener.threshold)) != full).mean())
    return {
        "e_aurc": e_aurc(stream.wrong, p_wrong),
        "e_aurc_of_max_softmax": e_aurc(stream.wrong, softmax),
        "auroc": auroc(stream.wrong, p_wrong),
        "ece": ece(stream.wrong, p_wrong),
        "predicted_error_rate": float(p_wrong.mean(dtype=np.float64)),
        "observed_error_rate": float(stream.wrong.mean()),
        "looked_at_more_deeply": share,
        "flagged_otherwise": otherwise,
        "passes": passes[0] + share * (passes[1] - passes[0]),
    }


def document(results: dict[str, Any]) -> str:
    """Return the page, from the numbers."""
    head = ["images", "stream", "effort", "E-AURC x1000", "against max softmax", "AUROC of errors", "ECE"]
    head += ["error rate predicted / observed", "looked at more deeply", "flagged otherwise", "cost in passes"]
    rows = [
        [title, REGIMES[regime], effort, *_cells(numbers)]
        for name, title in TITLES.items()
        for regime, by_effort in results.get(name, {}).items()
        for effort, numbers in by_effort.items()
    ]
    about = " ".join((__doc__ or "").split("\n\n", 1)[1].split())
    means = (
        f"Means over splits ({_counts(results)}); intervals are 95 % t-intervals. `Flagged otherwise` is the share of "
        "images whose flag is not that of full evidence; the cascade allows 0.5 % of images like calibration."
    )
    return "\n\n".join(["# What more effort buys", about, means, table(head, rows)]) + "\n"


def _counts(results: dict[str, Any]) -> str:
    first = {name: next(iter(next(iter(by_regime.values())).values())) for name, by_regime in results.items()}
    return ", ".join(f"{title} {len(first[name]['e_aurc'])}" for name, title in TITLES.items() if name in first)


def overview(results: dict[str, Any]) -> str:
    """Return the table of the project's README: change of E-AURC against max softmax, by stream and effort."""
    cascade = "thorough --cascade"
    rows = [
        [
            title,
            REGIMES[regime],
            *(_change(by_effort.get(effort)) for effort in (*EFFORTS, cascade)),
            _deep(by_effort, cascade),
        ]
        for name, title in TITLES.items()
        for regime, by_effort in results.get(name, {}).items()
    ]
    efforts = [f"`{effort}`" for effort in (*EFFORTS, cascade)]
    return table(["images", "incoming stream", *efforts, "of which look deeper"], rows)


def _deep(by_effort: dict[str, Any], effort: str) -> str:
    if effort not in by_effort:
        return ""
    return f"{over_splits(by_effort[effort]['looked_at_more_deeply']).value:.0%}"


def _change(numbers: dict[str, Any] | None) -> str:
    return "" if numbers is None else f"{change(numbers['e_aurc'], numbers['e_aurc_of_max_softmax']).value:+.0f} %"


def _cells(numbers: dict[str, Any]) -> list[str]:
    mean = {name: over_splits(values).value for name, values in numbers.items()}
    return [
        f"{1000 * mean['e_aurc']:.1f}",
        percent(change(numbers["e_aurc"], numbers["e_aurc_of_max_softmax"])),
        f"{mean['auroc']:.3f}",
        f"{mean['ece']:.3f}",
        f"{mean['predicted_error_rate']:.1%} / {mean['observed_error_rate']:.1%}",
        f"{mean['looked_at_more_deeply']:.0%}",
        f"{mean['flagged_otherwise']:.1%}",
        f"{mean['passes']:.1f}",
    ]


def main(chosen: Options) -> None:
    """Measure what has its data, print and write the page and the numbers."""
    results: dict[str, Any] = {}
    for name, make in thorough_splits.SETS.items():
        costs, several = make(chosen)
        rows = []
        for seed, parts in enumerate(several):
            say(f"{name}: split {seed + 1} of {chosen.splits}")
            found = [measured(split, costs, regimes) for regimes, split in parts]
            rows.append({regime: by_effort for part in found for regime, by_effort in part.items()})
            results[name] = results_file.transposed(rows)
            results_file.write(chosen.out / f"{NAME}.json", results)
    results_file.publish(chosen.out, NAME, results, document)
    if chosen.out == results_file.RESULTS:
        new = overview(results_file.load(chosen.out, NAME))
        README.write_text(placed(README.read_text(encoding="utf-8"), SUMMARY, new), encoding="utf-8")


if __name__ == "__main__":
    main(options(__doc__))
