"""Whatever lies in a file that is read, the answer is a result or an UncertaintyError of one line."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import known_good, made_problem
from screener.sealing import arrays_file, sealed_again

from uncertainty.errors import UncertaintyError
from uncertainty.images.manifests import read_manifest
from uncertainty.labels.by_name import read_labels
from uncertainty.screener import Screener
from uncertainty.screener.artifact import MANIFEST
from uncertainty.screening.journal import FOLDER, JOURNAL, opened, progress_of
from uncertainty.screening.part_files import write_part
from uncertainty.screening.task import Task
from uncertainty.verdicts import FORMATS, Verdicts, read_summary
from uncertainty.workflows.rank import read_known
from uncertainty.workflows.screen import finished_summary

TEST = made_problem(20, 3)
# Text that tables really hold, and text that nobody expects.
TEXT = st.one_of(
    st.sampled_from(
        ["", "a.png", "b/a.png", "cat", "dog;eel", "0", "1", "-1", "01", "nan", "1e999", "true", "=1+1", "'"]
    ),
    st.sampled_from(
        ["../../etc/passwd", "/etc/passwd", "a\0b", "\ufeff", "\ud800", "file_name", "label", "http://[", "x:"]
    ),
    st.text(max_size=12),
)
NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.floats(), st.booleans(), st.none())
JSON = st.recursive(
    st.one_of(TEXT, NUMBERS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=8)), min_size=1, max_size=4)


def answered(read: Callable[[], Any]) -> Any:
    """The one thing that is tested: no other error than ours, in one line; warnings are those of other libraries."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read()
        except UncertaintyError as error:
            assert "\n" not in str(error).strip()  # noqa: PT017 - what is asserted is the message
            return None


