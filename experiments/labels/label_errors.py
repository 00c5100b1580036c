"""Likely label errors, planted and real:
python -m experiments.labels.label_errors --data FOLDER, with cleanlab installed.

Labels of images that were screened are spoilt, and every score ranks the labels by how likely they are wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.shared import results_file, splits, thorough_splits
from experiments.shared.command_line import Options, options, say
from experiments.shared.fitted_screener import fitted, max_softmax
from experiments.shared.markdown import table
from experiments.shared.results_file import over_splits, transposed
from experiments.shared.splits import Split
from experiments.shared.thorough_splits import bare_split, columns_left_out
from uncertainty import ModelOutputs
from uncertainty.labels.quality import class_beliefs, label_wrong
from uncertainty.metrics import auroc
from uncertainty.metrics.bootstrap import bootstrap_interval

NAME = "label_errors"
SPLITS, SOLAR_SPLITS, CHOSEN_ON, DRAWS = 2, 10, 2, 3
RATES = (0.05, 0.1)
KINDS = {"uniform": "to any other class", "by class": "each class to one other"}
CLEANLAB = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
FLAGGED = ("label_wrong ≥ ½", "cleanlab find_label_issues")
ABOUT = """\
# Likely label errors

**Planted errors.** Of the {n} images of CIFAR-10 that were screened, 5 or 10 % get a wrong label: any other class, or
each class one other, drawn anew {draws} times a split. The classifier never saw them. `label_wrong` is ours, at two
efforts; `1 - p(label) by screener` is the same before anything is learnt from the labels. cleanlab's scores get the
classifier's probabilities, which is what it asks for; "with our beliefs" gives it ours. AUROC of telling wrong labels
from right ones, and the share of wrong labels among the first so many as were planted; means over {splits} splits with
95 % t-intervals. Below: what each calls an error without being told how many there are. How strongly `label_wrong` is
drawn towards uniform errors was chosen on splits 0 and 1; these are others of the same images. The images have label
errors of their own, which count as false alarms here. "Noisy calibration": the labels that the screener learnt from are
spoilt in the same way.

