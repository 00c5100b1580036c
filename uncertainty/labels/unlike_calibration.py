"""Whether screened images are like calibration, as far as their p_wrong alone tells: what `labels` looks at itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

_FEWEST = 20
_BEYOND = 3.0  # standard errors: by chance one stream in seven hundred is, were all alike


class MoreErrors(NamedTuple):
    """Which share of errors p_wrong expects of the screened images, and which calibration had."""

    expected: float
    calibration: float


def more_errors(p_wrong: ArrayLike, calibrated_on: Mapping[str, Any]) -> MoreErrors | None:
    """Return the shares of errors where p_wrong expects clearly more than calibration had, else None.

    `p_wrong` (n,) are of all images that were screened, 0..1, not of those alone that were picked for labels. Clearly:
    by three standard errors, √(e (1 − e) / N + var(p_wrong) / n), e of N calibration images being wrong. None as well
    for under 20 images, and where `calibrated_on` does not hold `calibration` and `errors`.

    >>> import numpy as np
    >>> more_errors(np.full(100, 0.3), {"calibration": 500, "errors": 50})
    MoreErrors(expected=0.3..., calibration=0.1)
    >>> more_errors(np.full(100, 0.13), {"calibration": 500, "errors": 50})  # √(0.1 · 0.9 / 500) = 0.013
    """
    p = np.asarray(p_wrong, dtype=np.float64)
    images, errors = (calibrated_on.get(name) for name in ("calibration", "errors"))
    if len(p) < _FEWEST or not isinstance(images, int) or not isinstance(errors, int) or not 0 <= errors <= images > 0:
        return None
    share = errors / images
    deviation = np.sqrt(share * (1 - share) / images + p.var() / len(p))
    return MoreErrors(float(p.mean()), share) if p.mean() - share > _BEYOND * deviation else None
