"""Answers outlast the process, whatever happens to it after they were acknowledged."""

import signal
import subprocess
import sys

import pytest

from uncertainty.errors import InputError
from uncertainty.service.desk.answers import Answer, Kind
from uncertainty.service.desk.store import Given, Store

CAT, SKIP = Answer(Kind.CLASS, "cat"), Answer(Kind.SKIP)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "review.sqlite")
    yield store
    store.close()


def said(store):
    return [(one.item, one.annotator, one.answer.label) for one in store.standing()]


def test_a_later_answer_takes_the_place_of_ones_own_and_of_nobody_elses(store):
    store.add(Given(1, "ann", CAT, "ranked", "s"))
    store.add(Given(1, "ben", CAT, "ranked", "t"))
    store.add(Given(1, "ann", Answer(Kind.CLASS, "dog"), "ranked", "s"))
    assert said(store) == [(1, "ben", "cat"), (1, "ann", "dog")]


def test_the_same_answer_sent_twice_is_kept_once(store):
    first = store.add(Given(1, "ann", CAT, "drawn", "s", 2.5))
    assert store.add(Given(1, "ann", CAT, "ranked", "s", 9.0)) == first
    assert store.standing() == [first]
    assert first.seconds == 2.5


def test_undo_goes_back_step_by_step_within_a_session(store):
    for item, session in ((1, "s"), (2, "other"), (3, "s")):
        store.add(Given(item, "ann", CAT, "ranked", session))
    store.add(Given(4, "ann", SKIP, "ranked", "s"))
    assert [store.withdraw("ann", "s").item for _ in range(3)] == [4, 3, 1]
    assert store.withdraw("ann", "s") is None
    assert store.withdraw("ben", "other") is None
    assert said(store) == [(2, "ann", "cat")]


def test_skipped_ones_can_be_taken_back_together(store):
    store.add(Given(1, "ann", SKIP, "ranked"))
    store.add(Given(2, "ben", SKIP, "ranked"))
    store.add(Given(3, "ann", CAT, "ranked"))
    store.unskip("ann")
    assert [one.item for one in store.standing()] == [2, 3]


def test_people_are_known_by_a_token_that_is_not_kept(store, tmp_path):
    store.add_person("a token", "Änn <b>")
    assert store.person("a token") == "Änn <b>"
    assert store.person("another") is None
    assert b"a token" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no database at all " * 100)
    with pytest.raises(InputError, match=r"notes\.txt can't be used"):
        Store(tmp_path / "notes.txt")


KILLED = """
import os, signal, sys
from pathlib import Path
from uncertainty.service.desk.answers import Answer, Kind
from uncertainty.service.desk.store import Given, Store
store = Store(Path(sys.argv[1]))
for item in range(1000):
    print(store.add(Given(item, "ann", Answer(Kind.CLASS, "cat"), "ranked")).item, flush=True)
    if item == 40:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path):
    path = tmp_path / "review.sqlite"
    done = subprocess.run([sys.executable, "-c", KILLED, path], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    acknowledged = [int(line) for line in done.stdout.split()]
    store = Store(path)
    assert [one.item for one in store.standing()] == acknowledged == list(range(41))
    store.close()
