"""Model specs: `prefix:target?key=value&…`, or `package.module:factory?weights=FILE.safetensors` without a prefix.

Each prefix is a format of `classifiers/formats/`, with what it reads and keys of its own. What the spec states wins
over what the model says of itself. Every spec may say:

classes : file of class names, .txt one a line, or JSON.
size, crop_pct, resize, interpolation, mean, std, grayscale, draft : as in `Preprocess`; size as 224 or, height first,
    224x160, mean and std as 0.5 or 0.5,0.5,0.5.
resizer, antialias, channels, range, crop_offset : as in `Preprocess`: opencv, false, bgr, 255, floor; channels also as
    a number of bands.
axes, show : as in `Preprocess`, of images with other bands than red, green and blue: chw and 4,3,2.
bits, bands, frame, exif : how deep, multi-band, many-paged and turned files are read, as in `Preprocess`: 12, 4,3,2, 1
    and false.
autocast : bf16 or fp16, the precision in which torch runs what bears it.
runtime : what runs plain passes in torch's place, openvino or onnxruntime, with :bf16 (openvino) or :int8; see
    `runtimes/base.py`.
task : multilabel, where an image may have several labels; the answers are sigmoids then.
decision : from which probability on each label is given: 0.4,0.5 in the order of the classes, 0.4 for all of them, or a
    file {class: threshold}, .json or .csv with the columns class and threshold. Without it 0.5.
output, binary, features : what the answer is and where features are, as in `OutputForm`: probabilities, true, layer4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from uncertainty.classifiers.class_names import read_class_names
from uncertainty.classifiers.decision_thresholds import read_thresholds
from uncertainty.classifiers.description import Description
from uncertainty.classifiers.formats.base import NOT_TRUSTED, Format, Request, format_of, split_prefix
from uncertainty.classifiers.formats.module import PRESETS
from uncertainty.classifiers.output_form import OutputForm
from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.classifiers.runtimes.base import runtime_of
from uncertainty.errors import ModelError, in_one_line


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(v) for v in text.split(","))


def _whole_numbers(text: str) -> tuple[int, ...]:
    return tuple(int(v) for v in text.split(","))


def _truth(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


def _channels(text: str) -> str | int:
    return int(text) if text.lstrip("-").isdigit() else text


def _size(text: str) -> int | tuple[int, ...]:
    sides = tuple(int(v) for v in text.lower().split("x"))
    return sides[0] if len(sides) == 1 else sides


_PREPROCESS: dict[str, Callable[[str], Any]] = {
    "size": _size,
    "crop_pct": float,
    "resize": str,
    "interpolation": str,
    "mean": _numbers,
    "std": _numbers,
    "grayscale": _truth,
    "draft": int,
    "bits": int,
    "bands": _whole_numbers,
    "frame": int,
    "exif": _truth,
    "resizer": str,
    "antialias": _truth,
    "channels": _channels,
    "range": float,
    "crop_offset": str,
    "axes": str,
    "show": _whole_numbers,
}
_FORM: dict[str, Callable[[str], Any]] = {"output": str, "binary": _truth, "features": str}
_TASK: dict[str, Callable[[str], Any]] = {"task": str, "decision": read_thresholds}
_KEYS = ("classes", *_PREPROCESS, "autocast", "runtime", *_FORM, *_TASK)


def describe(
    spec: str, *, classes: Sequence[str] | None = None, device: str | None = None, trust: bool = False
) -> Description:
    """Load what a spec names; raises ModelError, in one line, for each thing that can be wrong with it."""
    name, _, query = spec.partition("?")
    prefix, target = split_prefix(PRESETS.get(name, name))
    found = format_of(prefix)
    if found.runs_code and not trust:
        raise ModelError(NOT_TRUSTED.format(name))
    options = _options(query, found)
    # All that can be known to be wrong is, before any code of the user's runs.
    settings, form, task = _read(options, _PREPROCESS), _read(options, _FORM), _task(options)
    several = task.get("task") == "multilabel"
    if (runtime := options.get("runtime")) is not None:
        runtime_of(runtime)
    replace(Preprocess(), **settings)
    OutputForm(**form, several=several)
    form |= {"binary": False} if several else {}  # one output, which a format takes for two classes, is one label
    if classes is None and "classes" in options:
        classes = read_class_names(options["classes"])
    target = str(Path(target).absolute()) if found.is_file and Path(target).exists() else target
    own = {key: text for key, text in options.items() if _is_of(key, found.keys)}
    known = found.describe(Request(target, own, device, trust))
    kept = {**known.settled, **options}
    said = "?".join(filter(None, [target, "&".join(f"{k}={v}" for k, v in kept.items())]))
    return replace(
        known,
        module=_moved(known.module, device) if device else known.module,
        classes=known.classes if classes is None else classes,
        preprocess=replace(known.preprocess, **settings),
        autocast=options.get("autocast", known.autocast),
        runtime=options.get("runtime"),
        spec=said if prefix == "module" else f"{prefix}:{said}",
        assumed=tuple(key for key in known.assumed if key not in settings),
        before=None if device else known.before,
        **form,
        **_kept_decisions(task),
    )


def with_key(spec: str, key: str, value: str) -> str:
    """Return a spec that says this too.

    >>> with_key("timm:resnet18?size=64", "runtime", "openvino")
    'timm:resnet18?size=64&runtime=openvino'
    """
    return f"{spec}{'&' if '?' in spec else '?'}{key}={value}"


def _options(query: str, found: Format) -> dict[str, str]:
    """Return what a spec says after "?", with whole paths; ModelError for keys that its format does not know."""
    options = dict(part.partition("=")[::2] for part in query.split("&") if part)
    known = tuple(dict.fromkeys((*found.keys, *_KEYS)))
    if unknown := sorted(key for key in options if not _is_of(key, known)):
        raise ModelError(f"model spec has unknown keys {unknown}; known are {', '.join(known)}")
    files = ("classes", *found.files)
    whole = {key: str(Path(text).absolute()) if key in files else text for key, text in options.items()}
    if whole.get("decision", "").lower().endswith((".json", ".csv")):
        whole["decision"] = str(Path(whole["decision"]).absolute())
    return whole


def _task(options: Mapping[str, str]) -> dict[str, Any]:
    """Return task and decision thresholds as a spec states them; ModelError for those that can't be."""
    found = _read(options, _TASK)
    task = found.get("task")
    if task not in (None, "multiclass", "multilabel"):
        raise ModelError(f"task is {task!r}; it must be 'multiclass' or 'multilabel'")
    if task == "multiclass" and "decision" in found:
        raise ModelError("decision= is for several labels an image; say task=multilabel, or leave it out")
    return ({"task": task} if task else {}) | (
        {"decision_thresholds": found["decision"]} if "decision" in found else {}
    )


def _kept_decisions(stated: dict[str, Any]) -> dict[str, Any]:
    """Return what is stated; a model that is now said to be multiclass has no thresholds any more."""
    return stated | {"decision_thresholds": None} if stated.get("task") == "multiclass" else stated


def _is_of(key: str, keys: Sequence[str]) -> bool:
    """Whether a key is one of these; one that ends in a dot stands for all that begin with it."""
    return key in keys or any(one.endswith(".") and key.startswith(one) for one in keys)


def _moved(module: Any, device: str) -> Any:
    try:
        return module.to(device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"the model can't be put on device {device!r}: {in_one_line(error, 300)}") from error


def _read(options: Mapping[str, str], kinds: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    """Return the settings of these kinds that a spec states."""
    settings: dict[str, Any] = {}
    for key in kinds.keys() & options.keys():
        try:
            settings[key] = kinds[key](options[key])
        except (ValueError, KeyError) as error:
            raise ModelError(f"model spec has {key}={options[key]!r}, which can't be read") from error
    return settings
