"""The table users get: types and names survive every format, and a crash never costs an old file."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from uncertainty import verdicts
from uncertainty.checks.class_columns import WIDE_CLASSES, probability_columns
from uncertainty.errors import InputError
from uncertainty.verdicts import FORMATS, Verdicts, ranked, write_table

ODD_NAMES = [
    "plain.png",
    "two\nlines.png",
    "carriage\rreturn.png",
    'with "quotes".png',
    "comma, semicolon;.png",
    "=SUM(A1).png",
    "+1.png",
    "-1.png",
    "@home.png",
    "\ttab.png",
    "'apostrophe.png",
    "'=already guarded.png",
    "''=twice.png",
    "naïve/日本語/😀.png",
    " spaces .png",
    "2026-11-01",
    "true",
    "1e5",
]
CLASSES = ["NA", "null", "1", "-x", "2026-11-01", "true", "nan", "a;b", "'", "Größe"]
REASONS = [["low_margin", "blurry"], [], ["dark"]]


def table(names, classes, provenance=None, seed=0):
    """A full verdict table of float32 numbers that few decimal digits can't hold; the last row is unreadable."""
    rng = np.random.default_rng(seed)
    n = len(names)
    good = n - 1
    probs = rng.dirichlet(np.ones(len(classes)), n).astype(np.float32)
    p = rng.random(n).astype(np.float32)
    index = rng.permutation(np.arange(n) % len(classes))
    schema = verdicts.schema(classes, ["logit_gap"], provenance or {})
    columns = {
        "file_name": names,
        "predicted_label": [*(classes[k] for k in index[:good]), None],
        "predicted_index": [*index[:good].tolist(), None],
        "confidence": [*probs.max(axis=1)[:good].tolist(), None],
        "p_wrong": [*p[:good].tolist(), None],
        "flagged": [*(p[:good] > 0.5).tolist(), True],
        "threshold": [0.1] * n,
        "rank": [None] * n,
        "reasons": [*(REASONS[i % 3] for i in range(good)), []],
        "error": [*[None] * good, "is truncated"],
        "est_logit_gap": [*(-rng.exponential(size=good)).tolist(), None],
        "screen_id": ["0123456789012345"] * n,
        "model_sha256": [None] * n,
        **{
            name: [*np.asarray(column).tolist()[:good], None]
            for name, column in probability_columns(classes, probs).items()
        },
    }
    return ranked(pa.table(columns, schema=schema))


def unlike(one, other):
    """Names of the columns that differ in type or in any value."""
    return [name for name in one.column_names if not one[name].combine_chunks().equals(other[name].combine_chunks())]


def test_columns_in_order_and_their_types():
    schema = verdicts.schema(["cat", "dog"], ["margin"], {"budget": 0.1})
    assert {field.name: str(field.type) for field in schema} == {
        "file_name": "string",
        "predicted_label": "string",
        "predicted_index": "int32",
        "confidence": "float",
        "p_wrong": "float",
        "flagged": "bool",
        "threshold": "float",
        "rank": "int64",
        "reasons": "list<item: string>",
        "error": "string",
        "est_margin": "float",
        "prob_cat": "float",
        "prob_dog": "float",
        "screen_id": "string",
        "model_sha256": "string",
    }
    assert list(schema.names)[:5] == ["file_name", "predicted_label", "predicted_index", "confidence", "p_wrong"]


@pytest.mark.parametrize(("n_classes", "wide"), [(WIDE_CLASSES, True), (WIDE_CLASSES + 1, False)])
def test_beyond_200_classes_probabilities_are_one_list(n_classes, wide):
    classes = [str(k) for k in range(n_classes)]
    schema = verdicts.schema(classes, [], {})
    assert ("probs" in schema.names) is not wide
    assert ("prob_0" in schema.names) is wide
    columns = probability_columns(classes, np.full((3, n_classes), 1 / n_classes))
    assert set(columns) == ({f"prob_{name}" for name in classes} if wide else {"probs"})
    assert {len(column) for column in columns.values()} == {3}


@pytest.mark.parametrize("ending", FORMATS)
def test_odd_names_and_exact_numbers_come_back(tmp_path, ending):
    written = table(ODD_NAMES, CLASSES)
    Verdicts(written).write(tmp_path / f"v{ending}")
    read = Verdicts.read(tmp_path / f"v{ending}").table
    assert read.column_names == written.column_names
    assert unlike(written, read) == []


