"""What `export-model` tells of a network beside it: classes, preprocessing, task and decision thresholds, as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.errors import ModelError, in_one_line

ENTRY = "uncertainty"
"""What the entry of a file is called that holds it."""


def told(text: str, path: Path) -> dict[str, Any]:
    """Return what a file tells, as arguments of `Description`; nothing where the text is empty.

    >>> text = '{"classes": ["a", "b"], "preprocess": {"size": 8}, "task": "multiclass", "decision_thresholds": null}'
    >>> known = told(text, Path("m.onnx"))
    >>> known["classes"], known["preprocess"].size, known["assumed"]
    (['a', 'b'], 8, ())
    """
    if not text:
        return {}
    try:
        found = json.loads(text)
        known = {key: found[key] for key in ("classes", "task", "decision_thresholds")}
        preprocess, assumed = Preprocess.from_dict(found["preprocess"]), tuple(found.get("assumed", ()))
        return known | {"preprocess": preprocess, "assumed": assumed}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path} has a damaged description (its entry {ENTRY!r} can't be read: {in_one_line(error, 200)})"
        ) from error
