"""Labels of many tools in the exact forms that they write, read alike for truth (`--labels`) and for `fit`."""

import json
import zipfile

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from uncertainty.errors import InputError
from uncertainty.evaluation.matching import DIFFERENT, UNKNOWN_CLASS, UNKNOWN_FILE, returned_labels
from uncertainty.images.manifests import Columns
from uncertainty.labels.images import labelled_images
from uncertainty.labels.imports import read_annotations

ROBOFLOW_OLD = "filename, cat, big dog\na_jpg.rf.0a.jpg, 1, 0\nb_jpg.rf.0b.jpg, 0, 1\nc.jpg, 0, 0\nd.jpg, 1, 1\n"
ROBOFLOW_NEW = ROBOFLOW_OLD.replace(", ", ",")
GROUND_TRUTH = [
    {
        "source-ref": "s3://bucket/a.jpg",
        "job": 1,
        "job-metadata": {"class-name": "cat", "confidence": 0.9, "type": "groundtruth/image-classification"},
    },
    {
        "source-ref": "s3://bucket/b.jpg",
        "many": [1, 0],
        "many-metadata": {
            "class-map": {"0": "dog", "1": "eel"},
            "type": "groundtruth/image-classification-multilabel",
        },
    },
    {"source-ref": "s3://bucket/c.jpg"},
]
VERTEX_CSV = "TRAIN,gs://bucket/a.jpg,cat\ngs://bucket/b.jpg,dog,eel\nTEST,gs://bucket/c.jpg\n"
VERTEX_LINES = [
    {
        "imageGcsUri": "gs://bucket/a.jpg",
        "classificationAnnotation": {"displayName": "cat"},
        "dataItemResourceLabels": {"aiplatform.googleapis.com/ml_use": "training"},
    },
    {
        "imageGcsUri": "gs://bucket/b.jpg",
        "classificationAnnotations": [{"displayName": "dog"}, {"displayName": "eel"}],
    },
    {"imageGcsUri": "gs://bucket/c.jpg"},
]
CLOUDS = "Image_Label,EncodedPixels\na.jpg_cat,1 2 3\na.jpg_dog,\nb.jpg_cat,\nb.jpg_dog,4 5\nb.jpg_eel,6 7\n"
PLANET = "image_name,tags\na,cat\nb,dog eel\n"
MIN = [
    {"id": 1, "image": "/data/upload/3/8f1c2d3e-a.jpg", "choice": "cat", "annotation_id": 4, "lead_time": 1.5},
    {"id": 2, "image": "/data/upload/3/00000000-b.jpg", "choice": {"choices": ["dog", "eel"]}, "annotation_id": 5},
    {"id": 3, "image": "/data/upload/3/0000aaaa-c.jpg", "annotation_id": 6},
]
STUDIO_CSV = (
    "annotation_id,annotator,choice,created_at,id,image,lead_time,updated_at\n"
    "4,1,cat,2026,1,/data/upload/3/8f1c2d3e-a.jpg,1.5,2026\n"
    '5,1,"{""choices"":[""dog"",""eel""]}",2026,2,/data/upload/3/00000000-b.jpg,1.5,2026\n'
    "6,1,,2026,3,/data/upload/3/0000aaaa-c.jpg,1.5,2026\n"
)
FIFTYONE = {"classes": None, "labels": {"a": "cat", "b": ["dog", "eel"], "c": None}}
FIFTYONE_NUMBERS = {"classes": ["cat", "dog", "eel"], "labels": {"a": {"label": 0, "confidence": 1}, "b": [1, 2]}}
COCO = {
    "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}, {"id": 9, "file_name": "c.jpg"}],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "eel"}],
    "annotations": [
        {"image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1]},
        {"image_id": 7, "category_id": 1},
        {"image_id": 8, "category_id": 2},
        {"image_id": 8, "category_id": 3, "bbox": []},
    ],
}
LISTS = [{"file_name": "a.jpg", "label": ["cat"]}, {"file_name": "b.jpg", "label": ["dog", "eel"]}]
WIDE = "file_name,cat,dog,eel\na.jpg,1,0,0\nb.jpg,0,1,1\n"


def lines(rows):
    return "".join(f"{json.dumps(row)}\n" for row in rows)


FORMATS = {
    "truth.manifest": lines(GROUND_TRUTH),
    "vertex.csv": VERTEX_CSV,
    "vertex.jsonl": lines(VERTEX_LINES),
    "clouds.csv": CLOUDS,
    "planet.csv": PLANET,
    "min.json": json.dumps(MIN),
    "studio.csv": STUDIO_CSV,
    "labels.json": json.dumps(FIFTYONE),
    "numbers.json": json.dumps(FIFTYONE_NUMBERS),
    "coco.json": json.dumps(COCO),
    "lists.jsonl": lines(LISTS),
    "wide.csv": WIDE,
}


def pictures(root, *names):
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), 20 * i, np.uint8)).save(root / name)


