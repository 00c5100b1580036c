"""`uncertainty screen` on images of every kind, and names that disturb a terminal or a spreadsheet."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from conftest import CLASSES, write_images, write_labels
from PIL import Image

from uncertainty.verdicts import Verdicts, read_table


def encoded(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Files of every kind; returns the folder and the reason for each that can't be read."""
    zoo = tmp_path_factory.mktemp("zoo")
    colour = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8))
    whole = zoo / "whole.png"
    encoded(whole, colour)
    exif = Image.Exif()
    exif[0x0112] = 6
    encoded(zoo / "rotated.jpg", colour, exif=exif)
    encoded(zoo / "cmyk.jpg", colour.convert("CMYK"))
    encoded(zoo / "palette.png", colour.quantize(8), transparency=0)
    encoded(zoo / "alpha.png", colour.convert("RGBA"))
    encoded(zoo / "grey.png", colour.convert("L"))
    encoded(zoo / "bits.png", Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20) * 160))
    encoded(zoo / "animated.gif", colour, save_all=True, append_images=[colour.rotate(90), colour.rotate(180)])
    encoded(zoo / "dot.png", colour.crop((0, 0, 1, 1)))
    encoded(zoo / "line.png", colour.crop((0, 0, 30, 1)))
    for name in ("with space.png", "quote'\".png", "new\nline.png", "Käfer 猫.png", "=1+1.png", "comma,semi;.png"):
        encoded(zoo / name, colour.rotate(len(name)))
    for folder in ("monday", "tuesday"):
        encoded(zoo / folder / "twin.png", colour)
    (zoo / "truncated.png").write_bytes(whole.read_bytes()[:-200])
    (zoo / "zero.png").write_bytes(b"")
    (zoo / "text.png").write_text("this is no image", "utf-8")
    (zoo / "dangling.png").symlink_to(zoo / "gone.png")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        encoded(zoo / "huge.png", Image.new("1", (20_000, 20_000)))
    (zoo / "notes.txt").write_text("not an image by its name", "utf-8")
    return zoo, {
        "truncated.png": "truncated",
        "zero.png": "is empty (0 bytes)",
        "text.png": "cannot identify the format",
        "dangling.png": "does not exist",
        "huge.png": "has 400,000,000 pixels, more than the limit",
    }


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
def test_every_image_is_a_row(run, zoo, fitted, tmp_path, format):
    folder, unreadable = zoo
    status, out, _ = run("screen", fitted, folder, "-o", tmp_path, "--format", format, "--batch-size", 4)
    assert status == 0
    assert f"{len(unreadable)} of them unreadable" in out
    files = [path for path in folder.rglob("*.*") if path.suffix != ".txt"]
    rows = Verdicts.read(tmp_path).table.to_pylist()
    assert [row["file_name"] for row in rows] == sorted(path.relative_to(folder).as_posix() for path in files)
    for row in rows:
        assert row["screen_id"]
        if row["file_name"] in unreadable:
            assert unreadable[row["file_name"]] in row["error"]
            assert row["flagged"]
            assert row["p_wrong"] is row["predicted_label"] is row["confidence"] is None
        else:
            assert row["error"] is None
            assert 0 <= row["p_wrong"] <= 1
            assert row["predicted_label"] in CLASSES
    assert sorted(row["rank"] for row in rows) == list(range(1, len(rows) + 1))


def test_odd_names_survive_ranking_and_labels(run, zoo, fitted, tmp_path):
    folder, unreadable = zoo
    assert run("screen", fitted, folder, "-o", tmp_path / "o")[0] == 0
    status, text, _ = run("rank", tmp_path / "o", "-n", 100)
    assert status == 0
    assert len(text.splitlines()) == 12
    ranking = read_table(tmp_path / "o" / "ranking.csv").to_pylist()
    ranked = {name for row in ranking for name in (row["file_name"], *row["duplicates"])}
    names = {row for row in Verdicts.read(tmp_path / "o").table["file_name"].to_pylist()}
    assert ranked == names - unreadable.keys()
    labels = write_labels(tmp_path / "labels.csv", [(name, "cat") for name in names])
    status, text, _ = run("evaluate", tmp_path / "o", "--labels", labels, "--resamples", 5)
    assert status == 0
    assert f"left out: {len(unreadable)} unreadable images\n" in text


def test_a_name_with_a_line_break_stays_in_its_line(run, fitted, tmp_path):
    (tmp_path / "in").mkdir()
    write_images(tmp_path, 1, seed=9, folders=False)[0].rename(tmp_path / "in" / "a\nb\x1b[2J.png")
    run("screen", fitted, tmp_path / "in", "-o", tmp_path / "o")
    status, text, _ = run("rank", tmp_path / "o")
    assert status == 0
    assert "\x1b" not in text
    assert r"'a\nb\x1b[2J.png'" in text.splitlines()[0]


def test_a_terminal_that_cannot_show_a_name(run, fitted, zoo, tmp_path):
    assert run("screen", fitted, zoo[0] / "Käfer 猫.png", "-o", tmp_path)[0] == 0
    environment = os.environ | {"PYTHONIOENCODING": "latin-1"}
    command = [sys.executable, "-m", "uncertainty", "rank", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert rb"K\xe4fer \u732b.png".replace(rb"\xe4", b"\xe4") in done.stdout


def test_twins_in_two_folders_get_the_same_verdict(run, zoo, fitted, tmp_path):
    run("screen", fitted, zoo[0], "-o", tmp_path)
    rows = {row["file_name"]: row for row in Verdicts.read(tmp_path).table.to_pylist()}
    monday, tuesday = rows["monday/twin.png"], rows["tuesday/twin.png"]
    assert monday["p_wrong"] == pytest.approx(tuesday["p_wrong"], abs=1e-6)
