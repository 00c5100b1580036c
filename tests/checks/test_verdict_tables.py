"""Verdicts that somebody edited or that were damaged are refused in one line, whichever form they have."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from problems import known_good, made_problem

from uncertainty.errors import InputError
from uncertainty.screener import Screener
from uncertainty.verdicts import FORMATS, Verdicts, read_summary


@pytest.fixture(scope="module")
def verdicts():
    screener = Screener.fit_outputs(known_good(120, 1), made_problem(200, 2))
    return screener.screen_outputs(made_problem(20, 3))


def changed(verdicts, name, row, value):
    column = verdicts.table[name].to_pylist()
    column[row] = value
    kind = verdicts.table.schema.field(name).type
    table = verdicts.table.set_column(verdicts.table.column_names.index(name), name, pa.array(column, kind))
    return Verdicts(table)


def refused(path):
    with pytest.raises(InputError) as caught:
        Verdicts.read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("p_wrong", 5.0, "'p_wrong' goes from"),
        ("p_wrong", -1.0, "'p_wrong' goes from"),
        ("p_wrong", None, "neither p_wrong nor an error"),
        ("confidence", 1.5, "'confidence' goes from"),
        ("prob_2", -0.2, "'prob_2' goes from"),
        ("threshold", 7.0, "'threshold' goes from"),
        ("file_name", "3-00007", "a file name is missing, or is there twice"),
        ("predicted_index", 99, "predicted_index goes from"),
        ("predicted_label", "fox", "is not the class of its predicted_index"),
    ],
)
def test_values_that_no_screening_writes_are_refused(verdicts, tmp_path, ending, name, value, said):
    path = tmp_path / f"verdicts{ending}"
    verdicts.write(path)
    assert len(Verdicts.read(path)) == 20
    changed(verdicts, name, 4, value).write(path)
    assert said in refused(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["p_wrong", "confidence", "prob_0"])
def test_values_that_are_not_finite_are_refused(verdicts, tmp_path, name, value):
    changed(verdicts, name, 4, value).write(tmp_path / "verdicts.parquet")
    assert "not finite" in refused(tmp_path / "verdicts.parquet")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop_columns(["error"]), "no column 'error'"),
        (lambda t: t.drop_columns(["p_wrong"]), "no column 'p_wrong'"),
        (lambda t: t.append_column("p_wrong", t["confidence"]), "p_wrong"),
        (lambda t: retyped(t, "p_wrong", pa.array(["high"] * 20)), "the column 'p_wrong' is string"),
        (lambda t: retyped(t, "flagged", pa.array(["perhaps"] * 20)), "the column 'flagged' is string"),
        (lambda t: retyped(t, "file_name", pa.array([[1]] * 20)), "the column 'file_name' is list"),
        (lambda t: retyped(t, "file_name", pa.array([None] * 20, pa.string())), "a file name is missing"),
        (lambda t: retyped(t, "reasons", pa.array([3] * 20)), "the column 'reasons' is int64"),
        (lambda t: retyped(t, "flagged", pa.array([None] * 20, pa.bool_())), "the column 'flagged' has gaps"),
        (lambda t: t.replace_schema_metadata({b"uncertainty": b"{"}), "the metadata of the verdicts are no JSON"),
        (lambda t: t.replace_schema_metadata({b"uncertainty": b"[" * 100_000}), "are no JSON"),
        (lambda t: t.replace_schema_metadata({b"uncertainty": b"[1]"}), "the metadata of the verdicts are list"),
        (lambda t: t.replace_schema_metadata({b"uncertainty": b'{"policy": 3}'}), "have 3 as 'policy'"),
        (lambda t: t.replace_schema_metadata({b"uncertainty": b"{}", b"classes": b"3"}), "are int"),
    ],
)
def test_columns_and_metadata_that_no_screening_writes_are_refused(verdicts, tmp_path, change, said):
    pq.write_table(change(verdicts.table), tmp_path / "verdicts.parquet")
    assert said in refused(tmp_path / "verdicts.parquet")


def retyped(table, name, column):
    return table.set_column(table.column_names.index(name), name, column)


def test_other_types_of_the_same_values_are_taken(verdicts, tmp_path):
    table = retyped(verdicts.table, "p_wrong", verdicts.table["p_wrong"].cast(pa.float64()))
    table = retyped(table, "file_name", table["file_name"].cast(pa.large_string()))
    pq.write_table(table, tmp_path / "verdicts.parquet")
    assert Verdicts.read(tmp_path / "verdicts.parquet").table.equals(verdicts.table)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"3", b"{", b"[" * 100_000, b"\xff\xfe", b'{"provenance": "x", "input_root": 5}']
)
def test_a_summary_that_is_none_is_like_none(tmp_path, content):
    (tmp_path / "summary.json").write_bytes(content)
    assert read_summary(tmp_path) == {}


def test_a_summary_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "summary.json").write_bytes(b"\xef\xbb\xbf" + json.dumps({"images": 3, "classes": 5}).encode())
    assert read_summary(tmp_path) == {"images": 3}
