"""All cells on one page, every case and stream at every effort:
python -m experiments.detection.portfolio --portfolio FOLDER --data FOLDER --splits 4.

The three sets of the other pages and, given as arrays (see `experiments/shared/array_cases.py`), cases of other fields
and other networks. Each cell is one case and one stream.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from experiments.detection import portfolio_page
from experiments.shared import array_cases, results_file, thorough_splits
from experiments.shared.command_line import Options, options, say
from experiments.shared.costs import Costs
from experiments.shared.fitted_screener import fitted, max_softmax
from experiments.shared.splits import Split
from experiments.shared.thorough_splits import Parts, bare, bare_split, columns_left_out
from uncertainty import ModelOutputs, Screener
from uncertainty.metrics import e_aurc, ece

NAME = "portfolio"
FEW = (0, 10, 50)
FEW_EFFORTS = ("fast", "balanced")


def measured(split: Split, costs: Costs, regimes: Sequence[str], seed: int) -> dict[str, Any]:
    """Judge every stream at every effort, and with few errors in calibration; JSON values."""
    result: dict[str, Any] = {}
    streams = {regime: stream for regime, stream in split.streams.items() if regime in regimes}
    for effort, without in by_effort(split, costs).items():
        several = {"all": split}
        if effort in FEW_EFFORTS:
            wrong = int(split.calibration.wrong.sum())
            several |= {str(errors): thinned(split, errors, seed) for errors in FEW if errors < wrong}
        for count, one in several.items():
            screener = fitted(bare_split(one, without))
            for regime, stream in streams.items():
                cell = result.setdefault(regime, {"max_softmax": e_aurc(stream.wrong, max_softmax(stream))})
                cell.setdefault(count, {})[effort] = judged(screener, bare(stream, without))
    return result


def by_effort(split: Split, costs: Costs) -> dict[str, tuple[str, ...]]:
    """Return the columns that each effort does without; where no view is there, thorough is balanced."""
    left_out = columns_left_out(split, costs)
    return left_out if "thorough" in left_out else {**left_out, "thorough": left_out["balanced"]}


def judged(screener: Screener, stream: ModelOutputs) -> dict[str, float]:
    """Return how good p_wrong is on a stream."""
    p_wrong, wrong = screener.p_wrong(stream), stream.wrong
    return {
        "e_aurc": e_aurc(wrong, p_wrong),
        "ece": ece(wrong, p_wrong),
        "predicted_error_rate": float(p_wrong.mean(dtype=np.float64)),
        "observed_error_rate": float(wrong.mean()),
    }


def thinned(split: Split, errors: int, seed: int) -> Split:
    """Keep so many errors in calibration at its error rate, with their copies; without errors, the rows of five."""
    rng = np.random.default_rng([seed, errors])
    wrong, right = np.flatnonzero(split.calibration.wrong), np.flatnonzero(~split.calibration.wrong)
    kept = round(len(right) * (errors or 5) / len(wrong))
    rows = np.sort(np.concatenate([rng.choice(wrong, errors, replace=False), rng.choice(right, kept, replace=False)]))
    names = ("calibration", "calibration_damaged", "calibration_foreign")
    sets = {name: getattr(split, name) for name in names}
    return replace(split, **{name: outputs.take(rows) for name, outputs in sets.items() if len(outputs)})


def cases(chosen: Options) -> dict[str, Callable[[], Parts]]:
    """Return what makes each case that has its data; SystemExit where none has."""
    found: dict[str, Callable[[], Parts]] = {}
    if chosen.data is None:
        say("digits, solar cells and CIFAR-10 are left out: --data was not given")
    else:
        found |= {name: partial(make, chosen) for name, make in thorough_splits.SETS.items()}
    if chosen.portfolio is None:
        say("the cases that are arrays are left out: --portfolio was not given")
    else:
        files = array_cases.files(chosen.portfolio)
        found |= {name: partial(array_cases.array_parts, file, chosen) for name, file in files.items()}
    if not found:
        raise SystemExit("nothing to measure: give --portfolio FOLDER, --data FOLDER or both")
    return found


def main(chosen: Options) -> None:
    """Measure what has its data, print and write the page and the numbers."""
    results: dict[str, Any] = {}
    for name, make in cases(chosen).items():
        costs, several = make()
        rows = []
        for seed, parts in enumerate(several):
            say(f"{name}: split {seed + 1} of {chosen.splits}")
            found = [measured(split, costs, regimes, seed) for regimes, split in parts]
            rows.append({regime: cell for part in found for regime, cell in part.items()})
        results[name] = results_file.transposed(rows)
    results_file.publish(chosen.out, NAME, results, portfolio_page.document)


if __name__ == "__main__":
    main(options(__doc__))
