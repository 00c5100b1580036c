"""Several labels an image, however they are written: none at all is an answer, and one that nobody gave is none."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from uncertainty.errors import InputError
from uncertainty.evaluation.matching import DIFFERENT, returned_labels
from uncertainty.images.given import image_items
from uncertainty.images.manifests import Columns
from uncertainty.labels.images import labelled_images
from uncertainty.labels.imports import read_annotations
from uncertainty.labels.label_sets import resolve_sets

CLASSES = ["cat", "dog", "eel"]
SEVERAL = Columns(several=True)


def pictures(folder, *names):
    for k, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (20 * k, 0, 0)).save(path)
    return folder


def screened(*names, several=True):
    n = len(names)
    index = pa.nulls(n, pa.int32()) if several else pa.array([0] * n, pa.int32())
    return pa.table(
        {"file_name": names, "predicted_label": ["cat"] * n, "predicted_index": index, "error": pa.nulls(n)}
    )


def returned(path, *names, columns=SEVERAL, several=True):
    return returned_labels(path, screened(*names, several=several), CLASSES, columns)


def truth_of(path, columns=SEVERAL):
    images = labelled_images(path, columns)
    found = resolve_sets(list(images.labels), CLASSES)
    return dict(zip(images.names, found.truth.tolist(), strict=True))


def lines(labels):
    rows = ({"file_name": f"{name}.png", "label": label} for name, label in zip("abcde", labels, strict=True))
    return "".join(json.dumps(row) + "\n" for row in rows)


TABLES = {
    "text.csv": "file_name,label\na.png,cat;dog\nb.png,;\nc.png,(no label)\nd.png,?cat;dog\ne.png,\n",
    "lists.jsonl": lines([["cat", "dog"], [], [], ["?cat", "dog"], None]),
    "answers.jsonl": lines([[1, 1, 0], [0, 0, 0], [0, 0, 0], [-1, 1, 0], [None, None, None]]),
    "columns.csv": "file_name,cat,dog,eel\na.png,1,1,0\nb.png,0,0,0\nc.png,0.0,0,false\nd.png,-1,1,0\ne.png,,nan,-1\n",
    "long.csv": "file_name,label\na.png,cat\na.png,dog\nb.png,;\nc.png,;\nd.png,dog\nd.png,?cat\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(tmp_path, name):
    """For `fit` and for `evaluate` alike."""
    (pictures(tmp_path, *(f"{k}.png" for k in "abcde")) / name).write_text(TABLES[name])
    found = truth_of(tmp_path / name)
    expected = {"a.png": [1, 1, 0], "b.png": [0, 0, 0], "c.png": [0, 0, 0], "d.png": [-1, 1, 0]}
    assert {one: row for one, row in found.items() if max(row) >= 0 or min(row) == 0} == expected
    labels = returned(tmp_path / name, *(f"{k}.png" for k in "abcde")).labels
    assert labels == {"a.png": "cat;dog", "b.png": "(no label)", "c.png": "(no label)", "d.png": "dog;?cat"}


def test_a_stated_separator(tmp_path):
    (tmp_path / "l.csv").write_text('file_name,label\na.png,cat | dog\nb.png,|\nc.png,"eel"\n')
    found = returned(tmp_path / "l.csv", "a.png", "b.png", "c.png", columns=Columns(separator="|"))
    assert found.labels == {"a.png": "cat;dog", "b.png": "(no label)", "c.png": "eel"}


def test_parquet_and_sets_of_hugging_face(tmp_path):
    pq.write_table(pa.table({"file_name": ["a.png", "b.png"], "label": [["dog"], []]}), tmp_path / "l.parquet")
    assert returned(tmp_path / "l.parquet", "a.png", "b.png").labels == {"a.png": "dog", "b.png": "(no label)"}
    data = pytest.importorskip("datasets")
    kind = data.Features({"image": data.Image(), "labels": data.Sequence(data.ClassLabel(names=CLASSES))})
    grey = Image.new("RGB", (4, 4))
    several = data.Dataset.from_dict({"image": [grey] * 3, "labels": [[0, 1], [], [2]]}, features=kind)
    assert [item.label for item in image_items(several)] == ["cat;dog", "(no label)", "eel"]


def test_columns_that_are_no_class_and_classes_without_a_column(tmp_path):
    (pictures(tmp_path, "a.png", "b.png") / "l.csv").write_text("file_name,Cat,night\na.png,1,1\nb.png,0,0\n")
    found = returned(tmp_path / "l.csv", "a.png", "b.png")
    assert found.labels == {"a.png": "cat;?dog;?eel", "b.png": "?dog;?eel"}
    assert "column 'night' is no class of the model and left out" in found.notes
    assert "classes 'dog', 'eel' are answered in no image: there is no such column" in found.notes
    (tmp_path / "more.csv").write_text("file_name,cat,dog,eel,camera\na.png,1,0,0,roof\nb.png,0,0,1,door\n")
    asked = Columns(label="cat,dog,eel")
    assert returned(tmp_path / "more.csv", "a.png", "b.png", columns=asked).labels == {"a.png": "cat", "b.png": "eel"}
    with pytest.raises(InputError, match="row 1, has 'roof' in the column 'camera', among zeros and ones"):
        read_annotations(tmp_path / "more.csv", Columns(label="cat,camera"))


def test_a_folder_whose_metadata_has_a_column_for_each_class(tmp_path):
    root = pictures(tmp_path / "data", "a.png", "b.png", "c.png")
    (root / "metadata.csv").write_text("file_name,cat,dog,eel\na.png,1,0,1\nb.png,0,0,0\nc.png,,1,0\n")
    found = labelled_images(root)
    assert dict(zip(found.names, found.labels, strict=True)) == {
        "a.png": "cat;eel",
        "b.png": "(no label)",
        "c.png": "dog;?cat",
    }
    assert {row.names[0]: row.label for row in read_annotations(root).rows}["b.png"] == "(no label)"


@pytest.mark.parametrize("cell", ["2", "yes", "0.5"])
def test_a_stray_cell_among_zeros_and_ones_is_named_with_what_to_write(tmp_path, cell):
    rows = [[f"{i}.png", "1", "0", "1"] for i in range(20)]
    rows[7][2] = cell
    names = [row[0] for row in rows]
    path = pictures(tmp_path, *names) / "l.csv"
    path.write_text("file_name,cat,dog,eel\n" + "".join(",".join(row) + "\n" for row in rows))
    for read in (read_annotations, labelled_images):
        with pytest.raises(InputError, match=rf"row 8 has '{cell}' in the column 'dog'.*write 1 if it has.*cat,dog"):
            read(path)
    rows[7][2] = ""
    path.write_text("file_name,cat,dog,eel\n" + "".join(",".join(row) + "\n" for row in rows))
    assert read_annotations(path).rows[7].label == "cat;eel;?dog"


def test_a_table_of_other_columns_is_not_taken_for_one_of_answers(tmp_path):
    (tmp_path / "l.csv").write_text("file_name,hour,film\n" + "".join(f"{i}.png,{i},{i % 2}\n" for i in range(20)))
    with pytest.raises(InputError, match="has no column label; it has 'file_name', 'hour', 'film'; say which with"):
        read_annotations(tmp_path / "l.csv")


def test_class_folders_that_hold_an_image_twice_on_purpose(tmp_path):
    root = pictures(tmp_path / "data", "cat/1.png", "cat/2.png", "dog/3.png", "eel/4.png")
    shutil.copy(root / "cat/1.png", root / "dog/holiday.png")  # the same bytes
    Image.new("RGB", (4, 4), (1, 2, 3)).save(root / "eel/2.png")  # the same name
    found = labelled_images(root, SEVERAL)
    assert dict(zip(found.names, found.labels, strict=True)) == {
        "cat/1.png": "cat;dog",
        "cat/2.png": "cat;eel",
        "dog/3.png": "dog",
        "eel/4.png": "eel",
    }
    assert "2 images lie in several class folders and have all those labels" in found.notes
    assert any(note.startswith("1 of them have one name and different content") for note in found.notes)
    flat = returned(root, "1.png", "2.png", "3.png").labels
    assert flat == {"1.png": "cat;dog", "2.png": "cat;eel", "3.png": "dog"}
    assert returned(root, "dog/holiday.png").labels == {"dog/holiday.png": "cat;dog"}


def test_rows_that_contradict_each_other(tmp_path):
    """None of the labels and one of them; or two rows where nobody said that each is one of several."""
    (pictures(tmp_path, "a.png", "b.png") / "l.csv").write_text(
        "file_name,label\na.png,cat\na.png,;\nb.png,dog\nb.png,?dog\n"
    )
    assert truth_of(tmp_path / "l.csv") == {"b.png": [0, -1, 0]}
    assert returned(tmp_path / "l.csv", "a.png", "b.png").counts == {DIFFERENT: 2}
    (tmp_path / "m.csv").write_text("file_name,label\na.png,cat\na.png,dog\n")
    with pytest.raises(InputError, match=r"names 'a.png' more than once; .* say --several-labels"):
        labelled_images(tmp_path / "m.csv")
    with pytest.raises(InputError, match="keep one, or say --several-labels"):
        returned(tmp_path / "m.csv", "a.png", columns=Columns())


def test_an_empty_cell_is_told_with_what_to_write(tmp_path):
    (tmp_path / "l.csv").write_text("file_name,label\na.png,cat\nb.png,\nc.png,\n")
    found = returned(tmp_path / "l.csv", "a.png", "b.png", "c.png")
    assert found.labels == {"a.png": "cat"}
    told = "2 rows have an empty label and are left out; where an image truly has none, write '(no label)' or ';'"
    assert told in found.words()


def test_what_nobody_answered_is_unlabelled(tmp_path):
    (tmp_path / "l.csv").write_text("file_name,label\na.png,cat\nb.png,?cat;?dog;?eel\n")
    found = returned(tmp_path / "l.csv", "a.png", "b.png")
    assert found.labels == {"a.png": "cat"}
    assert "1 image has no known answer, left out" in found.notes


def test_where_one_label_belongs_an_image_without_any_is_left_out(tmp_path):
    (tmp_path / "l.csv").write_text("file_name,label\na.png,cat\nb.png,(no label)\n")
    found = returned(tmp_path / "l.csv", "a.png", "b.png", several=False)
    assert (found.labels, found.notes) == ({"a.png": "cat"}, ("1 image has none of the labels, left out",))


def test_tools_that_say_that_there_is_no_label(tmp_path):
    (tmp_path / "fo.json").write_text(json.dumps({"classes": None, "labels": {"a": ["cat"], "b": [], "c": None}}))
    job = {"job-metadata": {"class-map": {"1": "dog"}, "type": "groundtruth/image-classification-multilabel"}}
    lines = [{"source-ref": "s3://x/a.jpg", "job": [1], **job}, {"source-ref": "s3://x/b.jpg", "job": [], **job}]
    (tmp_path / "gt.manifest").write_text("\n".join(map(json.dumps, lines)))
    studio = "id,image,choice,annotation_id,lead_time\n1,x/a.jpg,cat,5,1\n2,x/b.jpg,,6,1\n3,x/c.jpg,,,\n"
    (tmp_path / "ls.csv").write_text(studio)
    for name in ("fo.json", "gt.manifest", "ls.csv"):
        found = returned(tmp_path / name, "a.jpg", "b.jpg", "c.jpg").labels
        assert {key: value for key, value in found.items() if value == "(no label)"} == {"b.jpg": "(no label)"}, name


def test_image_sets_of_pascal_voc(tmp_path):
    pictures(tmp_path, "JPEGImages/01.jpg", "JPEGImages/02.jpg", "JPEGImages/03.jpg")
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("01\n02\n03\n")
    for name, answers in (("cat", " 1 -1  0"), ("dog", "-1 -1  1"), ("eel", " 1 -1 -1")):
        rows = [f"{k:02d} {one:>2}" for k, one in enumerate(answers.split(), start=1)]
        (lists / f"{name}_val.txt").write_text("\n".join(rows) + "\n")
    found = labelled_images(tmp_path)
    truth = resolve_sets(list(found.labels), CLASSES).truth.tolist()
    expected = {"01": [1, 0, 1], "02": [0, 0, 0], "03": [-1, 1, 0]}
    assert dict(zip(found.names, truth, strict=True)) == {f"JPEGImages/{k}.jpg": row for k, row in expected.items()}
    assert returned(tmp_path, "01.jpg", "03.jpg").labels == {"01.jpg": "cat;eel", "03.jpg": "dog;?cat"}
    (lists / "cat_val.txt").write_text("01 1\n02 yes\n")
    with pytest.raises(InputError, match=r"cat_val\.txt, line 2, is '02 yes'; it must be a name and 1, -1 or 0"):
        read_annotations(tmp_path)


def test_arrays_of_answers_beside_images():
    items = image_items(np.zeros((3, 4, 4, 3), np.uint8), np.array([[1, 0, 0], [0, 0, 0], [np.nan, 1, -1]]))
    assert [item.label for item in items] == [
        "column 1 of 3",
        "(no label)",
        "column 2 of 3;?column 1 of 3;?column 3 of 3",
    ]


def test_zeros_and_ones_of_the_only_class_are_answers_not_positions():
    found = resolve_sets(["1", "0", "-1", None, " 1.0 "], ["crack"])
    assert found.truth.tolist() == [[1], [0], [-1], [-1], [1]]
    assert found.notes == ("the labels are zeros and ones: 1 where an image has 'crack', the only class",)
    assert resolve_sets(["0", ";"], ["crack"]).truth.tolist() == [[1], [0]]  # positions, as lists have them
    assert resolve_sets(["1", "0"], ["1"]).truth.tolist()[0] == [1]  # a name


def test_rows_of_zeros_and_ones_are_in_the_order_of_the_classes_though_these_are_numbers(tmp_path):
    answers, truth = np.array([[1, 0, 1], [0, 1, -1], [0, 0, 0]]), [[1, 0, 1], [0, 1, -1], [0, 0, 0]]
    pq.write_table(pa.table({"file_name": ["a.png", "b.png", "c.png"], "label": truth}), tmp_path / "b.parquet")
    table = [row.label for row in read_annotations(tmp_path / "b.parquet").rows]
    in_memory = [item.label for item in image_items(np.zeros((3, 4, 4, 3), np.uint8), answers)]
    for classes in (["2", "0", "1"], ["1", "2", "3"], ["cat", "dog", "eel"]):
        for given in (in_memory, table):
            found = resolve_sets(given, classes)
            assert (found.truth.tolist(), found.notes) == (truth, ())


def test_a_row_of_zeros_and_ones_is_as_long_as_there_are_classes():
    with pytest.raises(InputError, match="a row of 3 zeros and ones, and there are 4 classes"):
        resolve_sets(["column 1 of 3;?column 2 of 3"], ["cat", "dog", "eel", "fox"])


def test_an_unknown_answer_about_no_class_leaves_the_image_out(tmp_path):
    """It may be a class that is misspelt, whose answer would be no then."""
    found = resolve_sets(["cat;?dgo", "?dgo", "cat;?Dog"], ["cat", "dog"])
    assert found.truth.tolist() == [[-1, -1], [-1, -1], [1, -1]]
    assert "2 images were left out: their label 'dgo' is no class of the model" in found.notes
    (tmp_path / "l.csv").write_text("file_name,label\na.png,cat;?dgo\nb.png,?dgo\nc.png,cat;?Dog\n")
    back = returned_labels(tmp_path / "l.csv", screened("a.png", "b.png", "c.png"), ["cat", "dog"])
    assert back.labels == {"c.png": "cat;?dog"}
    assert [(one.file_name, one.why) for one in back.apart] == [
        ("a.png", "no class of the model"),
        ("b.png", "no class of the model"),
    ]
