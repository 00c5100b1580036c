"""`keras:FILE.keras`: a model of Keras 3 on its torch backend, never with code of its own (`safe_mode`)."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

from uncertainty.classifiers.description import Description
from uncertainty.classifiers.formats.base import Format, Request
from uncertainty.errors import MissingDependencyError, ModelError, in_one_line

logger = logging.getLogger("uncertainty")

_BACKEND = "KERAS_BACKEND"
_OLDEST = (3, 12)  # before, a file could read others and run code in spite of safe_mode
_CHANNELS = (1, 3)


def describe(request: Request) -> Description:
    """Read the file, and take its last softmax or sigmoid off, so that answers are logits."""
    from uncertainty.classifiers.formats._keras_inputs import prepared
    from uncertainty.classifiers.formats._keras_network import KerasNetwork
    from uncertainty.classifiers.modes import check_device

    path = request.path
    if path.is_dir() or path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise ModelError(f"{path} is no .keras file; write one by model.save('model.keras') in Keras 3")
    keras = _keras()
    check_device(request.device)
    model = _read(keras, path, request.device)
    try:
        shape, last = _input(model)
        form = {} if "output" in request.options else _logits(keras, model, request)
        features, drops = request.options.get("features"), shape[0] is None
        module: Any = KerasNetwork(model, last=last, features=features, digest=_digest(path), drops=drops)
        module = _tried(module, shape, last)
    except ModelError as error:
        raise ModelError(f"{path.name} can't be screened: {error}") from error
    sides, channels = (shape[1:3], shape[3]) if last else (shape[2:4], shape[1])
    preprocess, assumed = prepared(model, sides, channels)
    return Description(module, preprocess=preprocess, assumed=assumed, **form)


def _keras() -> Any:
    """Import Keras with torch as its backend."""
    if "keras" not in sys.modules:
        before = os.environ.get(_BACKEND)
        os.environ[_BACKEND] = "torch"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import keras
        except ImportError as error:
            raise MissingDependencyError(
                "keras: needs Keras 3; run pip install 'uncertainty-vision[keras]' (or pip install keras)"
            ) from error
        finally:
            if before is None:
                del os.environ[_BACKEND]
            else:
                os.environ[_BACKEND] = before
    import keras

    if (name := keras.backend.backend()) != "torch":
        raise ModelError(
            f"Keras was imported with the backend {name!r} before, and keras: runs on torch; set "
            f"{_BACKEND}=torch in the environment"
        )
    if tuple(int(part) for part in keras.version().split(".")[:2]) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise MissingDependencyError(
            f"keras: needs Keras {oldest} or later, which reads files safely; this is {keras.version()}"
        )
    return keras


def _read(keras: Any, path: Path, device: str | None) -> Any:
    try:
        with warnings.catch_warnings(), keras.device(device or "cpu"):
            warnings.simplefilter("ignore")
            return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a file of any kind: anything may be raised
        raise ModelError(f"{path} can't be read by Keras {keras.version()}: {_why(error)}") from error


def _why(error: Exception) -> str:
    text = str(error)
    if unknown := re.search(r"Could not locate (?:class|function) '([^']+)'", text):
        return (
            f"it has {unknown[1]!r}, which only the code of its author knows; from Python, import the module that "
            "registers it (keras.saving.register_keras_serializable) before you load it"
        )
    if "Lambda" in text and "safe_mode" in text:
        return (
            "it has a Lambda layer, which holds code, and code of a file is never run; put a layer of Keras, such as "
            "Rescaling, in its place"
        )
    return in_one_line(error, 300)


def _input(model: Any) -> tuple[tuple[int | None, ...], bool]:
    """Return the shape of the one input, and whether channels come last in it."""
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) != 1:
        raise ModelError(f"it takes {len(inputs)} inputs that are known, and a classifier of images takes one")
    shape = tuple(inputs[0].shape)
    if len(shape) != 4:
        raise ModelError(f"its input has the shape {shape}; images are (n, height, width, channels)")
    first = {getattr(layer, "data_format", None) for layer in model.layers} - {None} == {"channels_first"}
    return shape, not first and (shape[3] in _CHANNELS or shape[1] not in _CHANNELS)


def _logits(keras: Any, model: Any, request: Request) -> dict[str, Any]:
    """Take off the last softmax, or the sigmoid of one output or of several labels; return what the answer then is."""
    outputs, several = model.outputs, request.options.get("task") == "multilabel"
    layer = _last(outputs[0]._keras_history.operation)
    name = (
        "softmax" if type(layer).__name__ == "Softmax" else getattr(getattr(layer, "activation", None), "__name__", "")
    )
    one = outputs[0].shape[-1] == 1
    if name == "softmax" and several:
        raise ModelError("its last layer is a softmax, of classes that exclude each other; leave task=multilabel out")
    if name == "sigmoid" and not one and not several:
        logger.warning(
            "%s answers with %s sigmoids; they are taken as classes that exclude each other. For several labels an "
            "image say task=multilabel",
            request.path,
            outputs[0].shape[-1],
        )
        return {"output": "probabilities"}
    if name in ("softmax", "sigmoid"):
        if type(layer).__name__ in ("Softmax", "Activation"):
            layer.call = lambda inputs, *_, **__: inputs
        else:
            layer.activation = keras.activations.linear
    return {"binary": True} if one and not several else {}


def _last(operation: Any) -> Any:
    """Return the operation that answers, in nested models too."""
    while getattr(operation, "outputs", None) and hasattr(operation, "layers"):
        operation = operation.outputs[0]._keras_history.operation
    return operation


def _digest(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return hashlib.sha256(archive.read("config.json")).digest()


def _tried(module: Any, shape: tuple[int | None, ...], last: bool) -> Any:
    """Run it once, and fill up batches where their size is fixed."""
    import torch

    from uncertainty.classifiers.formats._fixed_batch import FixedBatch

    sides = shape[1:] if not last else (shape[3], *shape[1:3])
    images = torch.zeros((shape[0] or 1, *(side or (3 if k == 0 else 224) for k, side in enumerate(sides))))
    try:
        with torch.no_grad():
            module(images.to(next((p.device for p in module.parameters()), "cpu")))
    except Exception as error:  # layers of any kind: anything may be raised
        raise ModelError(f"it fails on images of the shape {tuple(images.shape)}: {in_one_line(error, 300)}") from error
    if shape[0] is None:
        return module
    fixed: Any = FixedBatch(module, shape[0], shape[0], feature_name=module.features)
    fixed.no_dropout = f"it is fixed to batches of {shape[0]} images"
    return fixed


FORMAT = Format(describe, keys=("output", "features", "task"))
