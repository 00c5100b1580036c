"""Model specs: `package.module:factory?weights=FILE.safetensors&size=224&mean=…`.

The factory takes no arguments and returns a torch.nn.Module, or a Classifier made with `Classifier.from_module` when
it knows its class names and preprocessing itself. What the spec states wins over what the factory says.

weights : .safetensors, or a .pth / .pt state dict (read as tensors alone, never otherwise), see `weights.py`.
classes : file of class names, .txt one a line, or JSON.
size, crop_pct, resize, interpolation, mean, std, grayscale, draft : as in `Preprocess`; mean and std as 0.5,0.5,0.5.
bits, bands, frame : how deep, multi-band and many-paged files are read, as in `Preprocess`: 12, 4,3,2 and 1.
autocast : bf16 or fp16, the precision in which torch runs what bears it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from uncertainty.classifiers.class_names import read_class_names
from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.classifiers.weights import load_weights, reason, refuse_missing
from uncertainty.errors import ModelError
from uncertainty.outputs import Task


def _three(text: str) -> tuple[float, ...]:
    return tuple(float(v) for v in text.split(","))


def _whole_numbers(text: str) -> tuple[int, ...]:
    return tuple(int(v) for v in text.split(","))


def _truth(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


_PREPROCESS: dict[str, Callable[[str], Any]] = {
    "size": int,
    "crop_pct": float,
    "resize": str,
    "interpolation": str,
    "mean": _three,
    "std": _three,
    "grayscale": _truth,
    "draft": int,
    "bits": int,
    "bands": _whole_numbers,
    "frame": int,
}
_KEYS = ("weights", "classes", *_PREPROCESS, "autocast")
PRESETS = {
    "efficientnet-lite0": "uncertainty.classifiers.presets:efficientnet_lite0",
    "efficientnet-lite1": "uncertainty.classifiers.presets:efficientnet_lite1",
}
"""Names for model specs that need no weights of the user's; what a spec may say after "?" they may too."""


def is_preset(spec: str) -> bool:
    """Whether a spec is of a model that comes with this package.

    >>> is_preset("efficientnet-lite0?autocast=bf16"), is_preset("my_models:network")
    (True, False)
    """
    name = spec.partition("?")[0]
    return name in PRESETS or name in PRESETS.values()


@dataclass(frozen=True, eq=False)
class Description:
    """What a classifier is made of: the arguments of `Classifier.from_module`."""

    module: Any
    classes: Sequence[str] | None = None
    preprocess: Preprocess = field(default_factory=Preprocess)
    task: Task = "multiclass"
    decision_thresholds: Sequence[float] | None = None
    autocast: str | None = None
    spec: str | None = None


def describe(spec: str, *, classes: Sequence[str] | None = None, device: str | None = None) -> Description:
    """Load what a spec names; raises ModelError, in one line, for each thing that can be wrong with it."""
    name, _, query = spec.partition("?")
    target = PRESETS.get(name, name)
    options = dict(part.partition("=")[::2] for part in query.split("&") if part)
    if unknown := sorted(set(options) - set(_KEYS)):
        raise ModelError(f"model spec has unknown keys {unknown}; known are {', '.join(_KEYS)}")
    options |= {key: str(Path(options[key]).absolute()) for key in ("weights", "classes") if key in options}
    # All that can be known to be wrong is, before any code of the user's runs.
    settings = _preprocess(options)
    replace(Preprocess(), **settings)
    if "weights" in options:
        refuse_missing(Path(options["weights"]))
    if classes is None and "classes" in options:
        classes = read_class_names(options["classes"])
    known = _described(_made(target), target)
    if "weights" in options:
        load_weights(known.module, Path(options["weights"]))
    return replace(
        known,
        module=_moved(known.module, device) if device else known.module,
        classes=known.classes if classes is None else classes,
        preprocess=replace(known.preprocess, **settings),
        autocast=options.get("autocast", known.autocast),
        spec="?".join(filter(None, [target, "&".join(f"{k}={v}" for k, v in options.items())])),
    )


def _made(target: str) -> Any:
    module_name, colon, function = target.partition(":")
    if not colon or not module_name or not function:
        raise ModelError(f"model spec {target!r} is not of the form package.module:factory?weights=FILE.safetensors")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # the user's code: anything may be raised
        raise ModelError(
            f"can't import {module_name!r}: {reason(error)}; is it installed, or in this folder?"
        ) from error
    factory = getattr(module, function, None)
    if not callable(factory):
        raise ModelError(f"module {module_name!r} has no function {function!r} that returns the model")
    try:
        return factory()
    except Exception as error:  # the user's code: anything may be raised
        raise ModelError(f"{target}() fails: {reason(error)}") from error


def _described(made: Any, target: str) -> Description:
    """Describe what a factory returned: a module, or a Classifier, which describes itself."""
    from torch import nn

    if isinstance(made, nn.Module):
        return Description(made)
    if not isinstance(description := getattr(made, "description", None), Description):
        raise ModelError(f"{target}() returns {type(made).__name__}; it must return a torch.nn.Module or a Classifier")
    return description


def _moved(module: Any, device: str) -> Any:
    try:
        return module.to(device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"the model can't be put on device {device!r}: {reason(error)}") from error


def _preprocess(options: dict[str, str]) -> dict[str, Any]:
    """Return the settings of `Preprocess` that a spec states."""
    settings: dict[str, Any] = {}
    for key in _PREPROCESS.keys() & options.keys():
        try:
            settings[key] = _PREPROCESS[key](options[key])
        except (ValueError, KeyError) as error:
            raise ModelError(f"model spec has {key}={options[key]!r}, which can't be read") from error
    return settings
