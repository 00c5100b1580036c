"""How images are prepared for a Keras model: what its layers do themselves, and what people do who use them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from uncertainty.classifiers.preprocess import Preprocess

_SCALES = ("Rescaling", "Normalization", "TrueDivide", "Divide", "Multiply", "Subtract", "Add")
_WITH_WEIGHTS = ("Conv", "Dense", "SeparableConv", "DepthwiseConv")
_SIZE = 224  # where a model takes any
_CAFFE: dict[str, Any] = {"channels": "bgr", "range": 255.0, "mean": (103.939, 116.779, 123.68), "std": 1.0}
_SIGNED: dict[str, Any] = {"mean": 0.5, "std": 0.5}
_IMAGENET: dict[str, Any] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_BYTES: dict[str, Any] = {"mean": 0.0, "std": 1.0, "range": 255.0}
_UNIT: dict[str, Any] = {"mean": 0.0, "std": 1.0}
APPLICATIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("resnet50v2", "resnet101v2", "resnet152v2", "mobilenet", "inception", "xception", "nasnet"), _SIGNED),
    (("resnet", "vgg"), _CAFFE),
    (("densenet",), _IMAGENET),
    (("efficientnet", "convnext"), _BYTES),
)
"""What `preprocess_input` of keras.applications does, by how the names of its models begin; the first that fits."""


def prepared(model: Any, sides: Any, channels: int | None) -> tuple[Preprocess, tuple[str, ...]]:
    """Return the preprocessing, and the names of the settings that nobody stated.

    Sizes are those of the input. Where layers at the beginning scale, the model takes bytes; a model of
    keras.applications, alone or inside, takes what its `preprocess_input` gives; any other 0..1. The rest is what
    `keras.utils.image_dataset_from_directory` does: squeezed into the input, bilinear, pixels as they are stored.
    """
    height, width = (side or _SIZE for side in sides)
    values, stated = _values(model)
    several: dict[str, Any] = {} if channels in (None, 1, 3) else {"channels": channels}
    assumed = ("resize", "resizer", "interpolation", *(() if stated else tuple(values)))
    known = Preprocess(
        size=(height, width),
        resize="exact",
        resizer="keras",
        interpolation="bilinear",
        grayscale=channels == 1,
        draft=0,
        exif=False,
        **several,
        **values,
    )
    return known, assumed if None not in sides else ("size", *assumed)


def _values(model: Any) -> tuple[dict[str, Any], bool]:
    """Return mean, std and range, and whether the model says so itself."""
    for operation in _operations(model):
        kind = type(operation).__name__
        if kind in _SCALES:
            return _BYTES, True
        if kind.startswith(_WITH_WEIGHTS):
            break
    names = [model.name, *(layer.name for layer in model.layers if hasattr(layer, "layers"))]
    for begins, values in APPLICATIONS:
        if any(name.lower().startswith(begins) for name in names):
            return values, False
    return _UNIT, False


def _operations(model: Any) -> Iterator[Any]:
    """Yield what a model runs, in order, with that of models inside."""
    for operation in getattr(model, "operations", None) or model.layers:
        if hasattr(operation, "layers"):
            yield from _operations(operation)
        else:
            yield operation
