"""`uncertainty watch` in a process of its own, and how many files it has screened."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

from benchmarks.service_process import ROOT


def watching(screener: Path, folder: Path, out: Path, *more: object) -> subprocess.Popen[str]:
    """Watch a folder, and return once it is looked at; `more` are options of the command."""
    command = [sys.executable, "-m", "uncertainty", "watch", screener, folder, "-o", out, *more]
    where = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([*map(str, command)], env=where, stdout=subprocess.PIPE, text=True)
    for line in process.stdout or ():
        if line.startswith("watching "):
            break
    threading.Thread(target=lambda: [None for _ in process.stdout or ()], daemon=True).start()
    return process


def known(out: Path) -> int:
    """Return how many files were screened."""
    with closing(sqlite3.connect(out / ".watch" / "watch.sqlite")) as kept:
        return int(kept.execute("SELECT count(*) FROM files").fetchone()[0])
