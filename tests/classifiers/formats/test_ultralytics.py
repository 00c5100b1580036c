"""Classification exports of Ultralytics: names, size and preprocessing from the metadata."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.classifiers.formats.test_onnx import X, answers, made, node, onnx
from uncertainty import Classifier
from uncertainty.errors import ModelError

# All that an export of 8.4.190 says, with values of its kind.
METADATA = {
    "description": "Ultralytics YOLOv8n-cls model trained on data",
    "author": "Ultralytics",
    "date": "2026-11-30T13:36:16.844704+00:00",
    "version": "8.4.190",
    "license": "AGPL-3.0 License",
    "docs": "https://docs.ultralytics.com",
    "stride": "1",
    "task": "classify",
    "head": "Classify",
    "batch": "1",
    "imgsz": "[2, 2]",
    "names": "{0: 'cat', 1: 'dog', 2: 'eel'}",
    "args": "{'data': None, 'batch': 1, 'fraction': 1.0, 'quantize': None, 'dynamic': False, 'simplify': True}",
    "channels": "3",
    "end2end": "False",
}


def export(path: Path, shape: Any = (1, 3, 2, 2), ends: Any = None, **metadata: str) -> Path:
    """Write what an export is: a fixed batch of one unless asked otherwise, and a softmax at the end."""
    ends = ends or [node("Softmax", "z", "output0", axis=1)]
    return made(path, *ends, shape=shape, metadata={k: v for k, v in (METADATA | metadata).items() if v})


@pytest.mark.parametrize("shape", [(1, 3, 2, 2), ("n", 3, "h", "w")])
def test_an_export_says_all_that_is_needed(tmp_path: Path, shape: Any) -> None:
    path = export(tmp_path / "m.onnx", shape)
    one = Classifier.load(f"ultralytics:{path}")
    assert (one.classes, one.form.output, one.preprocess.sides) == (("cat", "dog", "eel"), "probabilities", (2, 2))
    assert (one.assumed, one.preprocess.exif) == ((), True)
    found = one.outputs_from_inputs([*map(str, range(5))], X)
    np.testing.assert_allclose(found.probs, answers(path)[1].probs)
    np.testing.assert_array_equal(found.features, X.reshape(5, 12))


@pytest.mark.parametrize("size", [(40, 61), (61, 40), (7, 9), (224, 224)])
def test_images_are_prepared_as_its_own_transforms_do(tmp_path: Path, size: tuple[int, int]) -> None:
    one = Classifier.load(f"ultralytics:{export(tmp_path / 'm.onnx')}")
    prepared = replace(one.preprocess, size=16)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    # Resize(16, bilinear) of torchvision on a Pillow image, CenterCrop(16), ToTensor.
    height, width = size
    new = (16 * width // height, 16) if height <= width else (16, 16 * height // width)
    resized = np.asarray(Image.fromarray(pixels).resize(new, Image.Resampling.BILINEAR))
    top, left = (round((side - 16) / 2) for side in resized.shape[:2])
    expected = resized[top : top + 16, left : left + 16].transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_allclose(prepared(pixels), expected, atol=1e-6)


def test_half_precision_ends_in_casts(tmp_path: Path) -> None:
    half, single = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    casts = [node("Cast", "s", "c", to=half), node("Cast", "c", "output0", to=single)]
    path = export(tmp_path / "m.onnx", ends=[node("Softmax", "z", "s", axis=1), *casts])
    one = Classifier.load(f"ultralytics:{path}")
    assert one.form.output == "probabilities"
    np.testing.assert_allclose(one.outputs_from_inputs([*map(str, range(5))], X).probs, answers(path)[1].probs)


def test_one_of_any_size_has_that_of_its_export_unless_told(tmp_path: Path) -> None:
    before = [
        node("GlobalAveragePool", "images", "p"),
        node("Flatten", "p", "f"),
        node("Concat", "f f f f", "h", axis=1),
    ]
    end = node("Softmax", "z", "output0", axis=1)
    path = made(
        tmp_path / "m.onnx", end, shape=("n", 3, "h", "w"), before=before, metadata=METADATA | {"imgsz": "[8, 8]"}
    )
    assert Classifier.load(f"ultralytics:{path}").preprocess.sides == (8, 8)
    assert Classifier.load(f"ultralytics:{path}?size=12").preprocess.sides == (12, 12)


def test_an_oblong_input_is_squeezed_into(tmp_path: Path) -> None:
    path = export(tmp_path / "m.onnx", ("n", 1, 4, 3), imgsz="[4, 3]", channels="1")
    one = Classifier.load(f"ultralytics:{path}")
    assert (one.preprocess.sides, one.preprocess.resize, one.preprocess.grayscale) == ((4, 3), "exact", True)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"task": "detect"}, "is of the task 'detect'; only 'classify' exports"),
        ({"task": ""}, "is of the task None; only 'classify' exports"),
        ({"names": ""}, "has no class names in its metadata; export it again, or use onnx:"),
        ({"names": "{0: 'cat'}"}, "3 outputs and 1 class names"),
    ],
)
def test_other_exports_are_refused(tmp_path: Path, metadata: dict[str, str], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        Classifier.load(f"ultralytics:{export(tmp_path / 'm.onnx', **metadata)}")


def test_its_own_files_are_not_read_and_old_ones_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "m.pt").write_bytes(b"pickle")
    with pytest.raises(ModelError, match=r"is no .onnx file; write one by `yolo export model=m.pt format=onnx`"):
        Classifier.load(f"ultralytics:{tmp_path / 'm.pt'}")
    with caplog.at_level(logging.WARNING):
        Classifier.load(f"ultralytics:{export(tmp_path / 'm.onnx', version='8.0.150')}")
    assert "of Ultralytics 8.0.150, which cropped first" in caplog.text
