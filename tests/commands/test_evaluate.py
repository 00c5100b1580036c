"""`uncertainty evaluate`, and labels that are none."""

import re

import pytest
from conftest import write_labels
from problems import known_good, made_problem

from commands.command_lines import labels_of
from uncertainty import Screener


def test_evaluate_tells_how_good_and_what_did_not_meet(run, world, out, tmp_path):
    labels = labels_of(world.incoming) | {"away.png": "cat", "000.png": "yak"}
    del labels["001.png"]
    status, text, err = run(
        "evaluate", out, "--labels", write_labels(tmp_path / "l.csv", labels.items()), "--resamples", 20
    )
    assert (status, err) == (0, "")
    accuracy, caught, others, where = text.splitlines()[:4]
    assert accuracy.startswith(
        "accuracy 94.7%: 36 of 38 labelled images right; 38 of 40 images have labels, and they look"
    )
    assert caught.startswith("errors caught: ")
    assert others.startswith("by as many images chosen by max softmax: ")
    assert where.startswith("where the errors lie: ")
    assert "left out: 2 images without a label, 1 label without an image" in text
    assert "1 label kept apart in labels_kept_apart.csv, no class of the model, e.g. 'yak' of '000.png'" in text
    kept = (out / "labels_kept_apart.csv").read_text("utf-8").splitlines()
    assert kept[1:] == ["away.png,cat,,no such image was screened", "000.png,yak,,no class of the model"]
    assert "p_wrong" in text
    assert "max_softmax" in text
    assert (out / "evaluation.json").exists()
    assert (out / "errors.csv").read_text("utf-8").startswith("file_name,label,predicted_label,confidence,p_wrong,")


@pytest.fixture
def several(tmp_path):
    """A screening of images with several labels each, and its labels."""
    made = [made_problem(n, seed, "multilabel") for n, seed in ((400, 2), (200, 3))]
    Screener.fit_outputs(known_good(200, 1, "multilabel"), made[0]).screen_outputs(made[1]).write(
        tmp_path / "several" / "verdicts.parquet"
    )
    said = [";".join(map(str, row.nonzero()[0])) or ";" for row in made[1].labels]
    return tmp_path / "several", write_labels(tmp_path / "l.csv", zip(made[1].ids, said, strict=True))


@pytest.mark.parametrize("case", ["one label", "several labels"])
def test_twenty_lines_say_what_matters_and_the_files_have_the_rest(run, world, out, tmp_path, several, case):
    folder, labels = several
    if case == "one label":
        folder, labels = out, write_labels(tmp_path / "one.csv", labels_of(world.incoming).items())
    asked = ("evaluate", folder, "--labels", labels, "--resamples", 20)
    short, long = run(*asked)[1].splitlines(), run(*asked, "--details")[1].splitlines()
    assert len(short) <= 20 < len(long)
    assert any(re.match(r" max_softmax +0\.\d{3}", line) for line in short)
    assert any("calibration error" in line for line in short)
    several_labels = case == "several labels"
    assert ("labelled images right in every label" in short[0]) == several_labels
    assert (
        bool(re.match(r"where the errors lie: '\d' missed \d+ times? and wrongly given \d+", short[3]))
        == several_labels
    )
    assert short[-1].endswith("; --details prints every score, class and slice")
    named = re.findall(r"\w+\.(?:json|csv)", short[-1])
    assert all((folder / name).exists() for name in named)
    assert {path.name for path in folder.glob("*.csv")} <= set(named)
    assert ("per_decision.csv" in named) == (case == "several labels")
    told = {" ".join(line.split()[:2]) for line in long}
    assert {"class precision", "mean over"} <= told
    assert ("decisions on" in told) == (case == "several labels")


def test_wrong_labels(fails, out, tmp_path):
    def evaluate(file):
        return fails("evaluate", out, "--labels", file)

    assert "does not exist" in evaluate(tmp_path / "gone.csv")
    columns = evaluate(write_labels(tmp_path / "a.csv", [("000.png", "cat")], ("file_name", "said")))
    assert "has no column label; it has 'file_name', 'said'; say which" in columns
    columns = evaluate(write_labels(tmp_path / "b.csv", [("000.png", "cat")], ("name", "label")))
    assert "has no column file_name" in columns
    assert "no label has the name of a screened image" in evaluate(write_labels(tmp_path / "c.csv", [("x.png", "cat")]))
    twice = write_labels(tmp_path / "d.csv", [("000.png", "cat"), ("000.png", "dog")])
    assert "two labels, 'cat' and 'dog'" in evaluate(twice)
    (tmp_path / "e.csv").write_bytes(b"file_name,label\n\xff\xfe,cat\n")
    assert "is not UTF-8 text" in evaluate(tmp_path / "e.csv")
    assert "labels none of them" in evaluate(write_labels(tmp_path / "f.csv", [("000.png", "")]))
