import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from uncertainty.errors import InputError
from uncertainty.images.manifests import Columns, check_unique, read_manifest


def written(tmp_path, name, content):
    path = tmp_path / name
    if isinstance(content, dict):
        pq.write_table(pa.table(content), path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(path):
    with pytest.raises(InputError) as caught:
        read_manifest(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    return text


@pytest.mark.parametrize("column", ["file_name", "filepath", "filename", "path", "image"])
def test_the_same_table_in_three_formats(tmp_path, column):
    csv = written(tmp_path, "a.csv", f"{column},label\nx/1.jpg,cat\n2.jpg,\n")
    lines = written(tmp_path, "a.jsonl", f'{{"{column}": "x/1.jpg", "label": "cat"}}\n\n{{"{column}": "2.jpg"}}\n')
    parquet = written(tmp_path, "a.parquet", {column: ["x/1.jpg", "2.jpg"], "label": ["cat", None]})
    for path in (csv, lines, parquet):
        manifest = read_manifest(path)
        assert manifest.names == ("x/1.jpg", "2.jpg")
        assert manifest.labels == ("cat", None)


def test_csv_is_read_without_guessing(tmp_path):
    rows = [
        "file_name,label,note",
        '"a, b.jpg",01,',
        '"say ""hi"".jpg",1e3,x',
        '"two\nlines.jpg",NA,',
        "",
        "käse.jpg,true,",
    ]
    content = "\ufeff" + "\r\n".join(rows)
    manifest = read_manifest(written(tmp_path, "a.csv", content))
    assert manifest.names == ("a, b.jpg", 'say "hi".jpg', "two\nlines.jpg", "käse.jpg")
    assert manifest.labels == ("01", "1e3", "NA", "true")


def test_names_become_posix_and_may_lead_outside(tmp_path):
    manifest = read_manifest(written(tmp_path, "a.csv", "file_name\n./a.jpg\n../b.jpg\n/c/d.jpg\nx//y.jpg\n"))
    assert manifest.names == ("a.jpg", "../b.jpg", "/c/d.jpg", "x/y.jpg")
    assert manifest.labels is None


def test_file_name_wins_over_its_aliases(tmp_path):
    assert read_manifest(written(tmp_path, "a.csv", "path,file_name\nwrong,right\n")).names == ("right",)


def test_integers_with_gaps(tmp_path):
    columns = {"file_name": ["a", "b", "c"], "label": [3.0, float("nan"), None]}
    assert read_manifest(written(tmp_path, "a.parquet", columns)).labels == (3, None, None)
    lines = '{"file_name": "a", "label": 3}\n{"file_name": "b", "label": null}\n{"file_name": "c", "label": "3"}\n'
    assert read_manifest(written(tmp_path, "a.jsonl", lines)).labels == (3, None, "3")


def test_dictionary_encoded_parquet(tmp_path):
    column = pa.array(["cat", "dog", "cat"]).dictionary_encode()
    path = written(tmp_path, "a.parquet", {"file_name": ["1", "2", "3"], "label": column, "other": [[1], [], None]})
    assert read_manifest(path).labels == ("cat", "dog", "cat")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", "", "it has no columns"),
        ("a.csv", "name;label\na;b\n", "is separated by semicolons; save it with commas"),
        ("a.csv", "id,label\n1,2\n", "no column file_name (or filepath, filename, path, image); it has 'id', 'label'"),
        ("a.csv", "file_name,label\n", "has no rows"),
        ("a.csv", "file_name,label\na,b\nc,d,e\n", "line 3, has 3 fields where the header has 2"),
        ("a.csv", "file_name,label\n,b\n", "row 1, has '' where a file name belongs"),
        ("a.csv", 'file_name\n"open\n', "is not valid CSV"),
        ("a.csv", b"file_name\nk\xe4se.jpg\n", "is not UTF-8"),
        ("a.jsonl", '{"file_name": "a"}\n{"file_name"\n', "line 2, is not valid JSON"),
        ("a.jsonl", '["a"]\n', "line 1, is not a JSON object"),
        ("a.jsonl", '{"file_name": 3}\n', "row 1, has 3 where a file name belongs"),
        ("a.jsonl", '{"file_name": "\\ud800.jpg"}\n', "not valid Unicode"),
        ("a.jsonl", '{"file_name": "a", "label": {"a": 1}}\n', "has the label {'a': 1}"),
        ("a.jsonl", '{"file_name": "a", "label": true}\n', "has the label True"),
        ("a.jsonl", '{"file_name": "a", "label": 0.5}\n', "has the label 0.5"),
        ("a.parquet", b"PAR1 no", "can't be read as Parquet"),
        ("a.parquet", {"x": [1]}, "it has 'x'"),
        ("a.xlsx", "", "is not a table"),
    ],
)
def test_bad_tables(tmp_path, name, content, expected):
    assert expected in refused(written(tmp_path, name, content))


def test_missing_table(tmp_path):
    for suffix in ("csv", "jsonl", "parquet"):
        assert "can't be read" in refused(tmp_path / f"none.{suffix}")


def test_check_unique_names_the_double(tmp_path):
    check_unique(["a", "A", "x/a"], tmp_path)
    with pytest.raises(InputError, match="'x/a' more than once"):
        check_unique(["x/a", "a", "x/a"], tmp_path)


