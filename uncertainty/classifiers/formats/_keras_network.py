"""A Keras model on the torch backend as a torch module: images with channels first, dropout that can be replayed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows
from torch import Tensor, nn

from uncertainty.classifiers.feature_layer import pooled
from uncertainty.classifiers.output_form import scores_of
from uncertainty.errors import ModelError

_DROPS = ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout")
_NOISE = ("GaussianDropout", "GaussianNoise")
_NO_HOOKS = "those of Keras are asked of its own layers, which can't be caught"


class KerasNetwork(nn.Module):
    """A Keras model that answers with (scores, features), in inference: batch norm is never touched.

    Its dropout layers call torch's dropout, which is off, so that sub-networks can be run with fixed masks. `last` says
    that channels come last in its input; `features` names the layer whose output are the features, None: the input of
    the last layer with a kernel. `digest` tells its architecture from others. Without `drops` dropout can't be run.
    """

    digest: Tensor
    no_dropout: str

    def __init__(self, model: Any, *, last: bool, features: str | None, digest: bytes, drops: bool = True) -> None:
        super().__init__()
        self._keras, self.last, self.features = (model,), last, features  # in a tuple: no module of torch's kind
        self.no_gradients = _NO_HOOKS
        self.features_from = "the input of its last layer with a kernel"
        self.named = nn.Identity()
        self.register_buffer("digest", torch.frombuffer(bytearray(digest), dtype=torch.uint8))
        # Without the states of generators, which are drawn anew whenever a file is read.
        for name, value in ((n, v) for n, v in model.named_parameters() if "seed_generator" not in n):
            self.register_parameter(re.sub(r"\W+", "_", name), value)
        self._caught: list[tuple[Any, Tensor, Tensor]] = []
        self._head: tuple[Any, ...] = ()  # in a tuple, too
        layers = list(leaves(model))
        _hold_dropout(layers, drops)
        if (why := _no_dropout(layers)) is not None:
            self.no_dropout = why
        watched = [_named(model, features)] if features else [one for one in layers if _has_kernel(one)]
        for layer in watched:
            _watch(layer, self._caught)

    def forward(self, images: Tensor) -> Any:
        """Answer for images (n, channels, h, w)."""
        import keras

        self._caught.clear()
        with keras.device(str(images.device)):
            answer = self._keras[0](images.permute(0, 2, 3, 1) if self.last else images, training=False)
        return answer if isinstance(answer, dict | list | tuple) else self._with_features(answer)

    def _with_features(self, answer: Tensor) -> Any:
        if self.features is not None:
            return answer, self.named(_pooled(self._caught[-1][2], self.last)) if self._caught else answer
        found = [call for call in self._caught if not self._head or call[0] is self._head[0]]
        self._caught.clear()
        if not found or found[-1][2].shape[-1] != scores_of(answer).shape[-1]:
            return answer
        self._head = (found[-1][0],)
        return answer, _pooled(found[-1][1], self.last)

    def get_submodule(self, target: str) -> nn.Module:
        """Find the layer that the user named."""
        return self.named if target == self.features else super().get_submodule(target)


def leaves(model: Any) -> Iterator[Any]:
    """Yield the layers of a model that have none in them, however deep, in order."""
    for layer in getattr(model, "layers", None) or model._flatten_layers(include_self=False, recursive=False):
        if list(layer._flatten_layers(include_self=False, recursive=False)):
            yield from leaves(layer)
        else:
            yield layer


def _kind(layer: Any) -> str:
    return next((c.__name__ for c in type(layer).__mro__ if c.__module__.startswith("keras.")), type(layer).__name__)


def _hold_dropout(layers: Sequence[Any], drops: bool) -> None:
    """Let dropout layers call torch's dropout, switched off."""
    for layer in layers:
        if drops and _kind(layer) in _DROPS and layer.rate > 0:
            layer.call = _call(layer)
        elif _kind(layer) in (*_DROPS, *_NOISE):
            layer.call = lambda inputs, *_, **__: inputs


def _call(layer: Any) -> Callable[..., Tensor]:
    def call(inputs: Tensor, training: Any = None) -> Tensor:
        if _kind(layer) == "AlphaDropout":
            return torch.alpha_dropout(inputs, layer.rate, False)
        shape = getattr(layer, "noise_shape", None)
        shape = layer._get_noise_shape(inputs) if shape is None and hasattr(layer, "_get_noise_shape") else shape
        if shape is None:
            return F.dropout(inputs, layer.rate, False)
        # One mask for many places; it is the same for all images, whatever the shape says of them.
        sides = [own if said is None else said for own, said in zip(inputs.shape, shape, strict=True)]
        ones = torch.ones((len(inputs), *sides[1:]), dtype=inputs.dtype, device=inputs.device)
        return inputs * F.dropout(ones, layer.rate, False)

    return call


def _no_dropout(layers: Sequence[Any]) -> str | None:
    if any(_kind(layer) in _DROPS and layer.rate > 0 for layer in layers):
        return None
    noise = [layer for layer in layers if _kind(layer) in _NOISE]
    return f"{_kind(noise[0])} is noise, no dropout of units" if noise else None


def _has_kernel(layer: Any) -> bool:
    return _kind(layer) in ("Dense", "EinsumDense", "Conv2D", "SeparableConv2D", "DepthwiseConv2D")


def _named(model: Any, name: str) -> Any:
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if layer.name == name:
            return layer
    known = ", ".join([layer.name for layer in leaves(model)][-8:])
    raise ModelError(f"features={name!r} is no layer of it; its last ones are {known}")


def _watch(layer: Any, caught: list[tuple[Any, Tensor, Tensor]]) -> None:
    """Note what a layer gets and what it gives, whenever it is called."""
    inner = layer.call

    def call(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        made = inner(inputs, *args, **kwargs)
        caught.append((layer, inputs, made))
        return made

    layer.call = call


def _pooled(values: Tensor, last: bool) -> Tensor:
    return pooled(values.permute(0, 3, 1, 2) if last and values.dim() == 4 else values)
