"""Verdicts and labels to files: what is written is what is known, whatever the names, classes and gaps."""

import csv
import json

import pytest

from uncertainty.errors import InputError
from uncertainty.evaluating import evaluate_folder
from uncertainty.pipeline import screen_into
from uncertainty.verdicts import FORMATS, Verdicts


@pytest.fixture(scope="module")
def mixed(world, tmp_path_factory):
    """The incoming images and one that can't be read, in the middle."""
    folder = tmp_path_factory.mktemp("mixed")
    for path in world.incoming.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "019a.png").write_bytes(b"no image")
    return folder


@pytest.fixture
def out(world, mixed, tmp_path):
    screen_into(tmp_path / "out", world.screener, mixed)
    return tmp_path / "out"


def write_labels(path, pairs):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file_name", "label"), *pairs])
    return path


def truth(world):
    """Labels of the incoming images: their number, modulo three."""
    names = sorted(path.name for path in world.incoming.iterdir())
    return {name: world.screener.model.classes[i % 3] for i, name in enumerate(names)}


def test_evaluation_counts_every_row_once_and_matches_its_files(world, out, tmp_path):
    labels = truth(world)
    file = write_labels(tmp_path / "labels.csv", labels.items())
    found = evaluate_folder(out, file, resamples=20)
    evaluation, match = found.evaluation, found.match
    assert (evaluation.n, evaluation.n_unreadable, evaluation.n_unlabelled) == (40, 1, 0)
    assert (match.matched, match.rows_without_label, match.labels_without_row) == (40, 1, 0)
    saved = json.loads((out / "evaluation.json").read_text("utf-8"))
    assert saved["n_errors"] == evaluation.n_errors
    assert saved["n_labels_without_image"] == 0
    with (out / "errors.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    columns = ["file_name", "label", "predicted_label", "confidence", "p_wrong", "outcome", "reasons"]
    assert list(rows[0])[:7] == columns
    assert [name for name in rows[0] if name.startswith("prob_")] == ["prob_cat", "prob_dog", "prob_eel"]
    verdicts = {row["file_name"]: row for row in Verdicts.read(out).table.to_pylist()}
    wrong = {name for name, label in labels.items() if verdicts[name]["predicted_label"] != label}
    assert {row["file_name"] for row in rows} == wrong
    assert len(wrong) == evaluation.n_errors > 0
    for row in rows:
        assert row["label"] == labels[row["file_name"]]
        assert row["outcome"] == ("caught" if verdicts[row["file_name"]]["flagged"] else "missed")


def test_labels_without_images_and_images_without_labels_are_counted(world, out, tmp_path):
    labels = dict(list(truth(world).items())[10:]) | {"far.png": "cat", "away.png": "dog"}
    found = evaluate_folder(out, write_labels(tmp_path / "l.csv", labels.items()), resamples=5)
    evaluation, match = found.evaluation, found.match
    assert (evaluation.n, evaluation.n_unlabelled, evaluation.n_unreadable) == (30, 10, 1)
    assert match.labels_without_row == 2
    assert json.loads((out / "evaluation.json").read_text("utf-8"))["n_labels_without_image"] == 2


@pytest.mark.parametrize("ending", FORMATS)
def test_labels_of_no_class_are_listed_and_wrong(world, mixed, tmp_path, ending):
    screen_into(tmp_path, world.screener, mixed, ending=ending)
    labels = truth(world) | {"000.png": "yak", "001.png": "yak"}
    evaluation = evaluate_folder(
        tmp_path, write_labels(tmp_path / "labels.csv", labels.items()), resamples=5
    ).evaluation
    assert evaluation.unknown_labels == {"yak": 2}
    assert evaluation.accuracy <= 38 / 40


def test_evaluation_of_one_file(world, out, tmp_path):
    file = write_labels(tmp_path / "labels.csv", truth(world).items())
    whole = evaluate_folder(out, file, resamples=5).evaluation
    (out / "evaluation.json").unlink()
    one = evaluate_folder(out / "verdicts.parquet", file, resamples=5).evaluation
    assert one == whole
    assert (out / "evaluation.json").exists()


def test_labels_from_class_folders(world, out, tmp_path):
    for name, label in truth(world).items():
        (tmp_path / "sorted" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "sorted" / label / name).write_bytes((world.incoming / name).read_bytes())
    found = evaluate_folder(out, tmp_path / "sorted", resamples=5)
    evaluation, match = found.evaluation, found.match
    by_table = evaluate_folder(out, write_labels(tmp_path / "labels.csv", truth(world).items()), resamples=5).evaluation
    assert evaluation == by_table
    assert match.matched == 40


def test_a_folder_without_verdicts_is_an_error(tmp_path):
    with pytest.raises(InputError, match="holds no verdicts"):
        evaluate_folder(tmp_path, tmp_path)
