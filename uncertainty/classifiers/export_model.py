"""A torch network as a file that answers with logits and features: ONNX, or torch's own .pt2."""

from __future__ import annotations

import copy
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uncertainty.classifiers.base import Classifier
from uncertainty.classifiers.class_names import read_class_names
from uncertainty.classifiers.feature_layer import pooled
from uncertainty.classifiers.formats._exported import ENTRY
from uncertainty.classifiers.formats.base import Request, format_of
from uncertainty.classifiers.modes import evaluating, placed
from uncertainty.classifiers.network import Network
from uncertainty.errors import InputError, MissingDependencyError, ModelError, in_one_line

_ROOM = 1e-4  # of the largest value, and at least of 1
_INPUT, _OUTPUTS = "images", ["logits", "features"]
_LARGEST = 1 << 30  # bytes of weights in one ONNX file, which can't have 2 GiB


def export_spec(model: str, path: Path, classes: Path | None = None, *, overwrite: bool = False) -> tuple[str, ...]:
    """Write the network of a model spec, whose classes a file may name, and return notes, see `export_model`.

    Raises InputError for a file that is there, unless it may be overwritten.
    """
    if path.exists() and not overwrite:
        raise InputError(f"{path} is there already; choose another name, or replace it with --overwrite")
    names = None if classes is None else read_class_names(classes)
    return export_model(Classifier.load(model, classes=names), path)


def export_model(classifier: Classifier, path: Path | str) -> tuple[str, ...]:
    """Write a classifier's network to a file .onnx or .pt2, and return notes.

    The file takes images (n, channels, h, w) float32, preprocessed, n as many as wanted, and answers with logits (n, c)
    and, where the network has any, features (n, d), both float32; dropout is left out. With it go class names,
    preprocessing and task, so that `onnx:FILE` and `pt2:FILE` are whole model specs. What was written is read back and
    compared with the network on noise.

    Raises
    ------
    InputError : another ending, or no place to write to.
    ModelError : the network can't be exported, or what was written answers differently by more than 1e-4.
    MissingDependencyError : onnx or onnxscript is not installed.

    """
    path = Path(path)
    if path.suffix not in _WRITERS:
        raise InputError(f"{path} ends in {path.suffix!r}; a model is written as {' or '.join(_WRITERS)}")
    _refuse(classifier.network)
    classifier, notes = _in_float32(classifier)
    network = classifier.network
    module = _Exported(network)
    with _beside(path) as begun, evaluating(network.module):
        images = _noise(classifier, 2)
        try:
            with _silent():
                _WRITERS[path.suffix](module, images, begun, _description(classifier))
        except MissingDependencyError:
            raise
        except Exception as error:  # the exporter's: anything may be raised
            raise ModelError(f"the network can't be written as {path.suffix}: {in_one_line(error)}") from error
        notes += _verified(module, begun, [images, _noise(classifier, 5)])
    return notes if network.feature_layer else (_NO_FEATURES, *notes)


_NO_FEATURES = (
    "the network has no features that were found, so the file answers with logits alone; features=NAME names some"
)


class _Exported(nn.Module):
    """A network that answers with logits, and features where there are any."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.module, self.layer, self.training = network.module, network.feature_layer, False

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Answer for preprocessed images."""
        images = placed(self.module, images)
        if self.layer is None:
            return self.module(images).float()  # type: ignore[no-any-return]
        with self.layer.caught() as caught:
            logits = self.module(images)
        return logits.float(), pooled(caught[-1]).float()


def _refuse(network: Network) -> None:
    if hasattr(network.original, "no_gradients"):
        raise ModelError("another library runs this network, and only those that torch runs can be exported")
    if network.habits.held:
        raise ModelError(
            "the network drops units in evaluation too, and so would its file; give `training=self.training` to it"
        )


