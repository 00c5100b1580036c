"""Folders, tables and labels as people bring them, through the command line."""

import json
import shutil

import numpy as np
from conftest import CLASSES
from PIL import Image

from commands.command_lines import FIT, SPEC, fit_arguments, labels_of
from uncertainty.verdicts import Verdicts


def test_files_of_other_kinds_are_counted_and_pictures_that_nobody_reads_are_rows(run, world, fitted, tmp_path):
    shutil.copytree(world.incoming, tmp_path / "in")
    for name in ("photo.jxl", "raw.dng", "noending", "notes.txt"):
        (tmp_path / "in" / name).write_bytes(b"\xff\x0a" + bytes(40))
    Image.open(world.incoming / "000.png").save(tmp_path / "in" / "web.avif", quality=100)
    status, _out, err = run("screen", fitted, tmp_path / "in", "-o", tmp_path / "out")
    assert status == 0, err
    assert "note: 2 other files were not looked at, e.g. 'noending'" in err
    rows = {row["file_name"]: row["error"] for row in Verdicts.read(tmp_path / "out").table.to_pylist()}
    assert len(rows) == 43
    assert rows["web.avif"] is None
    assert rows["photo.jxl"] == "is JPEG XL, which is not read; convert it to JPEG, PNG or TIFF"
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["notes_on_images"] == ["2 other files were not looked at, e.g. 'noending'"]


def test_deep_images_that_are_nearly_black_are_told_when_they_are_screened(run, world, fitted, tmp_path):
    for k, path in enumerate(sorted(world.incoming.iterdir())[:5]):
        deep = np.asarray(Image.open(path).convert("L")).astype(np.uint16) << 4
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(deep).save(tmp_path / "in" / f"{k}.png")
    status, _, err = run("screen", fitted, tmp_path / "in", "-o", tmp_path / "out")
    assert status == 0
    assert "note: all 5 16-bit images stay below 4,096 and are decoded nearly black: 12-bit content? say bits=12" in err


def test_names_without_endings_are_found_and_where_nothing_can_be_read_it_is_said(run, world, fitted, tmp_path):
    shutil.copytree(world.incoming, tmp_path / "in")
    table = tmp_path / "in" / "m.csv"
    table.write_text("file_name\n000\n001\n")
    status, out, err = run("screen", fitted, table, "-o", tmp_path / "out")
    assert status == 0
    assert "0 of them unreadable" in out
    table.write_text("file_name\nx\ny\n")
    status, out, err = run("screen", fitted, table, "-o", tmp_path / "out", "--overwrite")
    assert "note: not one of the images can be read; the column error says why" in err


def test_a_calibration_image_that_was_saved_anew_counts_as_seen(run, world, fitted, tmp_path):
    for path in sorted((world.calibration / "cat").iterdir())[:3]:
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.open(path).save(tmp_path / "in" / f"{path.stem}.bmp")
    status, _, err = run("screen", fitted, tmp_path / "in", "-o", tmp_path / "out")
    assert status == 0
    assert "3 of these images fitted the screener" in err


def test_columns_and_parts_of_a_table(run, fails, world, tmp_path):
    names = [path.relative_to(world.calibration).as_posix() for path in sorted(world.calibration.rglob("*.png"))]
    shutil.copytree(world.calibration, tmp_path / "c")
    rows = [f"{name},{name.partition('/')[0].upper()},{'val' if k % 5 else 'train'}" for k, name in enumerate(names)]
    (tmp_path / "c" / "m.csv").write_text("\n".join(["where,kind,split", *rows]))
    arguments = fit_arguments(world, tmp_path / "s", calibration=tmp_path / "c" / "m.csv")
    assert "say which with --name-column" in fails(*arguments)
    assert "say which with --split" in fails(*arguments, "--name-column", "where", "--label-column", "kind")
    asked = ("--name-column", "where", "--label-column", "kind", "--split", "validation")
    arguments = ("fit", "--model", SPEC, "--calibration", tmp_path / "c" / "m.csv", "-o", tmp_path / "s", *FIT)
    status, out, err = run(*arguments, *asked)
    assert status == 0, err
    assert "calibrated on 60 images" in out
    assert "'CAT' as 'cat'" in err


def test_labels_in_other_columns_and_as_positions(run, world, out, tmp_path):
    told = labels_of(world.incoming)
    rows = [f"{name},{CLASSES.index(label)}" for name, label in told.items()]
    (tmp_path / "l.csv").write_text("\n".join(["who,what", *rows]))
    asked = ("--labels", tmp_path / "l.csv", "--name-column", "who", "--label-column", "what")
    for command in ("evaluate", "labels", "slices"):
        status, _, err = run(command, out, *asked)
        assert status == 0, err
    assert json.loads((out / "evaluation.json").read_text())["n"] == 40


def test_an_update_leaves_out_what_fitted_the_screener_though_it_was_saved_anew(run, world, fitted, tmp_path):
    shutil.copytree(world.incoming, tmp_path / "in")
    for path in sorted((world.calibration / "cat").iterdir())[:3]:
        Image.open(path).save(tmp_path / "in" / f"again{path.stem}.bmp")
    assert run("screen", fitted, tmp_path / "in", "-o", tmp_path / "out")[0] == 0
    labels = {**labels_of(world.incoming), **{path.name: "cat" for path in (tmp_path / "in").glob("again*")}}
    (tmp_path / "l.csv").write_text("\n".join(["file_name,label", *(f"{k},{v}" for k, v in labels.items())]))
    screener = shutil.copytree(fitted, tmp_path / "screener")
    status, out, err = run("update", screener, tmp_path / "out", "--labels", tmp_path / "l.csv")
    assert status == 0, err
    assert "3 labels of images that were learnt from already" in out + err


def test_names_that_are_too_long_for_any_file_are_rows_and_errors_stay_short(run, fails, world, fitted, tmp_path):
    shutil.copytree(world.incoming, tmp_path / "in")
    rows = ["000.png", "x" * 30_000, "y" * 300 + ".png"]
    (tmp_path / "in" / "m.csv").write_text("\n".join(["picture", *rows]))
    arguments = ("screen", fitted, tmp_path / "in" / "m.csv", "-o", tmp_path / "out")
    assert "say which with --name-column" in fails(*arguments)
    status, out, err = run(*arguments, "--name-column", "picture")
    assert status == 0, err
    assert "3 images: " in out
    assert "2 of them unreadable" in out
    (tmp_path / "in" / "m.csv").write_text("z" * 100_000 + "\n000.png\n")
    line = fails(*arguments)
    assert len(line) < 1100
    assert line.endswith("say which with --name-column")


def test_an_error_sends_a_terminal_nothing_that_it_would_obey(fails, fitted, tmp_path):
    assert "\\x1b[2J" in fails("screen", fitted, "no\x1b[2Jimage", "-o", tmp_path / "out")


def test_one_labelled_image_can_not_be_divided(fails, world, tmp_path):
    (tmp_path / "c" / "cat").mkdir(parents=True)
    shutil.copy(next((world.calibration / "cat").iterdir()), tmp_path / "c" / "cat")
    arguments = ("fit", "--model", SPEC, "--calibration", tmp_path / "c", "-o", tmp_path / "s")
    assert "1 labelled image can't be divided into two sets; give more, or a reference" in fails(*arguments)
