"""`savedmodel:FOLDER`: refused, since only TensorFlow reads these; the message says which ways lead on."""

from __future__ import annotations

from typing import NoReturn

from uncertainty.classifiers.formats.base import Format, Request
from uncertainty.errors import ModelError


def describe(request: Request) -> NoReturn:
    """Raise ModelError."""
    raise ModelError(
        f"{request.target}: a SavedModel needs TensorFlow, which does not run here; convert it to .keras, .tflite or "
        ".onnx (keras:, tflite:, onnx:), or write its probabilities and features as a table (table:FILE)"
    )


FORMAT = Format(describe)
