"""p_wrong with few errors in calibration, and with shuffled ones:
python -m experiments.detection.few_errors --data FOLDER.

Calibration is thinned to so many errors, at the same error rate, several times a split; the classifier, the estimators
and the streams stay. With no error at all, it keeps as many images as with five. `fast` effort.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from experiments.shared import results_file
from experiments.shared.combiner_evidence import TITLES, Seen, sets, taken
from experiments.shared.command_line import Options, options, say
from experiments.shared.markdown import FEW_ERRORS, percent, placed, table
from experiments.shared.results_file import change, over_splits
from experiments.shared.splits import REGIMES
from uncertainty.combination.evidence_rows import Evidence
from uncertainty.combination.fit import combine
from uncertainty.metrics import auroc, e_aurc, ece

COUNTS = (0, 5, 10, 20, 50, 100, 200)
DRAWS = 3
REGIMES_MEASURED = ("clean", "damaged")
NAME = "few_errors"
COMPARISON = results_file.RESULTS / "compare.md"
"""The page of the comparison, which has these tables too."""
ABOUT = """\
E-AURC of `p_wrong` at `fast` effort against max softmax on the same stream, when calibration holds so many errors, at
the error rate of the whole: mean with a 95 % t-interval over the splits, each the mean of {draws} draws, and the worst
single draw. Minus is better. Digits have some 30 errors in calibration and solar cells some 100, so the rows end there;
`all` is the whole calibration. Without errors it keeps the correct images that come with five. ECE of p_wrong in per
cent, over 15 bins of equal mass. Splits: {splits}."""
LEAK = """\
The leak test: whether an image is wrong is shuffled among the images of calibration, copies with their originals, and
likewise among those of the stream. Then nothing can be learnt, and the area under the ROC curve must be a half, for
held-out images and for calibration's own images out of fold; anything above would be labels that found a way in.
Means over the splits with 95 % t-intervals."""


def thinned(evidence: Evidence, errors: int, seed: int) -> Evidence:
    """Keep so many wrong images and their share of the right ones, with all their copies."""
    clean = evidence.rows("clean")
    wrong, right = (evidence.groups[clean & (evidence.wrong == flag)] for flag in (True, False))
    rng = np.random.default_rng([seed, errors])
    kept = round(len(right) * (errors or 5) / len(wrong))
    images = np.concatenate([rng.choice(wrong, errors, replace=False), rng.choice(right, kept, replace=False)])
    return taken(np.isin(evidence.groups, images), evidence)


def shuffled(evidence: Evidence, seed: int) -> Evidence:
    """Give each image the errors of another one, those of its copies too."""
    wrong, rng = evidence.wrong.copy(), np.random.default_rng(seed)
    images = np.unique(evidence.groups)
    other = dict(zip(images.tolist(), rng.permutation(images).tolist(), strict=True))
    for condition in np.unique(evidence.condition):
        rows = evidence.condition == condition
        of = dict(zip(evidence.groups[rows].tolist(), evidence.wrong[rows].tolist(), strict=True))
        wrong[rows] = [of[other[image]] for image in evidence.groups[rows].tolist()]
    return replace(evidence, wrong=wrong)


def measured(seen: Seen) -> dict[str, Any]:
    """Return E-AURC and ECE by number of errors and stream, and the leak test by effort; JSON values."""
    fast = seen.at("fast")
    available = fast.calibration.errors("clean")
    counts = [count for count in COUNTS if count < available]
    by_count: dict[str, Any] = {
        str(count): results_file.transposed(
            [_judged(fast, thinned(fast.calibration, count, draw)) for draw in range(DRAWS)]
        )
        for count in counts
    }
    by_count["all"] = results_file.transposed([_judged(fast, fast.calibration)])
    streams = fast.streams.items()
    return {
        "errors": available,
        "max_softmax": {k: e_aurc(s.wrong, fast.softmax(s)) for k, s in streams if k in REGIMES_MEASURED},
        "by_count": by_count,
        "leak": {effort: leak(seen.at(effort)) for effort in seen.efforts},
    }


def _judged(seen: Seen, evidence: Evidence) -> dict[str, Any]:
    combiner = combine(evidence).combiner
    judged = {}
    for regime in REGIMES_MEASURED:
        stream = seen.streams[regime]
        p = combiner.p_wrong(stream.signals)
        judged[regime] = {"e_aurc": e_aurc(stream.wrong, p), "ece": ece(stream.wrong, p)}
    return judged


def leak(seen: Seen, seed: int = 0) -> dict[str, float]:
    """Return the area under the ROC curve where all errors are shuffled: held out, and out of fold."""
    evidence, stream = shuffled(seen.calibration, seed), seen.streams["clean"]
    combination, clean = combine(evidence), evidence.rows("clean")
    errors = np.random.default_rng([seed, 1]).permutation(stream.wrong)
    return {
        "held out": auroc(errors, combination.combiner.p_wrong(stream.signals)),
        "out of fold": auroc(evidence.wrong[clean], combination.out_of_fold[clean]),
    }


def few_table(results: dict[str, Any]) -> str:
    """Return the table of all sets by number of errors."""
    head = ["images", "errors in calibration"]
    head += [f"{REGIMES[k]}: {what}" for k in REGIMES_MEASURED for what in ("E-AURC", "worst draw", "ECE")]
    rows = [
        [TITLES[name], _called(count, numbers), *_cells(by_regime, numbers["max_softmax"])]
        for name, numbers in results.items()
        for count, by_regime in numbers["by_count"].items()
    ]
    return table(head, rows)


def _called(count: str, numbers: dict[str, Any]) -> str:
    return f"all ({over_splits(numbers['errors']).value:.0f})" if count == "all" else count


def _cells(by_regime: dict[str, Any], softmax: dict[str, Any]) -> list[str]:
    cells = []
    for regime in REGIMES_MEASURED:
        base = softmax[regime]
        # One list of draws a split; a split with fewer errors in calibration has none.
        draws = [_of(split) for split in by_regime[regime]["e_aurc"]]
        means = [float(np.mean(split)) if split else None for split in draws]
        worst = max(100 * (value / b - 1) for split, b in zip(draws, base, strict=True) for value in split)
        errors = [float(np.mean(_of(split))) if split else None for split in by_regime[regime]["ece"]]
        cells += [percent(change(means, base)), f"{worst:+.1f} %", f"{100 * over_splits(errors).value:.1f}"]
    return cells


def _of(split: list[float] | None) -> list[float]:
    return split or []


def leak_table(results: dict[str, Any]) -> str:
    """Return the table of the leak test."""
    rows = [
        [TITLES[name], effort, *(_interval(values[which]) for which in ("held out", "out of fold"))]
        for name, numbers in results.items()
        for effort, values in numbers["leak"].items()
    ]
    return table(["images", "effort", "AUROC held out", "AUROC out of fold"], rows)


def _interval(values: list[float]) -> str:
    mean = over_splits(values)
    return f"{mean.value:.3f} ({mean.low:.3f} to {mean.high:.3f})"


def sections(results: dict[str, Any]) -> str:
    """Return both tables and what they mean."""
    splits = ", ".join(f"{TITLES[name]} {len(numbers['errors'])}" for name, numbers in results.items())
    about = " ".join(ABOUT.format(draws=DRAWS, splits=splits).split())
    return "\n\n".join([about, few_table(results), " ".join(LEAK.split()), leak_table(results)])


def document(results: dict[str, Any]) -> str:
    """Return the page."""
    return f"# Few errors in calibration\n\n{sections(results)}\n"


def main(chosen: Options) -> None:
    """Measure what has its data; the digits whose classifier knows eight have no stream of their own here."""
    results: dict[str, Any] = {}
    for name, make in sets(chosen).items():
        if name == "digits_unknown":
            continue
        rows = []
        for seed, seen in enumerate(make()):
            say(f"{name}: split {seed + 1} of {chosen.splits}")
            rows.append(measured(seen))
        results[name] = results_file.transposed(rows)
    results_file.publish(chosen.out, NAME, results, document)
    if chosen.out == results_file.RESULTS and COMPARISON.exists():
        text = placed(COMPARISON.read_text(encoding="utf-8"), FEW_ERRORS, sections(results_file.load(chosen.out, NAME)))
        COMPARISON.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(options(__doc__))
