"""Tables and numbers of the pages, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from experiments.shared.results_file import Mean

SUMMARY = "<!-- summary: begin -->", "<!-- summary: end -->"
FEW_ERRORS = "<!-- few errors: begin -->", "<!-- few errors: end -->"
"""Markers of what an experiment writes into a page that is not its own."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a Markdown table.

    >>> print(table(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "|" + "|".join(cells) + "|" if cells[0] == "---" else f"| {' | '.join(cells)} |" for cells in lines
    )


def placed(text: str, markers: tuple[str, str], new: str) -> str:
    """Replace what stands between the two markers.

    >>> placed("a <b> old <e> c", ("<b>", "<e>"), "new")
    'a <b>\\n\\nnew\\n\\n<e> c'
    """
    begin, end = markers
    before, rest = text.split(begin)
    return f"{before}{begin}\n\n{new}\n\n{end}{rest.split(end)[1]}"


def percent(mean: Mean) -> str:
    """Return a signed change in per cent with its interval.

    >>> percent(Mean(-12.0, 2.5))
    '-12.0 % (-14.5 to -9.5)'
    """
    between = "" if np.isnan(mean.half) else f" ({mean.low:+.1f} to {mean.high:+.1f})"
    return f"{mean.value:+.1f} %{between}"
