"""What was found out about a classifier when it was loaded, line by line, and what it costs to run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np

from uncertainty.classifiers.base import Classifier
from uncertainty.classifiers.output_form import Adapted
from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.classifiers.runtimes.base import Runtime, runtimes
from uncertainty.defaults import MC_PASSES
from uncertainty.errors import UncertaintyError

_SHOWN = 12  # class names
_EVEN = 0.5  # from which on a label is given where nothing else is said
_BATCH = 8
_RUNS = 3
_SECOND = "efficientnet-lite0"  # the second opinion of --effort balanced

Line = tuple[str, str]
"""What it is about, and what was found."""


def findings(classifier: Classifier) -> Iterator[Line]:
    """Yield what is known of classes, output, input, features, dropout and habits."""
    yield "classes", _classes(classifier.classes)
    yield "output", _output(classifier)
    yield "input", _input(classifier.preprocess)
    stated, assumed = _settings(classifier)
    yield "preprocessing, stated", stated or "nothing"
    yield "preprocessing, assumed", assumed or "nothing"
    yield "features", _features(classifier)
    yield "dropout", _dropout(classifier)
    yield "depends on", _habits(classifier)
    yield "batch norm", _folded(classifier)
    for note in classifier.notes:
        yield "note", note


def _classes(names: tuple[str, ...]) -> str:
    more = f", … and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)}: {', '.join(names[:_SHOWN])}{more}"


def _output(classifier: Classifier) -> str:
    form = classifier.form
    kind = {"logits": "logits, before softmax", "probabilities": "probabilities, whose logarithms are taken as logits"}
    said = kind[form.output]
    if classifier.task == "multilabel":
        said = said.replace("softmax", "sigmoid").replace("logarithms", "log odds")
        said = f"{said}; of several labels an image, {_given(classifier.decision_thresholds)}"
    one = ", one number for two classes" if form.binary else ""
    return f"{said}{one}"


def _given(thresholds: tuple[float, ...] | None) -> str:
    each = sorted(set(thresholds or (_EVEN,)))
    own = f"{each[0]:g}" if len(each) == 1 else f"its own threshold, {each[0]:g} to {each[-1]:g}"
    return f"each is given where its probability reaches {own}"


def _input(preprocess: Preprocess) -> str:
    height, width = preprocess.sides
    low, high = preprocess.numbers
    shape = f"(n, {preprocess.planes}, {height}, {width})"
    return f"{shape}, {_channels(preprocess)}, numbers from {low:.3g} to {high:.3g}"


def _channels(preprocess: Preprocess) -> str:
    if not isinstance(preprocess.channels, int):
        return "1 channel, grey" if preprocess.grayscale else f"3 channels, {preprocess.channels.upper()}"
    bands = preprocess.bands or tuple(range(1, preprocess.channels + 1))
    usual = bands[:3] if len(bands) > 2 else bands[:1]
    shown = ",".join(map(str, preprocess.show or usual))
    said = "all that an image has" if preprocess.bands is None else f"bands {','.join(map(str, bands))} of an image"
    return f"{preprocess.channels} channels, {said} (shown to people and second opinion: {shown})"


def _settings(classifier: Classifier) -> tuple[str, str]:
    """Return settings that the spec or the model states, and those that are only assumed."""
    chosen, usual = classifier.preprocess, Preprocess()
    stated, assumed = [], []
    for name in (field.name for field in fields(Preprocess)):
        value = getattr(chosen, name)
        said = f"{name}={','.join(f'{v:g}' for v in value) if isinstance(value, tuple) else value}"
        if name in classifier.assumed:
            assumed.append(said)
        elif name == "size" or value != getattr(usual, name) or name in ("mean", "std", "interpolation", "resize"):
            stated.append(said)
    return ", ".join(stated), ", ".join(assumed)


def _features(classifier: Classifier) -> str:
    network = classifier.network
    layer = network.feature_layer
    if layer is None:
        return "none were found; features=NAME names a layer that has them"
    names = {id(module): name for name, module in network.original.named_modules()}
    name = classifier.form.features or names.get(id(layer.layer), "").removeprefix("program.")
    if name:
        return f"{layer.width}, the {layer.side} of {name!r}"
    own = isinstance(network.module, Adapted) and layer.layer is network.module.second_output
    return f"{layer.width}, {_told(network.original) if own else _LAST}"


_LAST = "the input of the last product with weights"


def _told(module: Any) -> str:
    return str(getattr(module, "features_from", "its second output"))


def _dropout(classifier: Classifier) -> str:
    network = classifier.network
    if not network.dropout:
        return "none that can be run again"
    if network.replay is None:
        return "each of the sub-networks, with masks of its own, takes a full pass"
    return f"only what lies behind the first dropout is run again: {network.dropout_cost:.2%} of a pass a sub-network"


def _habits(classifier: Classifier) -> str:
    habits = classifier.network.habits
    found = ["chance in plain passes, which dropout that is always on would bring; it is held"] * habits.held
    found += ["the other images of a batch, so each runs alone"] * habits.alone
    return "; ".join(found) or "the image alone: neither chance nor other images change an answer"


def _folded(classifier: Classifier) -> str:
    folded = classifier.network.folded
    if folded is None:
        return "none that could be folded into the convolution before it"
    return f"{folded.norms} folded into the convolutions before them, while weights and hooks stay what they are"


def costs(classifier: Classifier) -> Iterator[Line]:
    """Yield what a pass costs, and each effort in units of it: by multiplications where they can be counted."""
    one = _multiplications(classifier)
    seconds = _seconds(classifier)
    counted = f", {one / 1e6:,.3g} million multiplications" if one else ""
    yield "one pass", f"{1e3 * seconds:.3g} ms an image in a batch of {_BATCH}, on this machine{counted}"
    yield from _runtimes(classifier, seconds)
    network = classifier.network
    passes, _ = network.affordable(None)
    fast = 1 + (passes * network.dropout_cost if network.dropout else 0)
    all_dropout = 1 + (MC_PASSES * network.dropout_cost if network.dropout else 0)
    second = _second_opinion(one, seconds)
    yield "effort fast", _in_passes(fast)
    yield "effort balanced", f"{_in_passes(fast + 1)} at most, with the flip, and a second opinion, {second}"
    yield (
        "effort thorough",
        f"{_in_passes(all_dropout + _views())} at most, with all views, and a second opinion, {second}",
    )


def _runtimes(classifier: Classifier, torch_s: float) -> Iterator[Line]:
    """Yield what a pass costs by each other library, and how far from torch its answers are, or what to install."""
    expected = classifier.network(_example(classifier, _BATCH)).logits
    for runtime in runtimes() if classifier.network.runtime is None else ():
        what = f"runtime={runtime}"
        if missing := runtime.missing():
            yield what, f"not here: it {missing}"
            continue
        try:
            other = _by(classifier, str(runtime))
        except UncertaintyError as error:
            yield what, str(error)
            continue
        apart = float(np.abs(other.network(_example(classifier, _BATCH)).logits - expected).max())
        yield what, f"{_seconds(other) / torch_s:.2g} of torch's time, logits {apart:.1g} apart{_of_noise(runtime)}"


def _by(classifier: Classifier, runtime: str) -> Classifier:
    """Return it by a runtime, which sees noise where it waits for images."""
    from uncertainty.classifiers.other_runtime import shown_images
    from uncertainty.classifiers.probing import example_of

    other = classifier.with_runtime(runtime)
    network = shown_images(other.network, example_of(other.preprocess), _example(other, _SHOWN))
    return replace(other, network=network)


def _of_noise(runtime: Runtime) -> str:
    return ", made of noise; how often labels stay on known-good images `uncertainty fit` says" if runtime.waits else ""


def _in_passes(number: float) -> str:
    """Say a number of passes; what rounds to one is one pass."""
    return "1 pass" if (said := f"{number:.3g}") == "1" else f"{said} passes"


def _views() -> int:
    from uncertainty.classifiers.views import VIEWS

    return sum(map(len, VIEWS.values()))


def _second_opinion(one: int, seconds: float) -> str:
    try:
        other = Classifier.load(_SECOND)
    except UncertaintyError:
        return f"{_SECOND}, which needs pip install 'uncertainty-vision[embedder]'"
    if one:
        return f"{_SECOND}: {_multiplications(other) / one:.3g} passes"
    return f"{_SECOND}: {_seconds(other) / seconds:.3g} passes as measured"


def _multiplications(classifier: Classifier) -> int:
    """Return the multiplications of one image; 0 where another library runs the network."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        classifier.network(_example(classifier, 1))
    return int(counter.get_total_flops()) // 2


def _seconds(classifier: Classifier) -> float:
    """Return the shortest of some runs, for one image of a batch."""
    inputs, taken = _example(classifier, _BATCH), []
    for _ in range(_RUNS):
        start = time.perf_counter()
        classifier.network(inputs)
        taken.append(time.perf_counter() - start)
    return min(taken) / _BATCH


def _example(classifier: Classifier, images: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    shape = (images, classifier.preprocess.planes, *classifier.preprocess.sides)
    return np.random.default_rng(0).random(shape, dtype=np.float32)
