"""`hf:FOLDER`: an image classifier of transformers with its image processor, as `save_pretrained` writes; extra `hf`.

Nothing is downloaded, no code of the folder's is run, and weights are read from safetensors alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uncertainty.classifiers.description import Description
from uncertainty.classifiers.formats._folder import read_config
from uncertainty.classifiers.formats.base import Format, Request
from uncertainty.classifiers.formats.module import ASSUMED
from uncertainty.classifiers.image_processor import preprocess_of
from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.errors import MissingDependencyError, ModelError, in_one_line
from uncertainty.outputs import Task

_SAFE = "model.safetensors"
_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


def describe(request: Request) -> Description:
    """Load network and image processor of a folder; names come from `id2label`."""
    folder = request.path
    config = _config(folder)
    variant = _variant(folder)
    with _quiet(_library()):
        module = _model(folder, variant, config)
        names = _labels(config, folder)
        preprocess, assumed = _preprocess(folder, module)
    return Description(
        module,
        names.of,
        preprocess,
        task=_task(module, folder),
        assumed=assumed,
        notes=names.notes,
        settled={"resizer": preprocess.resizer},
    )


def _library() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise MissingDependencyError(
            f"hf: model specs need {error.name}; pip install 'uncertainty-vision[hf]'"
        ) from error
    return transformers


@contextmanager
def _quiet(library: Any) -> Iterator[None]:
    """Keep a library from telling in many lines, and with progress bars, what is told here in one."""
    log = library.utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()


def _config(folder: Path) -> dict[str, Any]:
    """Return what config.json says; ModelError where this is no folder of transformers."""
    config = read_config(folder, "transformers: there is no config.json in it")
    if not isinstance(config, dict) or "model_type" not in config:
        other = f"; say timm:{folder}" if isinstance(config, dict) and "architecture" in config else ""
        raise ModelError(f"{folder} is no model of transformers: its config.json has no model_type{other}")
    return config


def _variant(folder: Path) -> str | None:
    """Return what stands in the names of the weights files, such as "fp16"; ModelError where there are none."""
    if (folder / _SAFE).is_file() or (folder / f"{_SAFE}.index.json").is_file():
        return None
    variants = [re.match(r"model\.(\w+)\.safetensors(\.index\.json)?$", file.name) for file in folder.iterdir()]
    if found := [match[1] for match in variants if match]:
        return found[0]
    if any((folder / name).is_file() for name in _PICKLES):
        raise ModelError(
            f"{folder} has its weights as a pickle, which could run code when read; load it where you trust it and "
            "save_pretrained it anew, which writes safetensors"
        )
    raise ModelError(f"{folder} has a config.json and no weights ({_SAFE})")


def _model(folder: Path, variant: str | None, config: Mapping[str, Any]) -> Any:
    """Load the classifier in float32, whatever precision its file is in: processors compute that best."""
    import torch
    from transformers import AutoModelForImageClassification

    options = {**_LOCAL, "use_safetensors": True, "dtype": torch.float32, "variant": variant}
    options |= {"output_loading_info": True, "ignore_mismatched_sizes": True}  # which are then refused by name
    try:
        module, loaded = AutoModelForImageClassification.from_pretrained(folder, **options)
    except ImportError as error:
        raise MissingDependencyError(f"{folder} needs another package: {in_one_line(error, 300)}") from error
    except Exception as error:  # of a library and of files: anything may be raised
        own = "it needs code of its own (auto_map), which is not run: " if "auto_map" in config else ""
        raise ModelError(f"{folder} can't be loaded as an image classifier: {own}{in_one_line(error, 250)}") from error
    _refuse_random(folder, loaded)
    return module


def _refuse_random(folder: Path, loaded: Mapping[str, Any]) -> None:
    """Refuse weights that the file does not hold, which transformers draws at random with a warning."""
    for name, *shapes in sorted(map(tuple, loaded["mismatched_keys"])):
        held, wanted = (tuple(shape) for shape in shapes)
        raise ModelError(
            f"{folder} holds {name} of shape {held}, and its config.json makes {wanted} of it; do num_labels and "
            "id2label fit the weights?"
        )
    if random := sorted(map(str, loaded["missing_keys"])):
        more = f" and {len(random) - 1} more" if random[1:] else ""
        raise ModelError(
            f"{folder} holds no weights for {random[0]}{more}: they would be random; save the model after it was "
            "trained as an image classifier"
        )


@dataclass(frozen=True)
class _Labels:
    """Class names, None for unknown ones, and what is to be told of them."""

    of: Sequence[str] | None
    notes: tuple[str, ...] = ()


def _labels(config: Mapping[str, Any], folder: Path) -> _Labels:
    """Read `id2label` as the file has it: transformers drops it where a `num_labels` contradicts it."""
    table = config.get("id2label")
    if not isinstance(table, Mapping) or len(table) < 2:  # one output has no two classes; see binary=true
        return _Labels(None)
    if set(table) != {str(k) for k in range(len(table))}:
        raise ModelError(f"{folder / 'config.json'} must number its id2label from 0 without a gap; say classes=FILE")
    names = [str(table[str(k)]) for k in range(len(table))]
    if all(name == f"LABEL_{k}" for k, name in enumerate(names)):
        return _Labels(None)
    notes = []
    back = config.get("label2id")
    if isinstance(back, Mapping) and any(str(k) in table and str(table[str(k)]) != name for name, k in back.items()):
        notes.append("label2id of config.json contradicts its id2label; the names are those of id2label")
    double = {name for name, count in Counter(names).items() if count > 1}
    if double:
        names = [f"{name} ({k})" if name in double else name for k, name in enumerate(names)]
        notes.append(f"several classes are called {sorted(double)[0]!r}; such names have the number of the class added")
    return _Labels(names, tuple(notes))


def _task(module: Any, folder: Path) -> Task:
    kind = getattr(module.config, "problem_type", None)
    if kind == "regression":
        raise ModelError(f"{folder} is a regression (problem_type in its config.json), not a classifier")
    return "multilabel" if kind == "multi_label_classification" and module.config.num_labels > 1 else "multiclass"


def _preprocess(folder: Path, module: Any) -> tuple[Preprocess, tuple[str, ...]]:
    """Return how images are prepared, and which of it nothing says: a folder may have no image processor."""
    channels = getattr(module.config, "num_channels", 3)
    if channels not in (1, 3):
        return _of_bands(folder, module, channels)
    if not any((folder / name).is_file() for name in _PROCESSORS) and module.config.model_type != "timm_wrapper":
        size = getattr(module.config, "image_size", None)
        known: dict[str, Any] = {"size": size} if isinstance(size, int) else {}
        return Preprocess(**known, grayscale=channels == 1, exif=True), tuple(k for k in ASSUMED if k not in known)
    from transformers import AutoImageProcessor

    try:
        processor = AutoImageProcessor.from_pretrained(folder, **_LOCAL)
    except Exception as error:  # of a library and of files: anything may be raised
        raise ModelError(f"the image processor of {folder} can't be read: {in_one_line(error, 300)}") from error
    return preprocess_of(processor, channels), ()


def _of_bands(folder: Path, module: Any, channels: int) -> tuple[Preprocess, tuple[str, ...]]:
    """Return how images of other bands are prepared: image processors can't, so of one only the numbers are read."""
    config = _processor_config(folder)
    size = config.get("size") or getattr(module.config, "image_size", None)
    sides = (size.get("height"), size.get("width")) if isinstance(size, Mapping) else (size, size)
    known: dict[str, Any] = {"resize": "exact", "interpolation": "bilinear"}
    if all(isinstance(side, int) for side in sides):
        known["size"] = sides
    for name, key in (("mean", "image_mean"), ("std", "image_std")):
        if config.get("do_normalize", True) and len(config.get(key) or ()) in (1, channels):
            known[name] = tuple(config[key])
    stated = known.keys() & ({"size", "mean", "std"} if config else {"size"})
    assumed = tuple(k for k in ASSUMED if k not in stated and k != "crop_pct")
    return Preprocess(**known, channels=channels, draft=0, exif=True), assumed


def _processor_config(folder: Path) -> dict[str, Any]:
    found = next((folder / name for name in _PROCESSORS if (folder / name).is_file()), None)
    config = {} if found is None else read_config(folder, "transformers", found.name)
    return config if isinstance(config, dict) else {}


FORMAT = Format(describe)
