"""FiftyOne: an image classification data set, `labels.json` beside `data/`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uncertainty.errors import InputError
from uncertainty.exports.base import Place, Ranking, Row, left_out, plain_value
from uncertainty.exports.image_files import GONE, fetched, found, place

# What a Classification has itself, or what its database keeps for itself.
_TAKEN = ("id", "label", "confidence", "logits", "tags", "mask", "attributes")
_OWN = ("file_name", "predicted_label", "confidence")
_HIDDEN = "FiftyOne skips what starts with a dot"


def write(
    ranking: Ranking, folder: Path, *, images: Path | None = None, how: Place = "nowhere"
) -> tuple[int, tuple[str, ...]]:
    """Write `labels.json`, keyed by absolute paths, or by paths below `data/` where the images come along.

    A label has the confidence of the classifier and `p_wrong`, `flagged`, `rank` and so on as attributes. Of two images
    that differ in their ending alone, the second one gets its ending twice, since the key has none.
    """
    pictures = found(ranking, images, "fiftyone")
    (folder / "data").mkdir()
    if how == "nowhere":
        keys, missing = _absolute(ranking, images)
    else:
        hidden = [name for name in ranking.table["file_name"].to_pylist() if _is_hidden(name)]
        ranking, notes = ranking.without(dict.fromkeys(hidden, _HIDDEN), "fiftyone")
        placed = place(ranking, pictures, folder / "data", how, apart=key_of)
        keys, missing = {name: key_of(target) for name, target in placed.where.items()}, placed.missing
    kept, gone = ranking.without(missing, "fiftyone")
    content = {
        "classes": list(ranking.classes),
        "labels": {keys[row.name]: _label(ranking, row) for row in kept.rows()},
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "labels.json").write_text(text + "\n", encoding="utf-8")
    notes = gone if how == "nowhere" else notes + gone
    return len(kept), notes + left_out(ranking.columns, [*ranking.carried, *_OWN], "fiftyone")


def key_of(name: str) -> str:
    """Return the key of an image below `data/`: its path, tidied, without its ending.

    >>> key_of("mon//a.b.jpg")
    'mon/a.b'
    """
    return os.path.normpath(os.path.splitext(name)[0])


def field(name: str) -> str:
    """Return a column's name as one that FiftyOne's database takes.

    >>> field("meta_a.b"), field("label")
    ('meta_a_b', 'label_')
    """
    tidy = re.sub(r"\W", "_", name).lstrip("_") or "column"
    return f"{tidy}_" if tidy in _TAKEN else tidy


def _absolute(ranking: Ranking, images: Path | None) -> tuple[dict[str, str], dict[str, str]]:
    keys: dict[str, str] = {}
    for name, data in fetched(ranking, found(ranking, images, "fiftyone")):
        if isinstance(data, bytes):
            raise InputError(
                f"the images of {images} lie inside Parquet files, which FiftyOne can't read; use `export --copy`"
            )
        keys[name] = os.path.normpath(data.absolute())
    return keys, {name: GONE for name in ranking.table["file_name"].to_pylist() if name not in keys}


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/") if part not in (".", ".."))


def _label(ranking: Ranking, row: Row) -> Any:
    attributes = _attributes(ranking, row.values) | {"p_wrong": row.p_wrong, "rank": row.rank}
    more = {} if row.confidence is None else {"confidence": row.confidence}
    labels = [{"label": label, **more, "attributes": attributes} for label in row.labels]
    return labels if ranking.several else labels[0]


def _attributes(ranking: Ranking, values: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: values[name] for name in ranking.carried if name not in _OWN}
    return {
        field(name): value if isinstance(value, list) else plain_value(value)
        for name, value in known.items()
        if value is not None
    }
