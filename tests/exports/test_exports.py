"""Exports by our own eyes: what is in the files, what is left out and said, and that nothing is half or outside."""

import csv
import json
import os
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.exports.made import CLASSES, NAMES, images, ranking, write
from uncertainty.errors import InputError
from uncertainty.exports.export import export
from uncertainty.exports.targets import FOLDERS
from uncertainty.labels.imports import read_annotations
from uncertainty.verdicts import Verdicts, write_table

FIRST = tuple(reversed(NAMES))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return images(tmp_path_factory.mktemp("images"))


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def test_tables_hold_everything_in_rank_order(tmp_path):
    for to, ending in (("csv", ".csv"), ("parquet", ".parquet")):
        done = write(ranking(), to, tmp_path / f"a{ending}", classes=CLASSES)
        assert (done.images, done.notes) == (6, ())
        table = Verdicts.read(done.path).table
        assert table["file_name"].to_pylist() == list(FIRST)
        assert table["reasons"].to_pylist()[1] == ["low_margin", "dark"]
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        assert [row["file_name"] for row in csv.DictReader(file)][1] == "'=1+1.png"


def test_label_studio_tasks(tmp_path):
    done = write(
        ranking(), "label-studio", tmp_path / "t", classes=CLASSES, model_version="m", image_url_prefix="https://x/y/"
    )
    tasks = json.loads((tmp_path / "t" / "tasks.json").read_text("utf-8"))
    assert [task["data"]["file_name"] for task in tasks] == list(FIRST)
    one = tasks[2]
    assert one["data"] == {
        "image": "https://x/y/K%C3%A4fer%27s%3D%2520.png",
        "file_name": "Käfer's=%20.png",
        "p_wrong": 0.4,
        "confidence": 0.75,
        "rank": 3,
        "reasons": "",
        "flagged": False,
        "group": 3,
        "inclusion_probability": 0.5,
    }
    result = {"id": "r3", "from_name": "choice", "to_name": "image", "type": "choices", "value": {"choices": ["cat"]}}
    assert one["predictions"] == [{"model_version": "m", "score": 0.6, "result": [result]}]
    config = (tmp_path / "t" / "config.xml").read_text("utf-8")
    assert '<Choice value="e&amp;l &lt;&quot;x&quot;&gt;"/>' in config
    assert '<Choice value="(no known class)"/>' in config
    assert done.notes == ("label-studio does not carry 1 column est_...; csv and parquet do",)


def test_label_studio_says_which_addresses_it_assumes(tmp_path):
    done = write(ranking(), "label-studio", tmp_path / "t", classes=CLASSES)
    (task, *_) = json.loads((tmp_path / "t" / "tasks.json").read_text("utf-8"))
    (note,) = [note for note in done.notes if "--image-url-prefix" in note]
    assert note.endswith(f"with LOCAL_FILES_SERVING_ENABLED, e.g. {task['data']['image']}")


def test_label_studio_files_keep_to_the_limits(tmp_path):
    from uncertainty.exports.base import Ranking
    from uncertainty.exports.label_studio import write as tasks

    tasks(Ranking.of(ranking(), CLASSES), tmp_path, most_tasks=4)
    assert [len(json.loads((tmp_path / f"tasks-00{k}.json").read_text("utf-8"))) for k in (1, 2)] == [4, 2]
    (tmp_path / "b").mkdir()
    tasks(Ranking.of(ranking(), CLASSES), tmp_path / "b", most_bytes=1000)
    parts = sorted((tmp_path / "b").glob("tasks-*.json"))
    assert len(parts) > 2
    assert all(part.stat().st_size <= 1000 for part in parts)
    assert sum(len(json.loads(part.read_text("utf-8"))) for part in parts) == 6


def test_cvat_has_sizes_order_and_the_attribute(tmp_path, root):
    from xml.etree import ElementTree

    done = write(ranking(), "cvat", tmp_path / "t", classes=CLASSES, images=root)
    found = ElementTree.parse(tmp_path / "t" / "annotations.xml").getroot()
    assert [image.get("name") for image in found.iter("image")] == list(FIRST)
    first = next(found.iter("image"))
    assert (first.get("width"), first.get("height")) == ("12", "5")
    assert first.find("tag").get("label") == CLASSES[2]
    assert first.find("tag/attribute").text == "0.6"
    assert [label.text for label in found.iterfind("meta/task/labels/label/name")] == list(CLASSES)
    assert (tmp_path / "t" / "images.txt").read_text("utf-8").splitlines() == list(FIRST)
    assert json.loads((tmp_path / "t" / "labels.json").read_text("utf-8"))[0]["attributes"][0]["name"] == "p_wrong"
    assert (
        "cvat does not carry confidence, flagged, reasons, group, inclusion_probability, 1 column est_..."
        in (done.notes[-1])
    )


