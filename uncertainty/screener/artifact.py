"""A screener on disk: `manifest.json` and `arrays.safetensors`, no pickle and nothing that runs on load."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from uncertainty.classifiers.base import Classifier
from uncertainty.errors import ArtifactError, OutputsError, UncertaintyError
from uncertainty.estimators import create
from uncertainty.estimators._known_good import share
from uncertainty.estimators.base import Estimator
from uncertainty.files import replacing
from uncertainty.outputs import ModelOutputs, Task

FORMAT_VERSION = 2
MANIFEST, ARRAYS = "manifest.json", "arrays.safetensors"
# Names of safetensors: a letter for the kind, and the bits.
_DTYPES = {f"{kind.upper()}{8 * n}": np.dtype(f"<{kind}{n}") for kind in "fiu" for n in (2, 4, 8)}
_DTYPES |= {"I8": np.dtype(np.int8), "U8": np.dtype(np.uint8), "BOOL": np.dtype(np.bool_)}


class SavedEstimator(BaseModel):
    """An estimator as data: constructor arguments, learnt numbers, and names of learnt arrays."""

    model_config = ConfigDict(extra="forbid")
    name: str
    arguments: dict[str, Any]
    numbers: dict[str, int | float | bool | str]
    arrays: dict[str, str]


class SavedModel(BaseModel):
    """Which classifier the screener belongs to."""

    model_config = ConfigDict(extra="forbid")
    classes: list[str]
    task: Task
    sha256: str | None = None
    spec: str | None = None
    preprocess: dict[str, Any] | None = None
    embedder: str | None = None

    @classmethod
    def of(cls, classifier: Classifier) -> Self:
        """Describe a classifier."""
        return cls(
            sha256=classifier.sha256,
            spec=classifier.spec,
            classes=list(classifier.classes),
            task=classifier.task,
            preprocess=classifier.preprocess.to_dict(),
            embedder=None if classifier.embedder is None else classifier.embedder.spec,
        )

    def check(self, outputs: ModelOutputs) -> None:
        """Raise OutputsError for outputs with other classes."""
        if outputs.n_classes != len(self.classes) or outputs.task != self.task:
            raise OutputsError(
                f"these outputs have {outputs.n_classes} classes ({outputs.task}); the screener was fitted on "
                f"{len(self.classes)} ({self.task})"
            )


class Manifest(BaseModel):
    """Everything of a screener that is not an array."""

    model_config = ConfigDict(extra="forbid")
    format_version: int = FORMAT_VERSION
    model: SavedModel
    estimators: list[SavedEstimator]
    combiner: dict[str, Any]
    decision: dict[str, Any]
    history: tuple[dict[str, Any], ...] = ()
    passes: int
    views: tuple[str, ...] = ()
    seed: int
    calibrated_on: dict[str, Any]
    notes: tuple[str, ...]
    cascade: dict[str, Any] | None = None
    arrays_sha256: str = ""


def pack(estimators: Sequence[Estimator]) -> tuple[list[SavedEstimator], dict[str, NDArray[Any]]]:
    """Turn fitted estimators into data; equal arrays, such as the vectors two estimators share, are kept once."""
    arrays: dict[str, NDArray[Any]] = {}
    key_of: dict[tuple[str, tuple[int, ...], bytes], str] = {}
    saved = []
    for estimator in estimators:
        one = SavedEstimator(name=estimator.name, arguments=estimator.arguments(), numbers={}, arrays={})
        for attribute, value in estimator.learnt().items():
            if isinstance(value, np.ndarray):
                key = key_of.setdefault(_content(value), f"{estimator.name}.{attribute}")
                arrays.setdefault(key, value)
                one.arrays[attribute] = key
            else:
                one.numbers[attribute] = value.item() if isinstance(value, np.generic) else value
        saved.append(one)
    return saved, arrays


def _content(array: NDArray[Any]) -> tuple[str, tuple[int, ...], bytes]:
    return array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest()


def names_to_array(names: Sequence[str]) -> NDArray[np.uint8]:
    """Turn names into an array, since that is what the file holds."""
    return np.frombuffer(json.dumps(list(names)).encode(), dtype=np.uint8)


def names_from_array(array: NDArray[np.uint8] | None) -> tuple[str, ...]:
    """Undo `names_to_array`; None, in a file that was written before there were names, gives none.

    >>> names_from_array(names_to_array(["a.png", "b\\n.png"])), names_from_array(None)
    (('a.png', 'b\\n.png'), ())
    """
    return () if array is None else tuple(json.loads(array.tobytes()))


def unpack(saved: Sequence[SavedEstimator], arrays: Mapping[str, NDArray[Any]]) -> tuple[Estimator, ...]:
    """Undo `pack`."""
    try:
        restored = tuple(
            create(one.name, **one.arguments).restore(
                {**one.numbers, **{attribute: arrays[key] for attribute, key in one.arrays.items()}}
            )
            for one in saved
        )
    except KeyError as error:
        raise ArtifactError(f"the screener lacks the array {error}; it is damaged, fit it again") from error
    except (UncertaintyError, TypeError) as error:
        raise ArtifactError(f"the screener can't be rebuilt: {error}; fit it again with this release") from error
    share(restored)
    return restored


def write(folder: Path, manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write both files; the manifest comes last and names the arrays by their hash, so half a write is noticed."""
    from safetensors.numpy import save

    data = save({name: np.asarray(array, order="C") for name, array in arrays.items()})
    sealed = manifest.model_copy(update={"arrays_sha256": hashlib.sha256(data).hexdigest()})
    text = json.dumps(sealed.model_dump(), indent=2, ensure_ascii=False)
    with replacing(folder / ARRAYS) as file:
        file.write(data)
    with replacing(folder / MANIFEST, binary=False) as file:
        file.write(text + "\n")