def screened(*names, several=False):
    n = len(names)
    index = pa.nulls(n, pa.int32()) if several else pa.array([0] * n, pa.int32())
    return pa.table({"file_name": names, "predicted_index": index, "error": pa.nulls(n, pa.string())})


@pytest.mark.parametrize("name", FORMATS)
def test_labels_are_met_with_screened_images(tmp_path, name):
    (tmp_path / name).write_text(FORMATS[name])
    found = returned_labels(tmp_path / name, screened("a.jpg", "b.jpg", several=True), ["cat", "dog", "eel"])
    assert {key: set(label.split(";")) for key, label in found.labels.items()} == {
        "a.jpg": {"cat"},
        "b.jpg": {"dog", "eel"},
    }


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_file_is_what_fit_takes(tmp_path, name):
    (tmp_path / name).write_text(FORMATS[name])
    pictures(
        tmp_path,
        *(
            f"data/{one}.jpg" if "labels" in FORMATS[name] and "classes" in FORMATS[name] else f"{one}.jpg"
            for one in "abc"
        ),
    )
    images = labelled_images(tmp_path / name)
    told = {file.rpartition("/")[2]: label for file, label in zip(images.names, images.labels, strict=True) if label}
    assert told["a.jpg"] == "cat"
    assert set(told["b.jpg"].split(";")) == {"dog", "eel"}
    assert all(item.data.exists() for item in images)


@pytest.mark.parametrize("text", [ROBOFLOW_OLD, ROBOFLOW_NEW])
def test_roboflow(tmp_path, text):
    pictures(tmp_path / "valid", "a_jpg.rf.0a.jpg", "b_jpg.rf.0b.jpg", "c.jpg", "d.jpg")
    (tmp_path / "valid" / "_classes.csv").write_text(text)
    for path in (tmp_path / "valid", tmp_path / "valid" / "_classes.csv", tmp_path):
        assert [row.label for row in read_annotations(path).rows] == ["cat", "big dog", "(no label)", "cat;big dog"]
        images = labelled_images(path)
        assert images.labels == ("cat", "big dog", "(no label)", "cat;big dog")
        assert all(item.data.exists() for item in images)
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "_classes.csv").write_text(text)
    with pytest.raises(InputError, match="holds the parts train, valid of a data set"):
        labelled_images(tmp_path)
    assert len(labelled_images(tmp_path, Columns(split="valid"))) == 4


def test_parts_of_a_table_ask_which(tmp_path):
    pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    table = tmp_path / "m.csv"
    table.write_text("path,class,Split\na.jpg,cat,train\nb.jpg,dog,valid\nc.jpg,eel,valid\n")
    with pytest.raises(InputError, match="holds the parts train, valid of a data set; say which with --split"):
        labelled_images(table)
    assert labelled_images(table, Columns(split="val")).names == ("b.jpg", "c.jpg")
    with pytest.raises(InputError, match="has no part 'test'; it has train, valid"):
        labelled_images(table, Columns(split="test"))
    table.write_text("path,class\na.jpg,cat\n")
    with pytest.raises(InputError, match="does not say which images are of the part 'val'"):
        labelled_images(table, Columns(split="val"))


def test_columns_of_any_name(tmp_path):
    table = tmp_path / "m.csv"
    table.write_text("where,kind\na.jpg,cat\n")
    found = returned_labels(table, screened("a.jpg"), ["cat", "dog"], Columns(name="where", label="kind"))
    assert found.labels == {"a.jpg": "cat"}


