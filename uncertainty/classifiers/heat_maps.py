"""Where a network looks: Grad-CAM, guided backprop and Guided Grad-CAM, by captum (extra `explain`)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uncertainty.classifiers.base import Classifier
from uncertainty.classifiers.modes import device_of, evaluating
from uncertainty.errors import InputError, MissingDependencyError, ModelError

METHODS = ("grad_cam", "guided_backprop", "guided_grad_cam")


def heat_maps(
    classifier: Classifier,
    inputs: NDArray[np.float32],
    targets: Sequence[int] | NDArray[Any],
    *,
    method: str = "grad_cam",
    layer: str | None = None,
    batch_size: int = 32,
) -> NDArray[np.float32]:
    """Return (n, h, w) float32 in 0..1, higher = matters more for the target class; each map is scaled by its maximum.

    Parameters
    ----------
    inputs : (n, channels, h, w) float32, preprocessed: `np.stack([classifier.preprocess(pixels), …])`.
    targets : (n,) class numbers, e.g. the predicted or the true ones.
    method : "grad_cam" is a coarse map over the last spatial layer, ReLU(Σ over channels of mean gradient ×
        activation), enlarged to the input (Selvaraju et al. 2017, "Grad-CAM"); "guided_backprop" the gradient of each
        pixel, where only what is positive passes a ReLU (Springenberg et al. 2015), the largest over the channels;
        "guided_grad_cam" their product.
    layer : name of the layer as `module.named_modules()` has it; by default `spatial_layer` finds it.

    A map is zero where nothing speaks for the target. The module is left as it was. Cost: a forward and a backward
    pass for grad_cam and guided_backprop, two for guided_grad_cam.

    Raises
    ------
    MissingDependencyError : captum is not installed.
    ModelError : there is no spatial layer, no layer of this name, or, for the guided methods, `why_unguided` says why.

    """
    if method not in METHODS:
        raise InputError(f"there is no method {method!r}; choose one of {', '.join(METHODS)}")
    if len(inputs) != len(targets):
        raise InputError(f"{len(targets)} targets for {len(inputs)} images; give one class for each")
    if len(inputs) == 0:
        return np.empty((0, *inputs.shape[2:]), dtype=np.float32)
    module = classifier.network.module
    _refuse_without_gradients(module)
    chosen = _named(module, layer or spatial_layer(module, inputs[:1]))
    if method != "grad_cam" and (why := why_unguided(module, inputs[:1])) is not None:
        raise ModelError(f"{method} can't be done: {why}; use grad_cam")
    attribution = _attribution(module, chosen, method)
    maps = []
    with _differentiable(module), classifier.network.habits.plain(batch_size):
        for start in range(0, len(inputs), batch_size):
            x = _tensor(module, inputs[start : start + batch_size]).requires_grad_(True)
            y = torch.as_tensor(np.asarray(targets[start : start + batch_size]), device=x.device, dtype=torch.long)
            maps.append(_flat(attribution(x, y), x.shape[2:]))
    return np.concatenate(maps)


def _refuse_without_gradients(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(why := getattr(layer, "no_gradients", None), str):
            raise ModelError(f"heat maps need gradients, and {why}")


def spatial_layer(module: nn.Module, inputs: NDArray[np.float32]) -> str:
    """Return the name of the last layer that still has places: whose output is (b, channels, h, w) with h w > 1.

    Raises ModelError where there is none, as in a network of tokens.

    >>> spatial_layer(nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten()), np.zeros((1, 3, 8, 8), np.float32))
    '1'
    """
    called: list[str] = []

    def note(name: str, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4 and output.shape[2] * output.shape[3] > 1:
            called.append(name)

    handles = [
        layer.register_forward_hook(lambda _, __, output, name=name: note(name, output))
        for name, layer in module.named_modules()
        if name and not isinstance(layer, torch.jit.ScriptModule)  # which takes no hooks
    ]
    try:
        with evaluating(module):
            module(_tensor(module, inputs[:1]))
    finally:
        for handle in handles:
            handle.remove()
    if not called:
        raise ModelError("the model has no layer whose output is (b, channels, h, w), so there is no map of places")
    return called[-1]


def why_unguided(module: nn.Module, inputs: NDArray[np.float32]) -> str | None:
    """Return why guided backprop would be a plain gradient in part or throughout; None where it is what it should be.

    It changes what passes nn.ReLU layers, also those called several times; a ReLU that is a function is out of its
    reach, and captum does not say so. Cost: one forward pass of the first image.

    >>> why_unguided(nn.Sequential(nn.Conv2d(3, 2, 3), nn.GELU()), np.zeros((1, 3, 8, 8), np.float32))
    'it guides gradients through nn.ReLU layers, and this model has none'
    """
    guided: set[Any] = set()
    layers = [m for m in module.modules() if isinstance(m, nn.ReLU)]
    handles = [m.register_forward_hook(lambda _, __, output: guided.add(output.grad_fn)) for m in layers]
    try:
        with _differentiable(module):
            found = _relus(module(_tensor(module, inputs[:1]).requires_grad_(True)).grad_fn)
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        return "it guides gradients through nn.ReLU layers, and this model has none"
    if beyond := found - guided:
        return (
            f"it guides gradients through nn.ReLU layers, and {len(beyond)} of {len(found)} ReLUs of this model are "
            "functions such as torch.relu"
        )
    return None


def _relus(end: Any) -> set[Any]:
    """Return every ReLU that a gradient passes on its way back from the end of a graph."""
    seen, waiting = set[Any](), [end]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [before for before, _ in node.next_functions]
    return {node for node in seen if node.name() == "ReluBackward0"}


def no_captum() -> MissingDependencyError:
    """Return the error of heat maps where captum is missing."""
    return MissingDependencyError(
        "heat maps need captum; run pip install 'uncertainty-vision[explain]' (or pip install captum)"
    )


def _attribution(module: nn.Module, layer: nn.Module, method: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of its plotting library
            from captum.attr import GuidedBackprop, GuidedGradCam, LayerGradCam
    except ImportError as error:
        raise no_captum() from error
    if method == "grad_cam":
        cam = LayerGradCam(module, layer)
        return lambda x, y: cam.attribute(x, y, relu_attributions=True)
    guided = GuidedBackprop(module) if method == "guided_backprop" else GuidedGradCam(module, layer)
    options = {} if method == "guided_backprop" else {"interpolate_mode": "bilinear"}
    return lambda x, y: _quiet(guided.attribute, x, y, **options)


def _quiet(attribute: Any, *arguments: Any, **options: Any) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting backward hooks")
        result: Tensor = attribute(*arguments, **options)
        return result


def _flat(attributed: Tensor, size: Any) -> NDArray[np.float32]:
    """(b, channels, ., .) of any size to (b, h, w) in 0..1."""
    strongest = attributed.detach().float().abs().amax(dim=1, keepdim=True)
    if strongest.shape[2:] != size:
        strongest = nn.functional.interpolate(strongest, size=tuple(size), mode="bilinear", align_corners=False)
    maps = strongest[:, 0].cpu().numpy()
    largest = maps.max(axis=(1, 2), keepdims=True)
    return np.asarray(maps / np.where(largest > 0, largest, 1), dtype=np.float32)


@contextmanager
def _differentiable(module: nn.Module) -> Iterator[None]:
    """Eval mode with gradients, and no layer that overwrites its input, which a hook could then not see any more."""
    overwriting: list[Any] = [m for m in module.modules() if getattr(m, "inplace", False) is True]
    for m in overwriting:
        m.inplace = False
    try:
        with evaluating(module), torch.enable_grad():
            yield
    finally:
        for m in overwriting:
            m.inplace = True


def _named(module: nn.Module, name: str) -> nn.Module:
    try:
        return module.get_submodule(name)
    except AttributeError as error:
        raise ModelError(f"the model has no layer {name!r}; take a name of module.named_modules()") from error


def _tensor(module: nn.Module, inputs: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.array(inputs, dtype=np.float32)).to(device_of(module))
