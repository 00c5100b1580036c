"""`uncertainty screen` killed or interrupted, and gone on with."""

import signal
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from uncertainty.screening.journal import progress_of
from uncertainty.verdicts import Verdicts


@pytest.fixture
def many(world, tmp_path):
    """1,100 small images in one Parquet file: a whole part and a bit."""
    images = [{"bytes": path.read_bytes(), "path": None} for path in sorted(world.incoming.iterdir())[:20]] * 55
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    pq.write_table(pa.table({"image": pa.array(images, kind)}), tmp_path / "many.parquet")
    return tmp_path / "many.parquet"


def table_of(out):
    return Verdicts.read(out).table


def test_kill_and_resume(run, fails, world, home, fitted, many, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    command = ["screen", fitted, many, "-o", out]
    assert run("screen", fitted, many, "-o", whole)[0] == 0
    killed = subprocess.Popen([sys.executable, "-m", "uncertainty", *map(str, command)], cwd=home)
    while killed.poll() is None and progress_of(out) is None:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert progress_of(out)[1] == 1100
    assert not (out / "verdicts.parquet").exists()
    message = fails(*command)
    assert f"{out} holds an unfinished screening" in message
    assert "go on with --resume" in message
    changed = "the policy was 'budget 10 %', now it is 'budget 30 %'"
    assert changed in fails(*command, "--resume", "--budget", "0.3")
    assert "the input had 1100 images, now it has 40" in fails(*command[:2], world.incoming, *command[3:], "--resume")
    assert run(*command, "--resume")[0] == 0
    assert table_of(out).equals(table_of(whole), check_metadata=True)
    assert (out / "features.parquet").read_bytes() == (whole / "features.parquet").read_bytes()


def test_an_interrupted_screening_says_how_to_go_on(run, fails, fitted, many, tmp_path, monkeypatch):
    from uncertainty.workflows import screen

    part_tables = screen.part_tables

    def interrupted(*given, **options):
        yield next(part_tables(*given, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(screen, "part_tables", interrupted)
    command = ["screen", fitted, many, "-o", tmp_path / "out"]
    status, out, err = run(*command)
    assert (status, out) == (130, "")
    assert err.splitlines()[1:] == [
        "interrupted: 1024 of 1100 images are done; go on with the same command and --resume"
    ]
    monkeypatch.setattr(screen, "part_tables", part_tables)
    assert run(*command, "--resume", "--format", "csv")[0] == 0
    assert len(table_of(tmp_path / "out")) == 1100
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    status, out, err = run(*command, "--resume")
    assert status == 0
    assert "was finished already, so nothing was done" in err
    assert out.startswith("1100 images: ")
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before
    message = fails(*command, "--resume", "--batch-size", "16")
    assert "holds a finished screening of something else: the batch size was 32, now it is 16" in message


def test_interrupted_before_anything_was_done(run, world, fitted, tmp_path, monkeypatch):
    def interrupted(*given, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("uncertainty.workflows.screen.part_tables", interrupted)
    status, _, err = run("screen", fitted, world.incoming, "-o", tmp_path / "out")
    assert status == 130
    assert err.splitlines()[1:] == ["interrupted: no image was done; go on with the same command and --resume"]
    assert list((tmp_path / "out").iterdir()) == []
