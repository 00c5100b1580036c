"""The lighter parts of a network that hold now, for one batch or for good: they are not asked again whether they do."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, TypeVar

from uncertainty.classifiers.compiled import Compiled
from uncertainty.classifiers.folding import Folded
from uncertainty.classifiers.replay import Replay
from uncertainty.classifiers.traced import Traced

Part = TypeVar("Part")


class _Folded(Folded):
    def holds(self) -> bool:
        return True

    def weights_hold(self) -> bool:
        return True


class _Compiled(Compiled):
    def weights_hold(self) -> bool:
        return True


class _Traced(Traced):
    def is_as_traced(self) -> bool:
        return True


def held_folded(part: Folded | None) -> Folded | None:
    """Return the folded network if it is still what was folded."""
    return _as(_Folded, part) if part is not None and part.holds() else None


def held_compiled(part: Compiled | None) -> Compiled | None:
    """Return what another library runs if the weights are still those that it was made of."""
    return _as(_Compiled, part) if part is not None and part.weights_hold() else None


def held_replay(replay: Replay | None) -> Replay | None:
    """Return a replay if its network is still as it was traced, with its lighter halves if they hold."""
    if not isinstance(replay, Traced):
        return replay
    if not replay.is_as_traced():
        return None
    lighter: Any = replay.lighter if replay.folds() else None
    if lighter is not None:
        lighter = _as(_Folded if isinstance(lighter, Folded) else _Compiled, lighter)
    return _as(_Traced, replace(replay, lighter=lighter))


def _as(kind: type[Part], part: Any) -> Part:
    return kind(**{field.name: getattr(part, field.name) for field in fields(part)})
