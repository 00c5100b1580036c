"""An ONNX graph in eight bits, by ONNX Runtime's static quantisation.

Weights are whole numbers of -127 to 127, a scale for each channel; answers of a layer are 0 to 255 between the least
and the greatest value that images gave. What answers for the whole graph stays in float32: logits and features would
otherwise have 256 values.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray


def quantised(model: bytes, images: NDArray[np.float32]) -> bytes:
    """Return a graph of one input (1, channels, h, w) in eight bits, as images (n, channels, h, w) say."""
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    graph = onnx.load_from_string(model)
    ends = {end.name for end in graph.graph.output}
    with TemporaryDirectory() as folder, warnings.catch_warnings(), _unheard():
        warnings.simplefilter("ignore")
        quantize_static(
            graph,
            Path(folder) / "eight.onnx",
            _reader(graph.graph.input[0].name, images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,  # signed ones take three times as long on processors with VNNI
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[node.name for node in graph.graph.node if ends & set(node.output)],
        )
        return (Path(folder) / "eight.onnx").read_bytes()


def _reader(name: str, images: NDArray[np.float32]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left: Iterator[NDArray[np.float32]] = (images[k : k + 1] for k in range(len(images)))

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(self.left, None)
            return None if image is None else {name: image}

    return Reader()


@contextmanager
def _unheard() -> Iterator[None]:
    """Hide what it tells everybody by the root logger, which it would give a handler where there is none."""
    none = logging.NullHandler()
    logging.root.addHandler(none)
    logging.root.addFilter(_nothing)
    try:
        yield
    finally:
        logging.root.removeFilter(_nothing)
        logging.root.removeHandler(none)


def _nothing(_: logging.LogRecord) -> bool:
    return False
