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
from uncertainty.classifiers.base import Batch, Classifier, Images, Row
from uncertainty.combiner import Combiner, Signals
from uncertainty.combining import combine
from uncertainty.defaults import BUDGET, EXPECT_DAMAGE, EXPECT_UNKNOWN, MC_PASSES
from uncertainty.errors import ArtifactError, InputError, ModelError, OutputsError
from uncertainty.estimators import discover
from uncertainty.estimators.base import Estimator
from uncertainty.evidence import Shares, evidence, signals, worth
from uncertainty.monitoring.baseline import BASELINE_ARRAYS, Baseline
from uncertainty.outputs import ModelOutputs
from uncertainty.rows import judged, with_unreadable
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
    baseline: Baseline
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
        passes: int = MC_PASSES,
        seed: int = 0,
        views: Sequence[str] = (),
        budget: float = BUDGET,
        estimators: Sequence[Estimator] | None = None,
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
        passes, seed : MC dropout sub-networks, and the seed of everything drawn.
        views : test-time augmentation, e.g. ("flip", "shift"), which costs a pass each; ("auto",) keeps those that the
            classifier bears.
        budget, estimators : see `fit_outputs`.
        options : batch_size, workers and progress of `Classifier.stream`.

        Raises
        ------
        OverlapError : an image, by content, is in both sets.
        CalibrationError : labels are missing, or none is a class of the model.

        """
        shares = Shares(expect_damage, expect_unknown)
        sets = calibration_sets.collect(
            classifier,
            reference,
            calibration,
            damaged=shares.damaged > 0,
            foreign=shares.foreign > 0,
            passes=passes,
            seed=seed,
            views=views,
            **options,
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
        )
        return replace(
            fitted,
            passes=passes,
            views=sets.views,
            notes=(*classifier.notes, *sets.notes, *fitted.notes),
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
        combination = combine(rows, seed)
        fitted = cls(
            estimators=usable,
            combiner=combination.combiner,
            threshold=math.nan,
            budget=math.nan,
            passes=0 if calibration.mc_probs is None else calibration.mc_probs.shape[1],
            views=(),
            seed=seed,
            calibrated_on={
                "reference": len(known_good),
                "calibration": len(calibration),
                "errors": int(calibration.wrong.sum()),
                "damaged_copies": int(rows.rows("damaged").sum()),
                "foreign_copies": int(rows.rows("foreign").sum()),
                "expected_damage": shares.damaged,
                "expected_unknown": shares.foreign,
                **combination.report,
            },
            notes=(*notes, *off, *combination.notes, *worth(usable, rows, combination, seed)),
            model=SavedModel(classes=list(classes or map(str, range(calibration.n_classes))), task=calibration.task),
            fitted_on=calibration_sets.hashed([*map(str, reference.ids), *map(str, calibration.ids)]),
            held_out=np.stack([combination.out_of_fold, rows.weights]).astype(np.float32),
            baseline=Baseline.of(rows, combination, calibration),
        )
        return fitted._with_notes(budget)

    def _with_notes(self, budget: float) -> Screener:
        fitted = self.with_budget(budget)
        if budget == 0 or (self.held_out[0] >= np.float32(fitted.threshold)).any():
            return fitted
        note = "nothing can be flagged within the budget: too many calibration rows share the largest p_wrong"
        return replace(fitted, notes=(*self.notes, note))

    def with_budget(self, budget: float) -> Screener:
        """Return the same screener with the threshold that flags at most `budget` of the calibration weight."""
        return replace(self, budget=budget, threshold=budget_threshold(self.held_out[0], self.held_out[1], budget))

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
            f"(budget {self.budget:.0%})"
        )

    def p_wrong(self, outputs: ModelOutputs) -> NDArray[np.float32]:
        """Return (n,) float32 in 0..1, higher = more likely wrong; each row on its own."""
        return self.combiner.p_wrong(self._signals(outputs)).astype(np.float32)

    def _signals(self, outputs: ModelOutputs) -> Signals:
        if outputs.n_classes != len(self.model.classes) or outputs.task != self.model.task:
            raise OutputsError(
                f"these outputs have {outputs.n_classes} classes ({outputs.task}); the screener was fitted on "
                f"{len(self.model.classes)} ({self.model.task})"
            )
        return signals(self.estimators, outputs)

    def screen_outputs(self, outputs: ModelOutputs) -> Verdicts:
        """Return one verdict a row; rows that fitted this screener are refused."""
        seen = calibration_sets.among(map(str, outputs.ids), self.fitted_on)
        if seen.any():
            calibration_sets.refuse(int(seen.sum()), str(outputs.ids[int(seen.argmax())]))
        rows = tuple(Row(str(name), None, "", None) for name in outputs.ids)
        return Verdicts(ranked(self.verdict_rows(Batch(rows, outputs))))

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
        return self.classifier.stream(images, passes=self.passes, seed=self.seed, views=self.views, **options)

    def verdict_rows(self, batch: Batch) -> pa.Table:
        """Return the verdict table of one batch, without ranks: those need all batches."""
        columns: dict[str, Any] = {}
        if batch.outputs is not None:
            known, model = self._signals(batch.outputs), self.model
            columns = judged(batch.outputs, known, self.estimators, self.combiner, model.classes, self.threshold)
        constants = {"threshold": np.float32(self.threshold), "screen_id": self.id, "model_sha256": self.model.sha256}
        table_schema = self.schema()
        return pa.table(with_unreadable(batch, columns, constants, table_schema.names), schema=table_schema)

    def count_fitted_on(self, batch: Batch) -> int:
        """Return how many images of a batch, by content, fitted this screener."""
        return int(calibration_sets.among((row.digest for row in batch.rows), self.fitted_on).sum())

    def schema(self, seen: int = 0) -> pa.Schema:
        """Return the columns of the verdict table; its metadata say what p_wrong was calibrated on."""
        context = self.baseline.context_names
        return schema(self.model.classes, [e.name for e in self.estimators], self.provenance(seen), context)

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
        )
        arrays |= {"fitted_on": self.fitted_on, "held_out": self.held_out, **self.baseline.to_arrays()}
        artifact.write(Path(folder), manifest, arrays)

    @classmethod
    def load(cls, folder: str | Path, classifier: Classifier | None = None) -> Screener:
        """Read a saved screener; with a classifier, it must be the one the screener was fitted with.

        Raises ArtifactError for a damaged or foreign file, another format version, or another model.
        """
        manifest, arrays = artifact.read(Path(folder), needed=("fitted_on", "held_out", *BASELINE_ARRAYS))
        if classifier is not None and manifest.model.sha256 is None:
            raise ArtifactError(f"{folder} was fitted from outputs, without a classifier; load it without one")
        if classifier is not None and classifier.sha256 != manifest.model.sha256:
            raise ArtifactError(
                f"{folder} was fitted with model {str(manifest.model.sha256)[:12]}, this one is "
                f"{classifier.sha256[:12]} (weights, classes or preprocessing differ); fit a screener for it"
            )
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
            baseline=Baseline.from_arrays(arrays),
            classifier=classifier,
        )
