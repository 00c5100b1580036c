"""The graph of an ONNX file, its metadata, and the files in which its weights lie."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from uncertainty.classifiers.formats._graph import Graph, Node, Output
from uncertainty.errors import ModelError

_NAMES = ("names", "classes", "class_names", "labels", "id2label")
_KINDS = {
    "QGemm": "Gemm",
    "QLinearMatMul": "MatMul",
    "QLinearConv": "Conv",
    "QLinearSoftmax": "Softmax",
    "QLinearSigmoid": "Sigmoid",
    "QLinearGlobalAveragePool": "GlobalAveragePool",
    "QLinearAveragePool": "AveragePool",
    "QLinearReduceMean": "ReduceMean",
    "QLinearAdd": "Add",
    "QLinearMul": "Mul",
    "DynamicQuantizeLinear": "QuantizeLinear",
}
"""Kinds of nodes that compute with whole numbers, as those of real ones are called."""
_OF_STEPS = ("DequantizeLinear", "QGemm")  # and all QLinear…: an input of whole numbers, its step and its zero
_FLOATS = (1, 10, 11, 16)  # float32, float16, float64, bfloat16 of TensorProto


def graph_of(model: Any) -> Graph:
    """Return the graph of a model as onnx reads it."""
    given = model.graph
    constants = {tensor.name for tensor in given.initializer}
    constants |= {name for node in given.node if node.op_type == "Constant" for name in node.output}
    return Graph([_node(node) for node in given.node], [_output(one) for one in given.output], constants)


def inputs_of(model: Any) -> list[Any]:
    """Return the inputs that are no weights."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [one for one in model.graph.input if one.name not in weights]


def _node(node: Any) -> Node:
    said = {attribute.name: attribute for attribute in node.attribute}
    told = None
    if (transform := said.get("post_transform")) is not None:
        if transform.s in (b"SOFTMAX", b"LOGISTIC"):
            told = True
        elif node.op_type == "LinearClassifier":
            told = False
    names = next((one for name, one in said.items() if name.startswith("classlabels")), None)
    classes = None if names is None else tuple(v.decode() for v in names.strings) or tuple(map(str, names.ints))
    given = tuple(node.input)[:2] if node.op_type.endswith("Integer") else tuple(node.input)  # without zeros
    return Node(_KINDS.get(node.op_type, node.op_type), given, tuple(node.output), told, classes)


def _output(output: Any) -> Output:
    if output.type.WhichOneof("value") != "tensor_type":
        return Output(output.name, (), numbers=False, maps=True)
    tensor = output.type.tensor_type
    return Output(output.name, tuple(d.dim_value or None for d in tensor.shape.dim), tensor.elem_type in _FLOATS)


def in_real_numbers(onnx: Any, model: Any, name: str | None) -> str | None:
    """Return the name of a tensor in real numbers: where it holds whole ones a node is added that scales them."""
    for node in model.graph.node if name else ():
        scaled = node.op_type in _OF_STEPS or node.op_type.startswith("QLinear")
        if scaled and name in node.input:
            place = list(node.input).index(name)
            real = f"{name} in real numbers"
            steps = node.input[place : place + 3]
            model.graph.node.append(onnx.helper.make_node("DequantizeLinear", steps, [real]))
            return real
    return name


def leave_dropout_out(model: Any) -> bool:
    """Turn dropout that stands in a file as in training into none, and return whether there was any."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    constants |= {
        node.output[0]: attribute.t
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
    }
    dropped = False
    for node in model.graph.node:
        if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
            switch = constants.get(node.input[2])
            dropped |= switch is None or any(switch.raw_data or bytes(switch.int32_data))
            del node.input[2:]
    return dropped


def has_batch_statistics(model: Any) -> bool:
    """Whether batch norm stands in a file as in training."""
    norms = [node for node in model.graph.node if node.op_type == "BatchNormalization"]
    return any(a.name == "training_mode" and a.i for node in norms for a in node.attribute)


def class_names(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return class names that metadata hold, as a list or by number, in JSON or as Python writes them.

    >>> class_names({"names": "{0: 'cat', 1: 'dog'}"}), class_names({"classes": '["a", "b"]'})
    (('cat', 'dog'), ('a', 'b'))
    """
    for key in _NAMES:
        found = literal(metadata.get(key, ""))
        if isinstance(found, Mapping):
            by_number = {int(k): v for k, v in found.items() if str(k).isdigit()}
            found = [by_number[k] for k in range(len(found))] if by_number.keys() == set(range(len(found))) else None
        if isinstance(found, list | tuple) and found and all(isinstance(name, str) for name in found):
            return tuple(found)
    return None


def literal(text: str) -> Any:
    """Return what a text of metadata says, as JSON or as a literal of Python; None for any other text."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None


def data_files(model: Any, path: Path) -> list[Path]:
    """Return the files in which weights lie beside an ONNX file; ModelError for one that is missing or elsewhere."""
    names = {entry.value for one in _tensors(model.graph) for entry in one.external_data if entry.key == "location"}
    for name in sorted(names):
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ModelError(f"{path} names weights outside its folder, {name!r}; they must lie beside it")
        if not (path.parent / name).is_file():
            raise ModelError(f"{path} has its weights in {name!r}, which does not lie beside it")
    return [path.parent / name for name in sorted(names)]


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            inner: Sequence[Any] = [attribute.g, *attribute.graphs]
            for one in inner:
                if one.node or one.initializer:
                    yield from _tensors(one)
