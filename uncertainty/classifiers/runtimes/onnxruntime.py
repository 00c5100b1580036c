"""ONNX Runtime, by torch's exporter; extra `onnx`."""

from __future__ import annotations

import logging
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uncertainty.classifiers.runtimes.base import INT8, Rows, Run, Runtime
from uncertainty.errors import MissingDependencyError


class OnnxRuntime(Runtime):
    """ONNX Runtime on the CPU, in float32 or in eight bits."""

    name = "onnxruntime"
    precisions = ("f32", INT8)

    def needs(self) -> dict[str, str]:
        """Return it and what exports to it."""
        return dict.fromkeys(("onnx", "onnxscript", "onnxruntime"), "onnx")

    def compile(self, part: nn.Module, example: Tensor, threads: int, cache: Path | None) -> Run:
        """Export and open a session, which several threads may run at once; nothing is kept."""
        self._needed()
        session = _session(_exported(part, example) if self.made is None else self.made)
        (given,) = session.get_inputs()

        def one(image: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
            return tuple(np.array(found, dtype=np.float32) for found in session.run(None, {given.name: image}))

        def run(images: NDArray[np.float32]) -> Rows:
            each = [images[k : k + 1] for k in range(len(images))]
            if threads == 1:
                return [one(image) for image in each]
            with ThreadPoolExecutor(threads) as pool:
                return list(pool.map(one, each))

        return run

    def in_eight_bits(self, part: nn.Module, images: NDArray[np.float32]) -> bytes:
        """Export, and let each layer but the last count in eight bits over what it answers on these images."""
        self._needed()
        from uncertainty.classifiers.runtimes.eight_bits import quantised

        return quantised(_exported(part, torch.from_numpy(images[:1])), images)

    def _needed(self) -> None:
        if missing := self.missing():
            raise MissingDependencyError(f"runtime={self.name} {missing}")


def _exported(part: nn.Module, example: Tensor) -> bytes:
    heard = logging.getLogger("torch.onnx")
    level = heard.level
    try:
        heard.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what was exported is tried on other images
            program = torch.onnx.export(part, (example,), dynamo=True, verbose=False)
    finally:
        heard.setLevel(level)
    if program is None:
        raise TypeError("torch exports no program")
    return bytes(program.model_proto.SerializeToString())


def _session(model: bytes) -> Any:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1  # sums in one order, whatever runs beside
    settings.log_severity_level = 3
    return onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
