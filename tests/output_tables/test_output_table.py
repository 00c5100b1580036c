"""Tables of outputs in three kinds of file: the same rows, errors that cost a row, and tables that are refused."""

import json
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.damage import with_a_wrong_block
from tests.output_tables.tables import CLASSES, WRITERS, probabilities, rows, write_csv, write_npz, write_parquet
from uncertainty.errors import InputError, ModelError
from uncertainty.output_tables.npz_file import NpzFile
from uncertainty.output_tables.output_table import OutputTable


def errors_of(table):
    return {row.name: row.error for batch in table.batches(5) for row in batch.rows if row.error}


@pytest.mark.parametrize("ending", WRITERS)
def test_the_same_rows_whatever_the_file(tmp_path, ending):
    data = rows()
    table = OutputTable.open(WRITERS[ending](tmp_path / f"t{ending}", data))
    found = table.collect()
    assert (list(table.names), table.classes, table.output) == (data["name"], CLASSES, "logits")
    assert found.labels == tuple(data["label"])
    assert np.array_equal(found.outputs.logits, data["logits"].astype(found.outputs.logits.dtype))
    assert np.array_equal(found.outputs.features, data["features"])


@pytest.mark.parametrize("ending", WRITERS)
def test_batches_begin_where_they_are_asked_to(tmp_path, ending):
    options = {"row_group_size": 5} if ending == ".parquet" else {}
    data = rows(17)
    table = OutputTable.open(WRITERS[ending](tmp_path / f"t{ending}", data, **options))
    part = table.select(np.arange(4, 15))
    assert [len(batch.rows) for batch in part.batches(4)] == [4, 4, 3]
    assert [row.name for batch in part.batches(4) for row in batch.rows] == data["name"][4:15]
    apart = table.select([1, 2, 9, 16])
    joined = np.concatenate([batch.outputs.logits for batch in apart.batches(4)])
    assert np.allclose(joined, data["logits"][[1, 2, 9, 16]])


def test_names_are_trimmed_and_doubles_refused(tmp_path):
    data = rows(3)
    spec = write_parquet(tmp_path / "t.parquet", data | {"name": [" a.png", "b.png ", "./c.png"]})
    assert list(OutputTable.open(spec).names) == ["a.png", "b.png", "c.png"]
    spec = write_parquet(tmp_path / "t.parquet", data | {"name": ["a.png", " a.png", "c.png"]})
    with pytest.raises(InputError, match=r"'a\.png' more than once"):
        OutputTable.open(spec)
    spec = write_parquet(tmp_path / "t.parquet", data | {"name": ["a.png", " ", "c.png"]})
    with pytest.raises(InputError, match="row 2, has ' ' where the name"):
        OutputTable.open(spec)


def test_a_row_that_is_not_whole_costs_itself_alone(tmp_path):
    p = probabilities(rows(6)["logits"]).tolist()
    p[1][0], p[2], p[3], p[4] = float("nan"), [0.5, 0.5], [0.5, 0.4, 0.4], [1.2, -0.2, 0.0]
    spec = write_parquet(tmp_path / "t.parquet", {"name": list("abcdef"), "probabilities": p, "label": [None] * 6})
    table = OutputTable.open(spec)
    assert errors_of(table) == {
        "b": "its probabilities are missing, NaN, infinite or beyond 1e18",
        "c": "it has 2 probabilities where other rows have 3",
        "d": "its probabilities sum to 1.3, and not to 1",
        "e": "its probabilities go from -0.2 to 1.2; probabilities lie in 0..1",
    }
    assert table.collect().outputs.ids.tolist() == ["a", "f"]


def test_a_cell_of_a_csv_that_is_no_number_is_named(tmp_path):
    spec = write_csv(tmp_path / "t.csv", rows(3))
    text = (tmp_path / "t.csv").read_text().splitlines()
    cells = text[2].split(",")
    (tmp_path / "t.csv").write_text("\n".join([*text[:2], ",".join([cells[0], "high", *cells[2:]]), text[3]]))
    assert errors_of(OutputTable.open(spec)) == {"a/001.png": "'high' is no number"}


def test_what_the_answers_are_is_said_by_names_never_by_values(tmp_path):
    p = probabilities(rows()["logits"])
    spec = write_parquet(tmp_path / "p.parquet", rows() | {"logits": p})
    assert OutputTable.open(spec).output == "logits"
    bare = write_parquet(tmp_path / "s.parquet", {"name": rows()["name"], "scores": p})
    with pytest.raises(InputError, match="neither probabilities"):
        OutputTable.open(bare)
    assert np.allclose(OutputTable.open(f"{bare}?probabilities=scores").collect().outputs.probs, p)
    both = write_parquet(tmp_path / "b.parquet", {"name": rows()["name"], "logits": p, "probabilities": p})
    with pytest.raises(InputError, match="'logits' and 'probabilities'; say which"):
        OutputTable.open(both)
    assert OutputTable.open(f"{both}?probabilities=probabilities").output == "probabilities"
    with pytest.raises(InputError, match="not one of its first 12 rows is whole; its probabilities"):
        OutputTable.open(write_csv(tmp_path / "c.csv", rows(), answers="prob"))


