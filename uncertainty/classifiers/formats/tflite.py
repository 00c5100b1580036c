"""`tflite:FILE`: a TensorFlow Lite model, which LiteRT runs on the CPU (extra `tflite`).

Quantised inputs and outputs are scaled, as the file says. Batches are as large as wanted where the file bears that,
else of the size that it was written for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers.description import Description
from uncertainty.classifiers.formats._engine import (
    KEYS,
    Answer,
    Engine,
    Takes,
    check_request,
    digest_of,
    named,
    refuse_folder,
    refuse_several,
)
from uncertainty.classifiers.formats._graph import Ends
from uncertainty.classifiers.formats._tflite_graph import File, labels
from uncertainty.classifiers.formats.base import Format, Request
from uncertainty.errors import MissingDependencyError, ModelError, in_one_line

_NAME = "LiteRT"
_KIND, _MAGIC = slice(4, 8), b"TFL3"
_NO_DROPOUT = "a TensorFlow Lite file has none; the network that it was converted from may have"
_ALIKE = 1e-4  # of the largest answer


@dataclass(frozen=True)
class Model:
    """An interpreter and the numbers of the tensors that are read; `features` is None where there are none."""

    interpreter: Any
    path: Path
    scores: int
    features: int | None

    @property
    def input(self) -> dict[str, Any]:
        """Details of the one input."""
        return dict(self.interpreter.get_input_details()[0])

    def run(self, values: NDArray[Any]) -> Answer:
        """Run real values (n, …), scaled to what the file takes, and the answers back."""
        try:
            given = self.input
            if tuple(given["shape"]) != values.shape:
                self.interpreter.resize_tensor_input(given["index"], list(values.shape))
                self.interpreter.allocate_tensors()
            self.interpreter.set_tensor(given["index"], _scaled(values, given))
            self.interpreter.invoke()
            return self._read(self.scores), None if self.features is None else self._read(self.features)
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{_NAME} can't run {self.path}: {in_one_line(error)}") from error

    def _read(self, index: int) -> NDArray[np.float32]:
        details = next(one for one in self.interpreter.get_output_details() if one["index"] == index)
        values = _unscaled(self.interpreter.get_tensor(index), details)
        return values.transpose(0, 3, 1, 2) if values.ndim == 4 else values

    def bears(self, takes: Takes) -> bool:
        """Whether two images at once are answered as each alone."""
        if takes.batch is None and None in takes.sides and takes.numbers is None:
            return True
        images = np.random.default_rng(0).random((2, *self.input["shape"][1:]), np.float32)
        images = (images * 255).round().astype(np.uint8) if takes.kind == "uint8" else images
        alone = [self.run(np.repeat(image[None], takes.batch or 1, axis=0))[0][:1] for image in images]
        try:
            both, _ = self.run(images)
        except ModelError:
            return False
        expected = np.concatenate(alone)
        return both.shape == expected.shape and bool(
            np.abs(both - expected).max() <= _ALIKE * max(np.abs(expected).max(), 1e-30)
        )


def describe(request: Request) -> Description:
    """Read the file, and find out what it takes and answers."""
    check_request(request, _NAME)
    path, options = request.path, request.options
    refuse_folder(path, "TensorFlow Lite")
    content = path.read_bytes()
    if content[_KIND] != _MAGIC:
        raise ModelError(f"{path} is no TensorFlow Lite file, or a damaged one")
    ends, model = _opened(content, path, options.get("output_name"), options.get("features"))
    takes = named(path, lambda: _takes(model, options.get("layout")))
    if model.bears(takes):
        takes = replace(takes, batch=None)
    elif takes.batch is None:
        takes = replace(takes, batch=1)
    digest = digest_of([path], ends.scores, ends.features, takes.layout)
    feature_name = options.get("features")
    module = Engine(model.run, takes, digest, name=_NAME, no_dropout=_NO_DROPOUT, feature_name=feature_name)
    preprocess, assumed = takes.preprocess
    output = options.get("output") or ("probabilities" if ends.probabilities else "logits")
    return Description(module, labels(path), preprocess, output=output, binary=ends.binary, assumed=assumed)


def _opened(content: bytes, path: Path, output_name: str | None, features: str | None) -> tuple[Ends, Model]:
    """Read the graph and start the engine, with all that is read among the outputs."""
    import torch

    interpreter_of, schema = _libraries()
    try:
        file = File(content, schema)
    except Exception as error:  # the reader of a damaged file may raise anything
        raise ModelError(f"{path} is no TensorFlow Lite file, or a damaged one: {in_one_line(error)}") from error
    ends = named(path, lambda: file.steps().ends(output_name, features))
    wanted = [file.names.index(name) for name in (ends.scores, ends.features) if name]
    if missing := [file.names[index] for index in wanted if index not in list(file.graph.outputs)]:
        content = file.with_outputs(missing)
    try:
        interpreter = interpreter_of(model_content=content, num_threads=torch.get_num_threads())
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:  # an operator that it does not know, a file that is cut off
        raise ModelError(f"{_NAME} can't run {path}: {in_one_line(error)}") from error
    named(path, lambda: refuse_several([one["name"] for one in interpreter.get_input_details()]))
    return ends, Model(interpreter, path, wanted[0], wanted[1] if ends.features else None)


def _libraries() -> tuple[Any, Any]:
    try:
        from ai_edge_litert import schema_py_generated
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise MissingDependencyError(
            "tflite: needs ai-edge-litert; run pip install 'uncertainty-vision[tflite]' (or pip install ai-edge-litert)"
        ) from error
    return Interpreter, schema_py_generated


def _takes(model: Model, layout: str | None) -> Takes:
    """Return what the file takes; whole numbers that are scaled count as real ones."""
    given = model.input
    kind = np.dtype(given["dtype"]).name
    if kind in ("int8", "uint8", "int16") and _scale(given)[0]:
        kind = "float32"
    if kind not in ("float32", "float16", "uint8"):
        raise ModelError(f"its input is of {kind}; it must be of real numbers, scaled whole ones, or bytes")
    signature = given.get("shape_signature", ())
    shape = given["shape"] if len(signature) == 0 else signature
    return Takes.read([int(side) for side in shape], kind, layout)


def _scale(details: dict[str, Any]) -> tuple[float, int]:
    """Return the step of a tensor of whole numbers and what stands for zero; a step of 0 where it is not scaled."""
    step, zero = details["quantization"]
    return float(step), int(zero)


def _scaled(values: NDArray[Any], details: dict[str, Any]) -> NDArray[Any]:
    kind, (step, zero) = np.dtype(details["dtype"]), _scale(details)
    if kind.kind == "f" or not step:
        return values.astype(kind)
    limits = np.iinfo(kind)
    return (np.round(values / step) + zero).clip(limits.min, limits.max).astype(kind)


def _unscaled(values: NDArray[Any], details: dict[str, Any]) -> NDArray[np.float32]:
    step, zero = _scale(details)
    real = values.astype(np.float32)
    return (real - np.float32(zero)) * np.float32(step) if values.dtype.kind != "f" and step else real


FORMAT = Format(describe, keys=KEYS)