def test_other_columns_come_along_as_text(tmp_path):
    csv = written(tmp_path, "a.csv", "file_name,camera,label,,day\n1.jpg,01,cat,x,\n2.jpg,roof,,,3\n")
    assert read_manifest(csv).metadata == {"camera": ("01", "roof"), "day": (None, "3")}
    lines = written(tmp_path, "a.jsonl", '{"path": "1.jpg", "n": 1.0, "tags": ["a"]}\n{"path": "2.jpg", "ok": true}\n')
    assert read_manifest(lines).metadata == {"n": ("1", None), "tags": ('["a"]', None), "ok": (None, "true")}


def test_columns_of_parquet_come_along_without_bytes(tmp_path):
    columns = {
        "file_name": ["1.jpg"],
        "raw": [b"\xff"],
        "boxes": [[1, 2]],
        "day": pa.array([19000], pa.date32()),
        "x": [0.5],
    }
    manifest = read_manifest(written(tmp_path, "a.parquet", columns))
    assert manifest.metadata == {"day": ("2022-01-08",), "x": ("0.5",)}
    assert manifest.columns == tuple(columns)


def test_columns_of_other_names(tmp_path):
    path = written(tmp_path, "a.csv", "Image,Class,site\na.png,cat,roof\n")
    found = read_manifest(path)
    assert (found.names, found.labels, found.metadata) == (("a.png",), ("cat",), {"site": ("roof",)})
    assert found.notes == ("labels are the column 'Class'",)
    path = written(tmp_path, "b.csv", "id,url,truth\n7,a.png,cat\n")
    assert "say which with --name-column" in refused(path)
    found = read_manifest(path, Columns(name="url", label="truth"))
    assert (found.names, found.labels, found.metadata) == (("a.png",), ("cat",), {"id": ("7",)})
    with pytest.raises(InputError, match="has no column 'label_'; it has 'id', 'url', 'truth'"):
        read_manifest(path, Columns(name="url", label="label_"))
    assert "say which are the labels with --label-column" in refused(
        written(tmp_path, "c.csv", "path,class,category\n")
    )


def test_cells_are_trimmed_as_headers_are(tmp_path):
    found = read_manifest(written(tmp_path, "a.csv", "file_name , label\n a.png , cat \n"))
    assert (found.names, found.labels) == (("a.png",), ("cat",))


def test_two_columns_of_one_name_are_refused_and_one_without_is_told(tmp_path):
    assert "has two columns 'label'; which of them counts?" in refused(written(tmp_path, "a.csv", "path,label,label\n"))
    line = '{"path": "a", "label": "x", "label": "y"}\n'
    assert "line 1, has the key 'label' twice; keep one" in refused(written(tmp_path, "a.jsonl", line))
    found = read_manifest(written(tmp_path, "b.csv", ",path,label\n0,a,x\n"))
    assert found.notes == ("a column without a name was left out",)
    assert "not valid Unicode" in refused(written(tmp_path, "b.jsonl", '{"path": "a", "\\ud800": 1}\n'))


@pytest.mark.parametrize(
    "kind", ["timestamp[ns]", "duration[ns]", "time64[ns]", "timestamp[s]", "timestamp[ns, tz=UTC]"]
)
def test_times_of_any_resolution_are_text(tmp_path, kind):
    name, _, zone = kind.removesuffix("]").partition(", tz=")
    name, _, unit = name.partition("[")
    kind = pa.timestamp(unit, zone or None) if name == "timestamp" else getattr(pa, name)(unit)
    values = [81_234_567_890_123 % 10**13, None] if name != "timestamp" or unit == "ns" else [2**50, None]
    columns = {"file_name": ["a", "b"], "label": ["x", "y"], "at": pa.array(values, kind)}
    found = read_manifest(written(tmp_path, "a.parquet", columns))
    assert found.labels == ("x", "y")
    assert found.metadata["at"][1] is None
    assert found.metadata["at"][0]


def test_a_nanosecond_time_as_it_is_written(tmp_path):
    columns = {"file_name": ["a"], "modified": pa.array([1_764_477_192_881_118_311], pa.timestamp("ns"))}
    found = read_manifest(written(tmp_path, "a.parquet", columns))
    assert found.metadata["modified"] == ("2025-11-30 04:33:12.881118311",)


def test_lists_of_labels_are_joined(tmp_path):
    lines = [["cat", "dog"], ["eel"], [2, 0], [0, 0, 1], '["cat"]', '{"choices": ["a", "b"]}', "[sic]", []]
    text = "".join(json.dumps({"path": str(i), "label": label}) + "\n" for i, label in enumerate(lines))
    found = read_manifest(written(tmp_path, "a.jsonl", text)).labels
    assert found == ("cat;dog", "eel", "2;0", "column 3 of 3", "cat", "a;b", "[sic]", "(no label)")
    assert read_manifest(written(tmp_path, "a.parquet", {"path": ["1"], "label": [["a", "b"]]})).labels == ("a;b",)
    assert "two classes, or zeros and ones?" in refused(written(tmp_path, "b.jsonl", '{"path": "a", "label": [0, 1]}'))


def test_an_error_quotes_the_beginning_of_a_long_value(tmp_path):
    columns = {"path": [b"\x89PNG" * 50_000]}
    assert len(refused(written(tmp_path, "a.parquet", columns))) < 300