def test_probabilities_of_half_precision_may_sum_less_exactly(tmp_path):
    p = probabilities(rows()["logits"]).astype(np.float16)
    p[0] = [0.995, 0.0, 0.0]
    spec = write_npz(tmp_path / "t.npz", rows())
    np.savez(tmp_path / "t.npz", names=rows()["name"], probabilities=p)
    assert errors_of(OutputTable.open(spec)) == {}
    assert np.allclose(OutputTable.open(spec).collect().outputs.probs[0], [1, 0, 0])


def test_classes_are_put_in_order_by_their_names(tmp_path):
    data = rows()
    other = write_csv(tmp_path / "t.csv", data | {"logits": data["logits"][:, [2, 0, 1]]}, ("eel", "cat", "dog"))
    table = OutputTable.open(other).with_classes(CLASSES)
    assert np.allclose(table.collect().outputs.logits, data["logits"])
    with pytest.raises(InputError, match="'ape' is not among them"):
        table.with_classes(("cat", "dog", "ape"))
    bare = write_parquet(tmp_path / "t.parquet", data, classes=None)
    assert OutputTable.open(bare).with_classes(CLASSES).classes == CLASSES
    assert OutputTable.open(f"{bare}?classes=a,b,c").classes == ("a", "b", "c")
    with pytest.raises(InputError, match="3 outputs in each row and 2 class names"):
        OutputTable.open(f"{bare}?classes=a,b")


def test_samples_of_dropout_and_views_embedding_and_groups(tmp_path):
    n = 6
    rng = np.random.default_rng(1)
    mc = rng.dirichlet(np.ones(3), (n, 5)).astype(np.float32)
    more = {"mc_probs": mc, "tta_logits": np.asfortranarray(rng.normal(size=(n, 2, 3))), "embedding": np.ones((n, 2))}
    table = OutputTable.open(
        write_npz(tmp_path / "t.npz", rows(n), groups=np.array(["f", "f", "g", "g", "h", "h"]), **more)
    )
    found = table.collect().outputs
    assert np.array_equal(found.mc_probs, mc)
    assert (found.tta_probs.shape, found.embedding.shape) == ((n, 2, 3), (n, 2))
    assert np.allclose(found.tta_probs.sum(axis=2), 1)
    nested = {**{k: v for k, v in rows(n).items() if k != "features"}, "mc_probs": mc.tolist()}
    same = OutputTable.open(write_parquet(tmp_path / "t.parquet", nested)).collect().outputs
    assert np.array_equal(same.mc_probs.astype(np.float32), mc)
    with pytest.raises(InputError, match=r"mc_probs of shape \(5, 2\)"):
        OutputTable.open(write_npz(tmp_path / "u.npz", rows(n), mc_probs=mc[..., :2]))


def test_lists_of_fixed_and_of_large_size_and_of_a_tensor_type(tmp_path):
    z = rows()["logits"]
    flat = pa.array(z.ravel())
    kinds = {
        "fixed": pa.FixedSizeListArray.from_arrays(flat, 3),
        "large": pa.array(z.tolist(), pa.large_list(pa.float32())),
        "tensor": pa.FixedShapeTensorArray.from_numpy_ndarray(z),
    }
    for name, column in kinds.items():
        pq.write_table(pa.table({"name": rows()["name"], "logits": column}), tmp_path / f"{name}.parquet")
        found = OutputTable.open(f"table:{tmp_path / name}.parquet").collect().outputs
        assert np.array_equal(found.logits, z), name


def test_several_labels_an_image(tmp_path):
    data = rows(3) | {"label": ["cat;dog", "", None]}
    table = OutputTable.open(write_parquet(tmp_path / "t.parquet", data) + "?task=multilabel")
    assert (table.task, list(table.labels)) == ("multilabel", ["cat;dog", None, None])
    zeros = {**rows(3), "label": [[1, 1, 0], [0, 0, 0], None]}
    table = OutputTable.open(write_parquet(tmp_path / "t.parquet", zeros) + "?task=multilabel")
    assert list(table.labels) == ["column 1 of 3;column 2 of 3", "(no label)", None]


