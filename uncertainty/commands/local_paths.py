"""Commands whose files lie on this machine say so where they are given a URL, which a path would lead astray."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from uncertainty.errors import InputError
from uncertainty.images.remote import RemotePath
from uncertainty.verbs.options import COPIED

_URL_AS_A_PATH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(?!/)(.*)", re.DOTALL)


def local_paths(command: Callable[..., None]) -> Callable[..., None]:
    """Have a command refuse URLs for whatever it takes as a path; what may be at a URL is parsed to a `RemotePath`."""

    @wraps(command)
    def checked(**given: Any) -> None:
        for name, value in given.items():
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, Path) and (found := _URL_AS_A_PATH.fullmatch(str(one))):
                    url = RemotePath.parse(f"{found[1]}://{found[2]}")
                    raise InputError(
                        f"{name} is at a URL, {url}; `{command.__name__}` works on this machine alone, so {COPIED}"
                    )
        command(**given)

    return checked
