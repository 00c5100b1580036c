"""Finds every estimator: one in each file of this folder, and users' own by their entry points."""

from __future__ import annotations

import inspect
import pkgutil
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

from uncertainty.errors import InputError
from uncertainty.estimators.base import Estimator

_GROUP = "uncertainty.estimators"  # the room, and the group of entry points
_NO_ESTIMATORS = ("base", "registry")


def discover() -> dict[str, type[Estimator]]:
    """Return every estimator class by name, sorted: the files of this folder and users' own entry points.

    Raises InputError for a file without exactly one estimator, an entry point that is none, or a name given twice.

    >>> "least_confidence" in discover()
    True
    """
    stems = [module.name for module in pkgutil.iter_modules(import_module(_GROUP).__path__)]
    files = [stem for stem in stems if stem not in _NO_ESTIMATORS and not stem.startswith("_")]
    found = [_only_estimator(import_module(f"{_GROUP}.{stem}")) for stem in files]
    found += [_loaded(entry) for entry in _entry_points()]
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
    known = discover()
    if name not in known:
        raise InputError(f"there is no estimator {name!r}; known are {', '.join(known)}")
    accepted = inspect.signature(known[name]).parameters
    if unknown := sorted(arguments.keys() - accepted.keys()):
        raise InputError(f"{name} takes no argument {unknown[0]!r}; it takes {', '.join(accepted) or 'none'}")
    return known[name](**arguments)


@cache
def _entry_points() -> tuple[EntryPoint, ...]:
    # To look through all that is installed takes a while, and a saved screener makes its estimators one by one.
    return tuple(entry_points(group=_GROUP))


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
