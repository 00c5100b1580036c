"""`uncertainty update`."""

import csv
import json
import shutil

import pytest
from conftest import CLASSES, write_labels

from uncertainty.verdicts import Verdicts


def updating(world, tmp_path, fitted, inclusion=None):
    """A screener of its own, and labels of all incoming images that are in a class folder or named so."""
    names = Verdicts.read(tmp_path / "out").table["file_name"].to_pylist()
    cells = [(name, CLASSES[k % 3], *([] if inclusion is None else [inclusion])) for k, name in enumerate(names)]
    header = ("file_name", "label") if inclusion is None else ("file_name", "label", "inclusion")
    return shutil.copytree(fitted, tmp_path / "screener"), write_labels(tmp_path / "labels.csv", cells, header)


def test_labels_update_a_screener_and_the_old_one_is_kept(run, fails, world, fitted, out, tmp_path):
    screener, labels = updating(world, tmp_path, fitted)
    before = (screener / "manifest.json").read_bytes()
    status, said, _ = run("update", screener, out, "--labels", labels)
    assert status == 0
    assert said.startswith("learnt from ")
    assert "log loss on the new labels: " in said
    kept = [path for path in tmp_path.iterdir() if path.name.startswith("screener.")]
    assert len(kept) == 1
    assert (kept[0] / "manifest.json").read_bytes() == before
    saved = json.loads((screener / "manifest.json").read_text("utf-8"))
    assert saved["calibrated_on"]["updates"][0]["from"] == kept[0].name.removeprefix("screener.")
    assert "these verdicts are not of screener" in fails("update", screener, out, "--labels", labels)
    assert run("screen", screener, world.incoming, "-o", tmp_path / "again")[0] == 0
    refused = fails("update", screener, tmp_path / "again", "--labels", labels)
    assert "all labelled images were learnt from already" in refused


def test_labels_that_make_it_worse_change_nothing(run, world, fitted, out, tmp_path, monkeypatch):
    screener, labels = updating(world, tmp_path, fitted)
    before = (screener / "manifest.json").read_bytes()
    monkeypatch.setattr("uncertainty.recalibration.refit.clearly_more", lambda *_: True)
    status, said, warned = run("update", screener, out, "--labels", labels)
    assert status == 1
    assert "out of fold, worse beyond chance" in said
    assert "nothing was written" in warned
    assert (screener / "manifest.json").read_bytes() == before
    assert run("update", screener, out, "--labels", labels, "--anyway")[0] == 0
    assert (screener / "manifest.json").read_bytes() != before


def test_labels_of_what_was_ranked_go_into_an_update(run, world, fitted, out, tmp_path):
    """The whole loop: rank, label what it lists, update, screen with the new screener."""
    screener = shutil.copytree(fitted, tmp_path / "screener")
    assert run("rank", out, "-n", 12, "--explore", 0.5, "-o", tmp_path / "next.csv")[0] == 0
    listed = list(csv.DictReader((tmp_path / "next.csv").read_text("utf-8").splitlines()))
    assert len(listed) == 12
    labels = write_labels(
        tmp_path / "labels.csv",
        [(row["file_name"], CLASSES[k % 3], row["inclusion_probability"]) for k, row in enumerate(listed)],
        ("file_name", "label", "inclusion_probability"),
    )
    status, said, _ = run("update", screener, out, "--labels", labels)
    assert (status, said.startswith("learnt from ")) == (0, True)
    assert run("screen", screener, world.incoming, "-o", tmp_path / "again")[0] == 0


def test_an_update_into_a_new_folder_leaves_the_old_one(run, fails, world, fitted, out, tmp_path):
    screener, labels = updating(world, tmp_path, fitted, inclusion=1)
    before = (screener / "manifest.json").read_bytes()
    arguments = ("update", screener, out, "--labels", labels, "-o", tmp_path / "new")
    assert run(*arguments)[0] == 0
    assert (screener / "manifest.json").read_bytes() == before
    assert (tmp_path / "new" / "manifest.json").exists()
    assert "holds a screener already" in fails(*arguments)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("screener.")]


@pytest.mark.parametrize(("inclusion", "said"), [("0", "inclusion of "), ("often", "it must be a number in (0, 1]")])
def test_chances_that_are_none_change_nothing(fails, world, fitted, out, tmp_path, inclusion, said):
    screener, labels = updating(world, tmp_path, fitted, inclusion)
    before = (screener / "manifest.json").read_bytes()
    assert said in fails("update", screener, out, "--labels", labels)
    assert (screener / "manifest.json").read_bytes() == before
    assert "has no column 'chance'" in fails("update", screener, out, "--labels", labels, "--inclusion", "chance")