def mutated(data: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """Take some bytes out at places of a file and put others in."""
    for place, gone, new in edits:
        start = round(place * len(data))
        data = data[:start] + new + data[start + gone :]
    return data


def dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A screener, verdicts in each form, a journal with two parts, and tables; valid all of them."""
    root = tmp_path_factory.mktemp("made")
    screener = Screener.fit_outputs(known_good(60, 1), made_problem(120, 2))
    screener.save(root / "screener")
    verdicts = screener.screen_outputs(TEST)
    for ending in FORMATS:
        verdicts.write(root / f"verdicts{ending}")
    (root / "summary.json").write_text(dumped({"images": 20, "provenance": {}, "classes": ["a"], "input_root": "/x"}))
    table = pa.table({"file_name": ["a.png", "b/c.png"], "label": ["cat", "dog"], "site": ["x", None]})
    pq.write_table(table, root / "table.parquet")
    (root / "table.csv").write_text("file_name,label,site\na.png,cat,x\nb/c.png,dog,\n")
    (root / "table.jsonl").write_text('{"file_name": "a.png", "label": "cat"}\n{"file_name": "b.png", "label": 1}\n')
    (root / "tasks.json").write_text(dumped([{"data": {"image": "/data/a.png"}, "annotations": [{"result": []}]}]))
    features = pa.table(
        {
            "file_name": TEST.ids.tolist(),
            "digest": ["0" * 32] * 20,
            "features": pa.FixedSizeListArray.from_arrays(pa.array(np.ones(40, np.float16)), 2),
            "thumbnail": pa.array([bytes(256)] * 20, pa.binary(256)),
        }
    )
    pq.write_table(features, root / "features.parquet")
    return root


TASK = Task(
    images=8, input="x", screen_id="s", model_sha256="m", policy="p", batch_size=4, features=True, rows_in_a_part=4
)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("begun")
    with opened(out, TASK) as parts:
        parts.note(write_part(parts.folder, 0, pa.table({"p_wrong": [0.1] * 4})))
    return out


# Tables of images and of labels

COLUMNS = st.dictionaries(
    st.sampled_from(["file_name", "label", "image", "class", "split", "inclusion", "", "a"]) | TEXT,
    st.lists(st.one_of(TEXT, NUMBERS, st.lists(TEXT, max_size=2)), min_size=2, max_size=4),
    min_size=1,
    max_size=4,
)


@given(lines=st.lists(st.lists(TEXT, max_size=4), max_size=6), ending=st.sampled_from([".csv", ".jsonl", ".json"]))
def test_lines_of_text(lines: list[list[str]], ending: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / f"lines{ending}"
    text = "\n".join(",".join(cells) for cells in [["file_name", "label"], *lines])
    path.write_text(text, "utf-8", errors="surrogatepass")
    answered(lambda: read_manifest(path))
    answered(lambda: read_labels(path))


@given(
    rows=st.lists(st.dictionaries(st.sampled_from(["file_name", "label", "data", "image"]) | TEXT, JSON), max_size=4)
)
def test_rows_of_json(rows: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.getbasetemp()
    (base / "rows.jsonl").write_text("\n".join(map(dumped, rows)))
    (base / "rows.json").write_text(dumped(rows))
    answered(lambda: read_manifest(base / "rows.jsonl"))
    answered(lambda: read_labels(base / "rows.jsonl"))
    answered(lambda: read_labels(base / "rows.json"))


KINDS = (
    *(pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.duration("ns"), pa.date32(), pa.time64("ns"), pa.float16()),
    *(pa.int8(), pa.uint64(), pa.decimal128(38, 2), pa.binary(), pa.large_string(), pa.bool_(), pa.list_(pa.string())),
    *(pa.struct([("bytes", pa.binary()), ("path", pa.string())]), pa.dictionary(pa.int8(), pa.string()), pa.null()),
)


def filled(kind: pa.DataType, seed: int, n: int = 3) -> pa.Array:
    """Values of a kind, wide ones among them; what has no such values is empty."""
    if pa.types.is_temporal(kind) and not pa.types.is_time(kind):
        raw = [seed, -(2**62) + seed, 2**62 - seed] if kind.bit_width == 64 else [seed % 10**6, -5, 2**31 - 1]
        return pa.array(raw, pa.int64() if kind.bit_width == 64 else pa.int32()).view(kind)
    try:
        return pa.array([str(seed), "cat", None]).cast(kind)
    except pa.ArrowException:
        return pa.nulls(n, kind)


@given(
    kinds=st.dictionaries(st.sampled_from(["file_name", "label", "when", "image"]), st.sampled_from(KINDS), max_size=3),
    seed=st.integers(0, 2**40),
)
def test_columns_of_parquet(kinds: dict[str, Any], seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "columns.parquet"
    columns = {"file_name": pa.array(["a.png", "b.png", "c.png"])} | {k: filled(v, seed) for k, v in kinds.items()}
    pq.write_table(pa.table(columns), path)
    answered(lambda: read_manifest(path))
    answered(lambda: read_labels(path))
    answered(lambda: Verdicts.read(path))


@given(edits=EDITS, name=st.sampled_from(["table.parquet", "table.csv", "table.jsonl", "tasks.json"]))
def test_damaged_tables(edits: Any, name: str, made: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(mutated((made / name).read_bytes(), edits))
    answered(lambda: read_manifest(path))
    answered(lambda: read_labels(path))


# Screeners


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of a JSON value, those of containers too; of long lists the first."""
    inner = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    return [at, *(place for key, item in inner for place in paths(item, (*at, key)))]


def put(value: Any, at: tuple[Any, ...], new: Any) -> None:
    for key in at[:-1]:
        value = value[key]
    value[at[-1]] = new


def used(screener: Screener | None) -> None:
    """What loads must do its work, too."""
    if screener is not None:
        answered(lambda: screener.screen_outputs(TEST))
        answered(lambda: screener.plan())
        answered(lambda: screener.describe())
        answered(lambda: screener.explain(TEST[:2]))


@given(data=st.data())
def test_manifests_of_screeners(data: st.DataObject, made: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "screener"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(made / "screener", folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    places = [at for at in paths(manifest) if at and at[0] not in ("seal", "arrays", "arrays_file", "format_version")]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.sampled_from(places))
        try:
            put(manifest, at, data.draw(JSON))
        except (KeyError, IndexError, TypeError):  # an earlier change took that place away
            continue
    text = dumped(manifest)
    (folder / MANIFEST).write_text(text)
    answered(lambda: Screener.load(folder, None))
    if "NaN" not in text and "Infinity" not in text:
        sealed_again(folder, **manifest)
    used(answered(lambda: Screener.load(folder, None)))


@given(edits=EDITS, name=st.sampled_from(["manifest", "arrays"]))
def test_damaged_screeners(edits: Any, name: str, made: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(made / "screener", folder)
    path = folder / MANIFEST if name == "manifest" else arrays_file(folder)
    path.write_bytes(mutated(path.read_bytes(), edits))
    used(answered(lambda: Screener.load(folder, None)))


# What a screening left


@given(edits=EDITS, ending=st.sampled_from(FORMATS))
def test_damaged_verdicts(edits: Any, ending: str, made: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / f"verdicts{ending}"
    path.write_bytes(mutated((made / f"verdicts{ending}").read_bytes(), edits))
    found = answered(lambda: Verdicts.read(path))
    if found is not None:
        answered(lambda: (found.classes, found.provenance, found.flagged))


@given(edits=EDITS)
def test_damaged_features(edits: Any, made: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "features.parquet").write_bytes(mutated((made / "features.parquet").read_bytes(), edits))
    answered(lambda: read_known(folder, Verdicts.read(made / "verdicts.parquet")))


@given(content=st.one_of(JSON.map(dumped), st.text(max_size=40)))
def test_summaries(content: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "summary.json").write_text(content, "utf-8", errors="surrogatepass")
    answered(lambda: read_summary(folder))
    answered(lambda: finished_summary(folder))


def lines_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / FOLDER / JOURNAL).read_text().splitlines()]


@given(data=st.data())
def test_journals(data: st.DataObject, begun: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    out = tmp_path_factory.getbasetemp() / "begun"
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(begun, out)
    lines: list[Any] = lines_of(out)
    for line in lines:
        if data.draw(st.booleans()):
            line[data.draw(st.sampled_from(sorted(line)))] = data.draw(JSON)
    text = "\n".join([*map(dumped, lines), *data.draw(st.lists(JSON.map(dumped) | st.text(max_size=9), max_size=2))])
    (out / FOLDER / JOURNAL).write_text(text, "utf-8", errors="surrogatepass")

    def resumed() -> None:
        with opened(out, TASK, resume=True) as parts:
            for part in parts.done:
                parts.read(part)

    answered(lambda: progress_of(out))
    answered(resumed)


def test_a_time_that_no_calendar_has() -> None:
    """The fuzz test's own values are as wide as they are meant to be."""
    wide = filled(pa.timestamp("ns"), 5).cast(pa.int64()).to_pylist()
    assert max(abs(value) for value in wide) > timedelta(days=365 * 100).total_seconds() * 1e9
