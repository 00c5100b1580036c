"""`uncertainty screen`: what it writes and says, and what is wrong with a screener or a place."""

import json
import os
import pty
import shutil
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from commands.command_lines import FIT, SPEC, fit_arguments
from uncertainty.screener import artifact
from uncertainty.verdicts import Verdicts


def test_screen_writes_verdicts_and_says_what_they_rest_on(run, world, fitted, tmp_path):
    status, out, err = run("screen", fitted, world.incoming, "-o", tmp_path / "out")
    assert status == 0
    table = Verdicts.read(tmp_path / "out").table
    flagged = sum(table["flagged"].to_pylist())
    assert out.startswith(f"40 images: {flagged} flagged, 0 of them unreadable; about ")
    assert "p_wrong was calibrated on 150 images" in out
    assert out.endswith(f"verdicts written to {tmp_path / 'out'}\n")
    assert json.loads((fitted / "manifest.json").read_text("utf-8"))["notes"]
    assert err.startswith("note: loading user_models:tiny from ")
    assert len(err.splitlines()) == 1, "what there was to say of the fit was said then"


def test_adapted_to_the_batch_it_says_how_many_were_flagged_before(run, world, fitted, screened, tmp_path):
    status, out, err = run("screen", fitted, world.incoming, "-o", tmp_path / "out", "--adapt", "batch")
    before, now = (sum(Verdicts.read(one).table["flagged"].to_pylist()) for one in (screened, tmp_path / "out"))
    assert status == 0
    assert out.startswith(f"40 images: {now} flagged ({before} before adapting), 0 of them unreadable; about ")
    assert "expected, as adapted to this batch\n" in out
    assert "note: p_wrong is adapted to these images as a batch: " in err


def test_the_command_line_and_the_library_give_the_same_verdicts(world, fitted, screened):
    from uncertainty import Screener

    table = Screener.load(fitted, world.classifier).screen(world.incoming).table
    np.testing.assert_allclose(
        Verdicts.read(screened).table["p_wrong"].to_numpy(), table["p_wrong"].to_numpy(), atol=1e-6
    )


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
def test_formats(run, world, fitted, screened, tmp_path, format):
    assert run("screen", fitted, world.incoming, "-o", tmp_path, "--format", format)[0] == 0
    assert (tmp_path / f"verdicts.{format}").exists()
    names = Verdicts.read(tmp_path).table["file_name"].to_pylist()
    assert names == Verdicts.read(screened).table["file_name"].to_pylist()
    assert run("rank", tmp_path, "-n", 3)[0] == 0


def test_a_budget_given_to_screen_moves_the_threshold_only(run, world, fitted, screened, tmp_path):
    assert run("screen", fitted, world.incoming, "-o", tmp_path, "--budget", "0.5")[0] == 0
    wide, narrow = Verdicts.read(tmp_path).table, Verdicts.read(screened).table
    assert wide["p_wrong"].to_pylist() == pytest.approx(narrow["p_wrong"].to_pylist(), abs=1e-6)
    assert sum(wide["flagged"].to_pylist()) > sum(narrow["flagged"].to_pylist())


def test_a_promise_that_can_t_be_certified_is_no_secret(run, world, fitted, tmp_path):
    status, out, err = run("screen", fitted, world.incoming, "-o", tmp_path, "--max-error", "0.001")
    assert status == 0
    assert "2995 error-free images are needed for 0.1 % at 95 % confidence, you have 150; all is flagged" in err
    assert "the guarantee is void" in out
    assert out.startswith("40 images: 40 flagged")


def test_thresholds_of_each_class_are_in_the_verdicts(run, world, fitted, tmp_path):
    assert run("screen", fitted, world.incoming, "-o", tmp_path, "--budget", "0.3", "--per-class")[0] == 0
    table = Verdicts.read(tmp_path).table.to_pylist()
    lines = Verdicts.read(tmp_path).provenance["policy"]["lines"]
    of_class = {k: line["threshold"] for line in lines for k in line["classes"]}
    for row in table:
        assert row["threshold"] == pytest.approx(of_class.get(row["predicted_index"], 0.0))
        assert row["flagged"] == (row["p_wrong"] >= row["threshold"])
    assert json.loads((tmp_path / "summary.json").read_text("utf-8"))["threshold"] is None


def test_a_screener_is_read_once(run, world, fitted, tmp_path, monkeypatch):
    reads = []
    read = artifact.read
    monkeypatch.setattr(artifact, "read", lambda *given, **more: reads.append(given) or read(*given, **more))
    assert run("screen", fitted, world.incoming, "-o", tmp_path / "out")[0] == 0
    assert len(reads) == 1


def test_a_cascade_looks_deeper_at_some_and_says_at_how_many(run, world, home, tmp_path):
    arguments = ("fit", "--model", SPEC, "--reference", world.reference, "--calibration", world.calibration)
    status, said, _ = run(
        *arguments, *FIT, "--embedder", "user_models:plain", "--cascade", "--cascade-loss", "0.5", "-o", tmp_path / "s"
    )
    assert status == 0
    assert "a deeper look" in said
    status, said, _ = run("screen", tmp_path / "s", world.incoming, "-o", tmp_path / "out")
    assert status == 0
    efforts = Verdicts.read(tmp_path / "out").table["effort"].to_pylist()
    assert said.startswith(f"{efforts.count('balanced')} of 40 images were looked at more deeply\n")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))
    assert summary["looked_at_more_deeply"] == efforts.count("balanced")
    assert summary["deeper_look_failed"] == 0


