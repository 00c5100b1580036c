"""Slices of images: dark, blurred, of one camera; which go with errors, beyond the mix of their classes?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.brief import Brief
from uncertainty.errors import InputError
from uncertainty.evaluation.confusion import Averages, Counts, Pair, confused_pairs
from uncertainty.evaluation.outcomes import Outcomes
from uncertainty.files import plain
from uncertainty.metrics.stratified_test import Strata, holm, wilson
from uncertainty.verdicts import METADATA, QUALITY

QUALITY_SLICES = {
    "dark": ("brightness", -1),
    "light": ("brightness", 1),
    "low_contrast": ("contrast", -1),
    "high_contrast": ("contrast", 1),
    "blurry": ("blur", 1),
    "noisy": ("blur", -1),
    "grayscale": ("saturation", -1),
    "oversaturated": ("saturation", 1),
    "low_information": ("entropy", -1),
    "small": ("size", -1),
    "large": ("size", 1),
    "odd_aspect_ratio": ("aspect", 1),
}
"""The statistic that names a slice, and on which side of what is usual the slice lies."""
LEVEL = 0.05
_FEWEST_ROWS = 10
_MOST_VALUES = 50
_BINNED_FROM = 10
_TENTH = 0.1
_HALF = 0.5
_PAIRS = 5


@dataclass(frozen=True)
class Slice:
    """One slice against all other rows for which its column is known.

    `p` is of Fisher's exact test, `p_within_class` and `p_within_predicted` of its exact form that compares images of
    the same true or predicted class only; `_holm` is corrected for all slices tested. `odds_ratio` (Mantel-Haenszel)
    is within classes too, above 1 = more errors; None where nothing outside is wrong.
    """

    by: str
    name: str
    definition: str
    n: int
    n_errors: int
    error_rate: float
    low: float
    high: float
    n_rest: int
    error_rate_rest: float
    error_rate_expected: float | None
    """What the classes of its images alone would make one expect."""
    odds_ratio: float | None
    p: float
    p_holm: float
    p_within_class: float
    p_within_class_holm: float
    p_within_predicted: float
    p_within_predicted_holm: float
    flagged_share: float | None
    errors_caught: float | None
    macro: Averages
    confused_pairs: tuple[Pair, ...]
    conclusion: str
    overlaps: tuple[tuple[str, float], ...] = ()
    """Other slices that go with errors and hold at least half of its images: their names and that share."""


@dataclass(frozen=True)
class ClassSlice:
    """One slice of the images of one class against the other images of it: how often the decision on it is wrong."""

    class_name: str
    by: str
    name: str
    n: int
    n_errors: int
    error_rate: float
    n_rest: int
    error_rate_rest: float
    p: float
    p_holm: float
    conclusion: str


@dataclass(frozen=True)
class Skipped:
    """What could not be tested, and why."""

    by: str
    why: str


@dataclass(frozen=True, repr=False)
class SliceReport(Brief):
    """All slices, the surest first; `level` bounds the chance that any of them is called worse or better by luck."""

    level: float
    tests: int
    skipped: tuple[Skipped, ...]
    slices: tuple[Slice, ...]
    n: int = 0
    n_errors: int = 0
    """All rows, those outside of every slice included, and how many of them are wrong: the base."""
    per_class: tuple[ClassSlice, ...] = ()
    """Where an image may have several labels, see `class_slices`."""

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers, strings and dictionaries; what can't be said is None."""
        return dict(plain(self))


@dataclass(frozen=True, eq=False)
class Group:
    """A slice before it is measured: (n,) which rows are in it, and for which its column is known."""

    by: str
    name: str
    definition: str
    inside: NDArray[np.bool_]
    there: NDArray[np.bool_]


