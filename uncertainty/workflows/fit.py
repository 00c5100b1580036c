"""From folders of images and a model spec to a screener on disk."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from uncertainty.defaults import EXPECT_DAMAGE, EXPECT_UNKNOWN, WORKERS
from uncertainty.errors import InputError
from uncertainty.images.groups import APART
from uncertainty.images.manifests import USUAL, Columns
from uncertainty.images.sources import AnyPath, ImageSet
from uncertainty.labels.images import images_of_part, labelled_images
from uncertainty.workflows.effort import Effort
from uncertainty.workflows.fit_checks import compared, of_tables, refuse_unwritable

# What needs torch is loaded after the checks that do without it: they are quicker than that.
if TYPE_CHECKING:
    from uncertainty.classifiers import Classifier
    from uncertainty.classifiers.progress import Progress
    from uncertainty.screener import Screener

logger = logging.getLogger("uncertainty")


@dataclass(frozen=True)
class ModelSource:
    """A classifier as it is asked for.

    Parameters
    ----------
    spec : such as "package.module:factory?weights=FILE.safetensors"; None for tables of outputs.
    classes : file of class names, in the order of the outputs.
    embedder : the second opinion; None: none.
    device : where the network runs, e.g. "cuda".
    autocast : precision, "bf16" or "fp16"; it becomes part of the spec, so that a screener of this classifier runs it
        alike.
    runtime : what runs its plain passes, and those of the second opinion, in torch's place: "openvino" or
        "onnxruntime", with ":bf16" (of openvino) or ":int8"; it becomes part of their specs.
    trust : allow model files that run code of their own while they are read.

    """

    spec: str | None
    classes: Path | None = None
    embedder: str | None = None
    device: str | None = None
    autocast: str | None = None
    runtime: str | None = None
    trust: bool = False

    def load(self) -> Classifier:
        """Return the classifier, with names for its classes and a second opinion where there are any."""
        from uncertainty.classifiers import Classifier
        from uncertainty.classifiers.class_names import read_class_names
        from uncertainty.classifiers.spec import with_key

        if (spec := self.spec) is None:
            raise InputError("no model is named; give --model SPEC, or outputs: --calibration table:FILE")
        if self.autocast is not None:
            spec = with_key(spec, "autocast", self.autocast)
        names = read_class_names(self.classes) if self.classes else None
        where: dict[str, Any] = {"device": self.device, "trust": self.trust}
        classifier = Classifier.load(self._run_by(spec), classes=names, **where)
        return classifier if self.embedder is None else classifier.with_embedder(self._run_by(self.embedder), **where)

    def _run_by(self, spec: str) -> str:
        from uncertainty.classifiers.spec import with_key

        return spec if self.runtime is None else with_key(spec, "runtime", self.runtime)


class ImageSource(NamedTuple):
    """A set of images as it is asked for: where it is, what columns of a table are called, and which part is meant."""

    path: Path
    columns: Columns = USUAL

    @classmethod
    def of(cls, given: Path | ImageSource) -> ImageSource:
        """Return a path as a source with the usual columns; a source as it is."""
        return given if isinstance(given, ImageSource) else cls(given)


def both_sets(
    reference: AnyPath | None, part: str | None, calibration: AnyPath, columns: Columns
) -> tuple[ImageSource | None, ImageSource]:
    """Return known-good and calibration images, read alike but for the part of a table that is meant and groups."""
    good = None if reference is None else ImageSource(Path(reference), replace(columns, split=part, grouping=APART))
    return good, ImageSource(Path(calibration), columns)


def fit_folders(
    model: ModelSource,
    reference: Path | ImageSource | None,
    calibration: Path | ImageSource,
    out: Path,
    *,
    effort: Effort = Effort.FAST,
    progress: Progress | None = None,
    **asked: Any,
) -> Screener:
    """Fit a screener on folders, manifests or Parquet files of images, and save it in `out`.

    Or on tables of outputs, `table:FILE`, of a model that was run elsewhere; see `fit_tables`.
    One that is there already is kept beside it, in a folder that ends in its id.

    `effort` fills in second opinion, `views` and `passes` where none are named. `asked` are the options of
    `Screener.fit`, which also says what reference and calibration are; `groups` come of the columns of calibration.

    Raises what `Screener.fit` raises, and InputError where there are no images or `out` can't be written.
    """
    source = ImageSource.of(calibration)
    good = None if reference is None else ImageSource.of(reference)
    if of_tables(source.path, None if good is None else good.path):
        asked |= {"effort": "" if effort is Effort.FAST else effort}
        screener = _fit_tables(model, good, source, out, progress, asked)
    else:
        asked["passes"] = effort.passes(asked.get("passes"))
        asked["views"] = effort.views(tuple(asked.get("views", ())))
        model = replace(model, embedder=effort.embedder(model.embedder))
        screener = _fit_images(model, good, source, out, progress, asked)
    _save(screener, out)
    return screener


def _save(screener: Screener, out: Path) -> None:
    from uncertainty.screener.backups import changing, kept_before

    out.mkdir(parents=True, exist_ok=True)
    with changing(out):
        kept = kept_before(out)
        screener.save(out)
    if kept is not None:
        logger.warning("the screener that was in %s is kept in %s", out, kept)


def _fit_tables(
    model: ModelSource,
    reference: ImageSource | None,
    calibration: ImageSource,
    out: Path,
    progress: Progress | None,
    asked: dict[str, Any],
) -> Screener:
    refuse_unwritable(out)
    from uncertainty.classifiers.class_names import read_class_names
    from uncertainty.classifiers.progress import silent
    from uncertainty.workflows.fit_tables import fit_tables

    names = read_class_names(model.classes) if model.classes else None
    asked = vars(model) | {"model": model.spec} | asked
    return fit_tables(reference, calibration, names, progress or silent, asked)


def _fit_images(
    model: ModelSource,
    reference: ImageSource | None,
    calibration: ImageSource,
    out: Path,
    progress: Progress | None,
    asked: dict[str, Any],
) -> Screener:
    labelled = labelled_images(*calibration)
    good = None if reference is None else images_of_part(*reference)
    groups = calibration.columns.grouping.of(labelled.names, labelled.metadata)
    # Better refused now than after a long fit, the quickest first.
    refuse_unwritable(out)
    workers, left_out = asked.get("workers", WORKERS), asked.get("drop_duplicates", False)
    asked["compared"] = compared(good, labelled, workers, drop_duplicates=left_out)
    from uncertainty.classifiers.progress import silent
    from uncertainty.screener import Screener

    classifier = model.load()
    copies = (asked.get("expect_damage", EXPECT_DAMAGE), asked.get("expect_unknown", EXPECT_UNKNOWN))
    with (progress or silent)("fitting", forward_passes(good, labelled, *copies)) as advance:
        return Screener.fit(classifier, good, labelled, progress=advance, groups=groups, **asked)


def forward_passes(good: ImageSet | None, labelled: ImageSet, damaged: float, foreign: float) -> int:
    """How many images a fit classifies: reference, calibration, and copies of it for each share above 0.

    Of one set that is divided in whole groups about so many.
    """
    from uncertainty.combination.copies import MOST

    n_good = len(labelled) // 2 if good is None else len(good)
    n_calibration = len(labelled) - n_good if good is None else len(labelled)
    shares = {"damaged": damaged, "foreign": foreign}
    return n_good + n_calibration + sum(min(n_calibration, MOST[kind]) for kind, share in shares.items() if share > 0)
