"""Folders that a library saved a model to, with a `config.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from uncertainty.errors import ModelError, in_one_line


def read_config(folder: Path, whose: str, name: str = "config.json") -> Any:
    """Return what a JSON file says; ModelError where there is none, as in a folder that is no model of theirs."""
    try:
        return json.loads((folder / name).read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{folder} is no model of {whose}") from error
    except ValueError as error:
        raise ModelError(f"{folder / name} is not valid JSON ({in_one_line(error, 100)})") from error
