"""What the command line prints of thresholds of the classifier's own answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from uncertainty.commands.tables import shown
from uncertainty.figures import number_of, percent

if TYPE_CHECKING:
    from rich.table import Table

    from uncertainty.decisions.answer_thresholds import AnswerThreshold
    from uncertainty.decisions.plans import Share
    from uncertainty.workflows.thresholds import Chosen

_CLASSES, _NAMED = 30, 3


def threshold_table(chosen: Chosen) -> Table:
    """Return one row a class; of many classes those with a threshold that cost the most."""
    from rich.table import Column, Table
    from rich.text import Text

    names = ("threshold", "precision", "recall", "with it", "without")
    table = Table(Column("class", overflow="fold"), *(Column(name, justify="right") for name in names), box=None)
    for one in _shown(chosen):
        at, shares = f"{chosen.by_class[one.name]:.4f}", (_cell(one.precision), _cell(one.recall))
        if one.threshold is None:
            at, shares = f"kept {at}", ("-", "-")
        cells = (at, *shares, str(one.positives), str(one.negatives))
        table.add_row(Text(shown(one.name)), *cells)
    return table


def _shown(chosen: Chosen) -> Sequence[AnswerThreshold]:
    if len(chosen.thresholds) <= _CLASSES:
        return chosen.thresholds
    other = "recall" if chosen.wanted.kind == "precision" else "precision"
    worth = [one for one in chosen.thresholds if one.threshold is not None]
    return sorted(worth, key=lambda one: getattr(one, other).value or 0)[:_CLASSES]


def _cell(share: Share) -> str:
    """A share with its interval; without one where it was promised."""
    if share.value is None:
        return "-"
    if share.low is None or share.high is None:
        return percent(share.value)
    return f"{percent(share.value)} ({100 * share.low:.0f} to {100 * share.high:.0f})"


def threshold_lines(chosen: Chosen) -> list[str]:
    """Return what was asked and what it rests on, and for which classes nothing is decided and why, as sentences."""
    decided = [one for one in chosen.thresholds if one.threshold is not None]
    images, classes = number_of(chosen.images, "labelled image"), len(chosen.thresholds)
    lines = [f"{chosen.wanted}: {len(decided)} of {number_of(classes, 'class', 'classes')} on {images}"]
    if chosen.wanted.confidence and decided:
        lines.append(
            f"promised {chosen.wanted.kind} holds for images drawn like these; it has no interval, since they chose "
            "the threshold, and the other figure is a little flattered"
        )
    lines += [f"{names}: {why}" for why, names in _reasons(chosen)]
    if len(decided) < classes:
        verb = "keeps its threshold" if classes - len(decided) == 1 else "keep their thresholds"
        lines.append(
            f"nothing is promised for {number_of(classes - len(decided), 'class', 'classes')}, which {verb}"
            if chosen.wanted.confidence
            else f"{number_of(classes - len(decided), 'class', 'classes')} {verb}"
        )
    if chosen.task == "multiclass":
        lines.append("each class stands against the rest: an image may reach the thresholds of several, or of none")
    return lines


def _reasons(chosen: Chosen) -> list[tuple[str, str]]:
    """Return why nothing is decided, with the classes of which that is so."""
    found: dict[str, list[str]] = {}
    for one in chosen.thresholds:
        if one.threshold is None:
            found.setdefault(one.why, []).append(shown(one.name))
    more = {why: len(names) - _NAMED for why, names in found.items()}
    return [
        (why, ", ".join(names[:_NAMED]) + (f" and {more[why]} more" if more[why] > 0 else ""))
        for why, names in found.items()
    ]
