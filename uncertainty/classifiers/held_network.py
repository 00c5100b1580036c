"""Networks that nobody else has: what is looked at before each batch elsewhere is looked at once.

Plain passes run parts that were folded or compiled from the weights, while these are what they were then. A user may
load other weights, hook a layer or set an attribute, so `Network` looks before each batch: a tenth of the time that
ResNet-20 takes for one small image. Who loads a network for himself and hands it to nobody, as a service and a
screening by a saved screener do, looks once.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from uncertainty.classifiers.base import Classifier
from uncertainty.classifiers.modes import evaluating
from uncertainty.classifiers.network import Network


def held(classifier: Classifier, *, evaluated: bool = False) -> Classifier:
    """Return the same classifier, with the same answers to the bit, for one who never changes its networks.

    With `evaluated` its modules are left in eval mode, which is else set for each batch and taken back.
    """
    embedder = classifier.embedder
    if embedder is not None:
        embedder = replace(embedder, network=_held(embedder.network, evaluated))
    return replace(classifier, network=_held(classifier.network, evaluated), embedder=embedder)


def _held(network: Network, evaluated: bool) -> Network:
    if evaluated:
        with suppress(RuntimeError):  # an exported program is in one mode alone
            network.module.eval()
    with evaluating(network.module):
        return network.looked_at()
