"""A network that nobody else has: what is looked at before each batch elsewhere is looked at once, when it is loaded.

Plain passes run parts that were folded or compiled from the weights, while these are what they were then. A user may
load other weights, hook a layer or set an attribute, so `Network` looks before each batch: a third of the time that
ResNet-20 takes for one small image, a fifth of EfficientNet-Lite0. A service loads a network for itself, and hands it
to nobody. For the same reason the network stays in eval mode, which is else set for each batch and taken back.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields, replace
from typing import Any, TypeVar

from uncertainty.classifiers.base import Classifier
from uncertainty.classifiers.compiled import Compiled
from uncertainty.classifiers.folding import Folded
from uncertainty.classifiers.network import Network
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


def held(classifier: Classifier) -> Classifier:
    """Return the same classifier, with the same answers to the bit, for one who never changes its networks.

    What does not hold now is left to be looked at each time, as before. Its modules are left in eval mode.
    """
    embedder = classifier.embedder
    if embedder is not None:
        embedder = replace(embedder, network=_network(embedder.network))
    return replace(classifier, network=_network(classifier.network), embedder=embedder)


def _network(network: Network) -> Network:
    with suppress(RuntimeError):  # an exported program is in one mode alone
        network.module.eval()
    folded, compiled, replay = network.folded, network.compiled, network.replay
    if folded is not None and folded.holds():
        folded = _as(_Folded, folded)
    if compiled is not None and compiled.weights_hold():
        compiled = _as(_Compiled, compiled)
    if isinstance(replay, Traced) and replay.is_as_traced():
        replay = _as(_Traced, replace(replay, lighter=_lighter(replay.lighter)))
    return replace(network, folded=folded, compiled=compiled, replay=replay)


def _lighter(part: Folded | Compiled | None) -> Folded | Compiled | None:
    if part is None or not part.weights_hold():
        return part
    return _as(_Folded, part) if isinstance(part, Folded) else _as(_Compiled, part)


def _as(kind: type[Part], part: Any) -> Part:
    return kind(**{field.name: getattr(part, field.name) for field in fields(part)})
