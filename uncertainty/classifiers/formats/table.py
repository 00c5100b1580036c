"""`table:FILE` is no network: it holds what a model said of images, and is given where images are."""

from __future__ import annotations

from uncertainty.classifiers.description import Description
from uncertainty.classifiers.formats.base import Format, Request
from uncertainty.errors import ModelError


def describe(request: Request) -> Description:
    """Say how outputs are given."""
    raise ModelError(
        f"table:{request.target} holds outputs of a model, and is no model: give it where images are, without --model, "
        "as in fit --reference table:FILE --calibration table:FILE, and screen SCREENER table:FILE"
    )


FORMAT = Format(describe)
