"""Label Studio: tasks with our predictions, and the labelling configuration that they fit."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from uncertainty.errors import InputError
from uncertainty.exports.base import Place, Ranking, Row, left_out, number, plain_value
from uncertainty.exports.image_files import found, place
from uncertainty.labels.imports.label_studio import CONTROL
from uncertainty.labels.meaning import NO_KNOWN_CLASS

LOCAL = "/data/local-files/?d="
"""Where Label Studio serves files of its own machine, if LOCAL_FILES_SERVING_ENABLED is set."""
_ASSUMED = (
    "no --image-url-prefix was given: addresses are those of files that Label Studio serves from its own machine, with "
    "LOCAL_FILES_SERVING_ENABLED, e.g. {}"
)
MOST_TASKS, MOST_BYTES = 250_000, 200_000_000
"""What one import takes."""
_FRAME = 4  # bytes of the brackets and line ends around the tasks
_OWN = ("file_name", "p_wrong", "confidence", "rank", "reasons", "predicted_label")


def write(
    ranking: Ranking,
    folder: Path,
    *,
    images: Path | None = None,
    how: Place = "nowhere",
    image_url_prefix: str = "",
    most_tasks: int = MOST_TASKS,
    most_bytes: int = MOST_BYTES,
) -> tuple[int, tuple[str, ...]]:
    """Write `tasks.json` (several files beyond the limits of one import) and `config.xml`; return images and notes.

    The score of a prediction is 1 − p_wrong, so that ordering by score, lowest first, shows what is most likely wrong;
    `p_wrong` itself stands in the data of the task. `image_url_prefix` and the name make the address of an image:
    percent-encoded below http(s):// and /, as it is below s3:// and the like.
    """
    names: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    if how != "nowhere":
        done = place(ranking, found(ranking, images, "label-studio"), folder / "images", how)
        ranking, notes = ranking.without(done.missing, "label-studio")
        names = done.where
    elif images is not None and _packed(ranking, images):
        raise InputError(f"the images of {images} lie inside Parquet files, which no tool shows; use `export --copy`")
    prefix = image_url_prefix or LOCAL
    tasks = (_task(ranking, row, number, prefix, names) for number, row in enumerate(ranking.rows(), start=1))
    _write_tasks(folder, tasks, most_tasks, most_bytes)
    (folder / "config.xml").write_text(config(ranking.classes, several=ranking.several), encoding="utf-8")
    if not image_url_prefix:
        first = str(ranking.table["file_name"][0])
        notes = (*notes, _ASSUMED.format(address(prefix, names.get(first, first))))
    return len(ranking), notes + left_out(ranking.columns, ranking.carried, "label-studio")


def config(classes: Iterable[str], *, several: bool) -> str:
    """Return the labelling configuration: one choice a class, and for single choices one for none of them.

    >>> config(["cat & dog"], several=True).splitlines()[2:4]
    ['  <Choices name="choice" toName="image" choice="multiple">', '    <Choice value="cat &amp; dog"/>']
    """
    values = [*classes, *([] if several or NO_KNOWN_CLASS in classes else [NO_KNOWN_CLASS])]
    choices = "\n".join(f'    <Choice value="{html.escape(value)}"/>' for value in values)
    kind = "multiple" if several else "single"
    return (
        '<View>\n  <Image name="image" value="$image"/>\n'
        f'  <Choices name="{CONTROL}" toName="image" choice="{kind}">\n{choices}\n  </Choices>\n</View>\n'
    )


def address(prefix: str, name: str) -> str:
    """Return the address of an image.

    >>> address("/data/local-files/?d=in/", "a b#1.jpg"), address("s3://bucket/", "a b.jpg")
    ('/data/local-files/?d=in/a%20b%231.jpg', 's3://bucket/a b.jpg')
    """
    return prefix + (quote(name) if prefix.startswith(("/", "http://", "https://")) else name)


def _packed(ranking: Ranking, images: Path) -> bool:
    pictures = found(ranking, images, "label-studio")
    first = next(pictures.fetch(ranking.table["file_name"].slice(0, 1).to_pylist()), None)
    return first is not None and isinstance(first[1], bytes)


def _task(ranking: Ranking, row: Row, count: int, prefix: str, names: dict[str, str]) -> dict[str, Any]:
    data = {
        "image": address(prefix, names.get(row.name, row.name)),
        "file_name": row.name,
        "p_wrong": row.p_wrong,
        "confidence": row.confidence,
        "rank": row.rank,
        "reasons": plain_value(row.values.get("reasons")) or "",
    }
    others = [name for name in ranking.carried if name not in _OWN and name not in data]
    data |= {name: plain_value(row.values[name]) for name in others}
    value = {"choices": list(row.labels)}
    result = {"id": f"r{count}", "from_name": CONTROL, "to_name": "image", "type": "choices", "value": value}
    prediction = {
        "model_version": ranking.model_version,
        "score": number(1 - row.p_wrong),
        "result": [result] if row.labels else [],
    }
    return {"data": data, "predictions": [prediction]}


def _write_tasks(folder: Path, tasks: Iterator[dict[str, Any]], most_tasks: int, most_bytes: int) -> None:
    """Write as many files as the limits ask for; one file alone has no number."""
    files = 0
    for files, part in enumerate(_parts(tasks, most_tasks, most_bytes), start=1):
        with (folder / f"tasks-{files:03d}.json").open("w", encoding="utf-8") as file:
            file.write("[\n" + ",\n".join(part) + "\n]\n")
    if files == 1:
        (folder / "tasks-001.json").rename(folder / "tasks.json")


def _parts(tasks: Iterator[dict[str, Any]], most_tasks: int, most_bytes: int) -> Iterator[list[str]]:
    part: list[str] = []
    length = _FRAME
    for task in tasks:
        text = json.dumps(task, ensure_ascii=False)
        size = len(text.encode()) + 2
        if part and (len(part) == most_tasks or length + size > most_bytes):
            yield part
            part, length = [], _FRAME
        part.append(text)
        length += size
    yield part
