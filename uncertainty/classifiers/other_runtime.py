"""A network whose plain passes another library runs; everything else of it stays torch's.

Where torch runs only what lies behind the first dropout again, that stays so: the library runs what lies before it.
Otherwise it runs the whole network, with the features as a second answer. Heat maps, fingerprints and sub-networks that
take full passes run the module itself.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from uncertainty.classifiers.compiled import Compiled
from uncertainty.classifiers.feature_layer import FeatureLayer, pooled
from uncertainty.classifiers.folding import Folded
from uncertainty.classifiers.forward import Forward
from uncertainty.classifiers.modes import ROUNDING, device_of, evaluating
from uncertainty.classifiers.network import Network, noisy
from uncertainty.classifiers.runtimes.base import INT8, Runtime
from uncertainty.classifiers.traced import Traced, with_folded
from uncertainty.classifiers.weight_state import WeightState
from uncertainty.errors import MissingDependencyError, ModelError, in_one_line
from uncertainty.files import usual_cache

logger = logging.getLogger("uncertainty")

_CACHE = "UNCERTAINTY_RUNTIME_CACHE"
_PRECISIONS = {"f32": None, "bf16": "bf16"}  # as `ROUNDING` calls them
_COARSE, _TRIED = 0.5, 16
"""How far off eight bits may be, of the largest number, on so many of the images that they were made of."""


class _WithFeatures(nn.Module):
    def __init__(self, module: nn.Module, layer: FeatureLayer | None) -> None:
        super().__init__()
        self.module, self.features_from = module, layer

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        if self.features_from is None:
            return (self.module(images),)
        with self.features_from.caught() as caught:
            logits = self.module(images)
        return logits, pooled(caught[-1])


def cache_folder() -> Path | None:
    """Return where compiled networks are kept: `$UNCERTAINTY_RUNTIME_CACHE`, nowhere if that is empty.

    Without it, `uncertainty/runtimes` among the user's caches. Nowhere, with a warning, if it can't be written to.
    """
    named = os.environ.get(_CACHE)
    if named == "":
        return None
    folder = usual_cache().parent / "runtimes" if named is None else Path(named)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror
    else:
        if os.access(folder, os.W_OK):
            return folder
        why = "no permission"
    logger.warning("compiled networks are not kept: %s can't be written (%s); %s names another", folder, why, _CACHE)
    return None


def with_runtime(network: Network, runtime: Runtime, example: Any) -> Network:
    """Return the same network, whose plain passes this runtime runs, tried on noise around `example`.

    One that waits for images runs nothing before `shown_images`. Raises ModelError where it can't, or answers
    otherwise than torch by more than rounding, and MissingDependencyError.
    """
    _refuse(network, runtime)
    if runtime.waits:
        return replace(network, runtime=runtime)
    images = noisy(network.module, example)
    with evaluating(network.module):
        made = _attempted(network, runtime, images)
    _refuse_far(runtime, network(images), made(images), _room(runtime))
    return made


def shown_images(network: Network, example: Any, images: NDArray[np.float32]) -> Network:
    """Return a network whose runtime waits for images (n, channels, h, w) as it runs when it has seen them.

    Raises ModelError where it can't, or where its answers on the first of them are further than `_COARSE` off.
    """
    if network.runtime is None or not network.runtime.waits:
        return network
    by_torch, part = replace(network, runtime=None), _part_of(network).module
    with evaluating(network.module), _told(network.runtime):
        shown = network.runtime.shown(part, images)
    made = with_runtime(by_torch, shown, example)
    _refuse_far(shown, by_torch(images[:_TRIED]), made(images[:_TRIED]), _COARSE)
    return made


def _room(runtime: Runtime) -> float:
    """How far from torch's answers to noise it may be; in eight bits noise lies beyond what images gave."""
    return float("inf") if runtime.precision == INT8 else ROUNDING[_PRECISIONS[runtime.precision]]


def _refuse_far(runtime: Runtime, expected: Forward, found: Forward, room: float) -> None:
    for there, here in ((expected.logits, found.logits), (expected.features, found.features)):
        if there is not None and (here is None or not np.abs(there - here).max() <= room * np.abs(there).max()):
            raise ModelError(f"runtime={runtime} answers otherwise than torch does; leave it away for this network")


def _refuse(network: Network, runtime: Runtime) -> None:
    if network.autocast:
        raise ModelError(f"autocast={network.autocast} and runtime={runtime} are two precisions; leave one away")
    if (why := getattr(network.original, "no_gradients", None)) is not None:
        raise ModelError(f"runtime={runtime} is for networks that torch runs: {why}; leave it away")
    if (device := device_of(network.module)).type != "cpu":
        raise ModelError(f"runtime={runtime} runs on the CPU, and the network is on {device}; leave one away")
    if network.habits.held or network.habits.alone or network.habits.writes:
        raise ModelError(f"runtime={runtime} is for networks whose answers depend on the image alone; leave it away")


@contextmanager
def _told(runtime: Runtime) -> Iterator[None]:
    try:
        yield
    except (MissingDependencyError, ModelError):
        raise
    except Exception as error:  # another library, on the user's code: anything may be raised
        raise ModelError(f"runtime={runtime} can't run this network: {in_one_line(error, 200)}") from error


class _Part(NamedTuple):
    """What a runtime is to run, and what torch runs after it; None: it is the whole network."""

    module: nn.Module
    layers: tuple[nn.Module, ...]
    per_image: tuple[bool, ...]
    after: fx.GraphModule | None


def _part_of(network: Network) -> _Part:
    return _before_dropout(network.replay, network) if isinstance(network.replay, Traced) else _whole(network)


def _before_dropout(replay: Traced, network: Network) -> _Part:
    first, second = replay.halves
    if isinstance(replay.lighter, Folded) and replay.lighter.plain is not None:
        replay = with_folded(replay, replay.lighter.plain)
    if replay.folds() and replay.light is not None and isinstance(replay.light[0], nn.Module):
        first, second = replay.light[0], replay.light[1]  # type: ignore[assignment]
    own = {id(layer) for layer in network.module.modules()}
    layers = tuple(layer for layer in replay.halves[0].modules() if id(layer) in own)
    # The last of what crosses the cut says which parts ran.
    return _Part(first, layers, replay.per_image[: len(replay.per_image) - 1], second)


def _whole(network: Network) -> _Part:
    whole = _WithFeatures(network.module, network.feature_layer).eval()
    return _Part(whole, tuple(network.module.modules()), (True,) * (1 if network.feature_layer is None else 2), None)


def _attempted(network: Network, runtime: Runtime, images: Tensor) -> Network:
    with _told(runtime):
        part, replay = _part_of(network), network.replay
        made = _compiled(part, runtime, images, network.channels_last)
        if part.after is None or not isinstance(replay, Traced):
            return replace(network, compiled=made, runtime=runtime)
        return replace(network, replay=replace(replay, lighter=made, light=(made, part.after)), runtime=runtime)


def _compiled(part: _Part, runtime: Runtime, images: Tensor, channels_last: bool) -> Compiled:
    layers = part.layers
    tensors = tuple(tensor for layer in layers for tensor in (*layer.parameters(False), *layer.buffers(False)))
    run = runtime.compile(part.module, images[:1].contiguous(), torch.get_num_threads(), cache_folder())
    return Compiled(run, layers, tensors, WeightState.of(layers, tensors), part.per_image, channels_last)
