"""Recalibration when labels arrive: python -m experiments.labels.update --data FOLDER.

First by simulation, whether weights make labels that were chosen speak for all; then on CIFAR-10.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.shared import results_file
from experiments.shared.command_line import Options, options, say
from experiments.shared.fitted_screener import fitted
from experiments.shared.markdown import table
from experiments.shared.results_file import over_splits, transposed
from experiments.shared.splits import Split, cifar10_maker
from uncertainty import ModelOutputs, Screener
from uncertainty.metrics import e_aurc, ece
from uncertainty.recalibration.refit import updated
from uncertainty.recalibration.sampling_weights import chances, estimate, row_weights

SPLITS, TIMES, OLD, BATCH, LABELS = 3, 2000, 1000, 2000, 500
DESIGNS = {
    "all": "every image",
    "random": "one in five, at random",
    "audit": "all flagged and one in ten of the others",
    "p_wrong": "the likelier wrong, the likelier labelled",
    "flagged": "every second flagged image, no other",
}
ABOUT = """\
# Recalibration when labels arrive

**Simulation.** {times} draws of {old} calibration rows and {batch} incoming images from one half of CIFAR-10's
labelled images, with the p_wrong of a screener that was fitted on the other half; the upper tenth is flagged. Labels
come back by a design, whose chances are known, or counted in the batch. Error rate of all images and of the unflagged
ones, in per cent, mean over the draws with its standard error: of the weighted rows that a screener learns from, and of
all rows pooled as they are.