def slice_report(
    outcomes: Outcomes,
    *,
    usual: Mapping[str, Sequence[float]] | None = None,
    by: Sequence[str] | None = None,
    level: float = LEVEL,
) -> SliceReport:
    """Compare each slice of the rows with the rest.

    Slices by quality are those of QUALITY_SLICES for which there is a column `quality_<statistic>`: beyond the ends
    that `usual` gives for it (such as the known-good images have, `usual_quality` of the provenance), or without them
    the lowest or highest tenth. Slices by a column `meta_<name>` are its values, for numbers their quarters. Slices,
    or rests, of fewer than 10 rows are skipped. `by` picks slices ("dark"), statistics or columns ("camera").

    "more errors" and "fewer errors" are said where the test within true classes, corrected by Holm, is below `level`:
    with probability 1 − level not one is said wrongly. That a slice goes with errors does not make it their cause:
    dark images may be blurred as well, which `overlaps` shows. Raises InputError for a `by` that
    is not there, naming what is. Of several labels an image those count of which every answer is known.
    """
    if not outcomes.whole.all():
        outcomes = outcomes.take(outcomes.whole)
    found = [large_enough(one) for one in groups_of(outcomes, usual or {}, by)]
    groups = [one for one in found if isinstance(one, Group)]
    skipped = [one for one in found if isinstance(one, Skipped)]
    strata = _numbered(outcomes.truth), _numbered(outcomes.predicted)
    slices = _corrected([_measured(outcomes, group, *strata) for group in groups], level)
    slices = [replace(one, overlaps=_overlaps(k, slices, groups)) for k, one in enumerate(slices)]
    surest_first = tuple(sorted(slices, key=lambda one: one.p_within_class))
    return SliceReport(
        level, len(slices), tuple(skipped), surest_first, len(outcomes.wrong), int(np.sum(outcomes.wrong))
    )


def groups_of(
    outcomes: Outcomes, usual: Mapping[str, Sequence[float]], by: Sequence[str] | None
) -> Iterator[Group | Skipped]:
    """Yield the slices that `slice_report` tells of, and those that it can't make."""
    columns = outcomes.table.column_names
    words = {w: s for w, s in QUALITY_SLICES.items() if QUALITY + s[0] in columns}
    metadata = [name.removeprefix(METADATA) for name in columns if name.startswith(METADATA)]
    if by is not None:
        there = [*words, *dict.fromkeys(statistic for statistic, _ in words.values()), *metadata]
        if unknown := [name for name in by if name not in there]:
            raise InputError(f"there is nothing to slice by {unknown[0]!r}; there is {', '.join(there) or 'nothing'}")
        words = {w: s for w, s in words.items() if w in by or s[0] in by}
        metadata = [name for name in metadata if name in by]
    for word, (statistic, side) in words.items():
        values = np.asarray(outcomes.table[QUALITY + statistic].to_numpy(zero_copy_only=False), dtype=np.float64)
        yield _beyond(word, statistic, side, values, usual.get(statistic))
    for name in metadata:
        yield from _by_value(name, outcomes.table[METADATA + name].to_pylist())


def _beyond(word: str, statistic: str, side: int, values: NDArray[np.float64], ends: Sequence[float] | None) -> Group:
    there = ~np.isnan(values)
    if ends is not None:
        end, why = ends[side > 0], "as about 5 % of the known-good images are"
    else:
        share = _TENTH if side < 0 else 1 - _TENTH
        end = float(np.quantile(values[there], share)) if there.any() else np.nan
        why = f"the {'lowest' if side < 0 else 'highest'} tenth of these images"
    definition = f"{statistic} {'below' if side < 0 else 'above'} {end:.4g}, {why}"
    return Group(QUALITY + statistic, word, definition, there & (side * values > side * end), there)


def _by_value(name: str, values: list[str | None]) -> Iterator[Group | Skipped]:
    texts = np.array(["" if value is None else value for value in values], dtype=object)
    there = np.array([value is not None for value in values], dtype=bool)
    distinct = sorted(set(texts[there].tolist()))
    numbers = _as_numbers(texts, there) if len(distinct) > _BINNED_FROM else None
    if numbers is not None:
        yield from _quarters(name, numbers, there)
    elif len(distinct) > _MOST_VALUES:
        yield Skipped(name, f"{len(distinct)} different values; group them into at most {_MOST_VALUES}")
    elif len(distinct) == 1:
        yield Skipped(name, "the same in all images")
    else:
        for value in distinct:
            yield Group(METADATA + name, f"{name} = {value}", f"images whose {name} is {value}", texts == value, there)


