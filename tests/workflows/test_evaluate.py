"""Verdicts and labels to files: what is written is what is known, whatever the names, classes and gaps."""

import csv
import json

import numpy as np
import pyarrow as pa
import pytest
from conftest import write_incoming, write_labels
from problems import known_good, made_problem

from uncertainty.checks.class_columns import probability_columns
from uncertainty.commands.findings_text import findings_text
from uncertainty.errors import InputError
from uncertainty.evaluation.labelled_folder import labelled
from uncertainty.evaluation.outcomes import NO_KNOWN_CLASS
from uncertainty.outputs import ModelOutputs
from uncertainty.screener import Screener
from uncertainty.verdicts import FORMATS, Verdicts, ranks, schema, write_table
from uncertainty.workflows.evaluate import evaluate_folder
from uncertainty.workflows.screen import ScreenSettings, screen_into


@pytest.fixture(scope="module")
def mixed(world, tmp_path_factory):
    """The incoming images and one that can't be read, in the middle."""
    return write_incoming(world, tmp_path_factory.mktemp("mixed"), unreadable="019a.png")


@pytest.fixture
def out(world, mixed, tmp_path):
    screen_into(tmp_path / "out", world.screener, mixed)
    return tmp_path / "out"


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
    screen_into(tmp_path, world.screener, mixed, ScreenSettings(ending=ending))
    labels = truth(world) | {"000.png": NO_KNOWN_CLASS, "001.png": NO_KNOWN_CLASS}
    evaluation = evaluate_folder(
        tmp_path, write_labels(tmp_path / "labels.csv", labels.items()), resamples=5
    ).evaluation
    assert evaluation.unknown_labels == {NO_KNOWN_CLASS: 2}
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


# ---- what others may have written: hostile names, one class, no errors, a thousand classes, several labels an image

HOSTILE = ["=1+1", "<script>alert(1)</script>", 'a"b', "a;b", "\u202egnp.exe", "../up", "@SUM(A1)"]


