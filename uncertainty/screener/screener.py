"""The fitted whole: estimators, combiner and threshold. ModelOutputs in, Verdicts out, one row an image."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from uncertainty.brief import Brief
from uncertainty.classifiers.base import Batch, Classifier, Images, Look, image_items
from uncertainty.combination import calibration_sets
from uncertainty.combination.evidence import Shares
from uncertainty.decisions.policies import Policy
from uncertainty.defaults import BATCH_SIZE, CASCADE_LOSS, EXPECT_DAMAGE, EXPECT_UNKNOWN
from uncertainty.errors import InputError, ModelError
from uncertainty.estimators.base import Estimator
from uncertainty.estimators.image_quality import usual_quality
from uncertainty.images.duplicates import Duplicates
from uncertainty.images.quality import QUALITY_NAMES
from uncertainty.images.remarks import in_words
from uncertainty.images.sources import ImageSet, metadata_of
from uncertainty.output_tables.output_table import OutputTable
from uncertainty.outputs import ModelOutputs
from uncertainty.screener import fit, known_good, serialization
from uncertainty.screener.artifact import SavedModel
from uncertainty.screener.batch_level import ADAPTED_TO_BATCH, Adapt, levelled, wanted
from uncertainty.screener.cascade import dear_columns
from uncertainty.screener.fit_settings import FitSettings, one_policy
from uncertainty.screener.fitted import Fitted
from uncertainty.screener.from_tables import fitting, items_of
from uncertainty.screener.judge import Judge
from uncertainty.screener.output_batches import in_batches
from uncertainty.screener.provenance import provenance
from uncertainty.screener.recorded_model import RecordedModel, without_network
from uncertainty.screener.verdict_labels import labelled
from uncertainty.screener.verdict_rows import judged_by_effort, kept_beside, with_unreadable
from uncertainty.verdicts import Verdicts, metadata_table, ranked, schema, with_columns

logger = logging.getLogger("uncertainty")

_KEYS = ("digest", "pixels")
"""By which an image is known again: its bytes, and its picture, which may have been saved anew."""


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Screener(Brief, Judge):
    """Predicts which images a classifier gets wrong; make one with `fit`, `fit_outputs` or `load`."""

    classifier: Classifier | None = None

    def _facts(self) -> dict[str, Any]:
        model = "none" if self.classifier is None else self.model.spec or "in memory"
        on = {"calibration": self.calibrated_on.get("calibration"), "errors": self.calibrated_on.get("errors")}
        return {"classes": len(self.model.classes), **on, "policy": str(self.decision.policy), "model": model}

    @classmethod
    def of(cls, fitted: Fitted, classifier: Classifier | None = None) -> Screener:
        """Put what was learnt to work, with the classifier that it was learnt from, where there is one."""
        return cls(**{field.name: getattr(fitted, field.name) for field in fields(Fitted)}, classifier=classifier)

    @classmethod
    def fit(
        cls,
        classifier: Classifier,
        reference: Images | None,
        calibration: Images,
        *,
        labels: Any = None,
        reference_labels: Any = None,
        expect_damage: float = EXPECT_DAMAGE,
        expect_unknown: float = EXPECT_UNKNOWN,
        passes: int | None = None,
        seed: int = 0,
        views: Sequence[str] = (),
        budget: float | None = None,
        policy: Policy | None = None,
        certify_share: float = 0.0,
        estimators: Sequence[Estimator] | None = None,
        cascade: bool = False,
        cascade_loss: float = CASCADE_LOSS,
        cascade_share: float | None = None,
        groups: Mapping[str, str] | None = None,
        keep_class_order: bool = False,
        drop_duplicates: bool = False,
        compared: Duplicates | None = None,
        cache: str | Path | None = None,
        **options: Any,
    ) -> Screener:
        """Fit from images.

        Parameters
        ----------
        reference : known-good images, e.g. those it was trained on, for estimators and the neighbour index; of labelled
            ones those it gets wrong are left out. None: half of the calibration images, in whole groups.
        calibration : labelled images that the classifier was not trained on, with its errors among them.
        labels, reference_labels : one for each image of either set, where it is a list or array, or says otherwise.
        expect_damage, expect_unknown : shares of the incoming images that you expect to be damaged, and to belong to
            no class of the classifier. Copies of the calibration images, damaged or made unrecognisable, count that
            much; 0 leaves them out.
        passes, seed : MC dropout sub-networks (None: 30, where they cost little), and the seed of everything drawn.
        views : test-time augmentation, e.g. ("flip", "shift"), a pass each; behind "auto" those of them that it bears.
        budget, policy, certify_share, estimators, cascade_loss, cascade_share, keep_class_order : see `fit_outputs`.
        cascade : whether what costs more than a pass is for images alone whose verdict it could change; a share is one.
        groups : by name, which calibration images belong together; see `fit_outputs`.
        drop_duplicates : whether calibration images that the reference holds too are left out, not refused.
        compared : what `same_pictures` has found of these very sets; None: they are compared here.
        cache : folder for answers of the networks, which another fit need not run again; see `pass_cache`.
        options : batch_size, workers and progress of `Classifier.stream`.

        Raises
        ------
        OverlapError : an image, by content, is in both sets.
        CalibrationError : labels are missing, none is a class of the model, or the class names are in another order.

        """
        calibration = calibration if labels is None else image_items(calibration, labels)
        if reference is not None and reference_labels is not None:
            reference = image_items(reference, reference_labels)
        passes, dear = classifier.network.affordable(passes)
        asked = FitSettings(
            shares=Shares(expect_damage, expect_unknown),
            policy=one_policy(budget, policy),
            seed=seed,
            certify_share=certify_share,
            estimators=estimators,
            classes=classifier.classes,
            deeper=dear_columns(dropout=dear) if cascade or cascade_share is not None else (),
            cascade_loss=cascade_loss,
            cascade_share=cascade_share,
            groups=groups,
            keep_class_order=keep_class_order,
            drop_duplicates=drop_duplicates,
            compared=compared,
        )
        look = Look(passes=passes, seed=seed, **options)
        return cls.of(*fit.from_images(classifier, reference, calibration, asked, look, views, cache))

    @classmethod
    def fit_outputs(
        cls,
        reference: ModelOutputs,
        calibration: ModelOutputs,
        *,
        damaged: ModelOutputs | None = None,
        foreign: ModelOutputs | None = None,
        expect_damage: float = EXPECT_DAMAGE,
        expect_unknown: float = EXPECT_UNKNOWN,
        seed: int = 0,
        budget: float | None = None,
        policy: Policy | None = None,
        certify_share: float = 0.0,
        estimators: Sequence[Estimator] | None = None,
        classes: Sequence[str] | None = None,
        deeper: Sequence[str] = (),
        cascade_loss: float = CASCADE_LOSS,
        cascade_share: float | None = None,
        groups: Mapping[str, str] | Sequence[Any] | None = None,
        keep_class_order: bool = False,
        damage_kinds: Mapping[str, str] | None = None,
    ) -> Screener:
        """Fit from ModelOutputs.

        Parameters
        ----------
        reference : known-good rows; where they have labels, wrong rows are left out.
        calibration : labelled rows that the classifier was not trained on.
        damaged, foreign : labelled outputs for copies of calibration rows that were damaged, or made into images of
            no class (label -1), with their originals' ids; they weigh `expect_damage` and `expect_unknown` of all.
        budget : short for the policy `Policy.of(budget=...)`, which is the default.
        policy : what the flags shall keep, see `Policy.of`; decides the threshold.
        certify_share : share of the calibration rows to keep from the combiner, for promises that are certified on the
            very p_wrong that new images get. 0: on p_wrong from folds, which wastes no rows.
        estimators : default all but the optional; those whose columns are absent are left out, and `notes` names them.
        classes : names, in the order of the logits; default "0", "1", …
        deeper : columns such as "embedding" and "tta_probs" that only rows whose verdict they could still change are
            judged by; all are, where it is empty.
        cascade_loss, cascade_share : share of E-AURC that `deeper` may cost or, in its place, of images it may take.
        groups : which calibration rows belong together, such as frames of one film or pictures of one patient: by id,
            or (n,) in their order; also `ModelOutputs.groups`. They share a fold, and promises count groups.
        keep_class_order : fit though another order of the class names would explain the outputs far better.
        damage_kinds : by id, what was done to the damaged copy; tells how far to trust accuracy on unseen damage.

        Raises
        ------
        OverlapError : reference and calibration share ids.
        CalibrationError : the classes are in another order than the logits, or there is nothing to learn from.
        InputError : both a budget and a policy, or a share out of range.

        """
        asked = FitSettings(
            shares=Shares(expect_damage, expect_unknown),
            policy=one_policy(budget, policy),
            seed=seed,
            certify_share=certify_share,
            estimators=estimators,
            classes=classes,
            deeper=deeper,
            cascade_loss=cascade_loss,
            groups=groups,
            cascade_share=cascade_share,
            keep_class_order=keep_class_order,
            damage_kinds=damage_kinds,
        )
        return cls.of(fit.from_outputs(reference, calibration, (damaged, foreign), asked))

    def with_known_good(self, reference: Images | ModelOutputs, **options: Any) -> Screener:
        """Return one that also compares with these; calibration stays. `options`: see `Classifier.stream`."""
        return known_good.added(self, self.classifier, reference, options)

    def without_known_good(self, names: Sequence[str]) -> Screener:
        """Return one that compares no more with the reference images of these names; calibration stays."""
        return known_good.removed(self, names)

    def screen_outputs(self, outputs: ModelOutputs, *, adapt: Adapt = None) -> Verdicts:
        """Return one verdict a row; rows that fitted this screener are refused. `adapt`: see `screen`."""
        seen = calibration_sets.among(map(str, outputs.ids), self.fitted_on)
        if seen.any():
            calibration_sets.refuse(int(seen.sum()), str(outputs.ids[int(seen.argmax())]))
        adapting = wanted(adapt, self)
        batches = in_batches(outputs, self.cascade, self.estimators)
        table = pa.concat_tables(self.verdict_rows(batch, otherwise=adapting) for batch in batches)
        return Verdicts(ranked(levelled(table, self, self.schema, adapting=adapting)))

    def screen(
        self, images: Images | OutputTable, *, labels: Any = None, adapt: Adapt = None, **options: Any
    ) -> Verdicts:
        """Classify and screen images; one row for every image, unreadable ones included.

        `images` are what `Classifier.run` takes, or "table:FILE", outputs that fit a screener of tables. With `labels`,
        one for each image, or of a Dataset or table that has some, the verdicts have the columns `label` and `correct`.
        `options` are batch_size, workers and progress of `Classifier.stream`. The provenance counts images that fitted
        this screener, since their p_wrong is not to be trusted. What is odd about the images is logged as a warning.
        adapt="batch": p_wrong fits the shares of damaged, of unknown images and of classes among these, all together.
        """
        tables, seen, items, adapting = [], 0, items_of(images, labels), wanted(adapt, self)
        told: dict[str, str | int] = {}
        remarks = Counter[str]()
        for batch in self.stream(items, **options):
            tables.append(self.verdict_rows(batch, otherwise=adapting))
            seen += self.count_fitted_on(batch)
            told |= {row.name: row.label for row in batch.rows if row.label is not None}
            remarks.update(remark for row in batch.rows for remark in row.remarks)
        for note in (*getattr(items, "notes", ()), *in_words(remarks)):
            logger.warning("%s", note)
        if not tables:
            raise InputError("there are no images to screen")
        table = ranked(levelled(pa.concat_tables(tables), self, partial(self.schema, seen), adapting=adapting))
        if told and (labels is not None or not isinstance(items, ImageSet)):
            table = labelled(table, told, self.model)
        where = items.root if isinstance(items, OutputTable) else items
        return Verdicts(with_columns(table, metadata_table(metadata_of(items))), where)

    def stream(self, images: Images | OutputTable, **options: Any) -> Iterator[Batch]:
        """Run this screener's classifier over images, batch by batch, as it was run for calibration.

        Of a table of outputs the rows are read.
        """
        if isinstance(images, OutputTable):
            return fitting(self, images).batches(options.get("batch_size", BATCH_SIZE), options.get("progress"))
        if self.classifier is None:
            raise ModelError(without_network(self.model))
        return self.classifier.batches(images, self.look(**options))

    def look(self, **options: Any) -> Look:
        """Return how the classifier is to look at images for this screener; `options` are those of `Look`."""
        look = Look(passes=self.passes, seed=self.seed, views=self.views, **options)
        return look if self.cascade is None else self.cascade.look(self.estimators, look)

    def verdict_rows(self, batch: Batch, *, otherwise: bool = False) -> pa.Table:
        """Return the verdict table of one batch, without ranks: those need all batches.

        With `otherwise` also what `verdict_rows.kept_beside` names.
        """
        columns: dict[str, Any] = {}
        if batch.outputs is not None:
            self.model.check(batch.outputs)
            columns = judged_by_effort(batch.outputs, batch.deeper, self)
        constants = {
            **({} if math.isnan(self.threshold) else {"threshold": np.float32(self.threshold)}),
            "screen_id": self.id,
            "model_sha256": self.model.sha256,
        }
        table_schema = self._schema_of_rows
        for column in kept_beside(self) if otherwise else ():
            table_schema = table_schema.append(column)
        return pa.table(with_unreadable(batch, columns, constants, table_schema.names), schema=table_schema)

    def seen(self, batch: Batch) -> NDArray[np.bool_]:
        """Return (n,) which images of a batch, by content, fitted this screener."""
        seen = (calibration_sets.among([getattr(row, key) for row in batch.rows], self.fitted_on) for key in _KEYS)
        return np.asarray(np.logical_or(*seen))

    def count_fitted_on(self, batch: Batch) -> int:
        """Return how many images of a batch, by content, fitted this screener."""
        return int(self.seen(batch).sum())

    def schema(self, seen: int = 0, adapted: dict[str, Any] | None = None) -> pa.Schema:
        """Return the columns of the verdict table; its metadata say what p_wrong was calibrated on."""
        names, usual = [e.name for e in self.estimators], usual_quality(self.estimators)
        quality = list(QUALITY_NAMES if usual and self.telling.image is not None else usual)
        return schema(self.model.classes, names, self.provenance(seen, adapted), quality, self.more_columns())

    _schema_of_rows = cached_property(schema)  # a tenth of the time that judging one image takes

    def provenance(self, seen: int = 0, adapted: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what every output says of its p_wrong: what it was calibrated on, by which screener and model."""
        return provenance(self, self.id, seen) | ({} if adapted is None else {ADAPTED_TO_BATCH: adapted})

    @cached_property
    def id(self) -> str:
        """16 hex characters: which fit this is."""
        return serialization.fingerprint(self)

    def save(self, folder: str | Path) -> None:
        """Write `manifest.json` and its arrays into a folder; an older one is replaced as a whole, or not at all."""
        serialization.save(Path(folder), self)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        classifier: Classifier | Callable[[SavedModel], Classifier | None] | Literal["recorded"] | None = "recorded",
        *,
        device: str | None = None,
        trust: bool = False,
    ) -> Screener:
        """Read a saved screener, and load the classifier that its model spec names, which runs the code of that spec.

        A `classifier` of yours, or what makes one of the saved model, must be that it was fitted with. None: without
        one, for all but `screen`; so is one that was fitted with a module in memory. `device` is for the recorded
        one, and `trust` allows its file to run code of its own while it is read, see `Classifier.load`.

        Raises ArtifactError for a damaged or foreign file, another format version, or another model, and ModelError
        where the recorded one can't be loaded.
        """
        if classifier == "recorded":
            classifier = RecordedModel(Path(folder), device=device, trust=trust).if_any
        loaded = serialization.load(Path(folder), classifier)
        screener = cls.of(loaded.fitted, loaded.classifier)
        vars(screener)["id"] = loaded.id  # as it would be computed, without hashing all arrays once more
        return screener
