"""What the options of several verbs mean."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uncertainty.errors import InputError
from uncertainty.images.remote import is_url, located

if TYPE_CHECKING:
    from uncertainty.classifiers.progress import Progress
    from uncertainty.decisions.policies import Policy
    from uncertainty.images.manifests import Columns

AnyPath = str | os.PathLike[str]


def policy_of(asked: dict[str, Any]) -> Policy | None:
    """Return the policy of the options of `Policy.of`; None where no question is asked."""
    from uncertainty.decisions.policies import Policy

    return Policy.of(**asked) if asked.keys() - {"method"} else None


def one_of(what: str, given: str, known: Iterable[str]) -> str:
    """Return a choice, or raise InputError with those that there are."""
    if given not in (choices := list(known)):
        raise InputError(f"{what} is {given!r}; choose one of {', '.join(choices)}")
    return given


def columns(
    name: str | None, label: str | None, group: str | None = None, group_by: str | None = None, **how: Any
) -> Columns:
    """Return what the columns of a table are called, and which images belong together; `how`: separator and several."""
    from uncertainty.images.groups import Grouping
    from uncertainty.images.manifests import Columns

    return Columns(name, label, grouping=Grouping(group, group_by), **how)


COPIED = "copy it here first, or write to a folder here and copy that"
"""What to do about a URL that is refused."""


def here(given: AnyPath) -> Path:
    """Return a path for text; InputError for a URL, which would become a folder `s3:`."""
    if is_url(given):
        raise InputError(f"{located(given)} is at a URL; this is read and written on this machine alone, so {COPIED}")
    return Path(given)


def path_of(given: AnyPath | None) -> Path | None:
    """Return a path for text, see `here`; None stays None."""
    return None if given is None else here(given)


def shown(wanted: bool) -> Progress:
    """Return what shows how far long work is: a line on standard error, or nothing."""
    from uncertainty.classifiers.progress import line, silent

    return line if wanted else silent


def cache_of(named: AnyPath | None, *, off: bool) -> Path | None:
    """Return the folder of answers of networks, the usual one where none is named; None where there shall be none."""
    from uncertainty.files import usual_cache

    if named is not None and off:
        raise InputError(f"cache {os.fspath(named)!r} and no_cache are two answers; give one")
    return None if off else path_of(named) or usual_cache()
