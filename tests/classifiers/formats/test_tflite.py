"""TensorFlow Lite files, built here by the schema: the same verdicts, scaled numbers, and what is refused."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.classifiers.formats import conformance
from uncertainty import Classifier
from uncertainty.errors import ModelError

schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
flatbuffers = pytest.importorskip("flatbuffers")
KINDS = {np.dtype(name): getattr(schema.TensorType, name.upper()) for name in ("float32", "int8", "uint8", "int32")}


class Builder:
    """Puts a graph together: tensors by name, then steps."""

    def __init__(self) -> None:
        self.model, self.graph, self.indices = schema.ModelT(), schema.SubGraphT(), dict[str, int]()
        self.model.version, self.model.operatorCodes, self.model.subgraphs = 3, [], [self.graph]
        self.model.buffers = [schema.BufferT()]
        self.graph.tensors, self.graph.operators, self.graph.outputs = [], [], []

    def tensor(
        self, name: str, shape: Sequence[int], kind: Any = "float32", data: Any = None, scale: Any = None
    ) -> str:
        one, buffer = schema.TensorT(), schema.BufferT()
        one.name, one.shape, one.type = name, [abs(side) for side in shape], KINDS[np.dtype(kind)]
        one.shapeSignature = list(shape) if -1 in shape else None
        if data is not None:
            buffer.data = np.frombuffer(np.ascontiguousarray(data, kind).tobytes(), np.uint8)
            one.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        if scale:
            one.quantization = schema.QuantizationParametersT()
            one.quantization.scale, one.quantization.zeroPoint = [scale[0]], [scale[1]]
        self.indices[name] = len(self.graph.tensors)
        self.graph.tensors.append(one)
        return name

    def weights(self, name: str, data: Any, kind: Any = "float32") -> str:
        return self.tensor(name, np.shape(data), kind, data)

    def step(self, kind: str, given: str, made: str, options: str = "", **settings: Any) -> None:
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode, code.version = code.builtinCode, 1
        operator.opcodeIndex = len(self.model.operatorCodes)
        self.model.operatorCodes.append(code)
        operator.inputs, operator.outputs = ([self.indices[n] for n in text.split()] for text in (given, made))
        if options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(schema, f"{options}T")()
            vars(operator.builtinOptions).update(settings)
        self.graph.operators.append(operator)

    def write(self, path: Path, inputs: str, outputs: str) -> Path:
        self.graph.inputs, self.graph.outputs = ([self.indices[n] for n in text.split()] for text in (inputs, outputs))
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path


def converted(path: Path, module: Any, end: str = "", outputs: str = "", batch: int = -1) -> Path:
    """Write the network of the conformance tests as TensorFlow has it: channels last, batch norm in the weights."""
    first, norm, _, second, *_ = module.body
    factor = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach()
    net, h = Builder(), conformance.HIDDEN
    convolution = {"padding": schema.Padding.VALID, "strideW": 2, "strideH": 2, "fusedActivationFunction": 1}
    net.tensor("x", (batch, 16, 16, 3))
    net.weights("w1", (first.weight.detach() * factor[:, None, None, None]).permute(0, 2, 3, 1).numpy())
    net.weights("b1", ((first.bias - norm.running_mean) * factor + norm.bias).detach().numpy())
    net.weights("w2", second.weight.detach().permute(0, 2, 3, 1).numpy())
    net.weights("b2", second.bias.detach().numpy())
    net.weights("axes", np.array([1, 2]), "int32")
    net.weights("w3", module.fc.weight.detach().numpy())
    net.weights("b3", module.fc.bias.detach().numpy())
    for name, shape in (("c1", (batch, 7, 7, h)), ("c2", (batch, 3, 3, h)), ("h", (batch, h)), ("z", (batch, 3))):
        net.tensor(name, shape)
    net.step("CONV_2D", "x w1 b1", "c1", "Conv2DOptions", **convolution)
    net.step("CONV_2D", "c1 w2 b2", "c2", "Conv2DOptions", **convolution)
    net.step("MEAN", "c2 axes", "h", "ReducerOptions", keepDims=False)
    net.step("FULLY_CONNECTED", "h w3 b3", "z", "FullyConnectedOptions")
    if end:
        net.tensor("y", (batch, 3))
        net.step(end, "z", "y", "SoftmaxOptions", beta=1.0)
    return net.write(path, "x", outputs or ("y" if end else "z"))


@pytest.mark.parametrize(("outputs", "batch"), [("", -1), ("", 1), ("", 4), ("h z", -1)])
def test_the_same_network_gives_the_same_verdicts(tmp_path: Path, outputs: str, batch: int) -> None:
    path = converted(tmp_path / "m.tflite", conformance.network(), outputs=outputs, batch=batch)
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr("labels.txt", "\n".join(conformance.CLASSES))
    one = Classifier.load(f"tflite:{path}?{conformance.KEYS}")
    for batch_size in (1, 32):
        conformance.check_same_verdicts(one, batch_size=batch_size)
    assert any("a TensorFlow Lite file has none" in note for note in one.notes)


def test_a_softmax_at_the_end_is_known(tmp_path: Path) -> None:
    one = Classifier.load(f"tflite:{converted(tmp_path / 'm.tflite', conformance.network(), 'SOFTMAX')}")
    assert (one.form.output, one.classes) == ("probabilities", ("0", "1", "2"))
    pixels, _ = conformance.pictures(20, 5)
    given = np.stack([conformance.PREPROCESS(picture) for picture in pixels])
    found, known = (c.outputs_from_inputs([*map(str, range(20))], given) for c in (one, conformance.classifier()))
    np.testing.assert_allclose(found.probs, known.probs, atol=1e-5)
    np.testing.assert_allclose(found.features, known.features, atol=1e-4)


def test_fingerprints_see_weights_settings_and_outputs(tmp_path: Path) -> None:
    one = converted(tmp_path / "m.tflite", conformance.network())
    other = converted(tmp_path / "n.tflite", conformance.other_network())
    specs = [f"tflite:{one}", f"tflite:{other}", f"tflite:{one}?mean=0.5", f"tflite:{one}?features=c2"]
    assert len({Classifier.load(spec).sha256 for spec in specs}) == 4


def scaled(path: Path, kind: str, given: Any, gives: Any, shape: Sequence[int] = (1, 2, 2, 3)) -> tuple[Path, Any]:
    """Write a linear network that takes and gives scaled whole numbers; return its weights too."""
    weight = np.random.default_rng(0).normal(size=(3, 12)).astype(np.float32)
    net = Builder()
    net.tensor("x", shape, kind, scale=given)
    for name, sides in (("f", shape), ("h", (1, 12)), ("z", (1, 3))):
        net.tensor(name, sides)
    net.tensor("y", (1, 3), kind, scale=gives)
    net.weights("w", weight)
    net.weights("b", np.zeros(3))
    net.weights("flat", np.array([-1, 12]), "int32")
    net.step("DEQUANTIZE" if given else "CAST", "x", "f")
    net.step("RESHAPE", "f flat", "h")
    net.step("FULLY_CONNECTED", "h w b", "z", "FullyConnectedOptions")
    if gives:
        net.step("QUANTIZE", "z", "y")
    return net.write(path, "x", "y" if gives else "z"), weight


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_whole_numbers_are_scaled(tmp_path: Path, kind: str) -> None:
    zero = 0 if kind == "int8" else 128
    path, weight = scaled(tmp_path / "m.tflite", kind, (0.02, zero), (0.1, zero))
    x = np.random.default_rng(1).uniform(-2, 2, (5, 3, 2, 2)).astype(np.float32)
    found = Classifier.load(f"tflite:{path}").outputs_from_inputs(list("abcde"), x)
    rounded = (x / 0.02).round() * 0.02
    expected = rounded.transpose(0, 2, 3, 1).reshape(5, 12) @ weight.T
    np.testing.assert_allclose(found.logits, expected, atol=0.051)
    np.testing.assert_allclose(found.features, rounded.transpose(0, 2, 3, 1).reshape(5, 12), atol=1e-5)


def test_bytes_without_a_scale_are_bytes(tmp_path: Path) -> None:
    path, weight = scaled(tmp_path / "m.tflite", "uint8", None, None)
    pixels = np.random.default_rng(1).integers(0, 256, (5, 2, 2, 3), np.uint8)
    found = Classifier.load(f"tflite:{path}").run(list(pixels))
    np.testing.assert_allclose(found.logits, pixels.reshape(5, 12) @ weight.T, rtol=1e-4, atol=1e-2)


def refused(spec: str) -> str:
    with pytest.raises(ModelError) as caught:
        Classifier.load(spec)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_can_not_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    path = converted(tmp_path / "m.tflite", conformance.network())
    assert "features='q' is no tensor of it; its last ones are c1, c2, h, z" in refused(f"tflite:{path}?features=q")
    assert "output_name='q' is no output of it; it has z" in refused(f"tflite:{path}?output_name=q")
    assert "it takes images of 16x16" in refused(f"tflite:{path}?size=8")
    assert "autocast is for networks that torch runs" in refused(f"tflite:{path}?autocast=bf16")
    path.write_bytes(path.read_bytes()[:900])
    assert "is no TensorFlow Lite file, or a damaged one" in refused(f"tflite:{path}")
    path.write_bytes(b"PK and more")
    assert "is no TensorFlow Lite file, or a damaged one" in refused(f"tflite:{path}")
    flat, _ = scaled(tmp_path / "f.tflite", "uint8", None, None, shape=(2, 2, 3))
    assert "its input has the shape (2, 2, 3), with no axis for the images of a batch" in refused(f"tflite:{flat}")