**Doubts of experts.** The labels of solar cells come with a probability of a defect: 0 and 1 where the experts were
sure, 1/3 and 2/3 where not. AUROC of telling cells of doubtful labels from the others among the 874 screened, of
{solar} splits, each with a classifier of its own: mean with 95 % t-interval over splits, and the mean of the bootstrap
intervals within a split."""


def planted(labels: NDArray[np.int64], classes: int, rate: float, kind: str, seed: tuple[int, ...]) -> Any:
    """Return labels of which a share is wrong, and which those are."""
    rng = np.random.default_rng([*seed, round(100 * rate), list(KINDS).index(kind)])
    rows = rng.permutation(len(labels))[: round(rate * len(labels))]
    spoilt = labels.copy()
    if kind == "uniform":
        spoilt[rows] = (labels[rows] + rng.integers(1, classes, len(rows))) % classes
    else:
        others = np.roll(order := rng.permutation(classes), 1)[np.argsort(order)]
        spoilt[rows] = others[labels[rows]]
    return spoilt, spoilt != labels


def scores(given: NDArray[np.int64], probs: NDArray[np.float64], beliefs: dict[str, NDArray[np.float64]]) -> Any:
    """Return every score of the labels, higher = more likely wrong."""
    from cleanlab.rank import get_label_quality_scores

    found: dict[str, Any] = {}
    rows = np.arange(len(given))
    for effort, q in beliefs.items():
        found[f"label_wrong, {effort}"] = label_wrong(given, q)
        found[f"1 - p(label) by screener, {effort}"] = 1 - q[rows, given]
    found["label_wrong of the classifier's probabilities alone"] = label_wrong(given, probs)
    for method in CLEANLAB:
        found[f"cleanlab {method}"] = 1 - get_label_quality_scores(given, probs, method=method)
    q = beliefs["balanced"] if "balanced" in beliefs else next(iter(beliefs.values()))
    found["cleanlab self_confidence with our beliefs"] = 1 - get_label_quality_scores(given, q, method=CLEANLAB[0])
    return found


def judged(
    given: NDArray[np.int64],
    bad: NDArray[np.bool_],
    probs: NDArray[np.float64],
    beliefs: dict[str, NDArray[np.float64]],
) -> dict[str, Any]:
    """Return AUROC and precision at n of every score, and number and precision of what is called an error."""
    from cleanlab.filter import find_label_issues

    n = int(bad.sum())
    found = scores(given, probs, beliefs)
    ranked = {}
    for name, score in found.items():
        first = np.argsort(-score, kind="stable")[:n]
        ranked[name] = {"auroc": auroc(bad, score), "precision": float(bad[first].mean())}
    called = {
        FLAGGED[0]: found[f"label_wrong, {next(reversed(beliefs))}"] >= 0.5,
        FLAGGED[1]: find_label_issues(given, probs, n_jobs=1),
    }
    return {
        "ranked": ranked,
        "called": {
            name: {"share": float(mask.sum() / n), "precision": _mean(bad[mask]), "recall": _mean(mask[bad])}
            for name, mask in called.items()
        },
    }


def _mean(values: NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if len(values) else None


def beliefs_of(split: Split, outputs: ModelOutputs) -> NDArray[np.float64]:
    """Return what a screener fitted to a split believes of outputs."""
    return class_beliefs(fitted(split).p_wrong(outputs), outputs.predictions, outputs.probs)


def efforts(split: Split, costs: Any) -> dict[str, tuple[Split, ModelOutputs]]:
    """Return fast and balanced effort; thorough costs much and gains little here."""
    bare = {k: bare_split(split, w) for k, w in columns_left_out(split, costs).items() if k != "thorough"}
    return {effort: (one, one.test_clean) for effort, one in bare.items()}


def noisy(split: Split, rate: float, kind: str, seed: int) -> Split:
    """Spoil the labels of calibration and of its damaged copies alike."""
    labels = np.asarray(split.calibration.labels)
    spoilt, _ = planted(labels, split.calibration.n_classes, rate, kind, (seed, 99))
    return replace(
        split,
        calibration=replace(split.calibration, labels=spoilt),
        calibration_damaged=replace(split.calibration_damaged, labels=spoilt),
    )


def measured(split: Split, costs: Any, seed: int) -> dict[str, Any]:
    """Return what is found of planted errors, by kind and rate."""
    made = efforts(split, costs)
    beliefs = {effort: beliefs_of(one, outputs) for effort, (one, outputs) in made.items()}
    fast, outputs = made["fast"]
    truth, probs = np.asarray(outputs.labels), outputs.probs.astype(np.float64)
    probs = probs / probs.sum(axis=1, keepdims=True)
    result: dict[str, Any] = {}
    for kind in KINDS:
        for rate in RATES:
            draws = []
            for draw in range(DRAWS):
                given, bad = planted(truth, probs.shape[1], rate, kind, (seed, draw))
                draws.append(judged(given, bad, probs, beliefs))
            result[f"{kind} {rate}"] = _averaged(draws)
        spoilt = {"fast": beliefs_of(noisy(fast, RATES[1], kind, seed), outputs)}
        given, bad = planted(truth, probs.shape[1], RATES[1], kind, (seed, 0))
        result[f"{kind} {RATES[1]} noisy calibration"] = judged(given, bad, probs, spoilt)
    return result


def _averaged(draws: list[dict[str, Any]]) -> Any:
    """Average the leaves of equal dictionaries; None counts for nothing."""
    if isinstance(draws[0], dict):
        return {key: _averaged([draw[key] for draw in draws]) for key in draws[0]}
    known = [value for value in draws if value is not None]
    return float(np.mean(known)) if known else None


def doubts(split: Split, defect: dict[str, float]) -> dict[str, Any]:
    """Return how well scores tell cells of which the experts were in doubt, with a bootstrap interval."""
    outputs = split.test_clean
    doubtful = np.array([0 < defect[str(name)] < 1 for name in outputs.ids])
    p_wrong = fitted(split).p_wrong(outputs)
    q = class_beliefs(p_wrong, outputs.predictions, outputs.probs)
    found = {
        "p_wrong": p_wrong,
        "max softmax": max_softmax(outputs),
        "label_wrong": label_wrong(outputs.labels, q),
        "cleanlab self_confidence": 1 - outputs.probs[np.arange(len(q)), outputs.labels],
    }
    return {name: _interval(doubtful, score) for name, score in found.items()}


def _interval(doubtful: NDArray[np.bool_], score: NDArray[np.floating]) -> dict[str, float]:
    found = bootstrap_interval(auroc, doubtful, score, resamples=500)
    return {"auroc": found.value, "low": found.low, "high": found.high}


def solar(chosen: Options) -> Iterator[dict[str, Any]]:
    """Yield what each split of the solar cells tells of doubts."""
    from elpv_dataset.utils import load_dataset

    _, defect, _ = load_dataset()
    known = {f"elpv/{row:05d}": float(value) for row, value in enumerate(defect)}
    backbone = splits.solar_backbone(chosen.cache, chosen.data)
    for seed in range(min(chosen.splits, SOLAR_SPLITS)):
        say(f"{NAME}: solar cells, split {seed + 1}")
        yield doubts(splits.solar_split(backbone, seed), known)


def document(results: dict[str, Any]) -> str:
    """Return the page."""
    about = ABOUT.format(n=results["images"], draws=DRAWS, splits=len(results["splits"]), solar=results["solar_splits"])
    pages = [about, "## Planted errors", _ranked(results), "## What is called an error", _called(results)]
    rows = [
        [name, *(_cell(values["auroc"]), f"{np.mean(values['low']):.3f} to {np.mean(values['high']):.3f}")]
        for name, values in results["doubts"].items()
    ]
    head = ["score", "AUROC of doubtful labels", "bootstrap interval within a split"]
    return "\n\n".join([*pages, "## Doubts of experts", table(head, rows)]) + "\n"


def _ranked(results: dict[str, Any]) -> str:
    rows = [
        [_called_case(case), name, _cell(values["auroc"], 4), _cell(values["precision"])]
        for case, found in results["planted"].items()
        for name, values in found["ranked"].items()
    ]
    return table(["errors", "score", "AUROC", "precision at n"], rows)


def _called(results: dict[str, Any]) -> str:
    rows = [
        [_called_case(case), name, *(_cell(values[key]) for key in ("share", "precision", "recall"))]
        for case, found in results["planted"].items()
        for name, values in found["called"].items()
    ]
    return table(["errors", "by", "called, against planted", "precision", "recall"], rows)


def _called_case(case: str) -> str:
    kind = next(kind for kind in KINDS if case.startswith(kind))
    rate, _, more = case.removeprefix(f"{kind} ").partition(" ")
    return f"{float(rate):.0%}, {KINDS[kind]}" + (f", {more}" if more else "")


def _cell(values: list[float | None], digits: int = 3) -> str:
    mean = over_splits(values)
    return f"{mean.value:.{digits}f} ± {mean.half:.{digits}f}"


def main(chosen: Options) -> None:
    """Measure, print and write."""
    wanted = min(chosen.splits, SPLITS)
    costs, several = thorough_splits.cifar10_parts(replace(chosen, splits=CHOSEN_ON + wanted))
    found, images, seeds = [], 0, list(range(CHOSEN_ON, CHOSEN_ON + wanted))
    for seed, parts in enumerate(several):
        if seed in seeds:
            say(f"{NAME}: CIFAR-10, split {seed}")
            for _, split in parts:
                images = len(split.test_clean)
                found.append(measured(split, costs, seed))
    told = list(solar(chosen))
    results = {
        "splits": seeds,
        "images": images,
        "solar_splits": len(told),
        "planted": transposed(found),
        "doubts": transposed(told),
    }
    results_file.publish(chosen.out, NAME, results, document)


if __name__ == "__main__":
    main(options(__doc__))
