"""What needs the network again, asked for one image at a time: known-good images like it, a heat map, words."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from uncertainty.errors import InputError
from uncertainty.images.by_name import Pictures
from uncertainty.images.image_set import ImageItem, ImageSet
from uncertainty.report.illustrations import Illustrations
from uncertainty.report.rows import Rows
from uncertainty.screener import Screener
from uncertainty.screener.nearest_known_good import KnownGood
from uncertainty.screening.saved_screener import SavedScreener
from uncertainty.service.desk.pictures import Shown
from uncertainty.verdicts import Verdicts
from uncertainty.workflows.explain import Explanation, explain_set


@dataclass(eq=False)
class Looks:
    """Looks again at single images with a saved screener, which is loaded when somebody first asks.

    `reference` is where its known-good images are, to show those like an image.
    """

    verdicts: Verdicts
    shown: Shown
    saved: SavedScreener
    reference: Path | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _screener: Screener | None = None

    def nearest(self, row: int) -> dict[str, Any]:
        """Return known-good images like this one: by class, with pictures where `reference` is known."""
        if self.reference is None:
            return {"near": [], "known_good": [], "names": [str(near) for near in self.explained(row).nearest]}
        fields, known_good = self._illustrated(row, None)
        return {"near": fields.get("near", []), "known_good": known_good}

    def heat(self, row: int) -> dict[str, Any]:
        """Return Grad-CAM for the predicted class and for the runner-up, as the report has them.

        Of several labels for the two decisions most in doubt; `heat_of` names the classes of both maps.
        """
        fields, _ = self._illustrated(row, "grad")
        return {name: fields[name] for name in ("heat", "heat_box", "heat_of", "heat_other") if name in fields}

    def explained(self, row: int) -> Explanation:
        """Return what `uncertainty explain` says of the image."""
        name = self.verdicts.table["file_name"][row].as_py()
        with self._lock:
            return explain_set(self._loaded(), ImageSet.of([ImageItem(name, self.shown.source(row))]))[0]

    def forget(self) -> None:
        """Load the screener anew when it is next asked for, since it was updated."""
        with self._lock:
            self._screener = None

    def _loaded(self) -> Screener:
        if self._screener is None:
            self._screener = self.saved.load()
        return self._screener

    def _illustrated(self, row: int, cam: str | None) -> tuple[dict[str, Any], list[bytes]]:
        with self._lock:
            screener = self._loaded()
            if self.reference is not None and KnownGood.of(screener) is None:
                raise InputError("the screener does not keep which known-good images it has; fit it again")
            one = self.verdicts.table.slice(row, 1)
            rows = replace(Rows.of(one), flagged=np.ones(1, dtype=bool))
            pictures = Pictures(ImageSet.of([ImageItem(rows.names[0], self.shown.source(row))]))
            drawing = Illustrations(screener, None if cam else self.reference, cam)
            fields, whole, _ = drawing(rows, [0], pictures)
        return fields[0], whole.get("known_good", [])
