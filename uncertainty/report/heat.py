"""Heat maps as the page has them: Grad-CAM in a few bytes, Guided Grad-CAM as a small picture."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers.base import Classifier
from uncertainty.errors import InputError

KINDS = ("grad", "guided")
GRID = 16
"""Grad-CAM is embedded as so many by so many bytes; the browser smooths them."""
FINE = 128
"""No side of a Guided Grad-CAM picture is longer, in pixels."""
_QUALITY = 60


def checked(cam: str | None) -> str | None:
    """Return a kind of heat maps; raises InputError for one that there is not, and where what draws them is missing."""
    if cam is not None and cam not in KINDS:
        raise InputError(f"there are no heat maps {cam!r}; choose one of {', '.join(KINDS)}")
    if cam is not None and find_spec("captum") is None:
        from uncertainty.classifiers.heat_maps import no_captum

        raise no_captum()
    return cam


def coarse(classifier: Classifier, inputs: NDArray[np.float32], targets: Sequence[int]) -> list[str]:
    """Return Grad-CAM of each image for its class, as base64 of 16 by 16 bytes, row by row."""
    from uncertainty.classifiers.heat_maps import heat_maps

    return [_grid(one) for one in heat_maps(classifier, inputs, targets)]


def fine(classifier: Classifier, inputs: NDArray[np.float32], targets: Sequence[int]) -> list[bytes]:
    """Return Guided Grad-CAM of each image for its class, as a grey WebP picture, brighter = matters more."""
    from uncertainty.classifiers.heat_maps import heat_maps

    return [_picture(one) for one in heat_maps(classifier, inputs, targets, method="guided_grad_cam")]


def why_not_fine(classifier: Classifier, inputs: NDArray[np.float32]) -> str | None:
    """Say in one line why this network has no Guided Grad-CAM; None where it has."""
    from uncertainty.classifiers.heat_maps import why_unguided

    why = why_unguided(classifier.network.module, inputs)
    return None if why is None else f"Guided Grad-CAM is left out and Grad-CAM shown alone: {why}."


def _grid(heat: NDArray[np.float32]) -> str:
    from PIL import Image

    image = Image.fromarray((heat * 255).round().astype(np.uint8))
    return base64.b64encode(image.resize((GRID, GRID), Image.Resampling.BILINEAR).tobytes()).decode()


def _picture(heat: NDArray[np.float32]) -> bytes:
    """Shrink and encode a map; the root makes lines of middling strength visible beside the strongest pixel."""
    from PIL import Image

    image = Image.fromarray((np.sqrt(heat) * 255).round().astype(np.uint8))
    image.thumbnail((FINE, FINE), Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY, method=4)
    return buffer.getvalue()
