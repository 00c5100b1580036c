"""A screener on disk: `manifest.json` and the file of arrays that it names, no pickle and nothing that runs on load.

The manifest is sealed: it holds a hash of itself and of each array. A new screener puts its arrays beside the old ones,
under a name of their own, and replaces the manifest last; so whenever it is killed, a reader sees the old screener or
the new one, whole.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, StrictBool, StrictFloat, StrictInt, StringConstraints, ValidationError

from uncertainty.classifiers.base import Classifier
from uncertainty.classifiers.source import Source
from uncertainty.errors import ArtifactError, OutputsError, UncertaintyError
from uncertainty.estimators import create
from uncertainty.estimators._known_good import share
from uncertainty.estimators.base import Estimator
from uncertainty.files import alone, replacing
from uncertainty.outputs import ModelOutputs, Task
from uncertainty.screener.array_file import as_bytes, content, read_arrays

FORMAT_VERSION = 4
"""Raised with every new key: releases refuse keys that they don't know, and call a manifest newer by this alone."""
_READ_TOO = (3,)  # what these lack has its usual value
MANIFEST = "manifest.json"
_ARRAYS = re.compile(r"arrays(-[0-9a-f]{16})?\.safetensors")
_LEFT_OVER = re.compile(r"\.(manifest\.json|arrays(-[0-9a-f]{16})?\.safetensors)\.\w{8}")
_TRIES = 3
Learnt = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*_$")]
"""The name of what an estimator learnt: it ends in an underscore, so that no method goes by it."""
Read = TypeVar("Read")


class SavedEstimator(BaseModel):
    """An estimator as data: constructor arguments, learnt numbers, and names of learnt arrays."""

    model_config = ConfigDict(extra="forbid")
    name: str
    arguments: dict[str, Any]
    numbers: dict[Learnt, StrictBool | StrictInt | StrictFloat | Literal["inf", "-inf"]]
    """JSON has no infinite numbers, so they are words there."""
    arrays: dict[Learnt, str]


class SavedModel(BaseModel):
    """Which classifier the screener belongs to."""

    model_config = ConfigDict(extra="forbid")
    classes: list[str]
    task: Task
    sha256: str | None = None
    spec: str | None = None
    preprocess: dict[str, Any] | None = None
    embedder: str | None = None
    runtime: str | None = None
    """What ran its plain passes, None: torch; so `embedder_runtime` of the second opinion."""
    embedder_runtime: str | None = None
    answers: list[list[float]] | None = None
    """Its logits for seeded noise, see `fingerprint.rounded`; those of the second opinion in `embedder_answers`."""
    embedder_answers: list[list[float]] | None = None
    steady: bool = False
    """Whether these are the same to rounding on another machine, see `fingerprint.steady`."""
    source: Source | None = None
    """The file that the factory of the spec lies in; that of the second opinion in `embedder_source`."""
    embedder_source: Source | None = None
    table: Literal["logits", "probabilities"] | None = None
    """What the tables of outputs held that it was fitted on; None where it was fitted otherwise."""
    thresholds: list[float] | None = None
    """From which probability on those tables give each of several labels; None: the usual ones, or another's choice."""

    @classmethod
    def of(cls, classifier: Classifier) -> Self:
        """Describe a classifier."""
        from uncertainty.classifiers.fingerprint import rounded, steady

        second = classifier.embedder
        return cls(
            sha256=classifier.sha256,
            answers=rounded(classifier.network.answers),
            source=_source(classifier.spec),
            embedder_answers=None if second is None else rounded(second.network.answers),
            steady=all(steady(one.network.module) for one in (classifier, second) if one is not None),
            embedder_source=None if second is None else _source(second.spec),
            spec=classifier.spec,
            classes=list(classifier.classes),
            task=classifier.task,
            preprocess=classifier.preprocess.to_dict(),
            embedder=None if second is None else second.spec,
            runtime=classifier.network.runs_by,
            embedder_runtime=None if second is None else second.network.runs_by,
        )

    def check(self, outputs: ModelOutputs) -> None:
        """Raise OutputsError for outputs with other classes."""
        if outputs.n_classes != len(self.classes) or outputs.task != self.task:
            raise OutputsError(
                f"these outputs have {outputs.n_classes} classes ({outputs.task}); the screener was fitted on "
                f"{len(self.classes)} ({self.task})"
            )


