"""From labelled outputs to a file of thresholds, from which probability on each class is said."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.checks.csv_cells import cell
from uncertainty.combination.truth import Named
from uncertainty.decisions.answer_thresholds import AnswerThreshold, Wanted, answer_thresholds, class_against_rest
from uncertainty.errors import InputError
from uncertainty.evaluation.labelled_folder import Labelled, labelled
from uncertainty.evaluation.outcomes import Outcomes
from uncertainty.files import replacing
from uncertainty.images.manifests import USUAL, Columns
from uncertainty.images.remote import AnyFile, located
from uncertainty.output_tables.output_table import OutputTable
from uncertainty.output_tables.spec import is_table
from uncertainty.outputs import ModelOutputs, Task
from uncertainty.recalibration.sampling_weights import chosen_by_score
from uncertainty.screener.from_tables import labelled_rows
from uncertainty.storage.mirror import at_urls
from uncertainty.verdicts import folder_of, metadata_of_rows
from uncertainty.written import fingerprint, written

FILE = "thresholds.json"
_USUAL = 0.5
_PICKED = (
    "these labels are of images whose p_wrong differs from that of the others, so they were picked and not drawn: what "
    "is said holds for images picked like them"
)
logger = logging.getLogger("uncertainty")


@dataclass(frozen=True, eq=False)
class Chosen:
    """A threshold for each class that one can be had for, chosen on so many labelled images.

    `present` (c,) is from where on each class was said; it stays where nothing could be chosen. `folder` is where the
    table or the verdicts lie; None: at a URL.
    """

    wanted: Wanted
    task: Task
    images: int
    thresholds: tuple[AnswerThreshold, ...]
    present: tuple[float, ...]
    notes: tuple[str, ...]
    of: str
    folder: Path | None

    @property
    def by_class(self) -> dict[str, float]:
        """Threshold by class: what is chosen, and what is there for the others."""
        pairs = zip(self.thresholds, self.present, strict=True)
        return {one.name: now if one.threshold is None else one.threshold for one, now in pairs}


def choose(source: str | Path, labels: Path | None, wanted: Wanted, columns: Columns = USUAL) -> Chosen:
    """Choose thresholds on `table:FILE?…` with labels, or on the folder of a screening and labels.

    Of several labels each class has its threshold; of one label an image each class stands against the rest. With
    groups in `columns`, or a group column of the table, one image of each group counts. Raises InputError for labels
    of neither or of both, and where none is left.
    """
    if is_table(source):
        if labels is not None:
            raise InputError(f"{source} is a table of outputs; its labels are a column of it, so leave labels out")
        return _of_table(str(source), wanted, columns)
    if labels is None:
        raise InputError(f"say the labels of the images that {source} is a screening of, with --labels")
    at = located(source)
    return _of_folder(_labelled(at, labels, columns), at, wanted, columns)


_labelled = at_urls("folder")(labelled)


def write(chosen: Chosen, path: Path | None = None, *, overwrite: bool = False) -> Path:
    """Write class and threshold as .json or .csv, as `decision=FILE` of a model spec reads them; return the file.

    By default it is `thresholds.json` beside what it tells of. Other thresholds that were written there make way, which
    is warned of. Raises InputError for another ending, for a file that holds something else unless `overwrite`, and
    where what it tells of lies at a URL and no path is given.
    """
    path = _beside(chosen) if path is None else path
    if path.suffix not in (".json", ".csv"):
        raise InputError(f"{path.name} ends in {path.suffix!r}; thresholds are written to a .json or .csv file")
    before = fingerprint(path) if path.is_file() else None
    with written(path.parent, [path.name], chosen.of, overwrite=overwrite) as where:
        with replacing(where / path.name, binary=False) as file:
            if path.suffix == ".json":
                file.write(json.dumps(chosen.by_class, indent=2, ensure_ascii=False) + "\n")
            else:
                rows = ((cell(name), threshold) for name, threshold in chosen.by_class.items())
                csv.writer(file).writerows([("class", "threshold"), *rows])
    if before not in (None, fingerprint(path)):
        logger.warning("%s held other thresholds, and these take their place", path)
    return path


def _beside(chosen: Chosen) -> Path:
    if chosen.folder is None:
        raise InputError("what the thresholds tell of is at a URL; say which file here they are written to, with --out")
    return chosen.folder / FILE


def _of_table(spec: str, wanted: Wanted, columns: Columns) -> Chosen:
    table = OutputTable.open(spec, columns)
    table = table if table.classes else table.with_classes(tuple(map(str, range(table.n_classes))))
    if columns.split is None and len(parts := table.parts()) > 1:
        raise InputError(f"{table.file.path} holds the parts {', '.join(parts)} of a data set; say which with --split")
    classes = tuple(table.classes or ())
    outputs, notes = labelled_rows(table, table.collect(), Named(classes, table.task))
    groups = _grouped(outputs.ids, table.groups(columns))
    found = answer_thresholds(outputs.probs, _truth(outputs), wanted, classes, groups)
    present = np.full(len(classes), _USUAL) if outputs.decision_thresholds is None else outputs.decision_thresholds
    return Chosen(wanted, table.task, len(outputs), tuple(found), tuple(present.tolist()), tuple(notes), *_of(table))


def _of(table: OutputTable) -> tuple[str, Path | None]:
    """Return a hash of a table, and the folder that it lies in."""
    path = table.file.path
    return (fingerprint(path), path.parent) if isinstance(path, Path) else (table.fingerprint(), None)


def _truth(outputs: ModelOutputs) -> NDArray[np.int64]:
    labels = outputs.require("labels", "thresholds")
    return labels if outputs.task == "multilabel" else class_against_rest(labels, outputs.n_classes)


def _of_folder(found: Labelled, at: AnyFile, wanted: Wanted, columns: Columns) -> Chosen:
    outcomes = found.outcomes
    if outcomes.probs is None or not len(outcomes):
        lacking = "no probabilities" if len(outcomes) else "no image with a label that can be used"
        raise InputError(f"the verdicts have {lacking}; thresholds are chosen on labelled probabilities")
    folder = folder_of(at) if isinstance(at, Path) else None
    names, classes = outcomes.names.tolist(), outcomes.classes[: outcomes.n_known]
    groups = _grouped(names, columns.grouping.of(names, metadata_of_rows(outcomes.table)))
    chosen = answer_thresholds(outcomes.probs, _truth_of(outcomes), wanted, classes, groups)
    notes = [*found.returned.words(), *_picked(found.table)]
    return Chosen(
        wanted, outcomes.task, len(outcomes), tuple(chosen), _present(outcomes), tuple(notes), found.of, folder
    )


def _truth_of(outcomes: Outcomes) -> NDArray[np.int64]:
    k = outcomes.n_known
    if outcomes.task == "multilabel":
        return outcomes.truth[:, :k].astype(np.int64)
    return class_against_rest(outcomes.truth, k)


def _present(outcomes: Outcomes) -> tuple[float, ...]:
    """Where each class was said from: the usual ½ where that fits what was said, else what lies in between."""
    probs, k = outcomes.probs, outcomes.n_known
    if probs is None or outcomes.task == "multiclass":
        return (_USUAL,) * k
    said = outcomes.predicted[:, :k]
    low = np.where(said, 0, probs).max(axis=0, initial=0)
    high = np.where(said, probs, 1).min(axis=0, initial=1)
    return tuple(np.where((low <= _USUAL) & (high >= _USUAL), _USUAL, (low + high) / 2).tolist())


def _grouped(names: Sequence[str] | NDArray[np.str_], groups: Mapping[str, str] | None) -> NDArray[Any] | None:
    """(n,) the group of each row; one without stands by itself. None where nobody grouped them."""
    if groups is None:
        return None
    told = [(0, groups[name]) if name in groups else (1, str(name)) for name in map(str, names)]
    position = {one: k for k, one in enumerate(dict.fromkeys(told))}
    return np.array([position[one] for one in told], dtype=np.int64)


def _picked(table: Any) -> list[str]:
    read = table.filter(table["error"].is_null())
    p = np.asarray(read["p_wrong"].to_numpy(), dtype=np.float64)
    has = np.array([label is not None for label in read["label"].to_pylist()], dtype=bool)
    if has.all() or chosen_by_score(p, np.ones(len(p), dtype=bool), has) is None:
        return []
    return [_PICKED]
