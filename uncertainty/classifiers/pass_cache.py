"""Answers of a network, kept on disk: a pass that was made once is not made again.

An answer is known by all that went into it, so it is the very answer that the network would give, to the last bit: the
bytes of its inputs, a whole batch of them, since other images in a batch may change the rounding; weights and answers
to noise; what else the pass depends on. Labels, policies and estimators are none of it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from uncertainty.checks.array_values import frozen
from uncertainty.classifiers.base import Classifier
from uncertainty.classifiers.fingerprint import hash_module
from uncertainty.classifiers.forward import Forward
from uncertainty.classifiers.network import Network
from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.classifiers.views import VIEWS
from uncertainty.errors import InputError
from uncertainty.files import replacing

Arrays = Mapping[str, NDArray[np.float32]]
logger = logging.getLogger("uncertainty")

MOST_BYTES = 1 << 31
"""What a cache may hold; beyond it what was not used for longest goes."""
_OURS = re.compile(r"[0-9a-f]{64}\.safetensors")
_SEAL = "seal"
_TAG = "CACHEDIR.TAG"
# See https://bford.info/cachedir/: backups leave such a folder out.
_SIGNATURE = (
    "Signature: 8a477f597d28d172789f06886806bc55\n# Answers of networks, kept by `uncertainty fit`; delete it.\n"
)


class PassCache:
    """A folder of answers; one that is damaged or of another key is made anew, one that can't be written is no error.

    `hits` and `misses` count answers that were there and that were not, `damaged` those that were not whole.
    """

    def __init__(self, folder: str | Path, most_bytes: int = MOST_BYTES) -> None:
        self.folder, self.most_bytes = Path(folder), most_bytes
        self.hits = self.misses = self.damaged = self.written = 0
        self.off = False
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"the cache {self.folder} is a file; name a folder, or go without one (--no-cache)")

    def get(self, key: str, shapes: Mapping[str, tuple[int, ...]]) -> Arrays | None:
        """Return the arrays that were put under a key, where they are whole and have these shapes (-1: any length)."""
        path = self._path(key)
        try:
            data = path.read_bytes() if path.is_file() else None  # of a pipe nothing would ever come
        except OSError:
            data = None
        if data is None:
            self.misses += 1
            return None
        found = _unsealed(data, key, shapes)
        if found is None:
            self.damaged += 1
        else:
            self.hits += 1
            with suppress(OSError):
                os.utime(path)
        return found

    def put(self, key: str, arrays: Arrays) -> None:
        """Keep arrays under a key, as long as this fit has not written all that the cache may hold."""
        from safetensors.numpy import save

        # In C order, since safetensors writes another one as it lies in memory.
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        data = save({**arrays, _SEAL: _seal(key, arrays)})
        if self.off or self.written + len(data) > self.most_bytes:
            return
        try:
            if not (self.folder / _TAG).exists():
                with replacing(self.folder / _TAG, binary=False) as file:
                    file.write(_SIGNATURE)
            with replacing(self._path(key)) as file:
                file.write(data)
            self.written += len(data)
        except (InputError, OSError) as error:
            self.off = True
            logger.warning("the cache can't be written, and the fit goes on without it: %s", error)

    def close(self) -> None:
        """Say what was damaged, and remove what was not used for longest where there is more than `most_bytes`."""
        if self.damaged:
            logger.warning("%d files of the cache %s were damaged and made anew", self.damaged, self.folder)
        files = sorted(self._files(), reverse=True)
        total = np.cumsum([size for _, size, _ in files])
        for (_, _, path), until in zip(files, total.tolist(), strict=True):
            if until > self.most_bytes:
                with suppress(OSError):
                    path.unlink()

    def _files(self) -> Iterable[tuple[float, int, Path]]:
        for path in self.folder.glob("??/*.safetensors"):
            if _OURS.fullmatch(path.name) and path.parent.name == path.name[:2]:
                with suppress(OSError):  # another fit may have removed it
                    status = path.stat()
                    yield status.st_mtime, status.st_size, path

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"


def _seal(key: str, arrays: Arrays) -> NDArray[np.uint8]:
    """Return (32,) a hash of the key and of the name, shape and values of each array."""
    sha = hashlib.sha256(key.encode())
    for name, array in sorted(arrays.items()):
        sha.update(f"{name} {array.dtype.str} {array.shape}".encode())
        sha.update(np.ascontiguousarray(array).data)
    return np.frombuffer(sha.digest(), dtype=np.uint8)


def _unsealed(data: bytes, key: str, shapes: Mapping[str, tuple[int, ...]]) -> Arrays | None:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(data)
    except (SafetensorError, ValueError, TypeError, KeyError):
        return None
    seal = arrays.pop(_SEAL, None)
    if arrays.keys() != shapes.keys() or not all(_fits(arrays[name], shape) for name, shape in shapes.items()):
        return None
    return arrays if seal is not None and np.array_equal(seal, _seal(key, arrays)) else None


def _fits(array: NDArray[Any], shape: tuple[int, ...]) -> bool:
    sides = zip(array.shape, shape, strict=False)
    return array.dtype == np.float32 and array.ndim == len(shape) and all(n in (-1, side) for side, n in sides)


@dataclass(frozen=True, eq=False, kw_only=True)
class CachedNetwork(Network):
    """A network that looks its answers up first; `known_by` is the hash of all that they depend on beside inputs."""

    cache: PassCache
    known_by: str

    @classmethod
    def of(cls, network: Network, preprocess: Preprocess, cache: PassCache) -> CachedNetwork:
        """Return the same network, for images that are prepared so, with a cache."""
        return cls(**vars(network), cache=cache, known_by=_known_by(network, preprocess))

    def __call__(
        self, inputs: NDArray[Any] | torch.Tensor, passes: int = 0, seed: int = 0, views: Sequence[str] = ()
    ) -> Forward:
        """Answer as the network does, and run it for nothing that is there."""
        if self.habits.alone and len(inputs) > 1:  # image by image, each of which comes here
            return super().__call__(inputs, passes, seed, views)
        kept = _Kept(self, _hash_of_inputs(inputs), len(inputs))
        passes = passes if self.dropout else 0
        seen = kept.plain()
        samples = kept.samples(passes, seed) if passes else None
        viewed = {view: kept.view(view) for view in views}
        left, missing = passes if samples is None else 0, tuple(v for v, found in viewed.items() if found is None)
        if seen is None:
            made = super().__call__(inputs, left, seed, missing)
            kept.put("plain", logits=made.logits, features=made.features)
        else:
            made = super().deeper(seen, inputs, left, seed, missing) if left or missing else seen
        if left:
            kept.put(f"dropout {passes} {seed}", mc_logits=made.mc_logits)
            samples = made.mc_logits
        viewed |= _each_view(missing, made.tta_logits)
        for view in missing:
            kept.put(f"view {view}", tta_logits=viewed[view])
        every = [found for view in views if (found := viewed[view]) is not None]
        return replace(made, mc_logits=samples, tta_logits=frozen(np.concatenate(every, axis=1)) if every else None)


class _Kept(NamedTuple):
    """The answers of a network to one batch, as far as they are in the cache."""

    network: CachedNetwork
    inputs: str
    images: int

    def plain(self) -> Forward | None:
        """Return logits and features."""
        layer = self.network.feature_layer
        shapes = {"logits": (self.images, self.network.outputs)}
        shapes |= {} if layer is None else {"features": (self.images, layer.width)}
        found = self._get("plain", shapes)
        return None if found is None else Forward(found["logits"], found.get("features"), None)

    def samples(self, passes: int, seed: int) -> NDArray[np.float32] | None:
        """Return logits (n, t, c) of dropout sub-networks."""
        found = self._get(f"dropout {passes} {seed}", {"mc_logits": (self.images, passes, self.network.outputs)})
        return None if found is None else found["mc_logits"]

    def view(self, name: str) -> NDArray[np.float32] | None:
        """Return logits (n, k, c) of the k pictures of a view."""
        found = self._get(f"view {name}", {"tta_logits": (self.images, len(VIEWS[name]), self.network.outputs)})
        return None if found is None else found["tta_logits"]

    def put(self, what: str, **arrays: NDArray[np.float32] | None) -> None:
        """Keep what was answered."""
        there = {name: array for name, array in arrays.items() if array is not None}
        self.network.cache.put(self._key(what), there)

    def _get(self, what: str, shapes: Mapping[str, tuple[int, ...]]) -> Arrays | None:
        return self.network.cache.get(self._key(what), shapes)

    def _key(self, what: str) -> str:
        return hashlib.sha256(f"{self.network.known_by} {self.inputs} {what}".encode()).hexdigest()


def _each_view(names: Sequence[str], logits: NDArray[np.float32] | None) -> dict[str, NDArray[np.float32] | None]:
    if logits is None:
        return {}
    ends = np.cumsum([len(VIEWS[name]) for name in names])
    return dict(zip(names, np.split(logits, ends[:-1], axis=1), strict=True))


def _hash_of_inputs(inputs: NDArray[Any] | torch.Tensor) -> str:
    values = np.ascontiguousarray(inputs.cpu().numpy() if isinstance(inputs, torch.Tensor) else inputs)
    sha = hashlib.sha256(f"{values.dtype.str} {values.shape}".encode())
    sha.update(values.data)
    return sha.hexdigest()


def _known_by(network: Network, preprocess: Preprocess) -> str:
    """Hash all that an answer depends on beside its inputs: the network, how it is run, by what code and machine.

    Its answers to pictures of noise, white and black are part of that, to the last bit, since another processor may
    round otherwise, and those of two dropout sub-networks: how much is dropped is no weight, and shows in nothing else.
    So are its layers in words and the files that define them: a limit that few inputs reach shows in no answer.
    """
    sha = hashlib.sha256(repr(network.module).encode())
    hash_module(sha.update, network.module)
    noise = np.random.default_rng(0).integers(0, 256, (2, *preprocess.sides, preprocess.depth), dtype=np.uint8)
    pictures = [*noise, np.full_like(noise[0], 255), np.zeros_like(noise[0])]
    seen = network(np.stack([preprocess.of_bytes(picture) for picture in pictures]), 2 if network.dropout else 0, 0)
    for answers in (network.answers, seen.logits, seen.features, seen.mc_logits):
        if answers is not None:
            sha.update(f"{answers.shape} ".encode() + np.ascontiguousarray(answers).tobytes())
    device = next((weights.device.type for weights in network.module.parameters()), "")
    replayed = network.replay is not None and network.replay.is_as_traced()
    ways = (replayed, network.folds())
    told = (
        network.habits,
        network.autocast,
        network.runtime and network.runtime.known_by,
        network.channels_last,
        network.dropout,
        *ways,
        device,
    )
    sha.update(repr((told, torch.__version__, torch.get_num_threads())).encode())
    for file in sorted({*Path(__file__).parent.glob("*.py"), *_code_of(network.module)}):
        sha.update(file.read_bytes())
    return sha.hexdigest()


def _code_of(module: torch.nn.Module) -> Iterable[Path]:
    """Yield the files in which the classes of its layers are, beside those of torch, whose version is known."""
    for name in {type(layer).__module__ for layer in module.modules()}:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None and name.partition(".")[0] != "torch" and Path(file).is_file():
            yield Path(file)


def cached(classifier: Classifier, cache: PassCache) -> Classifier:
    """Return the same classifier, which looks up what it and its second opinion have answered before."""
    second = classifier.embedder
    if second is not None:
        second = replace(second, network=CachedNetwork.of(second.network, second.preprocess, cache))
    network = CachedNetwork.of(classifier.network, classifier.preprocess, cache)
    return replace(classifier, network=network, embedder=second)
