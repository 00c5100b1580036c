"""What every output says of its p_wrong: what it was calibrated on, by which screener and model."""

from __future__ import annotations

import math
from typing import Any

from uncertainty.estimators.image_quality import usual_quality
from uncertainty.screener.judge import Judge
from uncertainty.screener.recorded_model import read_as


def provenance(fitted: Judge, screen_id: str, seen: int) -> dict[str, Any]:
    """Return it as JSON values; `seen` is how many of the images fitted the screener."""
    return {
        "screen_id": screen_id,
        "model_sha256": fitted.model.sha256,
        "calibrated_on": fitted.calibrated_on,
        "budget": None if math.isnan(fitted.budget) else fitted.budget,
        "policy": fitted.decision.to_dict() | {"in_words": str(fitted.decision.policy)},
        "earlier_policies": list(fitted.history),
        "notes": list(fitted.notes),
        "images_that_fitted_the_screener": seen,
        "usual_quality": usual_quality(fitted.estimators),
    } | read_as(fitted.model)
