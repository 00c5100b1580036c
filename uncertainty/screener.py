"""The fitted whole: estimators, combiner and threshold. ModelOutputs in, Verdicts out, one row an image."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from uncertainty import artifact, calibration_sets, combiner
from uncertainty.artifact import Manifest, SavedModel
from uncertainty.cascade import CASCADE_ROWS, Cascade, dear_columns, nothing_deeper
from uncertainty.classifiers.base import Batch, Classifier, Images, Row
from uncertainty.combiner import Combiner
from uncertainty.combining import combine
from uncertainty.defaults import BUDGET, CASCADE_LOSS, EXPECT_DAMAGE, EXPECT_UNKNOWN
from uncertainty.errors import InputError, ModelError
from uncertainty.estimators import discover
from uncertainty.estimators.base import Estimator
from uncertainty.evidence import Shares, counted, evidence, signals, worth
from uncertainty.outputs import ModelOutputs
from uncertainty.rows import judged_by_effort, with_unreadable
from uncertainty.thresholds import budget_threshold
from uncertainty.verdicts import Verdicts, ranked, schema


@dataclass(frozen=True, eq=False)
class Screener:
    """Predicts which images a classifier gets wrong; make one with `fit`, `fit_outputs` or `load`.

    `calibrated_on` says what p_wrong rests on; `notes` say, in words, what was left out or fell short.
    """

    estimators: tuple[Estimator, ...]
    combiner: Combiner
    threshold: float
    budget: float
    passes: int
    views: tuple[str, ...]
    seed: int
    calibrated_on: dict[str, Any]
    notes: tuple[str, ...]
    model: SavedModel
    fitted_on: NDArray[np.uint64]
    held_out: NDArray[np.float32]
    """(2, n) out-of-fold p_wrong of the calibration rows and their weights: what a threshold is decided on."""
    cascade: Cascade | None = None
    """Which images get a deeper look; None: all get the same."""
    classifier: Classifier | None = None

    @classmethod
    def fit(
        cls,
        classifier: Classifier,
        reference: Images | None,
        calibration: Images,
        *,
        expect_damage: float = EXPECT_DAMAGE,
        expect_unknown: float = EXPECT_UNKNOWN,
        passes: int | None = None,
        seed: int = 0,
        views: Sequence[str] = (),
        budget: float = BUDGET,
        estimators: Sequence[Estimator] | None = None,
        cascade: bool = False,
        cascade_loss: float = CASCADE_LOSS,
        **options: Any,
    ) -> Screener:
        """Fit from images.

        Parameters
        ----------
        reference : known-good images, e.g. those the classifier was trained on; they fit estimators and the neighbour
            index. Where they have labels, images that the classifier gets wrong are left out. None: half of the
            calibration images.
        calibration : labelled images that the classifier was not trained on, with its errors among them.
        expect_damage, expect_unknown : shares of the incoming images that you expect to be damaged, and to belong to
            no class of the classifier. Copies of the calibration images, damaged or made unrecognisable, count that
            much; 0 leaves them out.
        passes, seed : MC dropout sub-networks (None: 30, where they cost little), and the seed of everything drawn.
        views : test-time augmentation, e.g. ("flip", "shift"), which costs a pass each; ("auto",) keeps those that the
            classifier bears.
        budget, estimators, cascade_loss : see `fit_outputs`.
        cascade : whether second opinion, views, and sub-networks where they cost much are for those images alone
            whose verdict they could still change.
        options : batch_size, workers and progress of `Classifier.stream`.

        Raises
        ------
        OverlapError : an image, by content, is in both sets.
        CalibrationError : labels are missing, or none is a class of the model.

        """
        shares = Shares(expect_damage, expect_unknown)
        passes, dear = classifier.network.affordable(passes)
        look = {"passes": passes, "seed": seed, "views": views, **options}
        sets = calibration_sets.collect(
            classifier, reference, calibration, damaged=shares.damaged > 0, foreign=shares.foreign > 0, **look
        )
        fitted = cls.fit_outputs(
            sets.reference,
            sets.calibration,
            damaged=sets.damaged,
            foreign=sets.foreign,
            expect_damage=expect_damage,
            expect_unknown=expect_unknown,
            seed=seed,
            budget=budget,
            estimators=estimators,
            deeper=dear_columns(dropout=dear) if cascade else (),
            cascade_loss=cascade_loss,
        )
        return replace(
            fitted,
            passes=passes,
            views=sets.views,
            notes=(*classifier.notes, *classifier.network.left_out(passes), *sets.notes, *fitted.notes),
            model=SavedModel.of(classifier),
            fitted_on=sets.ids,
            classifier=classifier,
        )

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
        budget: float = BUDGET,
        estimators: Sequence[Estimator] | None = None,
        classes: Sequence[str] | None = None,
        deeper: Sequence[str] = (),
        cascade_loss: float = CASCADE_LOSS,
    ) -> Screener:
        """Fit from ModelOutputs.

        Parameters
        ----------
        reference : known-good rows; where they have labels, wrong rows are left out.
        calibration : labelled rows that the classifier was not trained on.
        damaged, foreign : labelled outputs for copies of calibration rows that were damaged, or made into images of
            no known class (label -1), with the ids of their originals; together they weigh `expect_damage` and
            `expect_unknown` of the whole.
        budget : share of rows like these to flag; decides the threshold.
        estimators : default all but the optional; those whose columns are absent are left out, and `notes` names them.
        classes : names, in the order of the logits; default "0", "1", …
        deeper : columns such as "embedding" and "tta_probs" that only rows whose verdict they could still change are
            judged by; all are, where it is empty.
        cascade_loss : share of E-AURC that `deeper` may cost.

        Raises
        ------
        OverlapError : reference and calibration share ids.

        """
        calibration.require("labels", "calibration")
        calibration_sets.refuse_overlap(reference, calibration, "reference and calibration")
        known_good, notes = calibration_sets.known_good(reference)
        wanted = [cls() for cls in discover().values() if cls.default] if estimators is None else list(estimators)
        usable, off = calibration_sets.fit_estimators(wanted, known_good, calibration)
        shares = Shares(expect_damage, expect_unknown).of(damaged=bool(damaged), foreign=bool(foreign))
        rows = evidence(usable, calibration, (damaged, foreign), shares)
        combination, said = combine(rows, seed), nothing_deeper(usable, deeper)
        fitted = cls(
            estimators=usable,
            combiner=combination.combiner,
            threshold=math.nan,
            budget=math.nan,
            passes=0 if calibration.mc_probs is None else calibration.mc_probs.shape[1],
            views=(),
            seed=seed,
            calibrated_on={"reference": len(known_good), **counted(rows, shares), **combination.report},
            notes=(*notes, *off, *combination.notes, *said, *worth(usable, rows, combination, seed)),
            cascade=Cascade.fit(rows, combination, usable, deeper, loss=cascade_loss, seed=seed),
            model=SavedModel(classes=list(classes or map(str, range(calibration.n_classes))), task=calibration.task),
            fitted_on=calibration_sets.hashed([*map(str, reference.ids), *map(str, calibration.ids)]),
            held_out=np.stack([combination.out_of_fold, rows.weights]).astype(np.float32),
        )
        return fitted._with_notes(budget)

    def _with_notes(self, budget: float) -> Screener:
        fitted = self.with_budget(budget)
        if budget == 0 or (fitted.held_out[0] >= np.float32(fitted.threshold)).any():
            return fitted
        note = "nothing can be flagged within the budget: too many calibration rows share the largest p_wrong"
        return replace(fitted, notes=(*self.notes, note))

    def with_budget(self, budget: float) -> Screener:
        """Return the same screener with the threshold that flags at most `budget` of the calibration weight."""
        cascade, held_out = self.cascade, self.held_out
        if cascade is not None:
            cascade = cascade.decided(lambda p_wrong: budget_threshold(p_wrong, held_out[1], budget))
            held_out = np.stack([cascade.p_wrong, held_out[1]]).astype(np.float32)
        threshold = budget_threshold(held_out[0], held_out[1], budget)
        return replace(self, budget=budget, threshold=threshold, cascade=cascade, held_out=held_out)

    def describe(self) -> str:
        """Return, in one sentence, what p_wrong was calibrated on and from where on an image is flagged."""
        on = self.calibrated_on
        expected = ", ".join(
            f"{on['expected_' + what]:.1%} {what_they_are}"
            for what, what_they_are in (("damage", "damaged"), ("unknown", "of no known class"))
            if on["expected_" + what]
        )
        return (
            f"p_wrong was calibrated on {on['calibration']} images with {on['errors']} errors"
            f"{f', expecting {expected}' if expected else ''}; flagged from {self.threshold:.3f} on "
            f"(budget {self.budget:.0%}){f'; {self.cascade.describe()}' if self.cascade else ''}"
        )

    def p_wrong(self, outputs: ModelOutputs) -> NDArray[np.float32]:
        """Return (n,) float32 in 0..1, higher = more likely wrong; each row on its own."""
        self.model.check(outputs)
        if self.cascade is not None:
            return self.cascade.p_wrong_of(outputs, self.estimators, self.combiner)
        return self.combiner.p_wrong(signals(self.estimators, outputs)).astype(np.float32)

    def screen_outputs(self, outputs: ModelOutputs) -> Verdicts:
        """Return one verdict a row; rows that fitted this screener are refused."""
        seen = calibration_sets.among(map(str, outputs.ids), self.fitted_on)
        if seen.any():
            calibration_sets.refuse(int(seen.sum()), str(outputs.ids[int(seen.argmax())]))
        rows = tuple(Row(str(name), None, "", None) for name in outputs.ids)
        deeper = None if self.cascade is None else self.cascade.taken(self.estimators, outputs)
        return Verdicts(ranked(self.verdict_rows(Batch(rows, outputs, deeper))))

    def screen(self, images: Images, **options: Any) -> Verdicts:
        """Classify and screen images; one row for every image, unreadable ones included.

        `options` are those of `Classifier.stream`. The provenance counts images that fitted this screener, since
        their p_wrong is not to be trusted.
        """
        tables, seen = [], 0
        for batch in self.stream(images, **options):
            tables.append(self.verdict_rows(batch))
            seen += self.count_fitted_on(batch)
        if not tables:
            raise InputError("there are no images to screen")
        table = ranked(pa.concat_tables(tables))
        return Verdicts(table.replace_schema_metadata(self.schema(seen).metadata))

    def stream(self, images: Images, **options: Any) -> Any:
        """Run this screener's classifier over images, batch by batch, as it was run for calibration."""
        if self.classifier is None:
            raise ModelError("this screener has no classifier; give one to Screener.load, or use screen_outputs")
        look: dict[str, Any] = {"passes": self.passes, "seed": self.seed, "views": self.views}
        if self.cascade is not None:
            look = self.cascade.look(self.estimators, **look)
        return self.classifier.stream(images, **look, **options)

    def verdict_rows(self, batch: Batch) -> pa.Table:
        """Return the verdict table of one batch, without ranks: those need all batches."""
        columns: dict[str, Any] = {}
        if batch.outputs is not None:
            self.model.check(batch.outputs)
            fitted = (self.cascade, self.estimators, self.combiner, self.model.classes, self.threshold)
            columns = judged_by_effort(batch.outputs, batch.deeper, *fitted)
        constants = {"threshold": np.float32(self.threshold), "screen_id": self.id, "model_sha256": self.model.sha256}
        table_schema = self.schema()
        return pa.table(with_unreadable(batch, columns, constants, table_schema.names), schema=table_schema)

    def count_fitted_on(self, batch: Batch) -> int:
        """Return how many images of a batch, by content, fitted this screener."""
        return int(calibration_sets.among((row.digest for row in batch.rows), self.fitted_on).sum())

    def schema(self, seen: int = 0) -> pa.Schema:
        """Return the columns of the verdict table; its metadata say what p_wrong was calibrated on."""
        names = [e.name for e in self.estimators]
        return schema(self.model.classes, names, self.provenance(seen), effort=self.cascade is not None)

    def provenance(self, seen: int = 0) -> dict[str, Any]:
        """Return what every output says of its p_wrong: what it was calibrated on, by which screener and model."""
        return {
            "screen_id": self.id,
            "model_sha256": self.model.sha256,
            "calibrated_on": self.calibrated_on,
            "budget": self.budget,
            "notes": list(self.notes),
            "images_that_fitted_the_screener": seen,
        }

    @cached_property
    def id(self) -> str:
        """16 hex characters: which fit this is."""
        parts = [self.combiner.to_dict(), self.threshold, self.model.sha256, self.passes, self.seed, self.calibrated_on]
        parts += [] if self.cascade is None else [self.cascade.to_dict()]
        sha = hashlib.sha256(repr(parts).encode())
        sha.update(self.fitted_on.tobytes())
        return sha.hexdigest()[:16]

    def save(self, folder: str | Path) -> None:
        """Write `manifest.json` and `arrays.safetensors` into a folder."""
        saved, arrays = artifact.pack(self.estimators)
        manifest = Manifest(
            model=self.model,
            estimators=saved,
            combiner=self.combiner.to_dict(),
            threshold=self.threshold,
            budget=self.budget,
            passes=self.passes,
            views=list(self.views),
            seed=self.seed,
            calibrated_on=self.calibrated_on,
            notes=list(self.notes),
            cascade=None if self.cascade is None else self.cascade.to_dict(),
        )
        arrays |= {} if self.cascade is None else {CASCADE_ROWS: self.cascade.held_out.to_array()}
        artifact.write(Path(folder), manifest, {**arrays, "fitted_on": self.fitted_on, "held_out": self.held_out})

    @classmethod
    def load(cls, folder: str | Path, classifier: Classifier | None = None) -> Screener:
        """Read a saved screener; with a classifier, it must be the one the screener was fitted with.

        Raises ArtifactError for a damaged or foreign file, another format version, or another model.
        """
        manifest, arrays = artifact.read(Path(folder), needed=("fitted_on", "held_out"))
        artifact.refuse_other_model(Path(folder), manifest, classifier)
        return cls(
            estimators=artifact.unpack(manifest.estimators, arrays),
            combiner=combiner.from_dict(manifest.combiner),
            threshold=manifest.threshold,
            budget=manifest.budget,
            passes=manifest.passes,
            views=tuple(manifest.views),
            seed=manifest.seed,
            calibrated_on=manifest.calibrated_on,
            notes=tuple(manifest.notes),
            model=manifest.model,
            fitted_on=arrays["fitted_on"],
            held_out=arrays["held_out"],
            cascade=Cascade.restored(manifest.cascade, arrays),
            classifier=classifier,
        )
