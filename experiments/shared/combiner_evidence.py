"""What the combiner learns from and is judged on, made once a split: scores of calibration rows and of all streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from experiments.shared import image_sets, splits, thorough_splits
from experiments.shared.command_line import Options, say
from experiments.shared.fitted_screener import MAX_SOFTMAX, named_as_originals
from experiments.shared.splits import Split
from uncertainty.combination.calibration_sets import fit_estimators
from uncertainty.combination.evidence import Shares, evidence, signals
from uncertainty.combination.evidence_rows import Evidence
from uncertainty.combination.mixture import Signals
from uncertainty.defaults import EXPECT_DAMAGE, EXPECT_UNKNOWN
from uncertainty.estimators import discover

TITLES = {
    "digits": "Digits",
    "digits_unknown": "Digits, eight known",
    "solar_cells": "Solar cells",
    "cifar10": "CIFAR-10",
}
EFFORTS = {"fast": ("second opinion", "views"), "balanced": ("views",), "thorough": ()}
"""Which families of estimators each effort does without."""


@dataclass(frozen=True, eq=False)
class Stream:
    """Signals and errors of images that arrive."""

    signals: Signals
    wrong: NDArray[np.bool_]

    def take(self, rows: NDArray[np.bool_]) -> Stream:
        return Stream(self.signals.take(rows), self.wrong[rows])


@dataclass(frozen=True, eq=False)
class Seen:
    """One split as the combiner sees it: calibration, the streams by regime, all damaged test rows and their kinds."""

    calibration: Evidence
    families: tuple[str, ...]
    streams: dict[str, Stream]
    every_damaged: Stream
    kinds: NDArray[np.str_]

    def at(self, effort: str) -> Seen:
        """Keep the estimators of an effort."""
        kept = ~np.isin(self.families, EFFORTS[effort])
        return replace(
            self,
            calibration=self.calibration.only(kept),
            families=tuple(np.array(self.families)[kept]),
            streams={regime: _only(stream, kept) for regime, stream in self.streams.items()},
            every_damaged=_only(self.every_damaged, kept),
        )

    @property
    def efforts(self) -> list[str]:
        """Those efforts of which no two have the same estimators here."""
        sizes = {effort: len(self.at(effort).families) for effort in EFFORTS}
        return [effort for k, effort in enumerate(sizes) if sizes[effort] not in list(sizes.values())[:k]]

    def softmax(self, stream: Stream) -> NDArray[np.float64]:
        """Return 1 - max softmax."""
        return np.asarray(stream.signals.scores[:, self.calibration.names.index(MAX_SOFTMAX)])


def _only(stream: Stream, kept: NDArray[np.bool_]) -> Stream:
    return Stream(replace(stream.signals, scores=stream.signals.scores[:, kept]), stream.wrong)


def seen(split: Split, regimes: Sequence[str]) -> Seen:
    """Fit the default estimators to a split and score everything."""
    defaults = [estimator() for estimator in discover().values() if estimator.default]
    estimators, _ = fit_estimators(defaults, split.reference, split.calibration)
    copies = (named_as_originals(split.calibration_damaged), named_as_originals(split.calibration_foreign))
    every = split.every_test_damaged
    return Seen(
        calibration=evidence(estimators, split.calibration, copies, Shares(EXPECT_DAMAGE, EXPECT_UNKNOWN)),
        families=tuple(estimator.family for estimator in estimators),
        streams={k: Stream(signals(estimators, o), o.wrong) for k, o in split.streams.items() if k in regimes},
        every_damaged=Stream(signals(estimators, every), every.wrong),
        kinds=image_sets.kinds(np.asarray(every.ids)),
    )


def taken(rows: NDArray[np.bool_], of: Evidence) -> Evidence:
    """Return some rows of the evidence."""
    columns = {name: getattr(of, name)[rows] for name in ("wrong", "condition", "weights", "groups")}
    return replace(of, signals=of.signals.take(rows), **columns)


def sets(chosen: Options) -> dict[str, Callable[[], Iterator[Seen]]]:
    """Return what makes the splits of each set; without the folder of CIFAR-10 only digits."""
    made: dict[str, Callable[[], Iterator[Seen]]] = {
        "digits": partial(_digits, splits.digits_split, ("clean", "damaged"), chosen.splits),
        "digits_unknown": partial(_digits, splits.digits_unknown_split, ("unknown",), chosen.splits),
    }
    if chosen.data is None:
        say("solar cells and CIFAR-10 are left out: --data was not given")
        return made
    for name, make in {"solar_cells": thorough_splits.solar_parts, "cifar10": thorough_splits.cifar10_parts}.items():
        made[name] = partial(_wide, make, chosen)
    return made


def _digits(make: Callable[[int], Split], regimes: tuple[str, ...], count: int) -> Iterator[Seen]:
    return (seen(make(seed), regimes) for seed in range(count))


def _wide(make: Callable[[Options], thorough_splits.Parts], chosen: Options) -> Iterator[Seen]:
    _, made = make(chosen)
    return (seen(split, regimes) for parts in made for regimes, split in parts)