@pytest.mark.parametrize("ending", FORMATS)
def test_every_class_name_as_the_only_one(tmp_path, ending):
    # Alone, nothing but the schema says that "1" or "2026-11-01" is text.
    for name in CLASSES:
        written = table(["a.png", "b.png"], [name])
        write_table(written, tmp_path / f"v{ending}")
        read = Verdicts.read(tmp_path / f"v{ending}").table
        assert unlike(written, read) == [], name


@pytest.mark.parametrize("ending", FORMATS)
def test_list_of_probabilities_comes_back(tmp_path, ending):
    written = table(["a.png", "b.png", "c.png"], [f"class {k}" for k in range(WIDE_CLASSES + 1)])
    write_table(written, tmp_path / f"v{ending}")
    assert unlike(written, Verdicts.read(tmp_path / f"v{ending}").table) == []


@pytest.mark.parametrize("ending", FORMATS)
def test_nothing_but_unreadable_rows_comes_back(tmp_path, ending):
    written = table(["a.png", "b.png"], ["cat"]).slice(1)
    write_table(written, tmp_path / f"v{ending}")
    assert unlike(written, Verdicts.read(tmp_path / f"v{ending}").table) == []


@pytest.mark.parametrize("ending", FORMATS)
def test_labels_that_arrived_come_back(tmp_path, ending):
    written = table(["a.png", "b.png", "c.png"], ["1", "2"])
    written = written.append_column("label", pa.array(["1", None, "NA"]))
    written = written.append_column("correct", pa.array([True, None, False]))
    write_table(written, tmp_path / f"v{ending}")
    assert unlike(written, Verdicts.read(tmp_path / f"v{ending}").table) == []


def test_more_rows_than_one_batch(tmp_path):
    written = table([f"{i}\n.png" for i in range(10_000)], ["cat", "dog"])
    for ending in FORMATS:
        write_table(written, tmp_path / f"v{ending}")
        assert unlike(written, Verdicts.read(tmp_path / f"v{ending}").table) == []


def test_csv_cells_that_a_spreadsheet_would_run_are_guarded(tmp_path):
    write_table(table(ODD_NAMES, CLASSES), tmp_path / "v.csv")
    text = (tmp_path / "v.csv").read_text(encoding="utf-8")
    assert "'=SUM(A1).png," in text
    starts = {line[:1] for line in text.splitlines()}
    assert not starts & set("=+@")


def test_csv_numbers_are_short(tmp_path):
    write_table(table(["a.png", "b.png"], ["cat"]), tmp_path / "v.csv")
    assert ",0.1," in (tmp_path / "v.csv").read_text()


def test_provenance_travels_in_parquet_only(tmp_path):
    provenance = {"budget": 0.1, "notes": ["größer"], "calibrated_on": {"errors": 7}}
    written = Verdicts(table(["a.png", "b.png"], ["cat"], provenance))
    assert written.provenance == provenance
    for ending, expected in zip(FORMATS, (provenance, {}, {}), strict=True):
        written.write(tmp_path / f"v{ending}")
        assert Verdicts.read(tmp_path / f"v{ending}").provenance == expected


@pytest.mark.parametrize("ending", FORMATS)
def test_the_verdicts_of_a_screening_have_the_provenance_of_its_summary(tmp_path, ending):
    provenance = {"policy": {"in_words": "budget 5 %"}, "adapted_to_batch": {"to": "labels"}}
    Verdicts(table(["a.png"], ["cat"])).write(tmp_path / f"verdicts{ending}")
    Verdicts(table(["a.png"], ["cat"])).write(tmp_path / f"other{ending}")
    (tmp_path / "summary.json").write_text(json.dumps({"provenance": provenance}), encoding="utf-8")
    own = {} if ending == ".parquet" else provenance
    assert Verdicts.read(tmp_path).provenance == own
    assert Verdicts.read(tmp_path / f"other{ending}").provenance == {}


def test_rank_falls_with_p_wrong_with_ties_in_input_order_and_unreadable_rows_last():
    names = ["a", "b", "c", "d", "e"]
    start = table(names, ["cat"])
    p = pa.array([0.3, None, 0.9, 0.3, None], pa.float32())
    position = start.column_names.index("p_wrong")
    assert ranked(start.set_column(position, start.schema.field("p_wrong"), p))["rank"].to_pylist() == [2, 4, 1, 3, 5]