def test_cvat_folders_as_list_and_as_folders(tmp_path, root):
    safe = [name if name != CLASSES[2] else "eel" for name in ranking()["predicted_label"].to_pylist()]
    table = ranking(predicted_label=safe)
    classes = ("cat", "big dog", "eel")
    write(table, "cvat-folders", tmp_path / "list.zip", classes=classes)
    with zipfile.ZipFile(tmp_path / "list.zip") as archive:
        assert archive.read("default.txt").decode().splitlines()[-1] == '"mon/a b".png 0'
    write(table, "cvat-folders", tmp_path / "t", classes=classes, images=root, place="copy")
    assert "cat/cat_mon%2Fa b.png" in files(tmp_path / "t")
    truth = dict(zip(NAMES, safe, strict=True))
    for where in (tmp_path / "list.zip", tmp_path / "t"):
        rows = read_annotations(where).rows
        assert {next(name for name in row.names if name in truth): row.label for row in rows} == truth
    odd = ranking(predicted_label=["../x"] * 6)
    with pytest.raises(InputError, match="can't be the name of a folder"):
        write(odd, "cvat-folders", tmp_path / "odd", classes=("../x",), images=root, place="copy")


def test_fiftyone_keys(tmp_path, root):
    done = write(ranking(), "fiftyone", tmp_path / "here", classes=CLASSES, images=root)
    content = json.loads((tmp_path / "here" / "labels.json").read_text("utf-8"))
    assert content["classes"] == list(CLASSES)
    assert set(content["labels"]) == {str(root / name) for name in NAMES}
    write(ranking(), "fiftyone", tmp_path / "copied", classes=CLASSES, images=root, place="copy")
    labels = json.loads((tmp_path / "copied" / "labels.json").read_text("utf-8"))["labels"]
    assert labels["mon/c#1"]["label"] == "big dog"
    assert labels["d"] == {
        "label": CLASSES[2],
        "confidence": 0.85,
        "attributes": {
            "rank": 1,
            "p_wrong": 0.6,
            "flagged": False,
            "reasons": [],
            "group": 5,
            "inclusion_probability": 0.5,
        },
    }
    assert done.images == 6


def test_fiftyone_keys_of_images_that_differ_in_their_ending(tmp_path):
    names = ("a.png", "a.jpg", "a.png.png")
    from PIL import Image

    for name in names:
        Image.new("RGB", (2, 2)).save(tmp_path / name)
    write(ranking(names), "fiftyone", tmp_path / "t", classes=CLASSES, images=tmp_path, place="copy")
    assert len(files(tmp_path / "t" / "data")) == 3
    assert len(json.loads((tmp_path / "t" / "labels.json").read_text("utf-8"))["labels"]) == 3


def test_hugging_face_has_all_columns_beside_the_images(tmp_path, root):
    write(ranking(), "hf", tmp_path / "t", classes=CLASSES, images=root, place="link")
    table = pq.read_table(tmp_path / "t" / "train" / "metadata.parquet")
    assert table.column_names == ranking().column_names
    assert set(files(tmp_path / "t" / "train")) == {*NAMES, "metadata.parquet"}
    assert os.readlink(tmp_path / "t" / "train" / "d.png") == str(root / "d.png")


# ---- what can't be carried, found or trusted


def test_unreadable_images_are_left_out_and_said(tmp_path):
    table = ranking(error=pa.array([None, "is truncated", *[None] * 4], pa.string()))
    done = write(table, "label-studio", tmp_path / "t", classes=CLASSES)
    assert done.images == 5
    assert "1 unreadable image is left out, e.g. 'mon/c#1.jpg': is truncated" in done.notes


