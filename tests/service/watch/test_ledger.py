"""The ledger of a watched folder where another process holds it."""

import subprocess
import sys
from contextlib import contextmanager

import pytest

from uncertainty.errors import InputError
from uncertainty.service.watch.ledger import Ledger

_LOCK = """\
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked_by_another(path):
    with subprocess.Popen(
        [sys.executable, "-S", "-c", _LOCK, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"locked\n"
        yield
        process.stdin.close()


def test_a_lock_of_another_process_is_told_and_what_was_noted_is_kept(tmp_path):
    ledger = Ledger(tmp_path / "watch.sqlite")
    ledger._db.execute("PRAGMA busy_timeout = 10")
    with ledger.together():
        ledger.note("published", 1)
    with (
        locked_by_another(ledger.path),
        pytest.raises(InputError, match=r"watch\.sqlite can't be written \(database is locked\)"),
        ledger.together(),
    ):
        ledger.note("published", 2)
    assert ledger.about("published") == 1
    with ledger.together():
        ledger.note("published", 3)
    assert ledger.about("published") == 3
    ledger.close()
