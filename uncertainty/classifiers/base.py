"""A trained classifier and how to feed it: images in, ModelOutputs out, each image decoded and classified once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.brief import Brief
from uncertainty.checks.array_values import UNUSABLE
from uncertainty.classifiers.attempts import attempted
from uncertainty.classifiers.batches import Batch, Collected, Row
from uncertainty.classifiers.class_names import names_in_order
from uncertainty.classifiers.decision_thresholds import Thresholds, checked_thresholds
from uncertainty.classifiers.description import Before, Description
from uncertainty.classifiers.embedder import Embedder
from uncertainty.classifiers.forward import Forward
from uncertainty.classifiers.image_loader import ArrayItem, Damage, Images, Loaded, image_items, load
from uncertainty.classifiers.look import Deeper, Look
from uncertainty.classifiers.output_form import OutputForm
from uncertainty.classifiers.preprocess import Preprocess, least_of
from uncertainty.classifiers.progress import advancing
from uncertainty.classifiers.spec import describe, with_key
from uncertainty.defaults import MC_PASSES
from uncertainty.errors import InputError, ModelError
from uncertainty.images.ahead import load_ahead
from uncertainty.images.decoding import Least
from uncertainty.images.image_set import ImageItem
from uncertainty.labels.label_sets import understand
from uncertainty.labels.meaning import meanings
from uncertainty.outputs import UNKNOWN_CLASS, ModelOutputs, Task, probs_from_logits

if TYPE_CHECKING:
    from torch import nn

    from uncertainty.classifiers.network import Network

__all__ = ["ArrayItem", "Batch", "Classifier", "Collected", "Damage", "Deeper", "Images", "Look", "Row", "image_items"]

logger = logging.getLogger("uncertainty")

_ASSUMED = "of how images are prepared this is only assumed: {}; where the accuracy is not the one you know, say how"
_UNUSABLE = f"the classifier answers with values that are {UNUSABLE}"


@dataclass(frozen=True, eq=False, repr=False)
class Classifier(Brief):
    """A network with its class names and preprocessing; make one with `from_module` or `load`."""

    network: Network
    classes: tuple[str, ...]
    preprocess: Preprocess
    task: Task = "multiclass"
    decision_thresholds: tuple[float, ...] | None = None
    spec: str | None = None
    embedder: Embedder | None = None
    form: OutputForm = field(default_factory=OutputForm)
    assumed: tuple[str, ...] = ()
    told: tuple[str, ...] = ()

    def _facts(self) -> dict[str, Any]:
        second = None if self.embedder is None else self.embedder.spec or "in memory"
        network = type(self.network.original).__name__
        told = {"network": network, "classes": len(self.classes), "size": self.preprocess.size, "task": self.task}
        return {**told, "second_opinion": second, "spec": self.spec}

    @classmethod
    def from_module(
        cls,
        module: nn.Module,
        classes: Sequence[str] | None = None,
        preprocess: Preprocess | None = None,
        *,
        task: Task = "multiclass",
        decision_thresholds: Thresholds | None = None,
        spec: str | None = None,
        autocast: str | None = None,
        output: Literal["logits", "probabilities"] = "logits",
        binary: bool = False,
        features: str | None = None,
    ) -> Self:
        """Wrap a torch module that maps (b, channels, size, size) to logits (b, c).

        They may be its answer, the `logits` of it, or the first of a tuple. Without `classes` they are called "0", "1",
        … With `task="multilabel"` an image may have several labels, each given where its probability reaches its
        decision threshold, 0.5 or as `decision_thresholds` say, in the order of the classes or by their names.
        With `autocast` torch runs what bears it in that precision. `output`, `binary` and `features` say what the
        answer is and where features are, see `OutputForm`. Raises ModelError where the output does not fit the classes.
        """
        way = preprocess or Preprocess()
        how = (task, decision_thresholds, autocast, spec, output, binary, features)
        return cls._of(Description(module, classes, way, *how))

    @classmethod
    def _of(cls, known: Description) -> Self:
        from uncertainty.classifiers.probing import probed, run_by

        preprocess, network, told = probed(known)
        if known.runtime is not None:
            network = run_by(network, known.runtime, preprocess)
        count, form = network.outputs, OutputForm.of(known)
        names = names_in_order(range(count) if known.classes is None else known.classes, count)
        thresholds = checked_thresholds(known.decision_thresholds, names, known.task)
        return cls(network, names, preprocess, known.task, thresholds, known.spec, form=form, told=told)

    @classmethod
    def load(
        cls, spec: str, *, classes: Sequence[str] | None = None, device: str | None = None, trust: bool = False
    ) -> Classifier:
        """Load a model spec, `package.module:factory?weights=FILE.safetensors`, or a preset; see `spec.py`.

        `trust` allows files that run code of their own while they are read.
        """
        known = describe(spec, classes=classes, device=device, trust=trust)
        made = cls._of(known)
        return replace(made, assumed=known.assumed, told=(*known.notes, *made.told))

    @property
    def description(self) -> Description:
        """What this classifier was made of."""
        n, thresholds = self.network, self.decision_thresholds
        made = (n.original, self.classes, self.preprocess, self.task, thresholds, n.autocast, self.spec)
        form = {name: value for name, value in vars(self.form).items() if name != "several"}
        return Description(*made, **form, runtime=n.runs_by, before=Before(n, self.preprocess, self.form))

    @property
    def notes(self) -> tuple[str, ...]:
        """What this model can't tell, in words."""
        assumed = [f"{key}={_told(getattr(self.preprocess, key))}" for key in self.assumed]
        notes = [*self.told, *self.network.notes, *([_ASSUMED.format("&".join(assumed))] if assumed else [])]
        if self.embedder is not None and self.embedder.shares_weights_with(self.network):
            notes.append("the second opinion has the classifier's own weights; choose an independent backbone")
        return tuple(notes)

    @property
    def sha256(self) -> str:
        """Fingerprint of weights, buffers, classes, preprocessing, decisions and precision.

        What a forward pass computes with them only its answers tell, see `Network.answers`.
        """
        from uncertainty.classifiers.fingerprint import fingerprint

        n = self.network
        may_be = (n.autocast, self.form.to_dict(), n.runtime and n.runtime.known_by)
        settings = [self.classes, self.preprocess.to_dict(), self.task, self.decision_thresholds, *filter(None, may_be)]
        return fingerprint(settings, n.original, None if self.embedder is None else self.embedder.sha256)

    def with_embedder(self, embedder: Classifier | str, **where: Any) -> Classifier:
        """Return the same classifier with a second opinion: a preset's name, a model spec, or another Classifier.

        Its outputs then have the column `embedding`, from the same decoded image. `where`: device and trust of `load`.
        """
        # One decoding for both: the second opinion bears the draft that the classifier does.
        model = Classifier.load(embedder, **where) if isinstance(embedder, str) else embedder
        own, other = self.preprocess.reading, model.preprocess.reading
        if other.multiband is not None and other != own:
            raise ModelError("a second opinion takes ordinary pictures, or the same bands as the classifier")
        return replace(self, embedder=model.with_draft(self.preprocess.draft).as_embedder())

    def with_runtime(self, runtime: str) -> Classifier:
        """Return it with plain passes run by "openvino", …, see `runtimes`; before a second opinion is added."""
        from uncertainty.classifiers.probing import run_by

        spec = None if self.spec is None else with_key(self.spec, "runtime", runtime)
        return replace(self, network=run_by(self.network, runtime, self.preprocess), spec=spec)

    def as_embedder(self) -> Embedder:
        """Return the backbone of this classifier, whose features are an embedding; its classes don't matter."""
        return Embedder(self.network, self.preprocess, self.sha256, self.spec)

    def with_draft(self, draft: int) -> Classifier:
        """Return the same classifier with another `draft`, see `Preprocess`; before a second opinion is added."""
        return replace(self, preprocess=replace(self.preprocess, draft=draft))

    @property
    def least(self) -> Least | None:
        """The size that a decoded image must keep for network and second opinion; None: all of it."""
        return least_of(self.preprocess, None if self.embedder is None else self.embedder.preprocess)

    def with_classes(self, classes: Sequence[str]) -> Classifier:
        """Return the same classifier with other class names; the number must match."""
        return replace(self, classes=names_in_order(classes, len(self.classes)))

    def label_index(self, label: str | int | None) -> int:
        """Return the index of a class name, or an index that is given as a number and no name; -1 for all others."""
        return max(meanings([label], self.classes).of(label), UNKNOWN_CLASS)

    def run(self, images: Images, *, labels: Any = None, **options: Any) -> ModelOutputs:
        """Classify all images; those that can't be read are left out and logged by name.

        Parameters
        ----------
        images : path of an image, folder, manifest or Parquet with images; picture of Pillow; uint8 (h, w, 3) or
            (n, h, w, 3); list of these; Dataset or DataLoader. See `image_items`.
        labels : one for each image, beside images that have none of their own.
        options : passes, seed, batch_size, workers, damage, views and progress of `Look`.

        Raises
        ------
        InputError : where not one image can be read, or an option is out of range.

        """
        collected = self.collect(image_items(images, labels), Look(**options))
        for name, error in collected.failures:
            logger.warning("left out %r: %s", name, error)
        if collected.outputs.labels is None and set(collected.labels) != {None}:
            logger.warning("the outputs have no labels: not every image has one that is a class of the model")
        return collected.outputs

    def collect(self, images: Images, look: Look) -> Collected:
        """Classify all images as `run` does, and return what could not be read and the digests as well."""
        batches = list(self.batches(images, look))
        rows = [row for batch in batches for row in batch.rows]
        bad = [row for row in rows if row.error is not None]
        parts = [batch.outputs for batch in batches if batch.outputs is not None]
        if not parts:
            first = f"; the first, {bad[0].name!r}: {bad[0].error}" if bad else ""
            first += "; names in a manifest are relative to its folder" * first.endswith(": does not exist")
            raise InputError(f"not one of {len(bad)} images can be read{first}")
        found = Collected.of(ModelOutputs.concatenate(parts), rows)
        if None in found.labels:
            return found
        truth = understand(found.labels, self.classes, self.task)
        if not truth.usable.all():
            return found
        return replace(found, outputs=replace(found.outputs, labels=truth.positions))

    def stream(self, images: Images, **options: Any) -> Iterator[Batch]:
        """Classify image after image in batches, decoding ahead in threads; memory stays flat.

        `options` are those of `Look`.
        """
        return self.batches(images, Look(**options))

    def batches(self, images: Images, look: Look) -> Iterator[Batch]:
        """Do what `stream` does."""
        items = image_items(images)
        loaded = load_ahead(items, self.loader(look.damage), look.workers, 2 * look.batch_size)
        with advancing(look.progress, items) as advance:
            while group := list(islice(loaded, look.batch_size)):
                yield self.batch_of(group, look)
                advance(len(group))

    def loader(self, damage: Damage | None = None) -> Callable[[ImageItem | ArrayItem], Loaded]:
        """Return what reads, decodes and prepares one image for `batch_of`; several threads may call it."""
        second = None if self.embedder is None else self.embedder.preprocess
        return partial(load, preprocess=self.preprocess, second=second, damage=damage)

    def batch_of(self, group: list[Loaded], look: Look) -> Batch:
        """Classify images that are loaded, together; what fails on one of them is its `error`. Their names differ."""
        good, outputs, deeper, forward = [one for one in group if one.error is None], None, None, None
        inputs = np.stack([one.inputs for one in good]) if good else None
        if inputs is not None:
            seen = attempted(
                lambda rows: self.network(inputs[rows], look.passes, look.seed, tuple(look.views)),
                0,
                len(good),
                "the network",
            )
            good, forward = self._seen(good, seen, "error", second_opinion=look.deeper is None)
            outputs = self._outputs(good, forward) if forward else None
        if outputs is not None and forward is not None and look.deeper is not None:
            rows = np.flatnonzero(look.deeper.wanted(outputs))
            deeper = self._deeper([good[row] for row in rows], forward.take(rows), look.deeper) if len(rows) else None
        return Batch(tuple(one.row() for one in group), outputs, deeper)

    def _deeper(self, chosen: list[Loaded], seen: Forward, look: Deeper) -> ModelOutputs | None:
        """Look at these images more deeply; one for which that fails gets a note and no row."""
        inputs = np.stack([one.inputs for one in chosen])
        options = (look.passes, look.seed, tuple(look.views))
        found = attempted(
            lambda rows: self.network.deeper(seen.take(rows), inputs[rows], *options), 0, len(chosen), "the network"
        )
        chosen, forward = self._seen(chosen, found, "note", second_opinion=True)
        return self._outputs(chosen, forward) if forward else None

    def _seen(
        self, images: list[Loaded], found: Iterable[tuple[slice, Forward | str]], where: str, *, second_opinion: bool
    ) -> tuple[list[Loaded], Forward | None]:
        """Join what was seen, write into each other image why it was not, and return the rest; None for none."""
        parts, kept = [], []
        for rows, answer in found:
            if isinstance(answer, str):
                setattr(images[rows.start], where, answer)
            else:
                parts.append(answer)
                kept += images[rows]
        if not parts:
            return [], None
        forward, why = self._checked(kept, Forward.joined(parts), second_opinion=second_opinion)
        for one, reason in zip(kept, why, strict=True):
            setattr(one, where, reason)
        kept, forward = _kept(kept, forward, why)
        return kept, forward if kept else None

    def _checked(
        self, images: list[Loaded], forward: Forward, *, second_opinion: bool
    ) -> tuple[Forward, list[str | None]]:
        """Add the second opinion where there is one, and say for each image what failed, if anything did."""
        why = [None if fine else _UNUSABLE for fine in forward.usable_rows()]
        if self.embedder is None or not second_opinion:
            return forward, why
        embedding, failed = self.embedder.attempt(np.stack([one.second_inputs for one in images]))
        return replace(forward, embedding=embedding), [a or b for a, b in zip(why, failed, strict=True)]

    def _outputs(self, images: list[Loaded], forward: Forward) -> ModelOutputs:
        return self._table([one.item.name for one in images], forward, quality=np.stack([o.quality for o in images]))

    def outputs_from_inputs(
        self, ids: Sequence[str], inputs: NDArray[np.float32], *, passes: int = MC_PASSES, seed: int = 0, **columns: Any
    ) -> ModelOutputs:
        """Classify inputs that are preprocessed already, (n, channels, size, size) float32; `columns` ride along."""
        return self._table(ids, self.network(inputs, passes, seed), **columns)

    def _table(self, ids: Sequence[str], forward: Forward, **columns: Any) -> ModelOutputs:
        return ModelOutputs(
            ids=list(ids),
            logits=forward.logits,
            features=forward.features,
            embedding=forward.embedding,
            mc_probs=self._probs(forward.mc_logits),
            tta_probs=self._probs(forward.tta_logits),
            task=self.task,
            decision_thresholds=self.decision_thresholds,
            **columns,
        )

    def _probs(self, logits: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
        return None if logits is None else probs_from_logits(logits, self.task).astype(np.float32)


def _told(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _kept(images: list[Loaded], forward: Forward, why: list[str | None]) -> tuple[list[Loaded], Forward]:
    """Leave out what failed."""
    fine = np.array([reason is None for reason in why])
    return [one for one, kept in zip(images, fine, strict=True) if kept], forward.take(fine)