def test_an_image_of_another_folder_with_the_same_name_has_no_label(tmp_path):
    def task(where, label):
        result = [{"from_name": "choice", "type": "choices", "value": {"choices": [label]}}]
        return {"data": {"image": f"/data/local-files/?d={where}"}, "annotations": [{"result": result}]}

    path = tmp_path / "export.json"
    path.write_text(json.dumps([task("lastyear/1.png", "eel"), task("inc/2.png", "dog"), task("inc/3.png", "cat")]))
    found = returned_labels(path, screened("1.png", "2.png", "3.png"), ["cat", "dog", "eel"])
    assert found.labels == {"2.png": "dog", "3.png": "cat"}
    assert [(row.file_name, row.why) for row in found.apart] == [("lastyear/1.png", UNKNOWN_FILE)]
    path.write_text(json.dumps([task("lastyear/1.png", "eel"), task("inc/2.png", "dog")]))
    assert {row.why for row in returned_labels(path, screened("1.png", "2.png"), ["dog", "eel"]).apart} == {
        UNKNOWN_FILE
    }


def test_an_uploaded_file_is_known_where_one_image_fits(tmp_path):
    (tmp_path / "min.json").write_text(json.dumps(MIN[:1]))
    labels = returned_labels(tmp_path / "min.json", screened("x/a.jpg"), ["cat", "dog"]).labels
    assert labels == {"x/a.jpg": "cat"}
    found = returned_labels(tmp_path / "min.json", screened("x/a.jpg", "y/a.jpg"), ["cat", "dog"])
    assert found.apart[0].why == UNKNOWN_FILE
    assert found.apart[0].file_name == "8f1c2d3e-a.jpg"


def studio(path, address, label="cat"):
    result = [{"from_name": "choice", "type": "choices", "value": {"choices": [label]}}]
    path.write_text(json.dumps([{"data": {"image": address}, "annotations": [{"result": result}]}]))
    return path


def test_an_uploaded_file_has_the_name_that_the_tool_left_of_it(tmp_path):
    path = studio(tmp_path / "export.json", "/data/upload/1/8f1c2d3e-my_photo_1.png")
    assert returned_labels(path, screened("x/my photo (1).png"), ["cat"]).labels == {"x/my photo (1).png": "cat"}
    twice = returned_labels(path, screened("my photo (1).png", "my photo [1].png"), ["cat"])
    assert [row.why for row in twice.apart] == [UNKNOWN_FILE]
    both = returned_labels(path, screened("my_photo_1.png", "my photo (1).png"), ["cat"])
    assert both.labels == {"my_photo_1.png": "cat"}


@pytest.mark.parametrize(
    "address", ["s3://b/inc/a 1.png?v=1", "https://h/inc/a%201.png?sig=x%2Fy&t=1", "gs://b/a%201.png"]
)
def test_signatures_and_escapes_of_an_address_are_no_part_of_a_name(tmp_path, address):
    path = studio(tmp_path / "export.json", address)
    assert returned_labels(path, screened("a 1.png"), ["cat"]).labels == {"a 1.png": "cat"}


FIFTYONE = "filepath,ground_truth.label,metadata.width\na.jpg,cat,4\nsub/b.jpg,dog,4\nc.jpg,,4\n"


@pytest.mark.parametrize("root", ["", "/home/someone/set/data/"])
def test_a_csv_of_fiftyone_with_names_below_data_or_absolute_ones(tmp_path, root):
    text = FIFTYONE.replace("\na", f"\n{root}a").replace("\nsub", f"\n{root}sub").replace("\nc", f"\n{root}c")
    (tmp_path / "labels.csv").write_text(text)
    found = returned_labels(tmp_path / "labels.csv", screened("a.jpg", "sub/b.jpg", "c.jpg"), ["cat", "dog"])
    assert found.labels == {"a.jpg": "cat", "sub/b.jpg": "dog"}
    assert found.notes == ("1 images have no label and are left out",)
    pictures(tmp_path, "data/a.jpg", "data/sub/b.jpg", "data/c.jpg")
    for path in (tmp_path, tmp_path / "labels.csv"):
        images = labelled_images(path)
        assert dict(zip(images.names, images.labels, strict=True)) == {"data/a.jpg": "cat", "data/sub/b.jpg": "dog"}