def test_ranking_keeps_provenance_and_takes_no_rows():
    start = table(["a", "b"], ["cat"], {"budget": 0.5})
    assert Verdicts(start).provenance == {"budget": 0.5}
    assert ranked(start.slice(0, 0)).num_rows == 0


def test_flagged_rows_come_most_suspicious_first():
    found = Verdicts(table([str(i) for i in range(40)], ["cat"])).flagged
    assert found["flagged"].to_pylist() == [True] * found.num_rows
    p = found["p_wrong"].to_pylist()
    assert p[-1] is None
    assert p[:-1] == sorted(p[:-1], reverse=True)
    assert 0 < found.num_rows < 40


@pytest.mark.parametrize("ending", FORMATS)
def test_an_error_midway_leaves_the_old_file(tmp_path, ending):
    path = tmp_path / f"v{ending}"
    good = table(["a.png", "b.png"], ["cat"])
    write_table(good, path)
    before = path.read_bytes()

    def breaking():
        yield from good.to_batches()
        raise RuntimeError("the classifier failed")

    with pytest.raises(RuntimeError, match="the classifier failed"):
        verdicts.write_batches(good.schema, breaking(), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_reading_a_folder_takes_the_verdicts_in_it(tmp_path):
    written = table(["a.png", "b.png"], ["cat"])
    write_table(written, tmp_path / "verdicts.csv")
    write_table(written.select(["file_name", "rank"]), tmp_path / "errors.csv")
    assert unlike(written, Verdicts.read(tmp_path).table) == []
    assert len(Verdicts.read(str(tmp_path))) == 2


def refused(path):
    with pytest.raises(InputError) as caught:
        Verdicts.read(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value) or path.name in str(caught.value)
    return str(caught.value)


def test_missing_files_and_empty_folders_are_refused(tmp_path):
    assert "does not exist" in refused(tmp_path / "nothing.parquet")
    assert "holds no verdicts.parquet" in refused(tmp_path)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe\x93 not a table \n at all", b"\n\n", b'{"file_name": "a'])
def test_damaged_files_are_refused(tmp_path, ending, content):
    path = tmp_path / f"v{ending}"
    path.write_bytes(content)
    refused(path)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_cut_in_two_is_refused(tmp_path, ending):
    path = tmp_path / f"v{ending}"
    write_table(table(ODD_NAMES, CLASSES), path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    refused(path)


def test_other_tables_are_refused(tmp_path):
    (tmp_path / "labels.csv").write_text("file_name,label\na.png,cat\n")
    assert "no column 'p_wrong'" in refused(tmp_path / "labels.csv")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    assert "no column 'file_name'" in refused(tmp_path / "x.parquet")
    (tmp_path / "list.jsonl").write_text("[1, 2]\n")
    assert "no JSON object" in refused(tmp_path / "list.jsonl")
    (tmp_path / "number.csv").write_text("file_name,p_wrong,flagged\na.png,high,true\n")
    refused(tmp_path / "number.csv")


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"ends in '\.xlsx'; write to one of \.parquet, \.csv, \.jsonl"):
        write_table(table(["a", "b"], ["cat"]), tmp_path / "v.xlsx")
    (tmp_path / "v.txt").write_text("file_name,p_wrong,flagged\n")
    assert "ends in '.txt'" in refused(tmp_path / "v.txt")


def test_a_place_that_can_not_be_written_is_an_error_of_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written") as caught:
        write_table(table(["a", "b"], ["cat"]), tmp_path / "file" / "v.csv")
    assert "\n" not in str(caught.value)


def test_json_lines_are_json(tmp_path):
    write_table(table(ODD_NAMES, CLASSES), tmp_path / "v.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "v.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]
    assert [row["file_name"] for row in rows] == ODD_NAMES
    assert rows[0]["reasons"] == ["low_margin", "blurry"]
    assert rows[-1]["p_wrong"] is None


def test_a_column_whose_name_is_no_text_is_refused(tmp_path):
    (tmp_path / "verdicts.jsonl").write_bytes(b'{"file_name": "a.png", "p_\x80": 0.5}\n')
    with pytest.raises(InputError, match=r"verdicts.jsonl is not a readable table: .*can't decode byte 0x80"):
        Verdicts.read(tmp_path)