def read(folder: Path, needed: Sequence[str] = ()) -> tuple[Manifest, dict[str, NDArray[Any]]]:
    """Read both files; ArtifactError where one is missing, damaged, of another version, or lacks a needed array."""
    for name in (MANIFEST, ARRAYS):
        if not (folder / name).is_file():
            raise ArtifactError(f"{folder} holds no {name}; it is not a screener, make one with `uncertainty fit`")
    manifest = _read_manifest(folder / MANIFEST)
    with (folder / ARRAYS).open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != manifest.arrays_sha256:
            raise ArtifactError(f"{folder / ARRAYS} is damaged or of another screener: its hash is not the manifest's")
        try:
            arrays = _read_arrays(file)
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{folder / ARRAYS} can't be read: {error}; fit the screener again") from error
    if missing := sorted(set(needed) - arrays.keys()):
        raise ArtifactError(f"{folder / ARRAYS} lacks {missing[0]!r}; the screener is damaged, fit it again")
    return manifest, arrays


def _read_arrays(file: BinaryIO) -> dict[str, NDArray[Any]]:
    """Read a safetensors file array by array: `safetensors.load` holds all of them twice, and an index is large."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = 8 + int.from_bytes(file.read(8), "little")
    if start > size:
        raise ValueError(f"its header would end at {start} of {size} bytes")
    header = json.loads(file.read(start - 8))
    header.pop("__metadata__", None)
    arrays = {}
    for name, one in header.items():
        begin, end = one["data_offsets"]
        file.seek(start + begin)
        dtype = _DTYPES[one["dtype"]]
        arrays[name] = np.fromfile(file, dtype, (end - begin) // dtype.itemsize).reshape(one["shape"])
    return arrays


def refuse_another_model(folder: Path, manifest: Manifest, classifier: Classifier) -> None:
    """Raise ArtifactError for a classifier that is not the one the screener was fitted with."""
    if manifest.model.sha256 is None:
        raise ArtifactError(f"{folder} was fitted from outputs, without a classifier; load it without one")
    if classifier.sha256 != manifest.model.sha256:
        raise ArtifactError(
            f"{folder} was fitted with model {str(manifest.model.sha256)[:12]}, this one is "
            f"{classifier.sha256[:12]} (weights, classes, preprocessing or precision differ); fit a screener for it"
        )


def _read_manifest(path: Path) -> Manifest:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path} is not valid JSON: {error}; the screener is damaged, fit it again") from error
    version = raw.get("format_version") if isinstance(raw, dict) else None
    if version != FORMAT_VERSION:
        raise ArtifactError(f"{path} has format version {version!r}; this release reads {FORMAT_VERSION}, fit it again")
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ArtifactError(f"{path} is damaged at {where!r}: {first['msg']}; fit the screener again") from error