def _source(spec: str | None) -> Source | None:
    return None if spec is None else Source.of(spec)


class Manifest(BaseModel):
    """Everything of a screener that is not an array."""

    model_config = ConfigDict(extra="forbid")
    format_version: int = FORMAT_VERSION
    model: SavedModel
    estimators: list[SavedEstimator]
    combiner: dict[str, Any]
    decision: dict[str, Any]
    history: tuple[dict[str, Any], ...] = ()
    passes: StrictInt
    views: tuple[str, ...] = ()
    seed: StrictInt
    calibrated_on: dict[str, Any]
    notes: tuple[str, ...]
    cascade: dict[str, Any] | None = None
    decisions: dict[str, Any] | None = None
    arrays: dict[str, str] = {}
    """The hash of each array."""
    arrays_file: str = ""
    seal: str = ""
    """The hash of all that stands above."""

    @property
    def id(self) -> str:
        """16 hex characters: which fit, and which decision, this is; all that a verdict depends on is in it."""
        names = ("estimators", "combiner", "decision", "passes", "views", "seed", "calibrated_on", "cascade", "arrays")
        parts = self.model_dump(include=set(names))
        if self.decisions is not None:  # of one label the id stays what it was
            parts["decisions"] = self.decisions
        parts["model"] = self.model.model_dump(include={"sha256", "classes", "task"})
        return _hash(parts)[:16]

    def of_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> Manifest:
        """Return it with the hashes of these arrays."""
        return self.model_copy(update={"arrays": {name: content(array) for name, array in arrays.items()}})

    def sealed(self) -> Manifest:
        """Return it with its own hash."""
        return self.model_copy(update={"seal": _hash(self.model_dump(exclude={"seal"}))})