@pytest.mark.parametrize("to", ["cvat", "fiftyone", "hf", "cvat-folders"])
def test_images_that_are_gone_are_left_out_and_said(tmp_path, root, to):
    names = (*NAMES[:4], "gone.png", "gone2.png")
    table = ranking(names, predicted_label=["cat"] * 6)
    place = "copy" if to == "cvat-folders" else "nowhere"
    done = write(table, to, tmp_path / "t", classes=CLASSES, images=root, place=place)
    assert done.images == 4
    assert any("2 images are left out" in note and "'gone" in note for note in done.notes)


@pytest.mark.parametrize("to", FOLDERS)
@pytest.mark.parametrize("place", ["copy", "link"])
def test_nothing_is_written_outside(tmp_path, root, to, place):
    outer = tmp_path / "outer"
    outer.mkdir()
    inner = images(outer / "in")
    (outer / "secret.png").write_bytes((inner / "d.png").read_bytes())
    names = ("../secret.png", str(outer / "secret.png"), "mon/../../secret.png", "d.png")
    table = ranking(names, predicted_label=["cat"] * 4)
    before = files(tmp_path)
    done = write(table, to, tmp_path / "a" / "t", classes=CLASSES, images=inner, place=place)
    assert done.images == 1
    assert any("3 images are left out" in note and "leads out of the folder" in note for note in done.notes)
    assert {name for name in files(tmp_path) if not name.startswith("a/t/")} == set(before)
    assert not [path for path in (tmp_path / "a").iterdir() if path.name != "t"]


def test_images_inside_parquet_are_copied_out_or_it_is_said(tmp_path, root):
    rows = [{"bytes": (root / name).read_bytes(), "path": None} for name in NAMES]
    pq.write_table(pa.table({"img": rows}), tmp_path / "shard.parquet")
    names = tuple(f"shard/{i:07d}" for i in range(6))
    table, shard = ranking(names, predicted_label=["cat"] * 6), tmp_path / "shard.parquet"
    for to in ("label-studio", "fiftyone"):
        with pytest.raises(InputError, match=r"inside Parquet files.* use `export --copy`"):
            write(table, to, tmp_path / "x", classes=CLASSES, images=shard)
    with pytest.raises(InputError, match="can't be linked; use --copy"):
        write(table, "hf", tmp_path / "x", classes=CLASSES, images=shard, place="link")
    assert not (tmp_path / "x").exists()
    for to in FOLDERS:
        assert write(table, to, tmp_path / to, classes=CLASSES, images=shard, place="copy").images == 6
    assert "images/shard/0000000.png" in files(tmp_path / "label-studio")
    tasks = json.loads((tmp_path / "label-studio" / "tasks.json").read_text("utf-8"))
    assert tasks[0]["data"]["image"].endswith("shard/0000005.png")
    assert tasks[0]["data"]["file_name"] == "shard/0000005"
    names_there = pq.read_table(tmp_path / "hf" / "train" / "metadata.parquet")
    assert names_there["name_in_verdicts"].to_pylist() == list(reversed(names))
    write(table, "cvat", tmp_path / "sizes", classes=CLASSES, images=shard)


def test_several_labels_an_image(tmp_path, root):
    table = ranking(several=True)
    for to in ("label-studio", "cvat", "fiftyone", "hf", "cvat-folders"):
        assert write(table, to, tmp_path / to, classes=("cat", "big dog"), images=root).images == 6
    assert 'choice="multiple"' in (tmp_path / "label-studio" / "config.xml").read_text("utf-8")
    tasks = json.loads((tmp_path / "label-studio" / "tasks.json").read_text("utf-8"))
    assert tasks[2]["predictions"][0]["result"][0]["value"]["choices"] == ["cat", "big dog"]
    assert tasks[1]["predictions"][0]["result"] == []
    labels = json.loads((tmp_path / "fiftyone" / "labels.json").read_text("utf-8"))["labels"]
    assert [len(labels[str(root / name)]) for name in NAMES[:3]] == [2, 0, 1]
    listed = pq.read_table(tmp_path / "hf" / "train" / "metadata.parquet")
    told = dict(zip(listed["file_name"].to_pylist(), listed["predicted_label"].to_pylist(), strict=True))
    assert [told[name] for name in NAMES[:3]] == [["cat", "big dog"], [], ["cat"]]
    write(table, "label-studio", tmp_path / "unnamed")
    assert "cat;big dog" not in (tmp_path / "unnamed" / "config.xml").read_text("utf-8")
    done = write(table, "cvat-folders", tmp_path / "f", classes=("cat", "big dog"), images=root, place="copy")
    assert done.images == 2
    assert any("class folders hold one class an image" in note for note in done.notes)


