"""From an output folder to the report beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uncertainty.defaults import REPORT_IMAGES
from uncertainty.errors import InputError
from uncertainty.evaluation.matching import Returned, returned_labels
from uncertainty.evaluation.screening_quality import evaluate, join_labels
from uncertainty.images.by_name import Pictures
from uncertainty.images.decoding import Reading
from uncertainty.images.manifests import USUAL, Columns
from uncertainty.report.data import chosen, described, finite, gather
from uncertainty.report.page import page
from uncertainty.report.pictures import placed
from uncertainty.report.rows import Rows
from uncertainty.report.thumbnails import Thumbnail, thumbnails
from uncertainty.report.words import basis, missing, summary
from uncertainty.screening.second_pass import MONITORING
from uncertainty.storage.mirror import at_urls
from uncertainty.verdicts import Verdicts, file_of, folder_of, input_root, read_summary
from uncertainty.workflows.evaluate import EVALUATION, evaluate_folder
from uncertainty.written import fingerprint, refuse, settled, written

if TYPE_CHECKING:
    import pyarrow as pa

_QUICK = 1  # resamples, where only the figures without intervals are compared


@dataclass(frozen=True)
class Report:
    """What was written: the page, the folder of pictures beside it if there is one, and what could not be shown."""

    path: Path
    thumbs: Path | None
    notes: tuple[str, ...]


Illustrate = Callable[[Rows, Sequence[int], Pictures], tuple[list[dict[str, Any]], dict[str, Any], list[str]]]
"""What `Illustrations` does: more of each shown record, more of the page, and what could not be drawn.

Pictures are bytes: `guided` of a record, `known_good` of the page."""


@dataclass(frozen=True)
class Gallery:
    """Which images are shown, and what more of each.

    Parameters
    ----------
    most : so many, flagged and wrong ones first.
    illustrate : what looks at them again, such as `Illustrations`; None: nothing.

    """

    most: int = REPORT_IMAGES
    illustrate: Illustrate | None = None


@at_urls("out", "path")
def write_report(
    out: Path,
    *,
    labels: Path | None = None,
    images: Path | None = None,
    path: Path | None = None,
    columns: Columns = USUAL,
    overwrite: bool = False,
    **gallery: Any,
) -> Report:
    """Write the report of a screening's output folder (or verdict table) to `path`, by default `report.html` in it.

    `labels` are read as `uncertainty evaluate` reads them; where `evaluation.json` does not hold its figures for them
    yet, it is written first, so that page and file say the same. `images` is where the images are now, by default
    where they were screened. `gallery` are the fields of `Gallery`.

    Raises InputError: no verdicts, labels that match none, images given that can't be found, or unless `overwrite` a
    file at `path` that is something else.
    """
    asked, folder, of = Gallery(**gallery), folder_of(out), fingerprint(file_of(out))
    path = path or folder / "report.html"
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path} must end in .html; name the page, e.g. report.html")
    settled(folder)
    names = [path.name, f"{path.stem}_thumbs"]
    refuse(path.parent, names, of, overwrite=overwrite)
    table = Verdicts.read(out).table
    told = read_summary(folder) or {"provenance": Verdicts(table).provenance}
    evaluation, notes = None, list[str]()
    if labels is not None:
        known = returned_labels(labels, table, Verdicts(table).classes or told.get("classes"), columns)
        known.write(folder, of)
        table, evaluation = _judged(out, table, known, (labels, columns), overwrite=overwrite)
        notes += known.words()
    rows = Rows.of(table)
    data = gather(rows, told, evaluation)
    if (monitoring := _read_json(folder / MONITORING)) is not None:
        data["monitoring"] = finite(monitoring)
    shown = chosen(rows, asked.most)
    pictures = _pictures(images, told)
    data["images"] = described(rows, shown, data["classes"])
    if asked.illustrate is not None:
        fields, whole, more = asked.illustrate(rows, shown, pictures)
        notes += more
        data["images"] = [record | more for record, more in zip(data["images"], fields, strict=True)]
        data |= whole
    made_by = data["summary"].get("provenance") or {}
    data["basis"] = basis(made_by)
    reading = Reading.from_dict(made_by.get("reading"))
    found = thumbnails(pictures, [rows.names[i] for i in shown], reading=reading)
    with written(path.parent, names, of, overwrite=overwrite) as where:
        thumbs = _with_pictures(data, found, where / path.name)
        there = sum("picture" in record for record in data["images"])
        data["notes"] = notes + missing(data, one_class_each=rows.one_class_each, pictures=there, shown=len(shown))
        text = page(f"Report on {len(rows):,} images", summary(data), data, beside=thumbs is not None)
        (where / path.name).write_text(text, "utf-8", newline="")
    return Report(path, None if thumbs is None else path.with_name(thumbs.name), tuple(data["notes"]))


def _judged(
    out: Path, table: pa.Table, known: Returned, labels: tuple[Path, Columns], *, overwrite: bool
) -> tuple[pa.Table, dict[str, Any]]:
    """Join labels, and return the figures of `evaluate` for exactly these rows and labels."""
    joined, folder = join_labels(table, known.labels), folder_of(out)
    figures = evaluate(joined, resamples=_QUICK).to_json()
    same = [name for name, value in figures.items() if not isinstance(value, dict) and name != "resamples"]
    kept = _read_json(folder / EVALUATION)
    if kept is None or any(kept.get(name) != figures[name] for name in same):
        evaluate_folder(out, *labels, overwrite=overwrite)
        kept = _read_json(folder / EVALUATION)
    return joined, kept or figures


def _pictures(images: Path | None, told: dict[str, Any]) -> Pictures:
    if images is not None and not images.exists():
        raise InputError(f"{images} does not exist; give the folder, manifest or Parquet file that was screened")
    root = input_root(told)
    return Pictures.at(images or (root if root is not None and root.exists() else None))


def _with_pictures(data: dict[str, Any], found: Sequence[Thumbnail], path: Path) -> Path | None:
    """Give each record its picture, or the reason why there is none, and turn pictures that are bytes into sources.

    Return the folder, if they lie beside the page.
    """
    records, good = data["images"], data.get("known_good", [])
    shown = {f"{i:06d}": one.data for i, one in enumerate(found) if one.error is None}
    maps = {f"{'ab'[k]}{i:06d}": m for i, one in enumerate(records) for k, m in enumerate(one.get("guided", []))}
    sources, folder = placed(shown | maps | {f"good{i:06d}": one for i, one in enumerate(good)}, path)
    for i, (record, one) in enumerate(zip(records, found, strict=True)):
        if one.error is None:
            record |= {"picture": sources[f"{i:06d}"], "size": [one.width, one.height]}
        else:
            record["no_picture"] = one.error
        if "guided" in record:
            record["guided"] = [sources[f"{which}{i:06d}"] for which in "ab"]
    if good:
        data["known_good"] = [sources[f"good{i:06d}"] for i in range(len(good))]
    return folder


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON ({error}); remove it, it is written again") from error
    return content if isinstance(content, dict) else None