def test_decisions_of_several_labels(tmp_path):
    spec = write_parquet(tmp_path / "t.parquet", rows(3))
    classes = OutputTable.open(spec).classes
    (tmp_path / "d.json").write_text(json.dumps({name: 0.1 + k / 10 for k, name in enumerate(classes)}))
    table = OutputTable.open(f"{spec}?task=multilabel&decision={tmp_path / 'd.json'}")
    assert table.collect().outputs.decision_thresholds == pytest.approx([0.1, 0.2, 0.3])
    turned = table.with_classes(classes[::-1]).collect().outputs
    assert turned.decision_thresholds == pytest.approx([0.3, 0.2, 0.1])
    assert table.fingerprint() != OutputTable.open(f"{spec}?task=multilabel").fingerprint()
    with pytest.raises(ModelError, match="is 1; it must lie between 0 and 1"):
        OutputTable.open(f"{spec}?task=multilabel&decision=0.4,0.5,1")
    with pytest.raises(InputError, match="decision= is for several labels"):
        OutputTable.open(f"{spec}?decision=0.4")


def test_another_file_is_another_fingerprint(tmp_path):
    spec = write_npz(tmp_path / "t.npz", rows())
    before = OutputTable.open(spec)
    assert OutputTable.open(spec).fingerprint() == before.fingerprint()
    assert before.select([0]).fingerprint() != before.fingerprint()
    one = before.fingerprint()
    write_npz(tmp_path / "t.npz", rows(seed=1))
    assert OutputTable.open(spec).fingerprint() != one


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda p: (p / "t.npz").write_bytes(b"no"), "can't be read as arrays"),
        (
            lambda p: np.savez(p / "t.npz", names=np.array(["a"], object), logits=np.ones((1, 2))),
            "np.array.names, dtype",
        ),
        (lambda p: np.savez(p / "t.npz", names=["a"], logits=np.ones((2, 2))), "different lengths .names 1, logits 2"),
        (lambda p: np.savez(p / "t.npz", names=["a"], logits=np.ones((1, 1))), "two, 1 - p and p"),
        (lambda p: np.savez(p / "t.npz", logits=np.ones((1, 2))), r"no column name .* \?name=COLUMN"),
        (lambda p: np.savez(p / "t.npz", names=np.array([], str), logits=np.ones((0, 2))), "has no rows"),
        (lambda p: np.savez(p / "t.npz", names=["a"], logits=[[0, np.nan]]), "not one of its first 1 rows is whole"),
    ],
)
def test_what_is_refused_in_one_line(tmp_path, write, message):
    write(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        OutputTable.open(f"table:{tmp_path / 't.npz'}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("table:no.parquet", "does not exist"),
        ("table:t.txt", "is no table of outputs"),
        ("table:t.parquet?size=3", "says 'size'"),
        ("table:t.parquet?logits=a&probabilities=b", "name one of them"),
        ("table:t.parquet?task=both", "task is 'both'"),
        ("table:t.parquet?features=nothing", "no column 'nothing'"),
        ("table:m.parquet", "no list in JSON"),
    ],
)
def test_specs_that_are_refused(tmp_path, monkeypatch, spec, message):
    monkeypatch.chdir(tmp_path)
    write_parquet(tmp_path / "t.parquet", rows())
    pq.write_table(pa.table({"name": ["a"]}, metadata={"classes": "cat"}), tmp_path / "m.parquet")
    with pytest.raises(InputError, match=message):
        OutputTable.open(spec)


def test_class_names_in_the_schema_win_over_numbers(tmp_path):
    spec = write_parquet(tmp_path / "t.parquet", rows())
    assert json.loads(pq.read_schema(tmp_path / "t.parquet").metadata[b"classes"]) == list(CLASSES)
    assert OutputTable.open(spec).classes == CLASSES


def test_arrays_that_were_packed_wrongly_are_one_line(tmp_path):
    path = tmp_path / "outputs.npz"
    np.savez_compressed(path, label=np.arange(50), logits=np.zeros((50, 2)))
    with_a_wrong_block(path, "label.npy")
    with pytest.raises(InputError, match=r"outputs\.npz can't be read as arrays \(.*invalid block type"):
        NpzFile.of(path)


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"\x93NUMPY\1\0\x04\0none", "has a header that is none of NumPy"),
        (b"\x93NUMPY\2\0\0\0\0\x80", "has a header of 2,147,483,648 bytes"),
        (b"\x93NUMPY\7\0", r"is of version 7\.0 of NumPy's format"),
        (b"", "does not begin as an array of NumPy"),
    ],
)
def test_heads_of_arrays_that_say_nonsense_are_named(tmp_path, head, why):
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("logits.npy", head)
    with pytest.raises(InputError, match=rf"t\.npz has logits\.npy, which {why}"):
        NpzFile.of(tmp_path / "t.npz")