def _as_numbers(texts: NDArray[Any], there: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    numbers = np.full(len(texts), np.nan)
    try:
        numbers[there] = [float(text) for text in texts[there]]
    except ValueError:
        return None
    return numbers if np.isfinite(numbers[there]).all() else None


def _quarters(name: str, numbers: NDArray[np.float64], there: NDArray[np.bool_]) -> Iterator[Group]:
    edges = np.unique(np.quantile(numbers[there], (0.25, 0.5, 0.75)))
    lows, highs = [-np.inf, *edges], [*edges, np.inf]
    for low, high in zip(lows, highs, strict=True):
        words = f"up to {high:.6g}" if low == -np.inf else f"above {low:.6g}"
        words += f" up to {high:.6g}" if np.isfinite([low, high]).all() else ""
        inside = (numbers > low) & (numbers <= high)
        yield Group(METADATA + name, f"{name} {words}", f"images whose {name} is {words}", inside, there)


def large_enough(found: Group | Skipped) -> Group | Skipped:
    """Return a slice, or that it is too small, or too large, to be compared with the rest."""
    if isinstance(found, Skipped):
        return found
    n, rest = int(found.inside.sum()), int((found.there & ~found.inside).sum())
    if n >= _FEWEST_ROWS and rest >= _FEWEST_ROWS:
        return found
    return Skipped(found.name, f"{n} images and {rest} others ({found.definition}); it takes {_FEWEST_ROWS} of both")


def _numbered(which: NDArray[Any]) -> NDArray[np.int64]:
    """Rows that are alike get the same number, from 0."""
    return np.unique(which, axis=0, return_inverse=True)[1].reshape(-1)


def _measured(outcomes: Outcomes, group: Group, truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> Slice:
    inside, there, wrong = group.inside[group.there], group.there, outcomes.wrong[group.there]
    alone = Strata.of(inside, wrong, np.zeros(len(wrong), dtype=np.int64))
    classes = Strata.of(inside, wrong, truth[there])
    part = outcomes.take(group.inside)
    n, errors, rest = int(inside.sum()), int((wrong & inside).sum()), int((~inside).sum())
    low, high = wilson(errors, n)
    flagged = part.flagged
    return Slice(
        by=group.by,
        name=group.name,
        definition=group.definition,
        n=n,
        n_errors=errors,
        error_rate=errors / n,
        low=low,
        high=high,
        n_rest=rest,
        error_rate_rest=int((wrong & ~inside).sum()) / rest,
        error_rate_expected=classes.expected_rate(),
        odds_ratio=classes.odds_ratio(),
        p=(p := alone.exact_p()),
        p_holm=p,
        p_within_class=(within := classes.exact_p()),
        p_within_class_holm=within,
        p_within_predicted=(said := Strata.of(inside, wrong, predicted[there]).exact_p()),
        p_within_predicted_holm=said,
        flagged_share=None if flagged is None else float(flagged.mean()),
        errors_caught=None if flagged is None or not errors else float(flagged[part.wrong].mean()),
        macro=Counts.of(part).averages()["macro"],
        confused_pairs=confused_pairs(part, _PAIRS),
        conclusion="",
    )


def _corrected(slices: list[Slice], level: float) -> list[Slice]:
    names = ("p", "p_within_class", "p_within_predicted")
    corrected = [holm(np.array([getattr(one, name) for one in slices])) for name in names]
    done = [
        replace(one, p_holm=float(p), p_within_class_holm=float(within), p_within_predicted_holm=float(said))
        for one, p, within, said in zip(slices, *corrected, strict=True)
    ]
    return [replace(one, conclusion=_conclusion(one, level)) for one in done]


def _overlaps(k: int, slices: list[Slice], groups: list[Group]) -> tuple[tuple[str, float], ...]:
    shares = [
        (other.name, float(group.inside[groups[k].inside].mean()))
        for other, group in zip(slices, groups, strict=True)
        if other is not slices[k] and other.conclusion in ("more errors", "fewer errors")
    ]
    return tuple(sorted((pair for pair in shares if pair[1] >= _HALF), key=lambda pair: -pair[1]))


def _conclusion(one: Slice, level: float) -> str:
    if one.p_within_class_holm < level:
        return "more errors" if one.error_rate > (one.error_rate_expected or 0) else "fewer errors"
    return "explained by class" if one.p_holm < level else "no evidence"
