"""`timm:NAME?weights=FILE&arg.NAME=VALUE`, or `timm:FOLDER` as timm's `save_for_hf` writes it; extra `timm`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from uncertainty.classifiers.description import Description
from uncertainty.classifiers.formats._folder import read_config
from uncertainty.classifiers.formats.base import Format, Request
from uncertainty.classifiers.formats.module import arguments_of, value_of
from uncertainty.classifiers.preprocess import Preprocess, Resizing
from uncertainty.classifiers.probing import first_channels
from uncertainty.classifiers.weights import load_weights, refuse_missing
from uncertainty.errors import MissingDependencyError, ModelError, in_one_line

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # of a folder, the first that is there
_CROP_MODES: dict[str, Resizing] = {"squash": "squash", "border": "border"}  # timm takes all others as "center"
_RANDOM = (
    "the weights of this model are random: nothing says where trained ones are; say weights=FILE, or timm:FOLDER for "
    "what save_for_hf wrote"
)


def describe(request: Request) -> Description:
    """Build the model without its weights, load them as tensors alone, and ask timm how it prepares images."""
    _refuse_sources(request.target)
    arguments = arguments_of(request)
    folder = Path(request.target) if Path(request.target).is_dir() else None
    weights = _weights(request, folder)
    pretrained = bool(arguments.pop("pretrained", False)) and folder is None and weights is None
    module = _made(request.target, folder, {"pretrained": pretrained, **arguments})
    if weights is not None:
        load_weights(module, weights)
    config = _data_config(module, arguments, request.options.get("test_input_size", "false"))
    channels = config["input_size"][0]
    return Description(
        module,
        _classes(module, trained_elsewhere=folder is not None or "num_classes" in arguments),
        preprocess_of(config),
        assumed=() if channels in (1, 3, len(config["mean"])) else ("mean", "std"),
        notes=() if weights is not None or pretrained else (_RANDOM,),
    )


def preprocess_of(config: Mapping[str, Any]) -> Preprocess:
    """Return what timm's transform for evaluation does by a data config, see `timm.data.resolve_data_config`.

    Orientation is left as it is stored, as timm's datasets leave it, and JPEGs are decoded at full size.

    >>> preprocess_of({"input_size": (3, 224, 224), "crop_pct": 0.9, "crop_mode": "center", "interpolation": "bicubic",
    ...                "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}).sides
    (224, 224)
    """
    channels, height, width = config["input_size"]
    several = {} if channels in (1, 3) else {"channels": channels}
    return Preprocess(
        size=(height, width),
        crop_pct=config["crop_pct"],
        resize=_CROP_MODES.get(config["crop_mode"], "short_side"),
        interpolation=config["interpolation"],
        **{name: _as_many(config[name], channels, usual) for name, usual in (("mean", 0.0), ("std", 1.0))},
        grayscale=channels == 1,
        draft=0,
        exif=False,
        **several,
    )


def _as_many(values: Sequence[float], channels: int, usual: float) -> Any:
    """Return mean or std as it is, or what changes nothing where it is of another number of channels."""
    return usual if len(values) not in (1, channels) and channels not in (1, 3) else tuple(values)


def _refuse_sources(target: str) -> None:
    source, colon, rest = target.partition(":")
    if not target or (not colon and "/" in target and not Path(target).is_dir()):
        raise ModelError(f"there is no folder {target!r}; write timm:FOLDER, or timm:NAME with a name of timm's models")
    if colon and source in ("hf-hub", "hf_hub"):
        raise ModelError(f"timm:{target} would be downloaded; download {rest!r} yourself and say timm:FOLDER")
    if colon and source == "local-dir":
        raise ModelError(f"timm:{target} has one prefix too many; say timm:{rest}")


def _weights(request: Request, folder: Path | None) -> Path | None:
    """Return the file of weights that is asked for, or that the folder holds; None where none is known."""
    if (asked := request.options.get("weights")) is not None:
        refuse_missing(Path(asked))
        return Path(asked)
    if folder is None:
        return None
    _refuse_other_folders(folder)
    found = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if found is None:
        raise ModelError(f"{folder} has a config.json and no weights ({' or '.join(_WEIGHTS)})")
    return found


def _refuse_other_folders(folder: Path) -> None:
    config = read_config(folder, "timm: there is no config.json, which save_for_hf writes")
    if not isinstance(config, dict) or "architecture" not in config or "model_type" in config:
        other = f"; say hf:{folder}" if isinstance(config, dict) and "model_type" in config else ""
        raise ModelError(f"{folder} is no model of timm: its config.json names no architecture of timm's{other}")


def _made(target: str, folder: Path | None, arguments: dict[str, Any]) -> Any:
    """Have timm build a model; what is random in it comes from one seed."""
    import torch

    timm = _library()
    if folder is None and not timm.is_model(target.partition(".")[0]):
        near = ", ".join(get_close_matches(target, timm.list_models(), 3))
        raise ModelError(f"timm has no model {target!r}{f'; it has {near}' if near else ''}")
    if "checkpoint_path" in arguments:
        raise ModelError("timm reads arg.checkpoint_path as a pickle, which could run code; say weights=FILE")
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return timm.create_model(target if folder is None else f"local-dir:{folder}", **arguments)
    except Exception as error:  # anything may be raised by what an architecture is given
        said = "".join(f", {name}={value!r}" for name, value in arguments.items() if name != "pretrained")
        raise ModelError(f"timm can't make {target!r}{said}: {in_one_line(error, 300)}") from error


def _library() -> Any:
    try:
        import timm
    except ImportError as error:  # torchvision is another package that it can't do without
        raise MissingDependencyError(
            f"timm: model specs need {error.name}; pip install 'uncertainty-vision[timm]'"
        ) from error
    return timm


def _classes(module: Any, *, trained_elsewhere: bool) -> Sequence[str] | None:
    """Return the label names of the model's own config, or of ImageNet where its head is timm's own."""
    from timm.data import ImageNetInfo, infer_imagenet_subset

    names = module.pretrained_cfg.get("label_names")
    if isinstance(names, list | tuple) and names:
        return [str(name) for name in names]
    if isinstance(names, Mapping) and names:
        return [str(names[key]) for key in sorted(names, key=int)]
    subset = None if trained_elsewhere else infer_imagenet_subset(module)
    return ImageNetInfo(subset).label_names() if subset else None


def _data_config(module: Any, arguments: Mapping[str, Any], test_size: str) -> dict[str, Any]:
    from timm.data import resolve_model_data_config

    use_test_size = value_of(test_size)
    if not isinstance(use_test_size, bool):
        raise ModelError(f"model spec has test_input_size={test_size!r}; it must be true or false")
    asked = {"img_size": arguments["img_size"]} if isinstance(arguments.get("img_size"), int) else {}
    config: dict[str, Any] = resolve_model_data_config(module, args=asked, use_test_size=use_test_size)
    channels, *sides = config["input_size"]  # those of the pretrained model, whatever this one takes
    return {**config, "input_size": (first_channels(module) or arguments.get("in_chans", channels), *sides)}


FORMAT = Format(describe, keys=("weights", "arg.", "test_input_size"), files=("weights",))