def _in_float32(classifier: Classifier) -> tuple[Classifier, tuple[str, ...]]:
    """Return a classifier whose weights are float32, which every engine has, and say where they were not."""
    module = classifier.network.original
    kinds = {str(p.dtype).removeprefix("torch.") for p in module.parameters() if p.is_floating_point()}
    if kinds <= {"float32"}:
        return classifier, ()
    described = dict(vars(replace(classifier.description, module=copy.deepcopy(module).float())))
    # What only a spec tells, a probe of other weights, and what ran them.
    for told in ("assumed", "notes", "settled", "before", "runtime"):
        described.pop(told)
    return Classifier.from_module(**described), (f"its weights, of {', '.join(sorted(kinds))}, are written as float32",)


def _noise(classifier: Classifier, images: int) -> Tensor:
    shape = (images, classifier.preprocess.planes, *classifier.preprocess.sides)
    return torch.randn(shape, generator=torch.Generator().manual_seed(images))


def _description(classifier: Classifier) -> str:
    thresholds = classifier.decision_thresholds
    known: dict[str, Any] = {"classes": classifier.classes, "preprocess": classifier.preprocess.to_dict()}
    known |= {"assumed": classifier.assumed, "task": classifier.task, "decision_thresholds": thresholds}
    return json.dumps(known)


def _write_onnx(module: nn.Module, images: Tensor, path: Path, description: str) -> None:
    try:
        import onnxscript  # noqa: F401 - which torch's exporter needs
    except ImportError as error:
        raise MissingDependencyError(
            "writing .onnx needs onnx and onnxscript; run pip install 'uncertainty-vision[onnx]'"
        ) from error
    program = torch.onnx.export(
        module,
        (images,),
        input_names=[_INPUT],
        output_names=_OUTPUTS[: len(_answers(module(images)))],
        dynamic_shapes=({0: torch.export.Dim("n")},),
        dynamo=True,
        verbose=False,
    )
    program.model.metadata_props[ENTRY] = description  # type: ignore[union-attr]
    weights = sum(value.nbytes for value in module.state_dict().values() if isinstance(value, Tensor))
    program.save(path, external_data=weights > _LARGEST)  # type: ignore[union-attr]


def _write_pt2(module: nn.Module, images: Tensor, path: Path, description: str) -> None:
    program = torch.export.export(module, (images,), dynamic_shapes=({0: torch.export.Dim("n")},))
    torch.export.save(program, path, extra_files={f"{ENTRY}.json": description})


_WRITERS: dict[str, Callable[[nn.Module, Tensor, Path, str], None]] = {".onnx": _write_onnx, ".pt2": _write_pt2}


def _verified(module: nn.Module, path: Path, batches: list[Tensor]) -> tuple[str, ...]:
    """Read a file back and compare its answers; say where that can't be done."""
    try:
        read = _read_back(path)
    except MissingDependencyError as error:
        return (f"{path.name} was not compared with the network: {error}",)
    for images in batches:
        for name, mine, other in zip(_OUTPUTS, _answers(module(images)), _answers(read(images)), strict=False):
            apart, most = (float(values.abs().max()) for values in (mine.cpu() - other, mine))
            if not apart <= _ROOM * max(1.0, most):
                raise ModelError(
                    f"the {name} of {path.name} differ by {apart:.2g} from the network's; it was not written"
                )
    return ()


def _read_back(path: Path) -> Callable[[Tensor], Any]:
    if path.suffix == ".pt2":
        return torch.export.load(path).module()
    module: nn.Module = format_of("onnx").describe(Request(str(path))).module
    return module


def _answers(answer: Any) -> tuple[Tensor, ...]:
    return answer if isinstance(answer, tuple) else (answer,)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Yield a path of the same name in a folder of its own, whose files take their places at the end."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name[:100]}.")
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror or error}; choose another place") from error
    with folder as begun:
        yield Path(begun) / path.name
        # Weights first: a file without those that it names can't be read.
        for file in sorted(Path(begun).iterdir(), key=lambda one: one.name == path.name):
            os.replace(file, path.parent / file.name)


@contextmanager
def _silent() -> Iterator[None]:
    """Leave out what exporters say of themselves."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
