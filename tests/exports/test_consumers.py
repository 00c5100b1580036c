"""The tools themselves read what is exported for them.

Left out where the extra `exports-tests` is not installed.
"""

from __future__ import annotations

import json
import os

import pytest

from tests.exports.made import CLASSES, NAMES, images, ranking, write

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # warnings of other projects are not ours

PLAIN = ("cat", "big dog", "eel")
TRUTH = {name: PLAIN[i % 3] for i, name in enumerate(NAMES)}
P_WRONG = {name: pytest.approx(0.1 + 0.1 * i, abs=1e-6) for i, name in enumerate(NAMES)}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return images(tmp_path_factory.mktemp("images"))


@pytest.fixture
def table():
    return ranking(predicted_label=[TRUTH[name] for name in NAMES])


# ---- Label Studio


def validated(folder):
    interface = pytest.importorskip("label_studio_sdk.label_interface").LabelInterface
    reader = interface((folder / "config.xml").read_text("utf-8"))
    tasks = json.loads((folder / "tasks.json").read_text("utf-8"))
    return reader, [one for task in tasks for one in task["predictions"]]


@pytest.mark.parametrize("several", [False, True])
def test_label_studio_takes_every_prediction(tmp_path, several):
    classes = CLASSES[:2] if several else CLASSES
    write(ranking(several=several), "label-studio", tmp_path / "t", classes=classes)
    reader, predictions = validated(tmp_path / "t")
    assert len(predictions) == len(NAMES)
    assert all(reader.validate_prediction(one) for one in predictions)
    control = reader.get_control("choice")
    assert set(control.labels) >= set(classes)


def test_label_studio_refuses_what_is_wrong(tmp_path, table):
    write(table, "label-studio", tmp_path / "t", classes=PLAIN)
    reader, predictions = validated(tmp_path / "t")
    one = json.dumps(predictions[0])
    assert not reader.validate_prediction(
        json.loads(one.replace(predictions[0]["result"][0]["value"]["choices"][0], "yak"))
    )
    assert not reader.validate_prediction(json.loads(one) | {"score": 1.7})


# ---- CVAT, by Datumaro


def test_datumaro_reads_the_xml(tmp_path, root):
    datumaro = pytest.importorskip("datumaro")
    write(ranking(), "cvat", tmp_path / "t", classes=CLASSES, images=root, place="copy")
    found = datumaro.Dataset.import_from(str(tmp_path / "t" / "annotations.xml"), "cvat")
    names = found.categories()[datumaro.AnnotationType.label]
    read = {item.id: item for item in found}
    assert len(read) == len(NAMES)
    one = read["Käfer's=%20"]
    label = one.annotations[0]
    assert names[label.label].name == "cat"
    assert float(label.attributes["p_wrong"]) == P_WRONG["Käfer's=%20.png"]
    assert one.media.size == (5, 10)


def test_datumaro_reads_the_list(tmp_path, table):
    datumaro = pytest.importorskip("datumaro")
    write(table, "cvat-folders", tmp_path / "t", classes=PLAIN)
    found = datumaro.Dataset.import_from(str(tmp_path / "t"), "imagenet_txt")
    names = found.categories()[datumaro.AnnotationType.label]
    read = {item.id: names[item.annotations[0].label].name for item in found}
    assert read == {os.path.splitext(name)[0]: label for name, label in TRUTH.items()}


def test_datumaro_reads_the_folders(tmp_path, table, root):
    datumaro = pytest.importorskip("datumaro")
    write(table, "cvat-folders", tmp_path / "t", classes=PLAIN, images=root, place="copy")
    found = datumaro.Dataset.import_from(str(tmp_path / "t"), "imagenet")
    names = found.categories()[datumaro.AnnotationType.label]
    read = sorted((names[item.annotations[0].label].name, os.path.basename(item.media.path)) for item in found)
    assert len(read) == len(NAMES)
    assert all(file.startswith(f"{label}_") for label, file in read)


# ---- FiftyOne, without its database


@pytest.mark.parametrize("place", ["nowhere", "copy"])
@pytest.mark.parametrize("several", [False, True])
def test_fiftyone_reads_labels_and_attributes(tmp_path, root, place, several, monkeypatch):
    importers = fiftyone_importers(monkeypatch, tmp_path)
    table = ranking(several=several)
    write(table, "fiftyone", tmp_path / "t", classes=CLASSES, images=root, place=place)
    with importers.FiftyOneImageClassificationDatasetImporter(str(tmp_path / "t")) as importer:
        read = {path: label for path, _, label in importer}
    assert len(read) == len(NAMES)
    base = root if place == "nowhere" else tmp_path / "t" / "data"
    label = read[str(base / "Käfer's=%20.png")]
    if several:
        assert [one.label for one in label.classifications] == ["cat", "big dog"]
        label = label.classifications[0]
    assert (label.label, label.p_wrong, label.rank, label.flagged) == ("cat", P_WRONG["Käfer's=%20.png"], 3, False)
    assert label.confidence == pytest.approx(0.75)


def fiftyone_importers(monkeypatch, folder):
    """Import the importers; they need no server as long as no data set is made."""
    monkeypatch.setenv("FIFTYONE_DATABASE_DIR", str(folder / "db"))
    monkeypatch.setenv("FIFTYONE_DO_NOT_TRACK", "1")
    return pytest.importorskip("fiftyone.utils.data.importers")


# ---- Hugging Face


def test_datasets_reads_images_and_columns(tmp_path, root, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    write(ranking(meta_mask_file_name=["x"] * 6), "hf", tmp_path / "t", classes=CLASSES, images=root)
    found = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "t"), cache_dir=str(tmp_path / "cache"))
    assert list(found) == ["train"]
    rows = {round(row["p_wrong"], 4): row for row in found["train"]}
    assert len(rows) == len(NAMES)
    one = rows[0.4]
    assert one["image"].size == (10, 5)
    assert (one["predicted_label"], one["flagged"], one["rank"]) == ("cat", False, 3)
    assert rows[0.5]["reasons"] == ["low_margin", "dark"]
    assert one["meta_mask_file_name_"] == "x"


def test_folders_called_test_do_not_become_splits(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    names = ("test/a.png", "train/a.png", "validation/test_1.png")
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2)).save(tmp_path / "in" / name)
    write(ranking(names), "hf", tmp_path / "t", classes=CLASSES, images=tmp_path / "in")
    found = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "t"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(part) for name, part in found.items()} == {"train": 3}
    assert set(found["train"]["name_in_verdicts"]) == set(names)
