"""`uncertainty watch` from a shell."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.conftest import SPEC
from uncertainty import Verdicts

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def start(home, settings):
    begun = []

    def start(*more):
        command = [sys.executable, "-m", "uncertainty", "watch", "stripes", settings.folder, "-o", settings.out]
        command += ["--model", SPEC, "--settle", "0.1", "--every", "0.05", "--batch-size", "4", *more]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=home,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        begun.append(process)
        assert process.stdout.readline() == f"watching {settings.folder}; interrupt to end\n"
        return process

    yield start
    for process in begun:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_kill_loses_nothing_and_the_same_command_goes_on(start, settings, arrive, tmp_path):
    arrive(*range(16))
    killed = start("--copy", tmp_path / "to")
    assert killed.stdout.readline().startswith("batch 1: 4 images, ")
    killed.kill()
    killed.wait()
    arrive(*range(16, 20))
    again = start("--copy", tmp_path / "to")
    seen = 0
    while seen < 4 or not any(one.startswith("019") for one in _screened(settings)):
        line = again.stdout.readline()
        assert line.startswith("batch "), line
        seen += int(line.split()[2])
    again.send_signal(signal.SIGTERM)
    said = again.stdout.read().splitlines()
    assert again.wait() == 0
    assert said[-1] == f"verdicts on 20 images, all so far; {settings.out} goes on with the same command"
    found = Verdicts.read(settings.out).table.to_pylist()
    assert sorted(row["file_name"] for row in found) == [f"{k:03}.png" for k in range(20)]
    assert {path.name for path in (tmp_path / "to").iterdir()} == {row["file_name"] for row in found if row["flagged"]}


def _screened(settings):
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(settings.out / ".watch" / "watch.sqlite")) as kept:
        return [name for (name,) in kept.execute("SELECT name FROM names")]
