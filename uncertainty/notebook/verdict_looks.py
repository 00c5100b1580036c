"""Verdicts as people look at them: one line, a table with pictures, a gallery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from uncertainty.figures import probability
from uncertainty.notebook.tabular import SHOWN, Tabular, html_table

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMNS = ("file_name", "predicted_label", "label", "confidence", "p_wrong", "flagged", "reasons", "error")


class Shown(Tabular):
    """The looks of a table of verdicts, whose pictures are found in `images`."""

    __slots__ = ()
    images: Any

    def _facts(self) -> Mapping[str, Any]:
        import numpy as np

        flagged, p = self["flagged"], np.asarray(self["p_wrong"], dtype=np.float64)
        told = {"images": len(self), "flagged": int(np.sum(flagged)), "unreadable": int(np.isnan(p).sum())}
        return told | ({"mean_p_wrong": float(np.nanmean(p))} if np.isfinite(p).any() else {})

    def _of_rows(self, table: pa.Table) -> Self:
        return replace(self, table=table)  # type: ignore[type-var]  # every one is a dataclass

    def most_suspicious(self, n: int) -> list[dict[str, Any]]:
        """Return the n rows of largest p_wrong, the largest first."""
        import numpy as np

        p = np.asarray(self["p_wrong"], dtype=np.float64)
        order = np.argsort(np.where(np.isnan(p), np.inf, -p), kind="stable")[:n]
        return list(self.table.take(order).to_pylist())

    def _repr_html_(self) -> str:
        from uncertainty.images.previews import previews, uri

        rows = self.most_suspicious(SHOWN)
        names = [name for name in _COLUMNS if name in self.table.column_names]
        names = [name for name in names if name != "error" or any(row["error"] for row in rows)]
        found = enumerate(previews(self.images, [row["file_name"] for row in rows]))
        pictures = {k: uri(one) for k, one in found if one is not None}
        facts = self._facts()
        count = "1 image" if len(self) == 1 else f"{len(self)} images"
        caption = f"{count}, {facts['flagged']} flagged" + (
            f"; the {len(rows)} of largest p_wrong" if len(rows) < len(self) else ""
        )
        return html_table([{name: row[name] for name in names} for row in rows], caption, pictures)

    def plot_gallery(self, n: int = 12, *, rows: Sequence[int] | None = None, ax: Any = None) -> Any:
        """Draw the n images of largest p_wrong, or those of `rows` by position, and return the axes; needs matplotlib.

        Each stands under its predicted class and p_wrong; with labels, what it is. An image that is not found again
        leaves its place empty.
        """
        from uncertainty.images.previews import previews
        from uncertainty.notebook import plots

        shown = self.most_suspicious(n) if rows is None else [self[int(row)] for row in rows]
        titles = [_title(row) for row in shown]
        return plots.gallery(previews(self.images, [row["file_name"] for row in shown], 160), titles, ax)


def _title(row: Mapping[str, Any]) -> str:
    if row["p_wrong"] is None:
        return f"{row['file_name']}\nunreadable"
    truth = "" if row.get("label") is None else f", is {row['label']}"
    return f"{row['predicted_label']}{truth}\np_wrong {probability(row['p_wrong'], 2)}"