def wide_table(classes, n, seed=0, wrong=0.3, prefix=""):
    """A verdict table of n images as a screening of many classes writes it, and labels for them."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, len(classes), n)
    logits = rng.normal(size=(n, len(classes)))
    predicted = np.where(rng.random(n) < wrong, rng.integers(0, len(classes), n), truth)
    logits[np.arange(n), predicted] += 6
    outputs = ModelOutputs(ids=[f"{prefix}{i}.png" for i in range(n)], logits=logits)
    p = rng.random(n)
    columns = {
        "file_name": list(map(str, outputs.ids)),
        "predicted_label": [classes[k] for k in outputs.predictions],
        "predicted_index": outputs.predictions,
        "confidence": outputs.probs.max(axis=1),
        "p_wrong": p,
        "flagged": p > 0.9,
        "threshold": [0.9] * n,
        "rank": ranks(p),
        "reasons": [["low_margin"]] * n,
        "error": [None] * n,
        **probability_columns(classes, outputs.probs),
        "screen_id": ["0"] * n,
        "model_sha256": [None] * n,
    }
    labels = dict(zip(columns["file_name"], (classes[k] for k in truth), strict=True))
    return pa.table(columns, schema=schema(classes, [], {})), labels


def evaluated(folder, table, labels, ending=".parquet"):
    write_table(table, folder / f"verdicts{ending}")
    found = evaluate_folder(folder, write_labels(folder / "labels.csv", labels.items()), resamples=5)
    saved = json.loads((folder / "evaluation.json").read_text("utf-8"))
    assert saved == json.loads(json.dumps(found.to_json()))
    return found, saved


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("ending", FORMATS)
def test_hostile_names_stay_names_and_run_nowhere(tmp_path, ending):
    table, labels = wide_table(HOSTILE, 80, prefix="=cmd|")
    found, saved = evaluated(tmp_path, table, labels, ending)
    assert saved["classes"] == HOSTILE
    assert saved["n_errors"] == sum(row["false_negatives"] for row in saved["per_class"]) > 0
    for name in ("errors", "false_positives", "false_negatives", "per_class", "confused", "slices"):
        with (tmp_path / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            assert not [cell for row in csv.reader(file) for cell in row if cell[:1] in ("=", "+", "@", "\t", "\r")]
    assert len(rows_of(tmp_path / "false_positives.csv")) == found.evaluation.n_errors
    assert rows_of(tmp_path / "errors.csv")[0]["file_name"].startswith("'=cmd|")


def test_the_files_say_what_the_json_says(tmp_path):
    table, labels = wide_table(["cat", "dog", "eel"], 200)
    _, saved = evaluated(tmp_path, table, labels)
    for row, expected in zip(rows_of(tmp_path / "per_class.csv"), saved["per_class"], strict=True):
        assert (row["class"], int(row["support"])) == (expected["class"], expected["support"])
        assert float(row["precision"]) == pytest.approx(expected["precision"])
        assert float(row["threshold_for_recall"]) == pytest.approx(expected["threshold_for_recall"]["threshold"])
        mistakes = [one for one in rows_of(tmp_path / "false_negatives.csv") if one["class"] == row["class"]]
        assert len(mistakes) == expected["false_negatives"]
        flagged = [one for one in mistakes if one["outcome"] == "caught"]
        assert len(flagged) == expected["false_negatives_flagged"]
    assert [int(row["count"]) for row in rows_of(tmp_path / "confused.csv")] == [
        pair["count"] for pair in saved["confused_pairs"]
    ]
    curves = json.loads((tmp_path / "curves.json").read_text("utf-8"))["classes"]
    assert [curve["class"] for curve in curves] == ["cat", "dog", "eel"]


@pytest.mark.parametrize("wrong", [0.0, 0.5])
def test_one_class_only_and_no_errors(tmp_path, wrong):
    table, labels = wide_table(["cat", "dog"], 60, wrong=wrong)
    labels = dict.fromkeys(labels, "cat") if wrong else labels
    _, saved = evaluated(tmp_path, table, labels)
    if wrong:
        assert [row["roc_auc"] for row in saved["per_class"]] == [None, None]
    else:
        assert (saved["confused_pairs"], saved["averages"]["macro"]["f1"]) == ([], 1.0)
        assert rows_of(tmp_path / "errors.csv") == []


@pytest.mark.parametrize("ending", FORMATS)
def test_a_thousand_classes(tmp_path, ending):
    classes = [f"c{k}" for k in range(1000)]
    table, labels = wide_table(classes, 600)
    (tmp_path / "summary.json").write_text(json.dumps({"classes": classes}), "utf-8")
    found, saved = evaluated(tmp_path, table, labels, ending)
    assert saved["n_known_classes"] == len(saved["classes"]) == 1000
    assert saved["unknown_labels"] == {}
    assert len(saved["confused_pairs"]) == 100
    assert (tmp_path / "evaluation.json").stat().st_size < 1_500_000
    assert rows_of(tmp_path / "errors.csv")[0]["top_probs"].startswith("c")
    assert len(findings_text(found.classes, found.slices)) < 2000
    assert len(found.classes.per_class) > 400


def test_a_damaged_summary_is_done_without(tmp_path):
    table, labels = wide_table(["cat", "dog"], 30)
    (tmp_path / "summary.json").write_text("[", "utf-8")
    evaluated(tmp_path, table, labels, ".csv")


def test_further_columns_of_the_labels_and_of_the_verdicts(tmp_path):
    table, labels = wide_table(["cat", "dog"], 40)
    table = table.append_column("meta_camera", pa.array(["roof", None] * 20))
    write_table(table, tmp_path / "verdicts.csv")
    rows = [(name, label, "" if i % 4 else "door", i) for i, (name, label) in enumerate(labels.items())]
    file = write_labels(tmp_path / "l.csv", [])
    with file.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([("file_name", "label", "camera", "flagged"), *rows[:30]])
    found = labelled(tmp_path, file)
    assert found.table["meta_camera"].to_pylist()[:6] == ["door", None, "roof", None, "door", None]
    assert found.table["meta_flagged"].to_pylist()[29:31] == ["29", None]
    assert len(found.outcomes) == 30
    evaluate_folder(tmp_path, file, resamples=5)
    assert set(rows_of(tmp_path / "errors.csv")[0]) >= {"meta_camera", "meta_flagged"}


@pytest.mark.parametrize("ending", FORMATS)
def test_several_labels_an_image(tmp_path, ending):
    problem, classes = made_problem(120, 2, "multilabel"), ["cat", "dog", "a;b", "eel"]
    screener = Screener.fit_outputs(
        known_good(200, 3, "multilabel"), made_problem(300, 4, "multilabel"), classes=classes
    )
    table = screener.screen_outputs(problem).table
    texts = [";".join(np.array(classes)[row][::-1]) for row in problem.labels.astype(bool)]
    labels = dict(zip(table["file_name"].to_pylist(), texts, strict=True))
    _, saved = evaluated(tmp_path, table, labels, ending)
    assert (saved["task"], saved["confusion"], saved["unknown_labels"]) == ("multilabel", None, {})
    assert saved["classes"] == classes
    labelled_rows = problem.labels.any(axis=1)  # an empty cell says that no label is known
    assert saved["n"] == labelled_rows.sum()
    assert saved["n_errors"] == problem.wrong[labelled_rows].sum() == len(rows_of(tmp_path / "errors.csv"))
    for k, row in enumerate(saved["per_class"]):
        said, true = (x[labelled_rows, k] == 1 for x in (problem.predictions, problem.labels))
        assert (row["false_positives"], row["false_negatives"]) == ((said & ~true).sum(), (true & ~said).sum())
