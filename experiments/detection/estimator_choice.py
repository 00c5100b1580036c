"""Which estimators earn a place in the default set:
python -m experiments.detection.estimator_choice --data FOLDER --splits 5.

Each optional estimator is added to the default set of one forward pass, each default one is left out of it, and groups
of strong optional ones are added together. All of it is combined anew on the same calibration rows and screens the
same streams as in the other experiments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from experiments.shared import results_file
from experiments.shared.command_line import Options, options, say
from experiments.shared.fitted_screener import MAX_SOFTMAX, named_as_originals
from experiments.shared.image_sets import TITLES
from experiments.shared.markdown import percent, table
from experiments.shared.results_file import Mean, change, over_splits
from experiments.shared.splits import (
    REGIMES,
    Split,
    cifar10_maker,
    digits_split,
    digits_unknown_split,
    solar_backbone,
    solar_split,
)
from uncertainty.combination.calibration_sets import fit_estimators
from uncertainty.combination.evidence import Shares, evidence, signals
from uncertainty.combination.fit import combine
from uncertainty.defaults import EXPECT_DAMAGE, EXPECT_UNKNOWN
from uncertainty.estimators import discover
from uncertainty.estimators.base import Estimator
from uncertainty.metrics import e_aurc

NAME = "estimator_choice"
GROUPS = (
    ("relative_mahalanobis", "vim_residual"),
    ("delta_knn", "relative_mahalanobis"),
    ("delta_knn", "vim_residual"),
    ("delta_knn", "nn_guide", "relative_mahalanobis"),
    ("delta_knn", "relative_mahalanobis", "vim_residual"),
    ("delta_knn", "max_logit_pnorm", "nn_guide", "relative_mahalanobis", "vim_residual"),
)
USUAL, ALL = "default set", "+ all optional"
GAIN, HARM = -0.5, 1.0
"""Per cent of E-AURC: the least gain over all cells that earns a place, and the most that may be lost in one."""
Sets = dict[str, tuple[str, ...]]


def estimator_sets(usable: Sequence[Estimator], *, groups: bool) -> Sets:
    """Return the sets to combine, by name: the default one, with one more, with one less, and with several more."""
    default = tuple(e.name for e in usable if e.default)
    optional = [e.name for e in usable if not e.default]
    sets: Sets = {USUAL: default}
    sets |= {f"+ {name}": (*default, name) for name in optional}
    sets |= {f"- {name}": tuple(other for other in default if other != name) for name in default}
    if groups:
        sets |= {f"+ {' + '.join(some)}": (*default, *some) for some in GROUPS} | {ALL: (*default, *optional)}
    return sets


def measured(split: Split, regimes: Sequence[str], *, groups: bool = True) -> dict[str, dict[str, float]]:
    """Return E-AURC of p_wrong for each stream and set of estimators, and of max softmax."""
    every = [cls() for cls in discover().values()]
    usable, _ = fit_estimators(every, split.reference, split.calibration)
    copies = tuple(map(named_as_originals, (split.calibration_damaged, split.calibration_foreign)))
    rows = evidence(usable, split.calibration, copies, Shares(EXPECT_DAMAGE, EXPECT_UNKNOWN))
    streams = {regime: split.streams[regime] for regime in regimes if regime in split.streams}
    known = {regime: signals(usable, stream) for regime, stream in streams.items()}
    names = [e.name for e in usable]
    softmax = names.index(MAX_SOFTMAX)
    found = {r: {MAX_SOFTMAX: e_aurc(streams[r].wrong, known[r].scores[:, softmax])} for r in streams}
    for title, chosen in estimator_sets(usable, groups=groups).items():
        columns = np.isin(names, chosen)
        combiner = combine(rows.only(columns)).combiner
        for regime, stream in streams.items():
            p_wrong = combiner.p_wrong(replace(known[regime], scores=known[regime].scores[:, columns]))
            found[regime][title] = e_aurc(stream.wrong, p_wrong.astype(np.float32))
    return found


def digits(seed: int) -> dict[str, dict[str, float]]:
    """Measure digits; the unknown stream has a classifier of its own."""
    known = measured(digits_split(seed), ("clean", "damaged"), groups=False)
    return known | measured(digits_unknown_split(seed), ("unknown",), groups=False)


def measures(chosen: Options) -> Iterator[tuple[str, Callable[[int], dict[str, dict[str, float]]]]]:
    """Yield what to call with the number of a split, for each set of images."""
    backbone = solar_backbone(chosen.cache, chosen.data)
    yield "solar_cells", lambda seed: measured(solar_split(backbone, seed), tuple(REGIMES))
    split = cifar10_maker(chosen.folder, chosen.cache)
    yield "cifar10", lambda seed: measured(split(seed), tuple(REGIMES))
    yield "digits", digits


def cells(results: dict[str, Any], title: str, against: str = USUAL) -> dict[tuple[str, str], Mean]:
    """Return the change of E-AURC that a set brings, in each stream of each set of images."""
    return {
        (name, regime): change(by_set[title], by_set[against])
        for name, by_regime in results.items()
        for regime, by_set in by_regime.items()
        if title in by_set
    }


def overall(results: dict[str, Any], title: str) -> Mean:
    """Return the change of E-AURC, averaged over the cells that have it, each in per cent of its own default set.

    Streams of a split are averaged first: they share their calibration. Sets of images are independent of each other.
    """
    means = []
    for by_regime in results.values():
        found = [by_set for by_set in by_regime.values() if title in by_set]
        pairs = [[np.array(by_set[name], dtype=np.float64) for name in (title, USUAL)] for by_set in found]
        relative = [100 * (with_it - usual) / usual.mean() for with_it, usual in pairs]
        means += [(len(found), over_splits(list(np.nanmean(relative, axis=0))))] if found else []
    cells_in_all = sum(count for count, _ in means)
    half = np.sqrt(sum((count * mean.half) ** 2 for count, mean in means)) / cells_in_all
    return Mean(sum(count * mean.value for count, mean in means) / cells_in_all, float(half))


def verdict(results: dict[str, Any], title: str) -> str:
    """Say whether an estimator that was added earns a place, or one that was left out is missed."""
    mean, worst = overall(results, title), max(cell.value for cell in cells(results, title).values())
    doubt = "" if mean.low > 0 or mean.high < 0 else ", within noise"
    if not title.startswith("+"):
        return "not missed" if mean.value <= 0 and worst <= HARM else f"missed{doubt}"
    if mean.value > GAIN:
        return "gains too little"
    return f"earns a place{doubt}" if worst <= HARM else "harms a cell"


def document(results: dict[str, Any]) -> str:
    """Return the page, from the numbers."""
    titles = list(next(iter(next(iter(results.values())).values())))
    single = [t for t in titles if t[:2] in ("+ ", "- ") and t.count("+") + t.count("- ") == 1 and t != ALL]
    groups = [t for t in titles if t.count("+") > 1 or t == ALL]
    about = " ".join((__doc__ or "").split("\n\n", 1)[1].split())
    rule = (
        f"An optional estimator earns a place where it lowers E-AURC by {-GAIN:g} % on average over the cells and "
        f"raises it by more than {HARM:g} % in none; a default one is not missed where leaving it out raises E-AURC "
        "neither on average nor by more than that in any cell; within noise: 0 lies in the interval. "
        "Changes of E-AURC against the default set, means over "
        "splits; intervals are 95 % t-intervals over the splits, which share images. Lower is better."
    )
    against = "The same against max softmax, on the streams that are like calibration:"
    counts = {name: len(by_regime["clean"][USUAL]) for name, by_regime in results.items()}
    about += f" Splits: {', '.join(f'{TITLES[name]} {count}' for name, count in counts.items())}."
    parts = ["# Which estimators earn a place", about, rule, _changes(results, single, with_verdict=True)]
    parts += ["## Several strong ones together", _changes(results, groups), against]
    return "\n\n".join([*parts, _in_distribution(results, [USUAL, *groups])]) + "\n"


def _changes(results: dict[str, Any], titles: Sequence[str], *, with_verdict: bool = False) -> str:
    columns = list(cells(results, USUAL))
    head = ["estimator", "mean of the cells", *(["verdict"] if with_verdict else [])]
    head += [f"{TITLES[name]}, {REGIMES[regime]}" for name, regime in columns]
    rows = []
    for title in sorted(titles, key=lambda t: (t[0], overall(results, t).value * (1 if t[0] == "+" else -1))):
        found = cells(results, title)
        row = [f"`{title}`", percent(overall(results, title)), *([verdict(results, title)] if with_verdict else [])]
        rows.append(row + [percent(found[cell]) if cell in found else "" for cell in columns])
    return table(head, rows)


def _in_distribution(results: dict[str, Any], titles: Sequence[str]) -> str:
    rows = []
    for title in titles:
        found = cells(results, title, MAX_SOFTMAX)
        rows.append(
            [f"`{title}`", *(percent(found[name, "clean"]) if (name, "clean") in found else "" for name in results)]
        )
    return table(["estimators", *(TITLES[name] for name in results)], rows)


def main(chosen: Options) -> None:
    """Measure all sets of images, print and write the page and the numbers."""
    results: dict[str, Any] = {}
    for name, measure in measures(chosen):
        rows = []
        for seed in range(chosen.splits):
            say(f"{name}: split {seed + 1} of {chosen.splits}")
            rows.append(measure(seed))
            results[name] = results_file.transposed(rows)
            results_file.write(chosen.out / f"{NAME}.json", results)
    results_file.publish(chosen.out, NAME, results, document)


if __name__ == "__main__":
    main(options(__doc__))