def _hash(values: Any) -> str:
    as_read = json.loads(json.dumps(values))  # keys are text there
    text = json.dumps(as_read, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def pack(estimators: Sequence[Estimator]) -> tuple[list[SavedEstimator], dict[str, NDArray[Any]]]:
    """Turn fitted estimators into data; equal arrays, such as the vectors two estimators share, are kept once."""
    arrays: dict[str, NDArray[Any]] = {}
    key_of: dict[str, str] = {}
    saved = []
    for estimator in estimators:
        one = SavedEstimator(name=estimator.name, arguments=estimator.arguments(), numbers={}, arrays={})
        for attribute, value in estimator.learnt().items():
            if isinstance(value, np.ndarray):
                key = key_of.setdefault(content(value), f"{estimator.name}.{attribute}")
                arrays.setdefault(key, value)
                one.arrays[attribute] = key
            else:
                number = value.item() if isinstance(value, np.generic) else value
                one.numbers[attribute] = number if math.isfinite(number) else "inf" if number > 0 else "-inf"
        saved.append(one)
    return saved, arrays


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
                {**_numbers(one), **{attribute: arrays[key] for attribute, key in one.arrays.items()}}
            )
            for one in saved
        )
    except KeyError as error:
        raise ArtifactError(f"the screener lacks the array {error}; it is damaged, fit it again") from error
    except (UncertaintyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(f"the screener can't be rebuilt: {error}; fit it again with this release") from error
    share(restored)
    return restored


def _numbers(saved: SavedEstimator) -> dict[str, Any]:
    return {name: float(value) if isinstance(value, str) else value for name, value in saved.numbers.items()}


def write(folder: Path, manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write both files, the manifest last; what was there before is removed only then."""
    named = manifest.of_arrays(arrays)
    data = as_bytes(arrays)
    named.arrays_file = f"arrays-{hashlib.sha256(data).hexdigest()[:16]}.safetensors"
    text = json.dumps(named.sealed().model_dump(), indent=2, ensure_ascii=False, allow_nan=False)
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        with replacing(folder / named.arrays_file) as file:
            file.write(data)
        with replacing(folder / MANIFEST, binary=False) as file:
            file.write(text + "\n")
        _remove_others(folder, named.arrays_file)


def _remove_others(folder: Path, kept: str) -> None:
    """Remove the arrays of earlier screeners, and what writers left that were killed; names of ours alone."""
    for path in folder.iterdir():
        if path.name != kept and (_ARRAYS.fullmatch(path.name) or _LEFT_OVER.fullmatch(path.name)):
            path.unlink(missing_ok=True)


def files_of(folder: Path) -> list[Path]:
    """Return the files that make up a screener, damaged or not; no links, and nothing else that lies there."""
    names = [path for path in sorted(folder.iterdir()) if path.name == MANIFEST or _ARRAYS.fullmatch(path.name)]
    return [path for path in names if path.is_file() and not path.is_symlink()]


def read(folder: Path, needed: Sequence[str] = ()) -> tuple[Manifest, dict[str, NDArray[Any]]]:
    """Read both files; ArtifactError where one is missing, damaged, of another version, or lacks a needed array."""
    return _again(lambda: _read(folder, needed))


def _again(read: Callable[[], Read]) -> Read:
    """Read once more where a writer came between manifest and arrays."""
    for _ in range(_TRIES - 1):
        try:
            return read()
        except ArtifactError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
    return read()


def _read(folder: Path, needed: Sequence[str]) -> tuple[Manifest, dict[str, NDArray[Any]]]:
    if not (folder / MANIFEST).is_file():
        raise ArtifactError(f"{folder} holds no {MANIFEST}; it is not a screener, make one with `uncertainty fit`")
    manifest = read_manifest(folder / MANIFEST)
    path = folder / manifest.arrays_file
    if not _ARRAYS.fullmatch(manifest.arrays_file):
        raise ArtifactError(f"{folder / MANIFEST} names {manifest.arrays_file!r}, which is no file of a screener")
    arrays = read_arrays(path, manifest.arrays)
    if missing := sorted(set(needed) - arrays.keys()):
        raise ArtifactError(f"{path} lacks {missing[0]!r}; the screener is damaged, fit it again")
    return manifest, arrays


def read_manifest(path: Path) -> Manifest:
    """Read a manifest and see that its seal is whole."""
    raw = _json(path)
    _check_version(path, raw.get("format_version") if isinstance(raw, dict) else None)
    try:
        json.dumps(raw, ensure_ascii=False).encode()  # JSON can spell half characters, which no table can hold
        manifest = Manifest.model_validate(raw)
    except UnicodeEncodeError as error:
        raise ArtifactError(f"{path} is damaged: it holds half a character; fit the screener again") from error
    except (ValidationError, RecursionError) as error:
        raise ArtifactError(f"{path} is damaged at {_where(error)}; fit the screener again") from error
    # Of what was written: a later release may have more to say, and says the usual where a manifest is silent.
    if _hash({key: value for key, value in raw.items() if key != "seal"}) != manifest.seal:
        raise ArtifactError(f"{path} was changed since it was written: its seal is broken; fit the screener again")
    return manifest


def _check_version(path: Path, version: Any) -> None:
    if type(version) is int and version in (*_READ_TOO, FORMAT_VERSION):
        return
    if type(version) is int and version > FORMAT_VERSION:
        raise ArtifactError(
            f"{path} was written by a newer release, with format version {version}; this one reads up to "
            f"{FORMAT_VERSION}: upgrade uncertainty, or fit the screener again"
        )
    raise ArtifactError(f"{path} has format version {version!r}; this release reads {FORMAT_VERSION}, fit it again")


def _json(path: Path) -> Any:
    def refused(number: str) -> Any:
        raise ValueError(f"{number} is no number")

    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=refused, parse_float=_finite)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} is gone; fit the screener again") from error
    except (ValueError, OSError, RecursionError, MemoryError) as error:
        raise ArtifactError(f"{path} is not valid JSON: {error}; the screener is damaged, fit it again") from error


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text[:20]} is beyond all numbers")
    return number


def _where(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "a place that lies too deep"
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])!r}: {first['msg']}"
