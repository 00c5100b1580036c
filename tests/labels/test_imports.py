"""Labels as people and tools write them: what each form says, and what is refused in one sentence."""

import json
import zipfile

import pytest

from tests.damage import with_a_wrong_block
from uncertainty.errors import InputError
from uncertainty.labels.imports import read_annotations
from uncertainty.labels.imports.base import Annotation


def choices(*names, control="choice"):
    return {"type": "choices", "from_name": control, "to_name": "image", "value": {"choices": list(names)}}


def task(name, *annotations, **data):
    return {"data": {"image": f"/data/{name}", "file_name": name} | data, "annotations": list(annotations)}


def written(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def packed(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def said(found):
    return [(row.names[0], row.label, row.annotator) for row in found.rows]


# ---- tables


def test_a_table_may_name_annotators(tmp_path):
    path = written(tmp_path / "a.csv", "file_name,label,annotator\na,cat,ann\na,dog,ben\nb,,ann\n")
    assert said(read_annotations(path)) == [("a", "cat", "ann"), ("a", "dog", "ben")]


# ---- Label Studio


def test_label_studio_annotators_skips_and_several_choices(tmp_path):
    tasks = [
        task(
            "a b.jpg", {"completed_by": 1, "result": [choices("cat")]}, {"completed_by": 2, "result": [choices("dog")]}
        ),
        task("c.jpg", {"completed_by": {"id": 3, "email": "ann@x"}, "result": [choices("cat", "dog")]}),
        task("d.jpg", {"was_cancelled": True, "completed_by": 1, "result": [choices("cat")]}),
        task("e.jpg", {"completed_by": 1, "result": []}),
        task("f.jpg"),
        {"data": {"image": "s3://bucket/mon/g.jpg"}, "annotations": [{"result": [choices("cat", control="k")]}]},
        task("h.jpg", {"result": [choices("blurred", control="quality"), choices("dog")]}),
    ]
    found = read_annotations(written(tmp_path / "export.json", tasks))
    assert said(found) == [
        ("a b.jpg", "cat", "1"),
        ("a b.jpg", "dog", "2"),
        ("c.jpg", "cat;dog", "ann@x"),
        ("e.jpg", "(no label)", "1"),
        ("s3://bucket/mon/g.jpg", "cat", ""),
        ("h.jpg", "dog", ""),
    ]
    assert found.rows[4].names == ("s3://bucket/mon/g.jpg", "mon/g.jpg", "g.jpg")
    assert found.notes == ("1 annotations were skipped by their annotator; they are left out",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[", "is not valid JSON"),
        ({"a": 1}, "is no JSON of labels that is known: of Label Studio"),
        ([1], "is no JSON of labels that is known: of Label Studio"),
        ([{"data": 3}], "is no JSON of labels that is known: of Label Studio"),
        ([], "holds 0 tasks and no finished annotation"),
        ([{"data": {"x": 1}}], "task 1, has neither data.file_name nor the address"),
        ([task("a") | {"annotations": 3}], "task 1, has '3' where a list of annotations or results belongs"),
        (
            [task("a", {"result": [choices("x", control="p"), choices("y", control="q")]})],
            "more than one block of choices",
        ),
    ],
)
def test_what_label_studio_never_writes(tmp_path, content, said):
    with pytest.raises(InputError) as caught:
        read_annotations(written(tmp_path / "a.json", content))
    assert said in str(caught.value)


# ---- CVAT

XML = """<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta/>
<image id="0" name="a &amp; b.jpg" width="3" height="2">
  <tag label="cat" source="auto"><attribute name="p_wrong">0.8</attribute></tag>
  <tag label="dog" source="manual"></tag></image>
<image id="1" name="mon/c.jpg" width="3" height="2"><tag label="cat" source="auto"/></image>
<image id="2" name="d.jpg" width="3" height="2"></image>
<image id="3" name="e.jpg" width="3" height="2"><tag label="cat"/><tag label="dog"/></image></annotations>"""
EXPECTED = [
    ("a & b.jpg", "dog", ""),
    ("mon/c.jpg", "cat", ""),
    ("d.jpg", "(no label)", ""),
    ("e.jpg", "cat;dog", ""),
]


def test_cvat_xml_alone_in_a_folder_and_in_a_zip(tmp_path):
    path = written(tmp_path / "annotations.xml", XML)
    zipped = packed(tmp_path / "task.zip", {"annotations.xml": XML, "images/a & b.jpg": b"x"})
    for where in (path, tmp_path, zipped):
        found = read_annotations(where)
        assert said(found) == EXPECTED
        assert found.notes == (
            "1 image keeps the tag that was predicted, unchanged: it counts as confirmed",
            "1 image has no tag and counts as without any label; take out what nobody has looked at",
        )


def test_a_zip_that_was_packed_wrongly_is_one_line(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations.xml", XML)
    with_a_wrong_block(path, "annotations.xml")
    with pytest.raises(InputError, match=r"a\.zip can't be read as a zip \(.*invalid block type"):
        read_annotations(path)


@pytest.mark.parametrize("prefix", ["", "train/"])
def test_class_folders_in_a_zip(tmp_path, prefix):
    names = ["cat/cat_1.jpg", "dog/dog_mon%2F2.jpg", "dog/3.png", "dog/notes.md"]
    found = read_annotations(packed(tmp_path / "a.zip", {prefix + name: b"x" for name in names}))
    assert [row.label for row in found.rows] == ["cat", "dog", "dog"]
    assert [row.names[-1] for row in found.rows] == ["1.jpg", "mon/2.jpg", "3.png"]


def test_an_imagenet_list_in_a_zip(tmp_path):
    files = {"synsets.txt": "cat\nbig dog\n", "default.txt": '"mon/a b".jpg 1\nc.png 0\n"d".jpg 0 1\ne.jpg\n'}
    found = read_annotations(packed(tmp_path / "a.zip", files))
    assert said(found) == [
        ("mon/a b.jpg", "big dog", ""),
        ("c.png", "cat", ""),
        ("d.jpg", "cat;big dog", ""),
        ("e.jpg", "(no label)", ""),
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.xml", "no xml", "is not valid XML"),
        ("a.xml", "<annotations>", "is not valid XML"),
        ("a.xml", "<other/>", "starts with <other>"),
        ("a.xml", "<annotations/>", "labels no image"),
        ("a.xml", '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotations/>', "has a document type"),
        ("a.zip", "no zip", "can't be read as a zip"),
        ("a.zip", {"x.jpg": b""}, "holds neither annotations.xml nor synsets.txt"),
        ("a.zip", {"synsets.txt": "cat\n", "default.txt": "a.jpg 1\n"}, "classes are numbers below 1"),
        ("a.zip", {"synsets.txt": "cat\n", "default.txt": "a.jpg\n"}, "labels no image"),
        ("a.zip", {"synsets.txt": b"\xff\n", "default.txt": "a.jpg\n"}, "is not UTF-8"),
    ],
)
def test_what_cvat_never_writes(tmp_path, name, content, said):
    path = packed(tmp_path / name, content) if isinstance(content, dict) else written(tmp_path / name, content)
    with pytest.raises(InputError) as caught:
        read_annotations(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_name_may_be_tried_in_turn(tmp_path):
    (tmp_path / "cat" / "mon").mkdir(parents=True)
    (tmp_path / "cat" / "mon" / "1.jpg").write_bytes(b"x")
    assert read_annotations(tmp_path).rows == (Annotation(("cat/mon/1.jpg", "mon/1.jpg"), "cat"),)
