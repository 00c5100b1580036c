"""From folders to an updated screener: read verdicts and labels, keep the old screener, write the new one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from uncertainty.combination import calibration_sets
from uncertainty.errors import ImageError
from uncertainty.evaluation.matching import UNKNOWN_FILE, returned_labels
from uncertainty.images.decoding import digest
from uncertainty.images.manifests import USUAL, Columns
from uncertainty.labels.inclusion import INCLUSION, read_inclusion
from uncertainty.recalibration.refit import Update, updated
from uncertainty.screener import Screener
from uncertainty.screener.backups import changing, kept_beside
from uncertainty.screening.features_file import FEATURES_FILE
from uncertainty.screening.part_tables import PICTURE
from uncertainty.storage.mirror import at_urls
from uncertainty.verdicts import Verdicts, file_of, folder_of, input_root, read_summary
from uncertainty.written import fingerprint


@at_urls("out")
def update_folder(
    screener: Path,
    out: Path,
    labels: Path,
    columns: Columns = USUAL,
    *,
    into: Path | None = None,
    column: str = INCLUSION,
    anyway: bool = False,
) -> tuple[Update, Path | None]:
    """Update a saved screener by the verdicts in `out` and labels; return what changed and where the old one is.

    Without `into` the new one takes its place, and the old one is copied to `SCREENER.<its id>` first. Where the labels
    harmed it nothing is written, and None returned for a place, unless `anyway`. `column` of the labels is the
    chance of each image to be labelled; it may be absent if it is the default.
    """
    with changing(screener, into):
        found = learnt_again(Screener.load(screener, None), out, labels, columns, column=column)
        if found.harmed and not anyway:
            return found, None
        kept = kept_beside(screener, into=into)
        found.screener.save(into or screener)
    return found, kept


def learnt_again(
    old: Screener, out: Path, labels: Path, columns: Columns = USUAL, *, column: str = INCLUSION
) -> Update:
    """Return what an update by the verdicts in `out` and labels would make of a screener; nothing of it is saved."""
    verdicts = Verdicts.read(out)
    names = verdicts.table["file_name"].to_pylist()
    given = returned_labels(labels, verdicts.table, old.model.classes, columns)
    found = updated(old, verdicts, given.labels, read_inclusion(labels, column, columns), _digests(out, names, old))
    given.write(folder_of(out), fingerprint(file_of(out)))
    strangers = given.match(verdicts.table).labels_without_row
    left_out = {**found.left_out, "labels without an image": strangers or found.left_out["labels without an image"]}
    left_out |= {f"labels kept apart, {why}": n for why, n in given.counts.items() if why != UNKNOWN_FILE}
    return replace(found, left_out=left_out, notes=(*found.notes, *given.words()))


def _digests(out: Path, names: Iterable[str], old: Screener) -> Mapping[str, str]:
    """Return content digests of the images that are still where they were screened, and of those whose picture fitted
    the screener that of the picture, by which one that was saved anew is known again.
    """
    root = input_root(read_summary(out))
    found: dict[str, str] = {}
    if root is None:
        return found
    for name in names:
        try:
            found[name] = digest(root / name)
        except ImageError:
            continue
    pictures = _pictures(folder_of(out) / FEATURES_FILE)
    seen = calibration_sets.among(pictures.values(), old.fitted_on)
    return found | {name: picture for (name, picture), known in zip(pictures.items(), seen, strict=True) if known}


def _pictures(path: Path) -> dict[str, str]:
    """Return digests of pictures by file name; none where features were not written, or by an earlier release."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=["file_name", PICTURE])
    except (OSError, pa.ArrowException):
        return {}
    if PICTURE not in table.column_names:
        return {}
    pairs = zip(table["file_name"].to_pylist(), table[PICTURE].to_pylist(), strict=True)
    return {name: picture for name, picture in pairs if picture}
