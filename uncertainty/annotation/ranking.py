"""From a verdict table to the list of images to label next."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.annotation.batch_selection import NEED_FEATURES, PLAIN, Known, Rows, choose
from uncertainty.annotation.candidates import Positions
from uncertainty.annotation.class_doubts import DOUBTFUL, ClassDoubts, needed
from uncertainty.annotation.expected_yield import Yield, expected_yield
from uncertainty.annotation.ranking_settings import DOUBT, RankingSettings
from uncertainty.checks.class_columns import DECISION
from uncertainty.errors import InputError
from uncertainty.figures import number_of
from uncertainty.images.groups import Grouping
from uncertainty.labels.tables import encoded, other_names, task_of
from uncertainty.notebook.tabular import Tabular
from uncertainty.verdicts import METADATA, QUALITY, SUGGESTED, Verdicts, metadata_of_rows, with_columns

if TYPE_CHECKING:
    import pyarrow as pa

PREDICTED = "predicted"
HOPELESS = MappingProxyType({"contrast": (-1, 0.05), "darkness": (1, 0.94), "entropy": (-1, 1.0), "blur": (1, 11.0)})
"""Statistics of an image in which nobody could see anything, and beyond what: it has less than 13 of 256 grey levels
between its 5 % and its 95 % quantile, or 95 % of it darker than 15 of 255, or less than one bit of information, or no
detail at all. See `uncertainty.images.quality`."""
_COLUMNS = ("file_name", "predicted_label", "confidence", *SUGGESTED, "p_wrong", "flagged", "reasons")
_BY_STRATEGY, BY_CHANCE = "strategy", "explore"
_WHY = ("group", "duplicates", "drawn_by", "inclusion_probability")
LISTED = ("rank", *(name for name in _COLUMNS if name not in SUGGESTED), *_WHY)
"""The columns of a list, but for suggested and doubtful labels, which not every list has."""


@dataclass(frozen=True, eq=False, repr=False)
class Selection(Tabular):
    """The images to label next.

    `table` has a row an image, the first to label first: `rank` from 1, the columns of the verdicts, `group` (the image
    that stands for near-duplicates and its group, mostly itself), `duplicates` (those folded into it, as far as they
    were looked at), of several labels `doubtful_labels`, the most doubtful first,
    `drawn_by` (strategy or explore) and `inclusion_probability`, the chance that it had to be in the list.
    """

    table: pa.Table
    expected: Yield
    strategy: str
    notes: tuple[str, ...]


def select(
    verdicts: Verdicts,
    asked: RankingSettings,
    known: Known = Known(),  # noqa: B008, it is frozen
    *,
    exclude: Collection[str] = (),
) -> Selection:
    """Return the images to label next.

    Images that could not be read are left out, and so are those whose name is in `exclude`, which have labels.
    Near-duplicates are folded into the most suspicious of them, among the 4 n candidates of largest p_wrong (more if
    these are too few), and so are images of one group. The strategy chooses among what is left.

    Raises InputError: an unknown column, no image with a group where groups are asked for, or no candidate.
    """
    table, n, strategy = verdicts.table, asked.n, asked.strategy
    among, notes = _candidates(table, exclude, asked.exclude_hopeless)
    if n > len(among):
        there = number_of(len(among), "candidate")
        notes.append(f"asked for were {n} of {there}: all of them are listed")
        n = len(among)
    if strategy in NEED_FEATURES and known.features is None:
        notes.append(f"no features of these images are known, so p_wrong alone chooses ({PLAIN}) instead of {strategy}")
        strategy = PLAIN
    by_chance = 0 if asked.explore == 0 else max(1, round(asked.explore * n))
    groups, doubts = _groups(table, asked.grouping), ClassDoubts.of(verdicts)
    about, by_doubt = asked.doubt_of, asked.quota_per == DOUBT
    rows = Rows(
        p_wrong=_numbers(table, "p_wrong") if about is None else needed(doubts).about(about),
        known=known if groups is None else replace(known, groups=groups),
        quota=needed(doubts).doubtful if by_doubt else _quota(table, asked.quota_per),
        doubts=needed(doubts).p_wrong if by_doubt else None,
        probs=_probs(table) if strategy == "badge" else None,
        labelled=np.flatnonzero(_named(table, exclude)),
    )
    chosen, stand_ins = choose(rows, among, n - by_chance, strategy, seed=asked.seed)
    if missing := n - by_chance - len(chosen):
        others = "near-duplicates of these" if groups is None else "near-duplicates or of the groups of these"
        notes.append(f"{missing} fewer than asked for: all other candidates are {others}")
    rest = np.setdiff1d(among, chosen)
    drawn = np.random.default_rng([asked.seed, 1]).permutation(rest)[:by_chance]
    order = _interleaved(chosen, drawn)
    listed = _listed(table, order, np.isin(order, drawn), len(drawn) / max(len(rest), 1), stand_ins)
    if doubts is not None:
        listed = with_columns(listed, _doubts(doubts, order, about))
    errors = _calibration_errors(verdicts) if about is None else None
    if about is not None:
        notes.append(f"ranked are the doubts of {about!r}, and errors expected are of that decision alone")
    expected = expected_yield(rows.p_wrong[order], rows.p_wrong[among], errors)
    return Selection(listed, expected, strategy, tuple(notes))


def _candidates(table: pa.Table, exclude: Collection[str], exclude_hopeless: bool) -> tuple[Positions, list[str]]:
    """Return the rows that can be chosen, and what there is to say about the others."""
    unreadable = np.asarray(table["error"].is_valid().to_pylist(), dtype=bool) | np.isnan(_numbers(table, "p_wrong"))
    out = unreadable.copy()
    lost = number_of(int(unreadable.sum()), "image that could not be read is", "images that could not be read are")
    notes = [f"{lost} left out"] if unreadable.any() else []
    if exclude:
        known = _named(table, exclude)
        notes.append(f"{number_of(int((known & ~out).sum()), 'image is', 'images are')} excluded by name")
        out |= known
    if exclude_hopeless:
        hopeless = hopeless_rows(table)
        dark = number_of(int((hopeless & ~out).sum()), "image is", "images are")
        notes.append(f"{dark} left out because nobody could see anything in them")
        out |= hopeless
    rows = np.flatnonzero(~out)
    if not len(rows):
        raise InputError(f"none of {len(table)} images can be listed: {'; '.join(notes) or 'the table is empty'}")
    return rows, notes


def _named(table: pa.Table, names: Collection[str]) -> NDArray[np.bool_]:
    wanted = frozenset(names)
    return np.array([name in wanted for name in table["file_name"].to_pylist()], dtype=bool)


def hopeless_rows(table: pa.Table) -> NDArray[np.bool_]:
    """Return (N,) whether an image is beyond one of the HOPELESS limits; raises InputError without such columns."""
    found = np.zeros(len(table), dtype=bool)
    for name, (sign, limit) in HOPELESS.items():
        if QUALITY + name not in table.column_names:
            raise InputError(
                f"the verdicts have no column {QUALITY + name!r}, so hopeless images can't be told; screen again"
            )
        found |= sign * _numbers(table, QUALITY + name) > sign * limit
    return found


def _numbers(table: pa.Table, column: str) -> NDArray[np.float64]:
    return np.asarray(table[column].to_numpy(zero_copy_only=False), dtype=np.float64)


def _quota(table: pa.Table, quota_per: str | None) -> NDArray[Any] | None:
    """Return (N,) from 0 on the share of each row; None without quotas.

    Per predicted label, where an image may have several: (N, c + 1) its labels, the last column for none of them.
    """
    if quota_per is None:
        return None
    column = "predicted_label" if quota_per == PREDICTED else METADATA + quota_per
    if column not in table.column_names:
        several = [DOUBT] if task_of(table) == "multilabel" else []
        columns = (name.removeprefix(METADATA) for name in table.column_names if name.startswith(METADATA))
        there = [PREDICTED, *several, *columns]
        raise InputError(f"no quota per {quota_per!r}; these verdicts have {', '.join(there)}")
    if quota_per == PREDICTED and task_of(table) == "multilabel":
        names = other_names([table[column]], known := Verdicts(table).classes or [], "multilabel")
        given = encoded(table[column], [*known, *names], "multilabel")
        return np.column_stack([given, ~given.any(axis=1)])
    values = np.array([str(value) for value in table[column].to_pylist()])
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _groups(table: pa.Table, grouping: Grouping) -> list[str | None] | None:
    names = table["file_name"].to_pylist()
    found = grouping.of(names, metadata_of_rows(table))
    return None if found is None else [found.get(name) for name in names]


def _probs(table: pa.Table) -> NDArray[np.float32]:
    names = [name for name in table.column_names if name.startswith("prob_")]
    if names:
        return np.stack([table[name].to_numpy(zero_copy_only=False) for name in names], axis=1).astype(np.float32)
    if "probs" not in table.column_names:
        raise InputError("badge reads probabilities and the verdicts have none; choose another strategy")
    rows = table["probs"].to_pylist()
    width = max((len(row) for row in rows if row is not None), default=0)
    return np.array([row or [np.nan] * width for row in rows], dtype=np.float32)


def _interleaved(chosen: Positions, drawn: Positions) -> Positions:
    """Spread the drawn rows over the list, so that who stops early has labelled his share of both."""
    places = np.concatenate([(np.arange(len(part)) + 0.5) / max(len(part), 1) for part in (chosen, drawn)])
    return np.concatenate([chosen, drawn])[np.argsort(places, kind="stable")]


def _listed(
    table: pa.Table, order: Positions, by_chance: NDArray[np.bool_], chance: float, stand_ins: Mapping[int, int]
) -> pa.Table:
    import pyarrow as pa

    names = table["file_name"].to_pylist()
    folded: dict[int, list[str]] = {}
    for row, head in sorted(stand_ins.items()):
        folded.setdefault(head, []).append(names[row])
    more = {
        "rank": pa.array(np.arange(1, len(order) + 1)),
        "group": pa.array([names[stand_ins.get(row, row)] for row in order.tolist()], pa.string()),
        "duplicates": pa.array([folded.get(row, []) for row in order.tolist()], pa.list_(pa.string())),
        "drawn_by": pa.array(np.where(by_chance, BY_CHANCE, _BY_STRATEGY).tolist(), pa.string()),
        "inclusion_probability": pa.array(np.where(by_chance, chance, 1.0)),
    }
    listed = with_columns(
        table.select([name for name in _COLUMNS if name in table.column_names]).take(order), pa.table(more)
    )
    return listed.select(["rank", *(name for name in listed.column_names if name != "rank")])


def _doubts(doubts: ClassDoubts, order: Positions, about: str | None) -> pa.Table:
    """Name the decisions in doubt, and say how much so that is which was asked for."""
    import pyarrow as pa

    columns = {DOUBTFUL: pa.array(doubts.texts(order.tolist()), pa.string())}
    asked = {} if about is None else {DECISION + about: pa.array(doubts.about(about)[order], pa.float32())}
    return pa.table(columns | asked)


def _calibration_errors(verdicts: Verdicts) -> int | None:
    found: Any = verdicts.provenance.get("calibrated_on", {}).get("errors")
    return found if isinstance(found, int) else None