def test_images_that_fitted_the_screener_are_told(run, world, fitted, tmp_path):
    status, _, err = run("screen", fitted, world.calibration, "-o", tmp_path)
    assert status == 0
    assert "note: 150 of these images fitted the screener" in err


def test_images_for_which_the_model_answers_nan_are_rows_with_an_error(run, world, tmp_path):
    spec = "user_models:sometimes_nan?weights=inner.safetensors"
    assert run(*fit_arguments(world, tmp_path / "s", model=spec))[0] == 0
    shutil.copytree(world.incoming, tmp_path / "in")
    Image.new("RGB", (8, 8)).save(tmp_path / "in" / "black.png")
    status, out, _ = run("screen", tmp_path / "s", tmp_path / "in", "-o", tmp_path / "o")
    assert status == 0
    assert "41 images" in out
    assert "1 of them unreadable" in out
    bad = [row for row in Verdicts.read(tmp_path / "o").table.to_pylist() if row["error"]]
    assert [row["file_name"] for row in bad] == ["black.png"]
    assert "NaN" in bad[0]["error"]
    assert bad[0]["flagged"]


def everything_from(terminal):
    """Read until the other end is closed; one read may bring a part, and Linux ends with EIO."""
    seen = b""
    with suppress(OSError):
        while part := os.read(terminal, 1 << 16):
            seen += part
    os.close(terminal)
    return seen.decode()


def test_a_terminal_sees_progress_on_standard_error(world, home, fitted, tmp_path):
    main, other = pty.openpty()
    command = [sys.executable, "-m", "uncertainty", "screen", fitted, world.incoming, "-o", tmp_path]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    done = subprocess.run(list(map(str, command)), cwd=home, stdout=subprocess.PIPE, stderr=other, env=environment)
    os.close(other)
    seen = everything_from(main)
    assert done.returncode == 0
    assert "screening" in seen
    assert "40/40" in seen
    assert b"\x1b" not in done.stdout


def test_screen_without_images_or_screener(fails, world, fitted, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no image" in fails("screen", fitted, tmp_path / "empty", "-o", tmp_path / "o")
    assert "does not exist" in fails("screen", fitted, tmp_path / "gone", "-o", tmp_path / "o")
    assert "holds no manifest.json" in fails("screen", tmp_path / "gone", world.incoming, "-o", tmp_path / "o")
    assert not (tmp_path / "o").exists()


def damaged_copy(fitted, tmp_path, name, change):
    copy = shutil.copytree(fitted, tmp_path / "copy")
    (path,) = copy.glob(name)
    path.write_bytes(change(path.read_bytes()))
    return copy


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("manifest.json", lambda b: b[: len(b) // 2], "is not valid JSON"),
        ("manifest.json", lambda b: b"[]", "has format version None"),
        ("manifest.json", lambda b: b.replace(b'"format_version": 4', b'"format_version": 99'), "a newer release"),
        ("manifest.json", lambda b: b.replace(b'"passes": ', b'"passes": "x", "y": '), "is damaged at"),
        ("manifest.json", lambda b: b.replace(b'"lines": ', b'"no_lines": '), "its seal is broken"),
        ("arrays-*.safetensors", lambda b: b[:-1], "is damaged or of another screener"),
        ("arrays-*.safetensors", lambda b: b[:-1] + bytes([b[-1] ^ 1]), "is damaged or of another screener"),
        ("arrays-*.safetensors", lambda b: b"", "is damaged or of another screener"),
    ],
)
def test_a_damaged_screener(fails, world, fitted, tmp_path, name, change, message):
    copy = damaged_copy(fitted, tmp_path, name, change)
    assert message in fails("screen", copy, world.incoming, "-o", tmp_path / "o")


def test_another_model(fails, world, fitted, tmp_path):
    message = fails("screen", fitted, world.incoming, "-o", tmp_path / "o", "--model", "user_models:tiny")
    assert "was fitted with model" in message
    message = fails("screen", fitted, world.incoming, "-o", tmp_path / "o", "--model", "user_models:four")
    assert "the model has 4 outputs and 3 class names were given" in message


def test_a_screener_that_names_no_model(fails, world, tmp_path):
    world.screener.save(tmp_path / "s")
    message = fails("screen", tmp_path / "s", world.incoming, "-o", tmp_path / "o")
    assert "does not say which model it was fitted with; give --model SPEC" in message


def test_a_device_that_is_not_there(fails, world, fitted, tmp_path):
    message = fails("screen", fitted, world.incoming, "-o", tmp_path / "o", "--device", "abacus")
    assert "can't be put on device 'abacus'" in message


def test_a_full_disk(fails, world, fitted, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", full)
    message = fails("screen", fitted, world.incoming, "-o", tmp_path / "o")
    assert message.endswith("can't be written (No space left on device); what is done is kept, go on with --resume")
    assert list((tmp_path / "o").iterdir()) == []


def test_a_folder_that_cannot_be_written(fails, world, fitted, tmp_path):
    message = fails("screen", fitted, world.incoming, "-o", "/proc/nowhere/out")
    assert "/proc/nowhere" in message
