"""Files that are whole or not there, and results as JSON has them."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import IO, Any

from uncertainty.errors import InputError


def plain(value: Any) -> Any:
    """Return dataclasses, mappings and sequences as dictionaries and lists, and numbers that do not exist as None.

    >>> plain({"a": (1.5, float("nan")), "b": None})
    {'a': [1.5, None], 'b': None}
    """
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def replacing(path: Path, binary: bool = True) -> Iterator[IO[Any]]:
    """Open a temporary file that takes the place of `path` when all went well, and vanishes when not."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror or error}; choose another place") from error
    try:
        text = {} if binary else {"encoding": "utf-8", "newline": ""}
        with os.fdopen(handle, "wb" if binary else "w", **text) as file:  # type: ignore[call-overload]
            yield file
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Mapping[str, Any], *, allow_nan: bool = False) -> None:
    """Write plain values; a crash leaves the old file or the new one.

    Raises ValueError for numbers that JSON does not have, unless they are allowed; `plain` makes them None.
    """
    with replacing(path, binary=False) as file:
        file.write(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=allow_nan) + "\n")