**CIFAR-10.** Half of the incoming images are damaged by kinds that calibration never saw. {labels} labels come back
from 1,250 of them: `random` of all, `audit` half of them of the flagged and half of the others, `flagged` of the most
suspicious. The other 1,250 are judged before and after, and 2,500 clean images. Mean over {splits} splits; lower is
better for E-AURC and ECE."""


def chance_by_design(design: str, p: NDArray[np.float64], line: float) -> NDArray[np.float64]:
    """Return (n,) the chance of each image to be labelled."""
    flagged = p >= line
    return {
        "all": np.ones(len(p)),
        "random": np.full(len(p), 0.2),
        "audit": np.where(flagged, 1.0, 0.1),
        "p_wrong": np.clip(0.05 + 2 * p, 0, 1),
        "flagged": np.where(flagged, 0.5, 0.0),
    }[design]


def simulated(p: NDArray[np.float64], wrong: NDArray[np.bool_], design: str, known: bool) -> dict[str, Any]:
    """Return means and standard errors of (all, unflagged) error rates over the draws, weighted and pooled."""
    rng, line = np.random.default_rng([DESIGNS_AT[design], known]), float(np.quantile(p, 0.9))
    found = []
    for _ in range(TIMES):
        old, new = rng.integers(len(p), size=OLD), rng.integers(len(p), size=BATCH)
        chance = chance_by_design(design, p[new], line)
        labelled = rng.random(BATCH) < chance
        given = chance[labelled] if known else chances(p[new] >= line, labelled)
        weights = row_weights(np.ones(OLD), p[old] >= line, p[new] >= line, labelled, given)
        rows = np.append(old, new[labelled])
        w, low = np.append(weights.old, weights.new), p[rows] < line
        hit, one = wrong[rows], np.ones(len(rows))
        found.append([estimate(hit[k], v[k]).value for v in (w, one) for k in (slice(None), low)])
    means, errors = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(TIMES)
    keys = ("weighted", "weighted_unflagged", "pooled", "pooled_unflagged")
    return {k: [float(m), float(e)] for k, m, e in zip(keys, means, errors, strict=True)}


DESIGNS_AT = {name: k for k, name in enumerate(DESIGNS)}


def simulation(split: Split) -> dict[str, Any]:
    """Return what each design gives, with chances that are known and with those that counts tell."""
    p, wrong = fitted(split).p_wrong(split.test_clean).astype(np.float64), split.test_clean.wrong
    low = p < np.quantile(p, 0.9)
    found = {f"{d} {'known' if k else 'counted'}": simulated(p, wrong, d, k) for d in DESIGNS for k in (True, False)}
    del found["p_wrong counted"]  # refused: labelled images differ from the others of their stratum
    return {"truth": [float(wrong.mean()), float(wrong[low].mean())], "designs": found}


def halves(outputs: ModelOutputs, seed: int) -> tuple[ModelOutputs, ModelOutputs]:
    """Return the images that labels may come back from, and the others."""
    order = np.random.default_rng([seed, 5]).permutation(len(outputs))
    middle = len(order) // 2
    return outputs.take(np.sort(order[:middle])), outputs.take(np.sort(order[middle:]))


def measured(split: Split, seed: int) -> dict[str, Any]:
    """Return how good p_wrong is on each stream before and after each kind of labels."""
    screener = fitted(split)
    batch, rest = halves(split.test_damaged, seed)
    screeners = {"before": screener}
    for design in ("random", "audit", "flagged"):
        screeners[design] = _updated(screener, batch, design, seed)
    streams = {"damaged": rest, "clean": split.test_clean}
    return {name: {stream: _judged(s, outputs) for stream, outputs in streams.items()} for name, s in screeners.items()}


def _updated(screener: Screener, batch: ModelOutputs, design: str, seed: int) -> Screener:
    verdicts = screener.screen_outputs(batch)
    p, rng = verdicts.table["p_wrong"].to_numpy(), np.random.default_rng([seed, 6])
    flagged = np.array(verdicts.table["flagged"].to_pylist())
    if design == "random":
        rows = rng.permutation(len(batch))[:LABELS]
    elif design == "flagged":
        rows = np.argsort(-p, kind="stable")[:LABELS]
    else:
        sides = [rng.permutation(np.flatnonzero(flagged == side))[: LABELS // 2] for side in (True, False)]
        rows = np.concatenate(sides)
    names = screener.model.classes
    labels = {str(batch.ids[k]): names[int(batch.labels[k])] for k in rows}  # type: ignore[index]
    return updated(screener, verdicts, labels).screener


def _judged(screener: Screener, outputs: ModelOutputs) -> dict[str, float]:
    p, wrong = screener.p_wrong(outputs), outputs.wrong
    return {
        "e_aurc": 1000 * e_aurc(wrong, p),
        "ece": 100 * ece(wrong, p),
        "predicted": 100 * float(p.mean(dtype=np.float64)),
        "observed": 100 * float(wrong.mean()),
        "flagged": 100 * float((p >= screener.threshold).mean()),
    }


def document(results: dict[str, Any]) -> str:
    """Return the page."""
    about = ABOUT.format(times=TIMES, old=OLD, batch=BATCH, labels=LABELS, splits=len(results["splits"]))
    found = results["simulation"]
    truth = ["truth", "", *(f"{100 * value:.2f}" for value in found["truth"] * 2)]
    rows = [[DESIGNS[name.split()[0]], name.split()[1], *_cells(one)] for name, one in found["designs"].items()]
    head = ["labelled", "chances", "weighted: all", "unflagged", "pooled: all", "unflagged"]
    first = table(head, [truth, *rows])
    keys = ("e_aurc", "ece", "predicted", "observed", "flagged")
    later = [
        [stream, name, *(f"{over_splits(of[stream][key]).value:.1f}" for key in keys)]
        for stream in ("damaged", "clean")
        for name, of in results["cifar10"].items()
    ]
    names = ["E-AURC x1000", "ECE %", "predicted error rate %", "observed %", "flagged %"]
    second = table(["stream", "labels", *names], later)
    return f"{about}\n\n## Simulation\n\n{first}\n\n## CIFAR-10\n\n{second}\n"


def _cells(one: dict[str, list[float]]) -> list[str]:
    return [f"{100 * mean:.2f} ± {100 * error:.2f}" for mean, error in one.values()]


def main(chosen: Options) -> None:
    """Measure, print and write."""
    make, seeds, found = cifar10_maker(chosen.folder, chosen.cache), range(min(chosen.splits, SPLITS)), []
    for seed in seeds:
        say(f"update: split {seed}")
        found.append(measured(make(seed), seed))
    results = {"splits": list(seeds), "simulation": simulation(make(0)), "cifar10": transposed(found)}
    results_file.publish(chosen.out, "update", results, document)


if __name__ == "__main__":
    main(options(__doc__))
