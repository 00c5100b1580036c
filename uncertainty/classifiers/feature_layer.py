"""Where a network's features come from: the input of the layer that makes its logits, or a layer that the user names.

A layer is the last one where the logits follow from its output alone, see `leads_to`: a temperature, a softmax, a
constant logit or an average over places may come after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from uncertainty.classifiers.output_form import Adapted, original
from uncertainty.errors import ModelError

_ATEN = torch.ops.aten  # as an exported program calls them
_PRODUCTS: frozenset[Callable[..., Any]] = frozenset(
    (
        *(nn.functional.linear, torch.matmul, torch.mm, torch.addmm, torch.einsum),
        *(Tensor.matmul, Tensor.mm, Tensor.__matmul__),
        *(_ATEN.linear.default, _ATEN.matmul.default, _ATEN.mm.default, _ATEN.addmm.default),
    )
)
_SECOND = (torch.addmm, torch.einsum, _ATEN.addmm.default)  # which have the features as their second argument
_SAME = {torch.float32: 1e-3, torch.float64: 1e-3}  # of the largest value; less exact numbers are rounded more
_ROUNDED = 3e-2
_FORM = "parametrizations"  # where torch keeps what a weight is made of


@dataclass(frozen=True, eq=False)
class FeatureLayer:
    """What to catch during a pass: the input or output of `layer`, or the input of the last product of matrices.

    `width` is the number of features d; `linear` is the last layer itself where that is an nn.Linear.
    """

    layer: nn.Module | None
    side: Literal["input", "output"]
    width: int

    @property
    def linear(self) -> nn.Linear | None:
        """The last linear layer, whose output are the logits."""
        return self.layer if isinstance(self.layer, nn.Linear) and self.side == "input" else None

    @contextmanager
    def caught(self) -> Iterator[list[Tensor]]:
        """Collect what passes meanwhile; the last one counts."""
        found: list[Tensor] = []
        if self.layer is None:
            with _Products(self.width, found):
                yield found
            return
        if self.side == "input":
            # A copy, since what follows may work in place.
            handle = self.layer.register_forward_pre_hook(
                lambda _, args, kwargs: found.append(_first(args, kwargs).clone()), with_kwargs=True
            )
        else:
            handle = self.layer.register_forward_hook(lambda _, __, output: found.append(_tensor(output).clone()))
        try:
            yield found
        finally:
            handle.remove()


def pooled(values: Tensor) -> Tensor:
    """Return (n, d): the average over places (n, d, h, w) or tokens (n, t, d).

    >>> pooled(torch.tensor([[[[1.0, 3.0]], [[5.0, 7.0]]]])).tolist()
    [[2.0, 6.0]]
    """
    if values.dim() == 4:
        return values.mean((2, 3))
    return values.mean(1) if values.dim() == 3 else values.flatten(1)


def named_layer(module: nn.Module, name: str, run: Callable[[], Any], images: int) -> FeatureLayer:
    """Find a layer by its name; ModelError where there is none, or it gives no row for each image."""
    try:
        layer = original(module).get_submodule(name)
    except AttributeError as error:
        names = [other for other, _ in original(module).named_modules() if other]
        known = ", ".join([*names[-8:]]) or "none"
        raise ModelError(f"features={name!r} is no layer of the model; its last layers are {known}") from error
    if isinstance(layer, torch.jit.ScriptModule):
        raise ModelError(f"the layer features={name!r} is scripted, and what passes inside can't be caught")
    side: Literal["input", "output"] = "input" if isinstance(layer, nn.Linear) else "output"
    found = FeatureLayer(layer, side, 0)
    with found.caught() as caught:
        run()
    if not caught or caught[-1].dim() < 2 or len(caught[-1]) != images:
        shape = f"shape {tuple(caught[-1].shape)} for {images} images" if caught else "nothing, since it is not run"
        raise ModelError(f"the layer features={name!r} gives {shape}; name one with a row an image")
    return FeatureLayer(layer, side, pooled(caught[-1]).shape[1])


def find_feature_layer(module: nn.Module, run: Callable[[], Tensor]) -> tuple[Tensor, FeatureLayer | None]:
    """Run the module once and return its logits and where its features are; None where nothing is like a last layer."""
    calls: list[_Call] = []
    handles = [
        layer.register_forward_hook(lambda m, args, kwargs, out: _note(calls, m, args, kwargs, out), with_kwargs=True)
        for layer in module.modules()
        if _has_weights(layer) and not isinstance(layer, torch.jit.ScriptModule)  # which takes no hooks
    ]
    products: list[tuple[Tensor, Tensor]] = []
    try:
        with _Products(None, [], products):
            logits = run().clone()
    finally:
        for handle in handles:
            handle.remove()
    if (call := _head(calls, logits)) is not None:
        return logits, FeatureLayer(call.layer, "input", call.width)
    for given, made in reversed(products):
        if leads_to(made, logits):
            return logits, FeatureLayer(None, "input", pooled(given).shape[1])
    if isinstance(module, Adapted):
        return logits, _second_output(module, run)
    return logits, None


@dataclass(frozen=True, eq=False)
class _Call:
    """One run of a layer with weights: what came out, and how many features went in."""

    layer: nn.Module
    output: Tensor
    width: int


def _note(calls: list[_Call], layer: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
    given = args[0] if args else next(iter(kwargs.values()), None)
    if isinstance(output, Tensor) and isinstance(given, Tensor) and given.dim() > 1:
        calls.append(_Call(layer, _plain(output.detach()).clone(), pooled(_plain(given)).shape[1]))


def _has_weights(layer: nn.Module) -> bool:
    """Whether a layer holds weights itself, so that it may be the last one; packed and parametrised ones count.

    What holds layers with weights besides, as a transformer with a token of its own does, is no layer but a network.
    """
    if isinstance(layer, torch.jit.ScriptModule):  # which takes no hooks
        return False
    inner = any(next(part.parameters(), None) is not None for name, part in layer.named_children() if name != _FORM)
    own = next(layer.parameters(recurse=False), None) is not None and not inner
    packed = hasattr(layer, "_packed_params") or type(layer).__module__.startswith("keras")
    return own or packed or hasattr(layer, _FORM)


def _head(calls: list[_Call], logits: Tensor) -> _Call | None:
    exact = [call for call in calls if isinstance(call.layer, nn.Linear) and torch.equal(call.output, logits)]
    if exact:
        return exact[-1]
    alike = [call for call in calls if leads_to(call.output, logits)]
    if alike:
        return alike[-1]
    # Two heads whose answers are averaged, as distilled transformers have them.
    pair = [call for call in calls if call.output.shape == logits.shape][-2:]
    if len(pair) == 2 and _near((pair[0].output + pair[1].output) / 2, logits):
        return pair[0]
    return None


def leads_to(output: Tensor, logits: Tensor) -> bool:
    """Whether what follows a layer is borne: rectified or averaged over places, scaled, shifted by class or by image
    (so a softmax, whose logs are the logits), or bent by one function that rises.
    """
    if output.dim() == 4 and output.shape[1] == logits.shape[1]:
        return _follows(output.mean((2, 3)), logits) or _near(output.relu().mean((2, 3)), logits)
    if output.dim() != 2 or len(output) != len(logits):
        return False
    if output.shape[1] == 1 and logits.shape[1] == 2:  # [0, z] or [-z/2, z/2]
        return _near(logits[:, 1:] - logits[:, :1], output)
    return output.shape == logits.shape and _follows(output, logits)


def _follows(output: Tensor, logits: Tensor) -> bool:
    a, b = output.double(), logits.double()
    own, theirs = (v - v.mean(0) - v.mean(1, keepdim=True) + v.mean() for v in (a, b))
    scale = (own * theirs).sum() / (own * own).sum().clamp_min(1e-300)
    if scale > 0 and _near(scale * own, theirs):
        return True
    return bool((b.flatten()[a.flatten().argsort()].diff() >= 0).all()) and bool(b.max() > b.min())


def _near(found: Tensor, expected: Tensor) -> bool:
    room = _SAME.get(expected.dtype, _ROUNDED) * expected.abs().max()
    return bool((found - expected).abs().max() <= room)


def _second_output(module: Adapted, run: Callable[[], Tensor]) -> FeatureLayer | None:
    layer = FeatureLayer(module.second_output, "output", 0)
    with layer.caught() as caught:
        run()
    return FeatureLayer(module.second_output, "output", caught[-1].shape[1]) if caught else None


class _Products(TorchFunctionMode):
    """While active, notes the inputs of products of matrices that no layer need hold."""

    def __init__(
        self, width: int | None, found: list[Tensor], pairs: list[tuple[Tensor, Tensor]] | None = None
    ) -> None:
        super().__init__()
        self.width, self.found, self.pairs = width, found, pairs

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        if func in _PRODUCTS and isinstance(answer, Tensor) and answer.dim() == 2:
            given = args[1] if func in _SECOND else args[0]
            if not isinstance(given, Tensor):
                return answer
            if self.width is None and self.pairs is not None:
                self.pairs.append((given.detach().clone(), answer.detach().clone()))
            elif given.dim() == 2 and given.shape[1] == self.width:
                self.found.append(given.detach().clone())
        return answer


def _first(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    return _tensor(args[0] if args else next(iter(kwargs.values())))


def _tensor(value: Any) -> Tensor:
    found = value[0] if isinstance(value, list | tuple) else value
    if not isinstance(found, Tensor):
        raise ModelError(
            f"the layer of the features gives {type(found).__name__}, no tensor; name another by features="
        )
    return _plain(found)


def _plain(values: Tensor) -> Tensor:
    """Return what whole numbers with a scale stand for."""
    return values.dequantize() if values.is_quantized else values