def test_of_several_fields_of_fiftyone_one_is_asked_for(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text('filepath,gt.label,tags.classifications.label\na.jpg,cat,"cat,dog"\n')
    with pytest.raises(InputError, match=r"has the labels 'gt.label', 'tags.class.*; say which with --label-column"):
        read_annotations(path)
    assert read_annotations(path, Columns(label="gt.label")).rows[0].label == "cat"
    assert read_annotations(path, Columns(label="tags.classifications.label")).rows[0].label == "cat;dog"
    with pytest.raises(InputError, match="has no column 'x'; it has 'filepath'"):
        read_annotations(path, Columns(label="x"))


def test_true_and_false_are_ones_and_zeros(tmp_path):
    (tmp_path / "l.csv").write_text("image,cat,dog\na.jpg,True,False\nb.jpg,False,True\n")
    assert returned_labels(tmp_path / "l.csv", screened("a.jpg", "b.jpg"), ["cat", "dog"]).labels == {
        "a.jpg": "cat",
        "b.jpg": "dog",
    }


def test_a_table_for_fit_without_labels_names_its_columns(tmp_path):
    pictures(tmp_path, "a.jpg")
    (tmp_path / "l.csv").write_text("file_name,species\na.jpg,cat\n")
    with pytest.raises(InputError, match=r"no column label; beside names it has 'species'; say which with --label-col"):
        labelled_images(tmp_path / "l.csv")


def test_integers_case_and_accents_mean_the_same_as_in_fit(tmp_path):
    import unicodedata

    names = [unicodedata.normalize("NFD", "déjà.png"), "1.png", "2.png"]
    (tmp_path / "l.csv").write_text("file_name,label\ndéjà.png, Cat\n1.png,dog \n2.png,fox\n")
    found = returned_labels(tmp_path / "l.csv", screened(*names), ["cat", "dog"])
    assert list(found.labels.values()) == ["cat", "dog"]
    assert [row.why for row in found.apart] == [UNKNOWN_CLASS]
    assert any("'Cat' as 'cat'" in note for note in found.words())
    (tmp_path / "l.jsonl").write_text(lines([{"file_name": "1.png", "label": 1}, {"file_name": "2.png", "label": 0}]))
    found = returned_labels(tmp_path / "l.jsonl", screened("1.png", "2.png"), ["cat", "dog"])
    assert found.labels == {"1.png": "dog", "2.png": "cat"}
    assert any("positions of classes, 1 is 'dog'" in note for note in found.notes)
    (tmp_path / "l.jsonl").write_text(lines([{"file_name": f"{k}.png", "label": k} for k in (0, 1, 2)]))
    with pytest.raises(InputError, match="some are class names, and all can be positions"):
        returned_labels(tmp_path / "l.jsonl", screened("0.png", "1.png", "2.png"), ["1", "2", "3"])


def test_one_image_in_two_class_folders_has_different_answers(tmp_path):
    pictures(tmp_path, "cat/a.jpg", "dog/a.jpg", "dog/b.jpg")
    found = returned_labels(tmp_path, screened("a.jpg", "b.jpg"), ["cat", "dog"])
    assert found.labels == {"b.jpg": "dog"}
    assert {row.why for row in found.apart} == {DIFFERENT}


def test_a_file_that_labels_nothing(tmp_path):
    (tmp_path / "coco.json").write_text(json.dumps(COCO | {"annotations": []}))
    with pytest.raises(InputError, match="labels no image"):
        read_annotations(tmp_path / "coco.json")
    (tmp_path / "coco.json").write_text(json.dumps(COCO | {"annotations": [{"image_id": 99, "category_id": 1}]}))
    with pytest.raises(InputError, match="is not whole: 99 is missing"):
        read_annotations(tmp_path / "coco.json")


def test_an_address_that_is_no_url_is_a_name(tmp_path):
    (tmp_path / "v.csv").write_text("gs://[bucket/a.jpg,cat\n")
    assert read_annotations(tmp_path / "v.csv").rows[0].names[-1] == "a.jpg"


def test_a_zip_in_which_a_class_is_called_test(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("test/mon/x.png", b"")
        archive.writestr("cat/y.png", b"")
    assert [(row.names[0], row.label) for row in read_annotations(tmp_path / "a.zip").rows] == [
        ("test/mon/x.png", "test"),
        ("cat/y.png", "cat"),
    ]
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("test/cat/x.png", b"")
    assert read_annotations(tmp_path / "b.zip").rows[0].label == "cat"
