"""Markdown of the results: everything is made from the numbers in the JSON files."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.shared.fitted_screener import MAX_SOFTMAX
from experiments.shared.markdown import percent, table
from experiments.shared.results_file import Mean, change, over_splits
from experiments.shared.splits import REGIMES
from uncertainty.evaluation.screening_quality import P_WRONG

METRICS = {
    "auroc": ("AUROC of errors", 1, 3),
    "aurc": ("AURC x1000", 1000, 1),
    "e_aurc": ("E-AURC x1000", 1000, 1),
    "augrc": ("AUGRC x1000", 1000, 1),
    "errors_accepted_at_95_correct": ("FPR at 95 % TPR", 100, 1),
    "errors_caught_at_10_percent": ("caught at 10 %", 100, 1),
    "errors_caught_at_20_percent": ("caught at 20 %", 100, 1),
    "ece": ("ECE", 100, 1),
}
"""What a column is called, and its factor and decimals."""
LEGEND = """\
Every number is a mean over the splits with its 95 % t-interval over them. The splits cut one pool of images anew, so
they share images, and the intervals say how much depends on the cut, not what another pool would give.
`least_confidence` is 1 - max softmax. AURC, E-AURC and AUGRC: lower is better. FPR at 95 % TPR: per cent of the errors
that are accepted when 95 % of the correct images are (lower is better). Caught: per cent of the errors among the 10 %
and 20 % of the images that look worst (higher is better). ECE: per cent, 15 bins of equal mass (lower is better). The
best single estimator is chosen in hindsight, by its E-AURC on this very stream, which nobody could do beforehand."""


def best_single(scores: dict[str, Any]) -> str:
    """Return the estimator with the lowest mean E-AURC."""
    return min((name for name in scores if name != P_WRONG), key=lambda name: over_splits(scores[name]["e_aurc"]).value)


def document(result: dict[str, Any]) -> str:
    """Return the page of one experiment."""
    expected = "p_wrong expects a share of {:g} damaged and {:g} unknown images.".format(*result["expected"])
    parts = [f"# {result['title']}", result["about"], f"{len(result['splits'])} splits. {expected}", LEGEND]
    for regime, title in REGIMES.items():
        if regime in result["regimes"]:
            parts.append(_regime(title, result["regimes"][regime]))
        else:
            parts.append(f"## {title.capitalize()}\n\nLeft out: it needs images of CIFAR-10, given with --data.")
    parts.append(_kinds(result["kinds"]))
    return "\n\n".join(parts) + "\n"


def _regime(title: str, regime: dict[str, Any]) -> str:
    scores = regime["scores"]
    names = [P_WRONG, MAX_SOFTMAX, *sorted(name for name in scores if name not in (P_WRONG, MAX_SOFTMAX))]
    rows = [
        [f"**{name}**" if name == P_WRONG else name, *(_cell(scores[name], key) for key in METRICS)] for name in names
    ]
    best = best_single(scores)
    mine, softmax = scores[P_WRONG]["e_aurc"], scores[MAX_SOFTMAX]["e_aurc"]
    better = sum(a < b for a, b in zip(mine, softmax, strict=True))
    rates = [over_splits(regime[f"{which}_error_rate"]) for which in ("predicted", "observed")]
    return "\n\n".join(
        [
            f"## {title.capitalize()}",
            f"{over_splits(regime['images']).value:.0f} images and {over_splits(regime['errors']).value:.0f} errors a "
            f"split; calibration had {over_splits(regime['calibration_errors']).value:.0f} errors.",
            table(["score", *(name for name, _, _ in METRICS.values())], rows),
            f"- E-AURC of p_wrong against max softmax: {percent(change(mine, softmax))}; lower on {better} of "
            f"{len(mine)} splits.\n"
            f"- Against the best single estimator, {best}: {percent(change(mine, scores[best]['e_aurc']))}.\n"
            f"- Error rate: predicted {_scaled(rates[0], 100, 1)} %, observed {_scaled(rates[1], 100, 1)} %.",
        ]
    )


def _cell(metrics: dict[str, Any], key: str) -> str:
    _, factor, decimals = METRICS[key]
    return _scaled(over_splits(metrics[key]), factor, decimals) if key in metrics else ""


def _scaled(mean: Mean, factor: float, decimals: int) -> str:
    half = "" if np.isnan(mean.half) else f" ± {mean.half * factor:.{decimals}f}"
    return f"{mean.value * factor:.{decimals}f}{half}"


def _kinds(kinds: dict[str, Any]) -> str:
    rows = []
    for kind, numbers in sorted(kinds.items()):
        images, errors = over_splits(numbers["images"]).value, over_splits(numbers["errors"]).value
        values = [over_splits(numbers[name]).value * 1000 for name in (MAX_SOFTMAX, P_WRONG)]
        rows.append(
            [
                kind,
                f"{images:.0f}",
                f"{100 * errors / images:.0f} %",
                *(f"{value:.1f}" for value in values),
                percent(change(numbers[P_WRONG], numbers[MAX_SOFTMAX])),
            ]
        )
    head = ["kind", "images a split", "error rate", "E-AURC x1000 of max softmax", "of p_wrong", "change"]
    return (
        "## Each kind of damage alone\n\nInside one kind, damaged images alone: here recognising the damage earns "
        "nothing. Calibration saw the other half of the kinds, so each kind is tested on half of the splits.\n\n"
        + table(head, rows)
    )
