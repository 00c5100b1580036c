"""`uncertainty thresholds`, on tables of outputs and on screenings, of several labels and of one."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import write_labels
from output_tables.tables import rows, write_npz

from commands.command_lines import labels_of
from uncertainty.decisions.answer_thresholds import Wanted
from uncertainty.errors import InputError
from uncertainty.workflows.thresholds import choose, write

NAMES = ("a", "b", "c")


@pytest.fixture
def table(tmp_path):
    """600 images of three classes, of which the last is on none."""
    rng = np.random.default_rng(0)
    latent = np.array([0.0, -1.0, -9.0]) + 3 * rng.normal(size=(600, 3))
    truth = rng.random((600, 3)) < 1 / (1 + np.exp(-2 * latent))
    truth[:, 2] = False
    labels = [";".join(np.array(NAMES)[row]) or ";" for row in truth]
    data = {"name": [f"{i:03}.png" for i in range(600)], "logits": latent, "features": latent, "label": labels}
    return write_npz(tmp_path / "val.npz", data, NAMES)


def test_the_file_has_every_class_and_the_text_says_what_lacks(run, table, tmp_path):
    to = tmp_path / "thresholds.json"
    status, out, _ = run("thresholds", f"{table}?task=multilabel", "--precision", "0.8", "-o", to)
    found = json.loads(to.read_text("utf-8"))
    assert status == 0
    assert list(found) == list(NAMES)
    assert all(0 < one < 1 for one in found.values())
    assert found["c"] == 0.5
    assert "precision of at least 80 %, with 95 % confidence in all classes together: 2 of 3 classes on 6" in out
    assert "c: no image of it among the labels" in out
    assert re.search(r"^ c +kept 0\.5000 +- +- +0 ", out, re.M)
    assert "nothing is promised for 1 class, which keeps its threshold" in out


def test_the_same_as_csv_and_nothing_of_others_is_overwritten(run, fails, table, tmp_path):
    to = tmp_path / "thresholds.csv"
    asked = ("thresholds", f"{table}?task=multilabel", "--recall", "0.9", "--confidence", "0", "-o", to)
    assert run(*asked)[0] == 0
    first = to.read_text("utf-8").splitlines()
    assert first[0] == "class,threshold"
    assert len(first) == 4
    assert run(*asked)[0] == 0
    to.write_text("mine", "utf-8")
    assert "was changed since it was written" in fails(*asked)
    assert "ends in '.txt'" in fails(*asked[:-1], tmp_path / "a.txt")


def test_of_one_label_an_image_each_class_stands_against_the_rest(run, tmp_path):
    table = write_npz(tmp_path / "one.npz", rows(400))
    status, out, _ = run("thresholds", table, "--precision", "0.8", "-o", tmp_path / "t.json")
    assert status == 0
    assert "each class stands against the rest" in out
    assert set(json.loads((tmp_path / "t.json").read_text("utf-8"))) == {"cat", "dog", "eel"}


def test_on_a_labelled_screening(run, fails, world, out, tmp_path):
    labels = write_labels(tmp_path / "labels.csv", labels_of(world.incoming).items())
    to = tmp_path / "t.json"
    status, said, _ = run("thresholds", out, "--labels", labels, "--recall", "0.5", "--confidence", "0.5", "-o", to)
    assert status == 0
    assert "3 of 3 classes on 40 labelled images" in said
    assert "say the labels of the images" in fails("thresholds", out, "--recall", "0.5", "-o", to)


def test_without_a_path_they_lie_beside_what_they_tell_of_and_none_are_replaced_in_silence(
    run, fails, world, out, table, tmp_path, home
):
    labels = write_labels(tmp_path / "labels.csv", labels_of(world.incoming).items())
    asked = ("thresholds", out, "--labels", labels, "--confidence", "0", "--recall")
    status, said, err = run(*asked, "0.5")
    assert (status, err) == (0, "")
    assert f"thresholds written to {out / 'thresholds.json'}\n" in said
    assert run("thresholds", f"{table}?task=multilabel", "--precision", "0.8")[0] == 0
    assert list(json.loads((table_folder(table) / "thresholds.json").read_text("utf-8"))) == list(NAMES)
    assert not (home / "thresholds.json").exists()
    assert run(*asked, "0.5")[2] == ""
    assert "thresholds.json held other thresholds, and these take their place" in run(*asked, "0.9")[2]
    (out / "thresholds.json").write_text("mine", "utf-8")
    assert "was changed since it was written" in fails(*asked, "0.9")


def test_where_what_they_tell_of_is_at_a_url_a_file_must_be_named(table):
    found = choose(f"{table}?task=multilabel", None, Wanted.of(precision=0.8))
    with pytest.raises(InputError, match="is at a URL; say which file here they are written to, with --out"):
        write(replace(found, folder=None))


def table_folder(spec):
    return Path(spec.removeprefix("table:")).parent


def test_mistakes_are_one_line(fails, table):
    assert "say precision or recall, one of them" in fails("thresholds", table)
    assert "leave labels out" in fails("thresholds", table, "--recall", "0.5", "--labels", "x.csv")
