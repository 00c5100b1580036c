"""Accuracy of unlabelled batches, estimated and observed:
python -m experiments.monitoring.accuracy_without_labels --data FOLDER.

MOST_UNKNOWN of `uncertainty.monitoring.accuracy` was chosen on splits 0 to 4; these are others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.shared import image_sets, results_file
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
from uncertainty.monitoring.drift import Column, detect, values_of
from uncertainty.monitoring.unseen import under_alarm

SIZES = (200, 500, 2000)
FIRST_SPLIT, SPLITS, BATCHES, PERMUTATIONS = 5, 2, 20, 99
EACH, WITHOUT = "each kind", "without alarm"
STREAMS = {
    "clean": "in distribution",
    "half": "half damaged by unseen kinds",
    "all": "all damaged by unseen kinds",
    "kind": "all damaged by one unseen kind",
    "unknown": "one in five of no known class",
}
ESTIMATES = (accuracy.ADAPTED, accuracy.P_WRONG, *accuracy.PEERS)
ABOUT = """\
# Accuracy without labels

How far estimates of the accuracy of an unlabelled batch are from what labels say, in points: mean absolute error over
{batches} batches of each size, drawn from each stream without replacement, in splits {splits}; of one kind of damage
all images are one batch ("each kind"). `adapted` is what `uncertainty monitor` goes by: p_wrong with the shares of
damaged and foreign images estimated from the batch. `p_wrong` is 1 minus its mean. Where the drift alarm goes off
(column *alarm*, per cent of batches; 99 permutations, the package takes 999), the intervals of both, and of `if
unknown`, are as wide as leaving kinds of damage out of the screener's own copies asks for; *without alarm* is the
interval of `adapted` without that. ATC, DoC and average confidence read the temperature-scaled softmax alone. `if
unknown` is what `monitor` says would be true if all that looks foreign were of no known class. *Noise* is what
sampling alone gives to whoever knows each image's chance of an error, and *with calibration* what is added by knowing
it from a calibration set of that size. Below: share of batches whose accuracy lies in the 95 % interval, half of the
interval's width, and the mean error with its sign."""


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
    damaged = split.every_test_damaged
    pools = {
        "clean": (screener, split.test_clean),
        "half": (screener, split.test_damaged),
        "all": (screener, damaged),
        "kind": (screener, damaged),
        "unknown": (theirs, other.test_unknown),
    }
    return {name: _of_kinds(*pool) if name == "kind" else _of_stream(*pool, seed=seed) for name, pool in pools.items()}


def _of_stream(screener: Screener, outputs: ModelOutputs, seed: int) -> dict[str, Any]:
    rows, wrong, rng = rows_of(screener, outputs), outputs.wrong, np.random.default_rng(seed)
    drawn = {size: [rng.permutation(len(rows))[:size] for _ in range(BATCHES)] for size in SIZES if size <= len(rows)}
    return {str(size): _of_batches(screener, rows, wrong, some) for size, some in drawn.items()}


def _of_kinds(screener: Screener, outputs: ModelOutputs) -> dict[str, Any]:
    kinds = image_sets.kinds(np.asarray(outputs.ids))
    batches = [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]
    return {EACH: _of_batches(screener, rows_of(screener, outputs), outputs.wrong, batches)}


def _of_batches(
    screener: Screener, rows: Rows, wrong: NDArray[np.bool_], drawn: list[NDArray[np.int64]]
) -> dict[str, dict[str, float]]:
    """Return the means over batches of rows; the errors of sampling are those of the first batch's size."""
    size = len(drawn[0])
    errors = {name: accuracy.sampling_errors(one, screener.baseline, size) for name, one in accuracy.PEERS.items()}
    found = [_of_batch(screener, rows.take(some), 1 - float(wrong[some].mean()), errors) for some in drawn]
    return {name: {key: float(np.mean([b[name][key] for b in found])) for key in found[0][name]} for name in found[0]}


def _of_batch(screener: Screener, rows: Rows, truth: float, errors: dict[str, Any]) -> dict[str, dict[str, float]]:
    base = screener.baseline
    result = accuracy.from_p_wrong(screener.combiner, declared(screener), base, rows)
    usual = result.estimates[accuracy.ADAPTED]
    columns = [Column(str(k), "") for k in range(values_of(rows).shape[1])]
    if alarm := detect(base.rows, rows, columns, permutations=PERMUTATIONS).alarm:
        result = under_alarm(result, base, rows)
    peers = {name: accuracy.off(one(base.rows, base.wrong, rows), errors[name]) for name, one in accuracy.PEERS.items()}
    estimates = result.estimates | peers
    estimates |= {"if_unknown": result.if_unknown or result.estimates[accuracy.ADAPTED], WITHOUT: usual}
    p = rows.p_wrong.astype(np.float64)
    noise, known = float((p * (1 - p)).sum()) / len(p) ** 2, calibration_variance(p, base)
    more = {
        "least": {"noise": _mean_absolute(noise), "with_calibration": _mean_absolute(noise + known)},
        "alarm": {"share": 100.0 * alarm},
    }
    return {
        name: {
            "error": 100 * abs(i.value - truth),
            "signed": 100 * (i.value - truth),
            "inside": 100.0 * (i.low <= truth <= i.high),
            "half": 50 * (i.high - i.low),
        }
        for name, i in estimates.items()
    } | more


def _mean_absolute(variance: float) -> float:
    """Mean absolute value, in points, of a normal distribution around 0."""
    return 100 * float(np.sqrt(2 / np.pi * variance))


def document(results: dict[str, Any]) -> str:
    """Return the page."""
    parts = [ABOUT.format(batches=results["batches"], splits=" and ".join(map(str, results["splits"])))]
    titles = {"error": "Mean absolute error, points", "inside": "Batches inside the 95 % interval, %"}
    titles |= {"half": "Half of the interval's width, points"}
    for key, title in (*titles.items(), ("signed", "Mean error with its sign, points (+ = too hopeful)")):
        head = ["images", "stream", "batch", *ESTIMATES, "if unknown", *_MORE.get(key, ())]
        parts.append(f"## {title}\n\n{table(head, list(_lines(results['sets'], key)))}")
    return "\n\n".join(parts) + "\n"


_MORE = {"error": ("noise", "with calibration"), "inside": (WITHOUT, "alarm"), "half": (WITHOUT,)}


def _lines(sets: dict[str, Any], key: str) -> Iterator[list[str]]:
    for name, streams in sets.items():
        for stream, sizes in streams.items():
            for size, found in sizes.items():
                values = [over_splits(found[e][key]).value for e in ESTIMATES]
                best = min(values) if key == "error" else np.nan
                cells = [f"**{v:.1f}**" if v == best else f"{v:.1f}" for v in values]
                further = {
                    "noise": ("least", "noise"),
                    "with calibration": ("least", "with_calibration"),
                    WITHOUT: (WITHOUT, key),
                    "alarm": ("alarm", "share"),
                }
                wanted = [("if_unknown", key), *(further[column] for column in _MORE.get(key, ()))]
                cells += [f"{over_splits(found[of][what]).value:.1f}" for of, what in wanted]
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
