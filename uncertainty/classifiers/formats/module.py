"""`package.module:factory?weights=FILE&arg.NAME=VALUE`: a function that returns a torch.nn.Module or a Classifier."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from uncertainty.classifiers.description import Description
from uncertainty.classifiers.formats.base import Format, Request, prefixes
from uncertainty.classifiers.weights import load_weights, refuse_missing
from uncertainty.errors import MissingDependencyError, ModelError, in_one_line

PRESETS = {
    "efficientnet-lite0": "uncertainty.classifiers.presets:efficientnet_lite0",
    "efficientnet-lite1": "uncertainty.classifiers.presets:efficientnet_lite1",
    "efficientnet-lite2": "uncertainty.classifiers.presets:efficientnet_lite2",
    "efficientnet-lite0+lite2": "uncertainty.classifiers.presets:efficientnet_lite0_lite2",
}
"""Names for model specs that need no weights of the user's; what a spec may say after "?" they may too."""

ASSUMED = ("size", "resize", "crop_pct", "interpolation", "mean", "std")
"""What a bare module does not say of its preprocessing, and what changes answers most."""


def is_preset(spec: str) -> bool:
    """Whether a spec is of a model that comes with this package.

    >>> is_preset("efficientnet-lite0?autocast=bf16"), is_preset("my_models:network")
    (True, False)
    """
    name = spec.partition("?")[0]
    return name in PRESETS or name in PRESETS.values()


def describe(request: Request) -> Description:
    """Call the factory, and load weights into what it returns."""
    target = PRESETS.get(request.target, request.target)
    weights = request.options.get("weights")
    if weights is not None:
        refuse_missing(Path(weights))
    known = _described(_made(target, arguments_of(request)), target)
    if weights is not None:
        load_weights(known.module, Path(weights))
    return known


def arguments_of(request: Request) -> dict[str, Any]:
    """Return what a spec says by its keys `arg.NAME`."""
    given = {key.removeprefix("arg."): text for key, text in request.options.items() if key.startswith("arg.")}
    return {name: value_of(text) for name, text in given.items()}


def value_of(text: str) -> Any:
    """Return what a word of a spec says as an argument: a number, true, false, none, or the text itself.

    >>> [value_of(text) for text in ("6", "0.5", "true", "none", "gelu")]
    [6, 0.5, True, None, 'gelu']
    """
    if text.lower() in (words := {"true": True, "false": False, "none": None}):
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _made(target: str, arguments: dict[str, Any]) -> Any:
    module_name, colon, function = target.partition(":")
    if not colon or not module_name or not function:
        kinds = ", ".join(f"{prefix}:" for prefix in prefixes())
        other = f", nor does it begin with {kinds}" if kinds else ""
        raise ModelError(
            f"model spec {target!r} is not of the form package.module:factory?weights=FILE.safetensors{other}"
        )
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # the user's code: anything may be raised
        raise ModelError(
            f"can't import {module_name!r}: {in_one_line(error, 300)}; is it installed, or in this folder?"
        ) from error
    factory = getattr(module, function, None)
    if not callable(factory):
        raise ModelError(f"module {module_name!r} has no function {function!r} that returns the model")
    try:
        return factory(**arguments)
    except MissingDependencyError:  # says itself what to install
        raise
    except Exception as error:  # the user's code: anything may be raised
        raise ModelError(f"{target}({_said(arguments)}) fails: {in_one_line(error, 300)}") from error


def _said(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


def _described(made: Any, target: str) -> Description:
    """Describe what a factory returned: a module, or a Classifier, which describes itself."""
    from torch import nn

    if isinstance(made, nn.Module):
        return Description(made, assumed=ASSUMED)
    if not isinstance(description := getattr(made, "description", None), Description):
        raise ModelError(f"{target}() returns {type(made).__name__}; it must return a torch.nn.Module or a Classifier")
    return description


FORMAT = Format(describe, keys=("weights", "arg."), files=("weights",), is_file=False)
