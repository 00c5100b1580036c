"""The page of `combiners`, made from its numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.shared.combiner_evidence import TITLES
from experiments.shared.fitted_screener import MAX_SOFTMAX
from experiments.shared.markdown import percent, table
from experiments.shared.results_file import change, over_splits
from experiments.shared.splits import REGIMES

MIXTURE, ALONE, SINGLE = "mixture", "mixture of one score", "one score"
CHOICE = "linear chosen", "hinges chosen", "boosting", "stack", SINGLE, MIXTURE
"""What cross-validation chooses among."""
METHODS = {
    MIXTURE: "mixture (the package)",
    "clean expert": "its clean expert alone",
    "linear": "linear, ridge 30",
    "linear chosen": "linear, ridge chosen",
    "hinges": "hinges, ridge 30",
    "hinges chosen": "hinges, ridge chosen",
    "boosting": "monotone boosting",
    "stack": "super-learning",
    SINGLE: "best single score, calibrated",
    ALONE: "mixture, its clean expert of that score",
    MAX_SOFTMAX: "1 - max softmax, as it is",
}
ABOUT = """\
Which combiner, on the scores of one forward pass (`fast`)? `mixture` is what the package fits. The others are fitted to
the clean calibration rows alone, as scores are usually stacked: ridge logistic regression with one slope a score
(`linear`) or four hinges a score (`hinges`), no slope below 0, its ridge fixed or chosen; gradient boosting that can
only rise with a score; super-learning, weights >= 0 of the log-odds of linear, hinges, boosting and the single score
out of fold; and the single score with the lowest AUGRC on calibration, calibrated by its hinges. The last but one row
puts that single score in the place of the mixture's clean expert: what an acceptance rule would fall back to."""
LEGEND = """\
Lower is better everywhere. AUGRC x1000; log loss as it is; E-AURC as its change against max softmax. `calibration` is
nested cross-validation: five folds, in each of which every choice was made anew; of the mixture alone the ridges were
chosen by all five. Means over {splits} splits with 95 % t-intervals over them; the splits cut one pool of images anew.
`Digits, eight known` is the stream with two unknown digits, whose classifier knows the other eight."""
CHOOSING = """\
What nested cross-validation would have chosen among mixture, linear, hinges, boosting, super-learning and the single
score, split by split, and the E-AURC of that choice against always taking the mixture (minus: the choice is better)."""
RULE = """\
"Accept the combination only if its cross-validated AUGRC and log loss are no worse than those of the best single score;
else put that score in the place of the clean expert": in how many splits it would have fired, and the E-AURC of the
result against the mixture in those splits alone (minus: the rule helps)."""

FOLLOWS = """\
The package always takes the mixture, and has no acceptance rule. In distribution the additive monotone logistic
regressions are alike within the intervals, super-learning over them adds nothing, and boosting is worse: so few errors
do not pay for interactions. With damage and unknown classes the learners that saw clean rows alone keep up on digits,
but lose most of the mixture's gain on solar cells and CIFAR-10. What cross-validation on clean rows prefers changes
from split to split, gains little in distribution, and cannot see that loss. The acceptance rule fires on differences
smaller than their noise and helps nowhere beyond its intervals.
"""


def document(results: dict[str, Any]) -> str:
    """Return the page."""
    splits = max(len(numbers["single"]) for numbers in results.values())
    parts = ["# Which combiner", " ".join(ABOUT.split()), " ".join(LEGEND.format(splits=splits).split())]
    for name, numbers in results.items():
        parts += [f"## {TITLES[name]}", f"{len(numbers['single'])} splits.", _methods(numbers)]
    parts += ["## Choosing by nested cross-validation", " ".join(CHOOSING.split()), _choices(results)]
    parts += ["## An acceptance rule", " ".join(RULE.split()), _rule(results)]
    parts += ["## What follows", " ".join(FOLLOWS.split())]
    return "\n\n".join(parts) + "\n"


def _methods(numbers: dict[str, Any]) -> str:
    streams = [regime for regime in REGIMES if regime in numbers]
    head = ["combiner", "calibration: AUGRC", "log loss"]
    head += [cell for regime in streams for cell in (f"{REGIMES[regime]}: E-AURC", "AUGRC", "log loss")]
    return table(head, [_row(method, numbers, streams) for method in METHODS])


def _row(method: str, numbers: dict[str, Any], streams: list[str]) -> list[str]:
    row = [METHODS[method], *_two(numbers["calibration"].get(method))]
    for regime in streams:
        mine, softmax = (numbers[regime][name]["e_aurc"] for name in (method, MAX_SOFTMAX))
        row += ["" if method == MAX_SOFTMAX else percent(change(mine, softmax)), *_two(numbers[regime][method])]
    return row


def _two(judged: dict[str, Any] | None) -> list[str]:
    if judged is None:
        return ["", ""]
    return [f"{1000 * over_splits(judged['augrc']).value:.2f}", f"{over_splits(judged['log_loss']).value:.4f}"]


def _choices(results: dict[str, Any]) -> str:
    head = ["images", "chosen by", "chosen", *REGIMES.values()]
    rows = [
        [TITLES[name], called, _counted(chosen), *_against(numbers, chosen)]
        for name, numbers in results.items()
        for key, called in (("log_loss", "log loss"), ("augrc", "AUGRC"))
        for chosen in [chosen_by(numbers["calibration"], key)]
    ]
    return table(head, rows)


def chosen_by(calibration: dict[str, Any], key: str) -> list[str]:
    """Return the method with the lowest figure in each split."""
    return [min(CHOICE, key=lambda name: figures[name]) for figures in _by_split(calibration, key)]


def fired(calibration: dict[str, Any]) -> list[bool]:
    """Return in which splits the acceptance rule falls back to the single score."""
    worse = [[f[MIXTURE] > f[SINGLE] for f in _by_split(calibration, key)] for key in ("augrc", "log_loss")]
    return np.any(worse, axis=0).tolist()


def _by_split(calibration: dict[str, Any], key: str) -> list[dict[str, float]]:
    count = len(calibration[MIXTURE][key])
    return [{name: calibration[name][key][k] for name in CHOICE} for k in range(count)]


def _counted(chosen: list[str]) -> str:
    return ", ".join(f"{name} {chosen.count(name)}" for name in dict.fromkeys(sorted(chosen)))


def _against(numbers: dict[str, Any], chosen: list[str]) -> list[str]:
    """Return the change of E-AURC against the mixture, by regime, where `chosen` names a method in each split."""
    cells = []
    for regime in REGIMES:
        if regime not in numbers or not any(chosen):
            cells.append("")
            continue
        splits = [k for k, name in enumerate(chosen) if name]
        ours = [numbers[regime][chosen[k]]["e_aurc"][k] for k in splits]
        cells.append(percent(change(ours, [numbers[regime][MIXTURE]["e_aurc"][k] for k in splits])))
    return cells


def _rule(results: dict[str, Any]) -> str:
    rows = []
    for name, numbers in results.items():
        falls = fired(numbers["calibration"])
        singles = [score for score, fell in zip(numbers["single"], falls, strict=True) if fell]
        against = _against(numbers, [ALONE if fell else "" for fell in falls])
        rows.append([TITLES[name], f"{sum(falls)} of {len(falls)}", _counted(singles), *against])
    return table(["images", "fired", "single score", *REGIMES.values()], rows)
