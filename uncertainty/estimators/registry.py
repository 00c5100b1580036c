"""Finds every estimator: one in each file of this folder, and users' own by their entry points."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module, metadata
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

from uncertainty.errors import InputError
from uncertainty.estimators.base import Estimator

_GROUP = "uncertainty.estimators"  # the room, and the group of entry points
_NO_ESTIMATORS = ("base", "registry")
# A look at all that is installed takes milliseconds, and a screener asks for each of its estimators by name.
entry_points = cache(metadata.entry_points)


def discover() -> dict[str, type[Estimator]]:
    """Return every estimator class by name, sorted: the files of this folder and users' own entry points.

    Raises InputError for a file without exactly one estimator, an entry point that is none, or a name given twice.

    >>> "least_confidence" in discover()
    True
    """
    stems = [module.name for module in pkgutil.iter_modules(import_module(_GROUP).__path__)]
    files = [stem for stem in stems if stem not in _NO_ESTIMATORS and not stem.startswith("_")]
    found = [_only_estimator(import_module(f"{_GROUP}.{stem}")) for stem in files]
    found += [_loaded(entry) for entry in entry_points(group=_GROUP)]
    classes: dict[str, type[Estimator]] = {}
    for cls in sorted(found, key=lambda cls: cls.name):
        if classes.setdefault(cls.name, cls) is not cls:
            raise InputError(f"two estimators are named {cls.name!r}, rename one: {classes[cls.name]} and {cls}")
    return classes


def create(name: str, **arguments: Any) -> Estimator:
    """Return a new, unfitted estimator by name, with the arguments of its constructor.

    >>> create("nn_guide", k=3).arguments()
    {'k': 3}
    """
    return made(discover(), name, arguments)


def made(known: Mapping[str, type[Estimator]], name: str, arguments: Mapping[str, Any]) -> Estimator:
    """Return a new, unfitted estimator of those that `discover` found: looking through what is installed takes time."""
    if name not in known:
        raise InputError(f"there is no estimator {name!r}; known are {', '.join(known)}")
    accepted = inspect.signature(known[name]).parameters
    if unknown := sorted(arguments.keys() - accepted.keys()):
        raise InputError(f"{name} takes no argument {unknown[0]!r}; it takes {', '.join(accepted) or 'none'}")
    return known[name](**arguments)


def _only_estimator(module: ModuleType) -> type[Estimator]:
    own = [value for value in vars(module).values() if _is_estimator(value) and value.__module__ == module.__name__]
    if len(own) != 1:
        raise InputError(f"{module.__file__} must define exactly one estimator; it defines {len(own)}")
    return own[0]  # type: ignore[no-any-return]  # vars() is a dict of Any


def _loaded(entry: EntryPoint) -> type[Estimator]:
    try:
        cls = entry.load()
    except (ImportError, AttributeError) as error:
        raise InputError(f"entry point {entry.name} = {entry.value} can't be loaded, correct it: {error}") from error
    if not _is_estimator(cls):
        raise InputError(f"entry point {entry.name} = {entry.value} is no estimator; it must name a subclass")
    return cls  # type: ignore[no-any-return]  # load() returns Any


def _is_estimator(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, Estimator) and not inspect.isabstract(value)
