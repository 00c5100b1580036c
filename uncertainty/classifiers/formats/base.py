"""What every format of model specs says of itself, and how one is found."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from uncertainty.classifiers.description import Description
from uncertainty.errors import ModelError

_BESIDE = ("base", "module")  # files of this room that are no prefix


@dataclass(frozen=True)
class Request:
    """What a spec asks of its format: the text after the prefix, the keys that the format knows, all as text.

    `device` is where the model shall run, None: wherever it is; `trust` says that files which run code of their own
    while they are read are allowed.
    """

    target: str
    options: Mapping[str, str] = field(default_factory=dict)
    device: str | None = None
    trust: bool = False

    @property
    def path(self) -> Path:
        """The file or folder that is named; ModelError where it is not there."""
        path = Path(self.target)
        if not path.exists():
            raise ModelError(f"there is no {self.target!r}; the model spec names it")
        return path


NOT_TRUSTED = (
    "{} may run code of whoever wrote the file while it is read; only if you trust it, give --trust-model-file (from "
    "Python: trust=True)"
)


@dataclass(frozen=True)
class Format:
    """A kind of model spec.

    Parameters
    ----------
    describe : from a request to the arguments of `Classifier.from_module`; what the spec says besides wins over it.
    keys : what a spec of this kind may say after "?", beside what every spec may.
    files : those of `keys` that name a file.
    is_file : the target names a file or folder; it is kept with its whole path, so that a screener finds it from
        everywhere.
    runs_code : reading the file may run code that it holds, so the user must say that it is trusted.

    """

    describe: Callable[[Request], Description]
    keys: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    is_file: bool = True
    runs_code: bool = False


def prefixes() -> list[str]:
    """Return every prefix that there is, in order of the alphabet."""
    return sorted(p.stem for p in Path(__file__).parent.glob("[!_]*.py") if p.stem not in _BESIDE)


def split_prefix(name: str) -> tuple[str, str]:
    """Return prefix and target of a spec; the prefix is "module" where it has none.

    >>> split_prefix("my_models:network"), split_prefix("efficientnet-lite0")
    (('module', 'my_models:network'), ('module', 'efficientnet-lite0'))
    """
    prefix, colon, target = name.partition(":")
    return (prefix, target) if colon and prefix in prefixes() else ("module", name)


def format_of(prefix: str) -> Format:
    """Return the format of a prefix."""
    found = importlib.import_module(f"uncertainty.classifiers.formats.{prefix}")
    return cast(Format, found.FORMAT)


def runs_code(spec: str) -> bool:
    """Whether a spec names a file that may run code of its own while it is read.

    >>> runs_code("pt2:model.pt2?size=224"), runs_code("my_models:network")
    (True, False)
    """
    return format_of(split_prefix(spec.partition("?")[0])[0]).runs_code
