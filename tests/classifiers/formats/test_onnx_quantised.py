"""ONNX files of whole numbers, as onnxruntime quantises them: output, features and batches as those of real numbers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images

from tests.classifiers.formats import conformance
from uncertainty import Classifier

onnx = pytest.importorskip("onnx")
quantization = pytest.importorskip("onnxruntime.quantization")
pytest.importorskip("onnxscript")
NEAR = 0.15  # of a probability: eight bits of a small network, whatever the processor


class Photographs(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Parts of two photographs, and pictures as the network knows them."""

    def __init__(self) -> None:
        corners = [(photo, k) for photo in load_sample_images().images for k in range(0, 320, 16)]
        parts = [photo[k : k + 16, k : k + 16] for photo, k in corners]
        self.parts: Iterator[Any] = iter([*parts, *conformance.pictures(60, 9)[0]])

    def get_next(self) -> dict[str, Any] | None:
        return next(({"images": conformance.PREPROCESS(part)[None]} for part in self.parts), None)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quantised")
    module = torch.nn.Sequential(conformance.network(), torch.nn.Softmax(1)).eval()
    given = {"input_names": ["images"], "dynamic_shapes": ({0: torch.export.Dim("n")},), "verbose": False}
    torch.onnx.export(module, (torch.zeros(2, 3, 16, 16),), folder / "float.onnx", dynamo=True, **given)
    logging.disable(logging.WARNING)
    try:
        for name, kind in {
            "QDQ": quantization.QuantFormat.QDQ,
            "QOperator": quantization.QuantFormat.QOperator,
        }.items():
            quantization.quantize_static(
                folder / "float.onnx", folder / f"{name}.onnx", Photographs(), quant_format=kind
            )
        quantization.quantize_dynamic(folder / "float.onnx", folder / "dynamic.onnx")
    finally:
        logging.disable(logging.NOTSET)
    return folder


def load(path: Path) -> Classifier:
    return Classifier.load(f"onnx:{path}?{conformance.KEYS}", classes=conformance.CLASSES)


@pytest.mark.parametrize(
    ("kind", "last"),
    [
        ("QDQ", ["Softmax", "QuantizeLinear", "DequantizeLinear"]),
        ("QOperator", ["QLinearSoftmax", "DequantizeLinear"]),
        ("dynamic", ["Softmax"]),
    ],
)
def test_the_output_is_told_rightly_and_features_are_real_numbers(files: Path, kind: str, last: list[str]) -> None:
    written = [node.op_type for node in onnx.load(files / f"{kind}.onnx").graph.node]
    assert written[-len(last) :] == last
    one = load(files / f"{kind}.onnx")
    assert one.form.output == "probabilities"
    found, known = (conformance.seen(each, 60, 3) for each in (one, load(files / "float.onnx")))
    np.testing.assert_allclose(found.probs, known.probs, atol=NEAR)
    assert found.features is not None
    assert known.features is not None
    assert found.features.shape == known.features.shape
    assert np.abs(found.features - known.features).max() < 0.05 * np.abs(known.features).max()
    assert np.abs(conformance.p_wrong(found) - conformance.expected()).mean() < NEAR


@pytest.mark.parametrize(("kind", "alone"), [("QDQ", False), ("QOperator", False), ("dynamic", True)])
def test_an_answer_does_not_depend_on_the_batch(files: Path, kind: str, alone: bool) -> None:
    one = load(files / f"{kind}.onnx")
    assert one.network.habits.alone is alone
    several, single = (conformance.seen(one, 20, 3, batch_size=size) for size in (20, 1))
    np.testing.assert_array_equal(several.probs, single.probs)
    assert any("takes its steps from the whole batch" in note for note in one.notes) is alone


def test_a_quantised_tensor_that_is_named_is_scaled(files: Path) -> None:
    graph = onnx.load(files / "QOperator.onnx").graph
    first = next(node for node in graph.node if node.op_type == "QLinearConv")
    one = Classifier.load(f"onnx:{files / 'QOperator.onnx'}?{conformance.KEYS}&features={first.input[0]}")
    pixels = conformance.pictures(4, 3)[0]
    features = one.run(list(pixels)).features
    expected = np.stack([conformance.PREPROCESS(picture) for picture in pixels]).mean((2, 3))
    np.testing.assert_allclose(features, expected, atol=0.02)
