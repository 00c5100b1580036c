"""CVAT for images 1.1: one XML with a tag for each image, in rank order, and p_wrong as its attribute."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

from uncertainty.exports.base import Place, Ranking, Row, left_out
from uncertainty.exports.image_files import found, place, sizes
from uncertainty.labels.imports.cvat import AUTO, XML_NAME

ATTRIBUTE = "p_wrong"
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CARRIED = ("file_name", "predicted_label", "p_wrong", "rank")
_UNNAMED = "XML can't hold a character of its name"


def write(
    ranking: Ranking, folder: Path, *, images: Path | None = None, how: Place = "nowhere"
) -> tuple[int, tuple[str, ...]]:
    """Write `annotations.xml`, `labels.json` for the task, and `images.txt` with the names in rank order.

    Width and height come from the headers of the images. A tag has no score in CVAT, so p_wrong is an attribute, which
    the labels of the task must have (`labels.json`, for the raw editor), and the images stand in rank order: make the
    task with the sorting method "predefined" and the list of `images.txt` to see them so.
    """
    pictures = found(ranking, images, "cvat")
    if how != "nowhere":
        placed = place(ranking, pictures, folder / "images", how)
        ranking, gone = ranking.without(placed.missing, "cvat")
    else:
        gone = ()
    measured, unmeasured = sizes(ranking, pictures)
    unnamed = {name: _UNNAMED for name in measured if _FORBIDDEN.search(name)}
    ranking, notes = ranking.without(unmeasured | unnamed, "cvat")
    with (folder / XML_NAME).open("w", encoding="utf-8") as file:
        file.write(_head(ranking))
        for number, row in enumerate(ranking.rows()):
            file.write(_image(row, number, *measured[row.name]))
        file.write("</annotations>\n")
    (folder / "labels.json").write_text(_labels(ranking), encoding="utf-8")
    names = [row.name for row in ranking.rows()]
    (folder / "images.txt").write_text("".join(f"{name}\n" for name in names if "\n" not in name), encoding="utf-8")
    return len(ranking), gone + notes + left_out(ranking.columns, _CARRIED, "cvat")


def text(value: str) -> str:
    """Return text as XML takes it between quotes, line breaks included.

    >>> text('a "b" & <c>'), text("two" + chr(10) + "lines")
    ('a &quot;b&quot; &amp; &lt;c&gt;', 'two&#10;lines')
    """
    return re.sub("[\t\n\r]", lambda found: f"&#{ord(found[0])};", html.escape(_FORBIDDEN.sub("\ufffd", value)))


def _head(ranking: Ranking) -> str:
    attribute = (
        f"<attribute><name>{ATTRIBUTE}</name><mutable>False</mutable><input_type>text</input_type>"
        "<default_value></default_value><values></values></attribute>"
    )
    labels = "\n".join(
        f"    <label><name>{text(name)}</name><type>tag</type><attributes>{attribute}</attributes></label>"
        for name in ranking.classes
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
        f"  <meta><task><labels>\n{labels}\n  </labels></task></meta>\n"
    )


def _image(row: Row, number: int, width: int, height: int) -> str:
    inner = f'<attribute name="{ATTRIBUTE}">{row.p_wrong}</attribute>'
    tags = "".join(f'    <tag label="{text(label)}" source="{AUTO}">{inner}</tag>\n' for label in row.labels)
    return f'  <image id="{number}" name="{text(row.name)}" width="{width}" height="{height}">\n{tags}  </image>\n'


def _labels(ranking: Ranking) -> str:
    attribute = {"name": ATTRIBUTE, "mutable": False, "input_type": "text", "default_value": "", "values": []}
    labels = [{"name": name, "type": "tag", "attributes": [attribute]} for name in ranking.classes]
    return json.dumps(labels, indent=2, ensure_ascii=False) + "\n"