@pytest.mark.parametrize("place", ["nowhere", "copy"])
def test_names_that_a_form_can_t_hold_are_left_out_and_the_others_come_back(tmp_path, place):
    from PIL import Image

    odd = ("bell\x07.png", "two\nlines.png", 'quo"te.png', " space .png", "a&b;'<c>.png", "tab\t.png")
    (tmp_path / "in").mkdir()
    for name in odd:
        Image.new("RGB", (2, 3)).save(tmp_path / "in" / name)
    table = ranking(odd, predicted_label=["cat"] * 6)
    for to, lost in (("cvat", odd[:1]), ("label-studio", ()), ("fiftyone", ()), ("hf", ()), ("cvat-folders", None)):
        done = write(table, to, tmp_path / to, classes=("cat",), images=tmp_path / "in", place=place)
        if to != "cvat-folders":
            assert done.images == 6 - len(lost)
        elif place == "nowhere":
            assert done.images == 4
    read = read_annotations(tmp_path / "cvat" / "annotations.xml").rows
    assert {row.names[0] for row in read} == set(odd[1:])
    if place == "copy":
        rows = read_annotations(tmp_path / "cvat-folders").rows
        assert {row.names[-1] for row in rows} >= set(odd)


def test_a_failure_leaves_nothing_behind(tmp_path, root, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("uncertainty.exports.image_files.shutil.copyfile", full)
    with pytest.raises(InputError, match=r"t can't be written: No space left on device; choose another place"):
        write(ranking(), "hf", tmp_path / "t", classes=CLASSES, images=root)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("to", "name", "options", "said"),
    [
        ("coco", "t", {}, "'coco' is no target; choose one of csv, parquet, label-studio"),
        ("csv", "t.txt", {}, "must end in .csv"),
        ("csv", "t.csv", {"place": "copy"}, "csv holds no images"),
        ("cvat", "t", {"image_url_prefix": "x"}, "cvat has no addresses"),
        ("cvat", "t", {}, "cvat needs the images; say where they are with --images"),
        ("hf", "t", {"images": "/nowhere"}, "does not exist; give the folder"),
        ("cvat", "full", {}, "is there already; choose a new place"),
        (
            "label-studio",
            "t",
            {"classes": ("cat",)},
            "was predicted and is none of the 1 classes; give the right --classes",
        ),
    ],
)
def test_what_is_refused(tmp_path, to, name, options, said):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    if "images" in options:
        options = options | {"images": Path(options["images"])}
    with pytest.raises(InputError) as caught:
        write(ranking(), to, tmp_path / name, **({"classes": CLASSES} | options))
    assert said in str(caught.value)
    assert files(tmp_path) == ["full/x"]


def test_the_same_ranking_gives_the_same_bytes(tmp_path, root):
    for to in FOLDERS:
        table = ranking(predicted_label=["cat"] * 6)
        for k in (1, 2):
            write(table, to, tmp_path / f"{to}{k}.zip", classes=CLASSES, images=root, place="copy")
        assert (tmp_path / f"{to}1.zip").read_bytes() == (tmp_path / f"{to}2.zip").read_bytes()


def test_classes_model_and_images_are_looked_up_beside_the_table(tmp_path, root):
    write_table(ranking(), tmp_path / "ranking.csv")
    summary = {"classes": list(CLASSES), "input_root": str(root), "provenance": {"model_sha256": "ab" * 32}}
    (tmp_path / "summary.json").write_text(json.dumps(summary), "utf-8")
    done = export(tmp_path / "ranking.csv", "label-studio", tmp_path / "t")
    assert not [note for note in done.notes if "classes" in note]
    tasks = json.loads((tmp_path / "t" / "tasks.json").read_text("utf-8"))
    assert tasks[0]["predictions"][0]["model_version"] == "uncertainty abababababab"
    assert export(tmp_path / "ranking.csv", "cvat", tmp_path / "c").images == 6
    (tmp_path / "summary.json").unlink()
    done = export(tmp_path / "ranking.csv", "label-studio", tmp_path / "u")
    assert "the table does not name its classes; taken are the 3 that were predicted" in done.notes
