"""A network is tried with what its preprocessing gives, or with as many channels as its first convolution takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from uncertainty.classifiers.description import Before, Description
from uncertainty.classifiers.network import Network
from uncertainty.classifiers.output_form import OutputForm
from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.errors import ModelError


def probed(known: Description) -> tuple[Preprocess, Network, tuple[str, ...]]:
    """Return the preprocessing, the network as it was probed, and what is to be told of it.

    Where it does not take colours, nobody said that it has other channels, and its first convolution has, it gets
    images of so many bands. Raises ModelError where it can't be run.
    """
    form = OutputForm.of(known)
    module, preprocess, autocast = known.module, known.preprocess, known.autocast
    if known.before is not None and _is_as_before(known.before, known, form):
        return preprocess, known.before.network, ()
    try:
        network = _tried(module, preprocess, autocast, form)
    except ModelError:
        count = first_channels(module) if preprocess.channels == "rgb" and not preprocess.grayscale else None
        if count in (None, 1, 3):
            raise
    else:
        if preprocess.show is not None and preprocess.reading.multiband is None:
            raise ModelError(f"show is {preprocess.show!r}, and the network takes ordinary pictures; say channels=3")
        return preprocess, network, ()
    found = replace(preprocess, channels=count)
    told = f"its first convolution takes {count} channels: images must have {count} bands, or bands= says which"
    return found, _tried(module, found, autocast, form), (told,)


def run_by(network: Network, runtime: str, preprocess: Preprocess) -> Network:
    """Return the network as another library runs it, see `other_runtime.py`."""
    from uncertainty.classifiers.other_runtime import with_runtime
    from uncertainty.classifiers.runtimes.base import runtime_of

    wanted = runtime_of(runtime)
    if network.runs_by == (None if wanted is None else str(wanted)):
        return network
    if network.runtime is not None:
        raise ModelError(f"the network runs by {network.runtime}; load it anew for runtime={runtime}")
    return network if wanted is None else with_runtime(network, wanted, example_of(preprocess))


def _is_as_before(before: Before, known: Description, form: OutputForm) -> bool:
    """Whether a probe would find what it found before; one that looks at images alone is made again."""
    network: Network = before.network
    then = (before.preprocess, before.form, network.autocast, network.original)
    if then != (known.preprocess, form, known.autocast, known.module) or network.habits.alone:
        return False
    if network.runs_by not in (None, known.runtime):
        return False
    try:
        return network.answers_as_probed(example_of(known.preprocess))
    except Exception:  # the user's code, changed since: anything may be raised, which the probe then tells
        return False


def _tried(module: nn.Module, preprocess: Preprocess, autocast: str | None, form: OutputForm) -> Network:
    return Network.probe(module, example_of(preprocess), autocast, form)


def example_of(preprocess: Preprocess) -> NDArray[np.float32]:
    """Return what a network is given of a blank image, (channels, h, w)."""
    return np.zeros((preprocess.planes, *preprocess.sides), dtype=np.float32)


def first_channels(module: nn.Module) -> int | None:
    """Return how many channels the first convolution of a network takes; None where it has none.

    >>> first_channels(nn.Sequential(nn.ReLU(), nn.Conv2d(12, 4, 3)))
    12
    """
    convolutions = (
        (one for one in module.modules() if isinstance(one, nn.Conv2d)) if isinstance(module, nn.Module) else ()
    )
    return next((one.in_channels for one in convolutions if one.in_channels), None)
