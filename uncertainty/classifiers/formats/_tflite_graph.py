"""The graph of a TensorFlow Lite file, read by LiteRT's own schema, and the same file with further outputs."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from uncertainty.classifiers.formats._graph import Graph, Node, Output

_KINDS = {
    "FULLY_CONNECTED": "Gemm",
    "BATCH_MATMUL": "MatMul",
    "CONV_2D": "Conv",
    "SOFTMAX": "Softmax",
    "LOG_SOFTMAX": "LogSoftmax",
    "LOGISTIC": "Sigmoid",
    "RESHAPE": "Reshape",
    "SQUEEZE": "Squeeze",
    "EXPAND_DIMS": "Unsqueeze",
    "CAST": "Cast",
    "QUANTIZE": "QuantizeLinear",
    "DEQUANTIZE": "DequantizeLinear",
    "MEAN": "ReduceMean",
    "AVERAGE_POOL_2D": "AveragePool",
    "ADD": "Add",
    "SUB": "Sub",
    "MUL": "Mul",
    "DIV": "Div",
    "RELU": "Relu",
    "RELU6": "Clip",
    "TANH": "Tanh",
}
"""Kinds of nodes by the names of ONNX; all others keep their own."""
_NUMBERS = ("FLOAT32", "FLOAT16", "INT8", "UINT8", "INT16")  # which scores may be; the whole ones are scaled


class File:
    """The one graph that is run of a file: its tensors by name."""

    def __init__(self, content: bytes, schema: Any) -> None:
        self.model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        self.schema, self.graph = schema, self.model.subgraphs[0]
        self.names: list[str] = []
        for index, tensor in enumerate(self.graph.tensors):
            name = (tensor.name or b"").decode(errors="replace")
            self.names.append(name if name and name not in self.names else f"{name}#{index}")

    def steps(self) -> Graph:
        """Return its nodes."""
        constants = [n for n, t in zip(self.names, self.graph.tensors, strict=True) if self._has_data(t)]
        outputs = [self._output(index) for index in self.graph.outputs]
        return Graph(map(self._node, self.graph.operators), outputs, constants)

    def with_outputs(self, names: Iterable[str]) -> bytes:
        """Return the file with these tensors among its outputs."""
        import flatbuffers

        self.graph.outputs = [*self.graph.outputs, *(self.names.index(name) for name in names)]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _has_data(self, tensor: Any) -> bool:
        data = self.model.buffers[tensor.buffer].data
        return data is not None and len(data) > 0

    def _node(self, operator: Any) -> Node:
        code = self.model.operatorCodes[operator.opcodeIndex]
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        name = next((n for n, value in vars(self.schema.BuiltinOperator).items() if value == number), str(number))
        given, made = (
            tuple("" if index < 0 else self.names[index] for index in two)
            for two in (operator.inputs, operator.outputs)
        )
        return Node(_KINDS.get(name, name), given, made)

    def _output(self, index: int) -> Output:
        tensor = self.graph.tensors[index]
        signature = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
        sides = () if signature is None else tuple(int(side) if side > 0 else None for side in signature)
        kinds = [getattr(self.schema.TensorType, name) for name in _NUMBERS]
        return Output(self.names[index], sides, numbers=tensor.type in kinds)


def labels(path: Path) -> tuple[str, ...] | None:
    """Return class names that are packed behind a file, one a line of its one text file; None where there are none."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as packed:
        texts = [name for name in packed.namelist() if name.endswith(".txt")]
        lines = packed.read(texts[0]).decode("utf-8", "replace").split("\n") if len(texts) == 1 else []
    names = tuple(line.strip() for line in lines if line.strip())
    return names or None
