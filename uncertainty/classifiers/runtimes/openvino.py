"""OpenVINO, by its own converter; extra `openvino`.

Its telemetry is kept out: `import openvino` would send an event to its makers wherever `openvino_telemetry` can be
imported (2026.4.1, openvino/tools/ovc/__init__.py).
"""

from __future__ import annotations

import hashlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from uncertainty.classifiers.fingerprint import hash_module
from uncertainty.classifiers.runtimes.base import INT8, Rows, Run, Runtime
from uncertainty.classifiers.runtimes.onnxruntime import OnnxRuntime
from uncertainty.errors import MissingDependencyError

_TELEMETRY = "openvino_telemetry"


class OpenVino(Runtime):
    """OpenVINO on the CPU."""

    name = "openvino"
    precisions = ("f32", "bf16", INT8)

    def needs(self) -> dict[str, str]:
        """Return it, and for eight bits ONNX Runtime, which makes graphs that it runs as well."""
        return {"openvino": "openvino"} | (OnnxRuntime().needs() if self.precision == INT8 else {})

    def in_eight_bits(self, part: nn.Module, images: NDArray[np.float32]) -> bytes:
        """Return a graph that ONNX Runtime makes."""
        return OnnxRuntime(INT8).in_eight_bits(part, images)

    def compile(self, part: nn.Module, example: Tensor, threads: int, cache: Path | None) -> Run:
        """Convert, or read what was converted before, and compile for so many images at a time."""
        openvino = _imported()
        core = openvino.Core()
        model = _model(openvino, core, part, example, cache) if self.made is None else core.read_model(self.made)
        compiled = core.compile_model(model, "CPU", _settings(self.precision, threads))
        return _run_in_turn(compiled) if threads == 1 else _run_together(openvino, compiled, threads)


def _settings(precision: str, threads: int) -> dict[str, Any]:
    """One image a stream and one thread for each: sums are then made in the same order whatever runs beside."""
    rest = "f32" if precision == INT8 else precision
    return {
        "INFERENCE_PRECISION_HINT": rest,
        "EXECUTION_MODE_HINT": "ACCURACY" if rest == "f32" else "PERFORMANCE",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": threads,
        "ENABLE_CPU_PINNING": False,  # threads that decode run on the same cores
    }


def _imported() -> Any:
    try:
        with _unheard():
            import openvino
            import openvino.tools.ovc
    except ImportError as error:
        raise MissingDependencyError(
            "runtime=openvino needs openvino; pip install 'uncertainty-vision[openvino]'"
        ) from error
    return openvino


@contextmanager
def _unheard() -> Iterator[None]:
    """Hide the package that sends events, so that OpenVINO takes its own stand-in for it."""
    before = sys.modules.get(_TELEMETRY)
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if before is None:
            del sys.modules[_TELEMETRY]
        else:
            sys.modules[_TELEMETRY] = before


def _model(openvino: Any, core: Any, part: nn.Module, example: Tensor, cache: Path | None) -> Any:
    if cache is None:
        return _converted(openvino, part, example)
    file = cache / f"{_digest(openvino, part, example)}.xml"
    if not file.is_file():
        made = file.with_name(f".{file.stem}-{id(part):x}.xml")
        openvino.save_model(_converted(openvino, part, example), made, compress_to_fp16=False)
        # The weights first: whoever finds the graph finds them too.
        made.with_suffix(".bin").replace(file.with_suffix(".bin"))
        made.replace(file)
    return core.read_model(file)


def _converted(openvino: Any, part: nn.Module, example: Tensor) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's tracer, about branches: what was traced is tried on other images
        return openvino.convert_model(part, example_input=example, input=list(example.shape))


def _digest(openvino: Any, part: nn.Module, example: Tensor) -> str:
    import torch

    code = getattr(part, "code", "")
    sha = hashlib.sha256(repr((openvino.__version__, torch.__version__, example.shape, repr(part), code)).encode())
    hash_module(sha.update, part)
    return sha.hexdigest()[:32]


def _run_in_turn(compiled: Any) -> Run:
    request = compiled.create_infer_request()

    def run(images: NDArray[np.float32]) -> Rows:
        rows = []
        for k in range(len(images)):
            request.infer({0: images[k : k + 1]}, share_inputs=True)
            rows.append(_outputs(request))
        return rows

    return run


def _run_together(openvino: Any, compiled: Any, threads: int) -> Run:
    queue = openvino.AsyncInferQueue(compiled, threads)
    rows: dict[int, tuple[NDArray[np.float32], ...]] = {}
    queue.set_callback(lambda request, k: rows.__setitem__(k, _outputs(request)))

    def run(images: NDArray[np.float32]) -> Rows:
        rows.clear()
        for k in range(len(images)):
            queue.start_async({0: images[k : k + 1]}, k, share_inputs=True)
        queue.wait_all()
        return [rows[k] for k in range(len(images))]

    return run


def _outputs(request: Any) -> tuple[NDArray[np.float32], ...]:
    return tuple(np.array(tensor.data, dtype=np.float32) for tensor in request.output_tensors)
