"""Accuracy of unlabelled batches, estimated and observed:
python -m experiments.monitoring.accuracy_without_labels --data FOLDER.

MOST_UNKNOWN of `uncertainty.monitoring.accuracy` was chosen on splits 0 to 4; these are others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from experiments.shared import results_file
from experiments.shared.command_line import Options, options, say
from experiments.shared.fitted_screener import fitted
from experiments.shared.markdown import table
from experiments.shared.results_file import over_splits, transposed
from experiments.shared.splits import (
    Split,
    makers,
)
from uncertainty import ModelOutputs, Screener
from uncertainty.combination.evidence import signals
from uncertainty.monitoring import accuracy
from uncertainty.monitoring.baseline import Rows, rows_of_signals
from uncertainty.monitoring.doubt import calibration_variance

SIZES = (200, 500, 1000, 2000)
FIRST_SPLIT, SPLITS, BATCHES = 5, 5, 40
STREAMS = {
    "clean": "in distribution",
    "half": "half damaged by unseen kinds",
    "all": "all damaged by unseen kinds",
    "unknown": "one in five of no known class",
}
ESTIMATES = (accuracy.ADAPTED, accuracy.P_WRONG, *accuracy.PEERS)
ABOUT = """\
# Accuracy without labels

How far estimates of the accuracy of an unlabelled batch are from what labels say, in points: mean absolute error over
{batches} batches of each size, drawn from each stream without replacement, in {splits} splits. `adapted` is what
`uncertainty monitor` goes by: p_wrong with the shares of damaged and foreign images estimated from the batch. `p_wrong`
is 1 minus its mean. ATC, DoC and average confidence read the temperature-scaled softmax alone. `if unknown` is what
`monitor` says would be true if all that looks foreign were of no known class. *Noise* is what sampling alone gives to
whoever knows each image's chance of an error, and *with calibration* what is added by knowing it from a calibration set
of that size. Below: share of batches whose accuracy lies in the 95 % interval, and the mean error with its sign."""


def rows_of(screener: Screener, outputs: ModelOutputs) -> Rows:
    """Return what monitoring would read of verdicts."""
    known = signals(screener.estimators, outputs)
    return rows_of_signals(known, screener.combiner.p_wrong(known), outputs.probs, screener.baseline.temperature)


def declared(screener: Screener) -> dict[Any, float]:
    """Return the shares that a screener was fitted with."""
    damaged, foreign = (screener.calibrated_on[f"expected_{what}"] for what in ("damage", "unknown"))
    return {"clean": 1 - damaged - foreign, "damaged": damaged, "foreign": foreign}


def measured(split: Split, other: Split, seed: int) -> dict[str, Any]:
    """Return errors and hits of every estimate, by stream and size."""
    screener = fitted(split)
    theirs = screener if other is split else fitted(other)
    pools = {
        "clean": (screener, split.test_clean),
        "half": (screener, split.test_damaged),
        "all": (screener, split.every_test_damaged),
        "unknown": (theirs, other.test_unknown),
    }
    return {name: _of_stream(*pool, seed) for name, pool in pools.items()}


def _of_stream(screener: Screener, outputs: ModelOutputs, seed: int) -> dict[str, Any]:
    rows, wrong, rng = rows_of(screener, outputs), outputs.wrong, np.random.default_rng(seed)
    found: dict[str, Any] = {}
    for size in (size for size in SIZES if size <= len(rows)):
        errors = {name: accuracy.sampling_errors(one, screener.baseline, size) for name, one in accuracy.PEERS.items()}
        drawn = (rng.permutation(len(rows))[:size] for _ in range(BATCHES))
        batches = [_of_batch(screener, rows.take(some), 1 - float(wrong[some].mean()), errors) for some in drawn]
        found[str(size)] = {
            name: {key: float(np.mean([b[name][key] for b in batches])) for key in batches[0][name]}
            for name in batches[0]
        }
    return found


def _of_batch(screener: Screener, rows: Rows, truth: float, errors: dict[str, Any]) -> dict[str, dict[str, float]]:
    base = screener.baseline
    result = accuracy.from_p_wrong(screener.combiner, declared(screener), base, rows)
    peers = {name: accuracy.off(one(base.rows, base.wrong, rows), errors[name]) for name, one in accuracy.PEERS.items()}
    estimates = result.estimates | peers
    estimates["if_unknown"] = result.if_unknown or result.estimates[accuracy.ADAPTED]
    p = rows.p_wrong.astype(np.float64)
    noise, known = float((p * (1 - p)).sum()) / len(p) ** 2, calibration_variance(p, base)
    least = {"noise": _mean_absolute(noise), "with_calibration": _mean_absolute(noise + known)}
    return {
        name: {
            "error": 100 * abs(i.value - truth),
            "signed": 100 * (i.value - truth),
            "inside": 100.0 * (i.low <= truth <= i.high),
            "width": 100 * (i.high - i.low),
        }
        for name, i in estimates.items()
    } | {"least": least}


def _mean_absolute(variance: float) -> float:
    """Mean absolute value, in points, of a normal distribution around 0."""
    return 100 * float(np.sqrt(2 / np.pi * variance))


def document(results: dict[str, Any]) -> str:
    """Return the page."""
    parts = [ABOUT.format(batches=BATCHES, splits=len(results["splits"]))]
    titles = {"error": "Mean absolute error, points", "inside": "Batches inside the 95 % interval, %"}
    for key, title in (*titles.items(), ("signed", "Mean error with its sign, points (+ = too hopeful)")):
        least = ["noise", "with calibration"] if key == "error" else []
        head = ["images", "stream", "batch", *ESTIMATES, "if unknown", *least]
        parts.append(f"## {title}\n\n{table(head, list(_lines(results['sets'], key)))}")
    return "\n\n".join(parts) + "\n"


def _lines(sets: dict[str, Any], key: str) -> Iterator[list[str]]:
    for name, streams in sets.items():
        for stream, sizes in streams.items():
            for size, found in sizes.items():
                values = [over_splits(found[e][key]).value for e in ESTIMATES]
                best = min(values) if key == "error" else np.nan
                cells = [f"**{v:.1f}**" if v == best else f"{v:.1f}" for v in values]
                cells.append(f"{over_splits(found['if_unknown'][key]).value:.1f}" if "if_unknown" in found else "")
                if key == "error":
                    cells += [f"{over_splits(found['least'][k]).value:.1f}" for k in ("noise", "with_calibration")]
                yield [name, STREAMS[stream], size, *cells]


def over_sets(chosen: Options, seeds: range, measure: Callable[[Split, Split, int], dict[str, Any]]) -> dict[str, Any]:
    """Measure every split of every set: by the split, the one that has its unknown stream, and the seed."""
    sets = {}
    for name, (make, other) in makers(chosen.folder, chosen.cache).items():
        found = []
        for seed in seeds:
            say(f"{name}: split {seed}")
            split = make(seed)
            found.append(measure(split, split if other is make else other(seed), seed))
        sets[name] = transposed(found)
    return sets


def main(chosen: Options) -> None:
    """Measure, print and write."""
    seeds = range(FIRST_SPLIT, FIRST_SPLIT + min(chosen.splits, SPLITS))
    results = {"splits": list(seeds), "batches": BATCHES, "sets": over_sets(chosen, seeds, measured)}
    results_file.publish(chosen.out, "accuracy_without_labels", results, document)


if __name__ == "__main__":
    main(options(__doc__))
