"""Tables of outputs on the command line: fit, screen and all that follows, without a network."""

import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.output_tables.tables import rows, write_csv, write_npz, write_parquet
from uncertainty.verdicts import Verdicts


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with tables, and pictures where the names of new.parquet say."""
    folder = tmp_path_factory.mktemp("tables")
    write_parquet(folder / "train.parquet", rows(150, 0, "train"))
    write_csv(folder / "val.csv", rows(240, 1, "val"))
    data = rows(40, 2, "new")
    write_parquet(folder / "new.parquet", data, row_group_size=7)
    write_npz(folder / "new.npz", data)
    (folder / "new").mkdir()
    for name in data["name"]:
        Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def made(place, tmp_path_factory):
    """A folder with a screener and a screening."""
    from uncertainty import verbs

    folder = tmp_path_factory.mktemp("made")
    verbs.fit(None, f"table:{place / 'val.csv'}", folder / "screener", f"table:{place / 'train.parquet'}")
    verbs.screen(folder / "screener", f"table:{place / 'new.parquet'}", folder / "out")
    return folder


@pytest.fixture
def here(made, place, monkeypatch, tmp_path):
    """Run commands in the folder of the tables; a screener and a screening of the test's own."""
    monkeypatch.chdir(place)
    shutil.copytree(made, tmp_path / "made")
    return tmp_path / "made" / "screener", tmp_path / "made" / "out"


def test_fit_and_screen_say_what_they_rest_on(run, place, monkeypatch, tmp_path):
    monkeypatch.chdir(place)
    status, said, err = run(
        "fit", "--reference", "table:train.parquet", "--calibration", "table:val.csv", "-o", tmp_path
    )
    assert (status, "p_wrong was calibrated on 240 images" in said) == (0, True)
    assert "image_quality is off: there is no quality" in err
    status, said, _ = run("screen", tmp_path, "table:new.parquet", "-o", tmp_path / "out")
    assert (status, said.startswith("40 images: ")) == (0, True)


def test_everything_works_on_a_screening_of_tables(run, place, here, tmp_path):
    screener, out = here
    labels = ("--labels", "table:new.npz")
    status, said, err = run("evaluate", out, *labels)
    assert (status, "40 labelled images" in said) == (0, True), err
    assert run("rank", out, "-n", 5, "-o", tmp_path / "first.csv")[0] == 0
    assert run("monitor", out, "--screener", screener)[0] == 0
    assert run("labels", out, *labels)[0] == 0
    assert run("report", out, *labels)[0] == 0
    assert "data:image/webp" in (out / "report.html").read_text("utf-8")
    assert run("known-good", screener, "--add", "table:new.npz", "-o", tmp_path / "more")[0] == 0
    assert run("update", screener, out, *labels)[0] == 0
    assert run("policy", screener, "--budget", "0.2")[0] == 0
    status, _, err = run("screen", screener, "table:new.parquet", "-o", tmp_path / "again")
    assert (status, "40 of these images fitted the screener" in err) == (0, True)


def test_features_have_no_thumbnails_that_nobody_saw(here):
    _, out = here
    assert pq.read_schema(out / "features.parquet").names == ["file_name", "other_reasons", "digest", "features"]


def test_the_same_bytes_when_it_is_screened_again(run, here, tmp_path):
    screener, out = here
    assert run("screen", screener, "table:new.parquet", "-o", out, "--resume")[0] == 0
    assert run("screen", screener, "table:new.npz", "-o", tmp_path / "npz")[0] == 0
    assert Verdicts.read(tmp_path / "npz").table["p_wrong"].equals(Verdicts.read(out).table["p_wrong"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("screen", "{screener}", "new", "-o", "x"), "fitted on tables of outputs, without a network: screen a table"),
        (("screen", "{screener}", "new", "-o", "x", "--model", "m:f"), "fitted on tables of outputs"),
        (("screen", "{screener}", "table:new.npz", "-o", "x", "--model", "m:f"), "--model is for images"),
        (("screen", "{screener}", "table:new.npz", "-o", "x", "--engine", "ray"), "--engine ray is for images"),
        (("screen", "{screener}", "table:no.npz", "-o", "x"), "no.npz does not exist"),
        (("fit", "--calibration", "new", "-o", "x"), "no model is named; give --model SPEC, or outputs"),
        (("fit", "--calibration", "table:val.csv", "--reference", "new", "-o", "x"), "new is not a table of outputs"),
        (("fit", "--calibration", "table:val.csv", "--model", "m:f", "-o", "x"), "--model is for a network"),
        (("fit", "--calibration", "table:val.csv", "--effort", "thorough", "-o", "x"), "--effort is for a network"),
        (("fit", "--calibration", "table:val.csv", "--tta", "flip", "-o", "x"), "--tta is for a network"),
        (("fit", "--calibration", "table:val.csv", "--cascade-share", "0", "-o", "x"), "--cascade-share is for a net"),
        (("fit", "--calibration", "new", "--model", "table:val.csv", "-o", "x"), "is no model: give it where images"),
    ],
)
def test_what_is_refused_in_one_line(run, here, words, message):
    status, _, err = run(*(word.format(screener=here[0]) for word in words))
    assert status == 1
    assert message in err
    assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 1


def test_a_screener_of_images_refuses_a_table(run, fitted, place, tmp_path):
    status, _, err = run("screen", fitted, f"table:{place / 'new.npz'}", "-o", tmp_path / "x")
    assert (status, "this screener was fitted on images, with its network: screen images" in err) == (1, True)
