"""`onnx:FILE`: an ONNX file, which onnxruntime runs on the CPU (extra `onnx`).

Input and outputs are found by their shapes: images are channels first or last, scores are (n, classes), a second output
(n, d) is features; without one the input of the last layer is. Whether scores are logits or probabilities the last node
tells, never a name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
from uncertainty.classifiers.formats._exported import ENTRY, told
from uncertainty.classifiers.formats._graph import Ends
from uncertainty.classifiers.formats._onnx_graph import (
    class_names,
    data_files,
    graph_of,
    has_batch_statistics,
    in_real_numbers,
    inputs_of,
    leave_dropout_out,
)
from uncertainty.classifiers.formats.base import Format, Request
from uncertainty.errors import MissingDependencyError, ModelError, in_one_line

_NAME = "onnxruntime"
_KINDS = ("float32", "float16", "float64", "uint8")
_IN_MEMORY = 1 << 30  # bytes of weights: more than 2 GiB a graph in memory can't hold
_DROPS = (
    "the file has dropout as in training, which is left out, since its masks can't be shared by all images; the module "
    "that it was exported from can run it"
)
_NO_DROPOUT = "exported for evaluation, an ONNX file has none; the module that it was exported from may have"


@dataclass(frozen=True)
class Read:
    """An ONNX file as it was read: the session that runs it, what it takes, and what its answers are."""

    path: Path
    session: Any
    takes: Takes
    ends: Ends
    dropped: bool
    steps_from_batch: bool
    metadata: Mapping[str, str]
    digest: bytes

    def run(self, values: NDArray[Any]) -> Answer:
        """Run the network on an array as it takes them."""
        names = [self.ends.scores, *([self.ends.features] if self.ends.features else [])]
        try:
            scores, *features = self.session.run(names, {self.session.get_inputs()[0].name: values})
        except Exception as error:  # a class of its own for each kind of failure
            raise ModelError(f"{_NAME} can't run {self.path}: {_said(error)}") from error
        return scores, features[0] if features else None

    def module(self, feature_name: str | None) -> Engine:
        """Return it as a torch module."""
        why = _DROPS if self.dropped else _NO_DROPOUT
        made = Engine(self.run, self.takes, self.digest, name=_NAME, no_dropout=why, feature_name=feature_name)
        made.steps_from_batch = self.steps_from_batch
        return made


def describe(request: Request) -> Description:
    """Read the file, and find out what it takes and answers."""
    return described(read_file(request), request)


def described(read: Read, request: Request) -> Description:
    """Say what a file that was read tells of itself."""
    module = read.module(request.options.get("features"))
    preprocess, assumed = read.takes.preprocess
    classes = read.ends.classes or class_names(read.metadata)
    output = request.options.get("output") or ("probabilities" if _probabilities(read) else "logits")
    known = Description(module, classes, preprocess, output=output, binary=read.ends.binary, assumed=assumed)
    return replace(known, **told(read.metadata.get(ENTRY, ""), read.path))


def read_file(request: Request) -> Read:
    """Read a file; ModelError, in one line, for each thing that can be wrong with it."""
    check_request(request, _NAME)
    path, options = request.path, request.options
    refuse_folder(path, "ONNX")
    onnx, runtime = _libraries()
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # of the reader of protocol buffers
        raise ModelError(f"{path} is no ONNX file, or a damaged one: {in_one_line(error)}") from error
    files = data_files(model, path)
    if has_batch_statistics(model):
        raise ModelError(f"{path} has batch norm as in training, which mixes images; export the network after .eval()")
    takes = named(path, lambda: _takes(onnx, inputs_of(model), options.get("layout")))
    ends = named(path, lambda: graph_of(model).ends(options.get("output_name"), options.get("features")))
    ends = replace(ends, features=in_real_numbers(onnx, model, ends.features))
    dropped = leave_dropout_out(model)
    if sum(file.stat().st_size for file in files) <= _IN_MEMORY:
        onnx.external_data_helper.load_external_data_for_model(model, str(path.parent))
    session = _session(onnx, runtime, model, ends, path)
    digest = digest_of([path, *files], ends.scores, ends.features, takes.layout)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    dynamic = any(node.op_type == "DynamicQuantizeLinear" for node in model.graph.node)
    return Read(path, session, takes, ends, dropped, dynamic, metadata, digest)


def _libraries() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            "onnx: needs onnx and onnxruntime; run pip install 'uncertainty-vision[onnx]' (or pip install onnx "
            "onnxruntime)"
        ) from error
    return onnx, onnxruntime


def _session(onnx: Any, runtime: Any, model: Any, ends: Ends, path: Path) -> Any:
    """Start the engine, with all that is read among the outputs."""
    import torch

    outputs = {one.name for one in model.graph.output}
    for name in (ends.scores, ends.features):
        if name and name not in outputs:
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    settings = runtime.SessionOptions()
    settings.log_severity_level = 4  # what it would print is raised as well
    settings.intra_op_num_threads = torch.get_num_threads()
    settings.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.parent))
    try:
        return runtime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # a class of its own for each kind of failure
        advice = _advice(str(error), model)
        raise ModelError(f"{_NAME} {runtime.__version__} can't run {path}: {advice or _said(error)}") from error


def _advice(message: str, model: Any) -> str | None:
    if re.search("Unsupported model IR version|released onnx opset", message):
        opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
        newer = f"its opset {opsets.get('ai.onnx', '?')} or IR version {model.ir_version} is newer than it knows"
        return f"{newer}; export it with an older opset_version, or install a newer onnxruntime"
    found = re.search(r"No Op registered for (\w+)|Fatal error: ([\w.:]+)(?:\(-?\d+\))? is not a registered", message)
    return f"it does not know the operator {found[1] or found[2]}" if found else None


def _said(error: Exception) -> str:
    """Return what the engine says without numbers and places of its own."""
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (?:/\S+:\d+ .*?\) )?", "", in_one_line(error, 400))[:300]


def _takes(onnx: Any, inputs: Sequence[Any], layout: str | None) -> Takes:
    refuse_several([one.name for one in inputs])
    tensor = inputs[0].type.tensor_type
    kind = str(onnx.TensorProto.DataType.Name(tensor.elem_type)).lower()
    kind = {"float": "float32", "double": "float64"}.get(kind, kind)
    if kind not in _KINDS:
        raise ModelError(f"its input is of {kind}; it must be one of {', '.join(_KINDS)}")
    return Takes.read([side.dim_value for side in tensor.shape.dim], kind, layout)


def _probabilities(read: Read) -> bool:
    """Whether scores are probabilities: as the last node tells, or, of a model of vectors, its answers to noise."""
    if read.ends.probabilities is not None or read.takes.numbers is None:
        return bool(read.ends.probabilities)
    noise = np.random.default_rng(0).normal(size=(read.takes.batch or 8, read.takes.numbers))
    scores = read.run(noise.astype(read.takes.kind))[0].astype(np.float64)
    return bool((scores >= 0).all() and np.abs(scores.reshape(len(noise), -1).sum(1) - 1).max() < 1e-3)


FORMAT = Format(describe, keys=KEYS)
