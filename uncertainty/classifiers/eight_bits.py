"""Networks in eight bits: known-good images say between which values the answers of their layers lie."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers.base import Classifier
from uncertainty.classifiers.image_loader import Images, Loaded, image_items
from uncertainty.errors import InputError
from uncertainty.figures import number_of
from uncertainty.images.ahead import load_ahead
from uncertainty.images.image_set import ImageSet
from uncertainty.outputs import Task

if TYPE_CHECKING:
    from uncertainty.classifiers.embedder import Embedder
    from uncertainty.classifiers.network import Network
    from uncertainty.classifiers.preprocess import Preprocess

IMAGES, LEAST = 128, 16
"""Images that are looked at, and then as many others that say how often the label stays; and the least of both."""
_BATCH = 32
ARRAYS = ("eight_bits", "embedder_eight_bits")
"""Of network and second opinion, as a screener keeps them."""


def waits(classifier: Classifier) -> bool:
    """Whether classifier or second opinion run nothing before they were shown images."""
    return any(network.runtime is not None and network.runtime.waits for network in _networks(classifier))


def shown(classifier: Classifier, images: Images | None, workers: int) -> Classifier:
    """Return a classifier that waits for images when it has seen up to 128 of these, chosen by a hash of their names.

    Its notes then say on how many of as many others the label stays. Raises InputError where there are fewer than 16
    that can be read, and ModelError where eight bits don't do for the network.
    """
    if not waits(classifier):
        return classifier
    loaded = _chosen(classifier, images, workers)
    first = list(islice(loaded, IMAGES))
    others = list(islice(loaded, IMAGES))
    if len(first) < LEAST:
        raise InputError(
            f"a network in eight bits must be shown at least {LEAST} known-good images; here are {len(first)}"
        )
    second = classifier.embedder
    if second is not None:
        network = _shown(second.network, second.preprocess, [one.second_inputs for one in first])
        second = replace(second, network=network, sha256=_with(second, network))
    network = _shown(classifier.network, classifier.preprocess, [one.inputs for one in first])
    told = _agreement(classifier, network, [one.inputs for one in others], len(first))
    return replace(classifier, network=network, embedder=second, told=(*classifier.told, *told))


def arrays_of(classifier: Classifier) -> dict[str, NDArray[np.uint8]]:
    """Return networks in eight bits as arrays, to be kept by a screener."""
    made = {name: network.runtime for name, network in zip(ARRAYS, _networks(classifier), strict=False)}
    return {name: np.frombuffer(one.made, np.uint8) for name, one in made.items() if one is not None and one.made}


def restored(classifier: Classifier, arrays: Mapping[str, NDArray[np.uint8]]) -> Classifier:
    """Return a classifier that waits for images as it was when a screener kept these arrays."""
    if not waits(classifier) or not arrays.keys() & set(ARRAYS):
        return classifier
    network = _restored(classifier.network, classifier.preprocess, arrays.get(ARRAYS[0]))
    second = classifier.embedder
    if second is not None:
        again = _restored(second.network, second.preprocess, arrays.get(ARRAYS[1]))
        second = replace(second, network=again, sha256=_with(second, again))
    return replace(classifier, network=network, embedder=second)


def _networks(classifier: Classifier) -> tuple[Network, ...]:
    second = classifier.embedder
    return (classifier.network,) if second is None else (classifier.network, second.network)


def _chosen(classifier: Classifier, images: Images | None, workers: int) -> Iterator[Loaded]:
    """Yield images that can be read, in an order that does not depend on how they are listed."""
    items = None if images is None else image_items(images)
    if not isinstance(items, ImageSet | list):
        raise InputError("a network in eight bits is shown known-good images before they are run; give --reference")
    hashes = [hashlib.sha256(item.name.encode()).digest() for item in items]
    order = sorted(range(len(hashes)), key=hashes.__getitem__)
    some = items.select(order) if isinstance(items, ImageSet) else [items[row] for row in order]
    return (one for one in load_ahead(some, classifier.loader(), workers, _BATCH) if one.error is None)


def _shown(network: Network, preprocess: Preprocess, images: list[NDArray[np.float32]]) -> Network:
    from uncertainty.classifiers.other_runtime import shown_images
    from uncertainty.classifiers.probing import example_of

    return shown_images(network, example_of(preprocess), np.stack(images))


def _restored(network: Network, preprocess: Preprocess, made: NDArray[np.uint8] | None) -> Network:
    if network.runtime is None or not network.runtime.waits or made is None:
        return network
    from uncertainty.classifiers.other_runtime import with_runtime
    from uncertainty.classifiers.probing import example_of

    known = replace(network.runtime, made=made.tobytes())
    return with_runtime(replace(network, runtime=None), known, example_of(preprocess))


def _with(second: Embedder, network: Network) -> str:
    """Return the fingerprint of a second opinion whose network is this now."""
    if network is second.network or network.runtime is None:
        return second.sha256
    return hashlib.sha256(f"{second.sha256} {network.runtime.known_by}".encode()).hexdigest()


def _agreement(one: Classifier, network: Network, images: list[NDArray[np.float32]], shown_to: int) -> tuple[str, ...]:
    """Say on how many images the label is that of torch; nothing where the second opinion alone is in eight bits."""
    if network is one.network:
        return ()
    made = f"the network runs in eight bits, made of {number_of(shown_to, 'known-good image')}"
    if not images:
        return (f"{made}; none were left to compare its labels with those of torch",)
    inputs, by_torch = np.stack(images), replace(one.network, runtime=None)
    same = sum(
        int(_same(by_torch(part).logits, network(part).logits, one.task).sum())
        for part in np.array_split(inputs, range(_BATCH, len(inputs), _BATCH))
    )
    return (f"{made}; on {number_of(len(images), 'other')} its labels are those of torch {same} times",)


def _same(one: NDArray[np.float32], other: NDArray[np.float32], task: Task) -> NDArray[np.bool_]:
    if task == "multilabel":
        return np.asarray(((one > 0) == (other > 0)).all(axis=1))
    return np.asarray(one.argmax(axis=1) == other.argmax(axis=1))
