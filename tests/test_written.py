"""Files that a command wrote are replaced, all others refused or kept; nothing outlives the verdicts that it is of."""

import json
import os
from datetime import date

import pytest

from uncertainty.errors import InputError
from uncertainty.written import LEDGER, Entry, fingerprint, read_ledger, refuse, set_aside, write_ledger, written

TODAY = date.today().isoformat()


def write(folder, text="ours", name="a.csv", of="verdicts", **options):
    with written(folder, [name], of, **options) as where:
        (where / name).write_text(text)


def test_what_was_written_is_replaced_and_what_was_changed_is_not(tmp_path):
    write(tmp_path)
    write(tmp_path, "ours again")
    (tmp_path / "a.csv").write_text("ours again, with labels")
    with pytest.raises(InputError, match=r"a\.csv was changed since it was written; .*--overwrite"):
        write(tmp_path)
    assert (tmp_path / "a.csv").read_text() == "ours again, with labels"
    write(tmp_path, overwrite=True)
    assert (tmp_path / "a.csv").read_text() == "ours"
    assert sorted(path.name for path in tmp_path.iterdir()) == [LEDGER, "a.csv"]


def test_a_strangers_file_and_one_of_other_verdicts_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("mine")
    with pytest.raises(InputError, match="holds something that was not written here"):
        write(tmp_path)
    write(tmp_path, name="b.csv")
    with pytest.raises(InputError, match="tells of another screening"):
        write(tmp_path, name="b.csv", of="others")
    (tmp_path / LEDGER).write_text("[1")  # nobody knows any more who wrote what
    with pytest.raises(InputError, match=r"b\.csv holds something"):
        refuse(tmp_path, ["b.csv"], "verdicts")


def test_what_is_not_written_this_time_is_removed_if_it_is_ours(tmp_path):
    with written(tmp_path, ["a", "b"], "verdicts") as where:
        (where / "a").mkdir()
        (where / "a" / "1").write_text("x")
        (where / "b").write_text("y")
    with written(tmp_path, ["a", "b"], "verdicts") as where:
        (where / "b").write_text("z")
    assert sorted(path.name for path in tmp_path.iterdir()) == [LEDGER, "b"]
    assert read_ledger(tmp_path).keys() == {"b", "a"}  # what is gone stands in no way, and is left out next time
    write(tmp_path)
    assert read_ledger(tmp_path).keys() == {"a.csv", "b"}


def test_a_folder_that_others_put_files_into_is_kept(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine").write_text("mine")
    with written(tmp_path, ["a"], "verdicts", overwrite=True) as where:
        (where / "a").mkdir()
    assert (tmp_path / f"a.{TODAY}" / "mine").read_text() == "mine"
    assert list((tmp_path / "a").iterdir()) == []


def test_nothing_appears_where_the_work_fails_or_there_is_no_place(tmp_path):
    def fail():
        with written(tmp_path, ["a.csv"], "verdicts") as where:
            (where / "a.csv").write_text("half")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"a\.csv can't be written: .*; choose another place"):
        write(tmp_path / "file")


def test_what_tells_of_the_verdicts_before_does_not_stay(tmp_path, caplog):
    (tmp_path / "verdicts.csv").write_text("old")
    old = fingerprint(tmp_path / "verdicts.csv")
    write_ledger(tmp_path, tmp_path, {"verdicts.csv": Entry(old, old)})
    for name in ("ranking.csv", "mine.csv", "filled.csv"):
        write(tmp_path, name=name, of=old)
    write(tmp_path, name="of_others.csv", of="others")
    (tmp_path / "filled.csv").write_text("with labels")
    (tmp_path / "errors.csv").write_text("of an earlier release")
    (tmp_path / "notes.txt").write_text("mine")
    same = {"verdicts.csv": Entry(old, old)}
    set_aside(tmp_path, ["verdicts.csv"], same)
    assert (tmp_path / "ranking.csv").exists()
    set_aside(tmp_path, ["verdicts.csv"], {"verdicts.csv": Entry("new", "new")})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        LEDGER, f"errors.{TODAY}.csv", f"filled.{TODAY}.csv", "notes.txt", "of_others.csv", "verdicts.csv",
    ]  # fmt: skip
    assert "removed, since they told of the verdicts before: mine.csv, ranking.csv; make them anew" in caplog.text
    assert f"filled.csv was changed or not written here; it is kept as filled.{TODAY}.csv" in caplog.text


def test_verdicts_with_labels_filled_in_are_kept_and_a_second_time_too(tmp_path):
    for text in ("one", "two"):
        (tmp_path / "verdicts.csv").write_text(text)
        set_aside(tmp_path, ["verdicts.csv"], {"verdicts.csv": Entry("new", "new")})
    assert (tmp_path / f"verdicts.{TODAY}.csv").read_text() == "one"
    assert (tmp_path / f"verdicts.{TODAY}-2.csv").read_text() == "two"


def test_the_ledger_is_plain_and_the_same_for_the_same_files(tmp_path):
    write(tmp_path)
    before = (tmp_path / LEDGER).read_bytes()
    os.utime(tmp_path / "a.csv", (1, 1))
    write(tmp_path)
    assert (tmp_path / LEDGER).read_bytes() == before
    assert json.loads(before)["files"]["a.csv"]["of"] == "verdicts"


@pytest.mark.parametrize("name", ["../precious.txt", ".", "..", "", "a\0b", "sub/x.csv", "C:\\x"])
def test_a_ledger_that_names_what_lies_elsewhere_touches_nothing_there(tmp_path, name):
    out, precious = tmp_path / "out", tmp_path / "precious.txt"
    precious.write_text("mine")
    write(out, name="verdicts.csv")
    told = read_ledger(out)
    entry = {"blake2b": fingerprint(precious), "of": "verdicts"}
    kept = {file: {"blake2b": one.blake2b, "of": one.of} for file, one in told.items()}
    (out / LEDGER).write_text(json.dumps({"files": {**kept, name: entry}}))
    assert read_ledger(out) == told
    set_aside(out, ["verdicts.csv"], {"verdicts.csv": Entry("new", "new verdicts")})
    assert precious.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("out")] == ["out"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    os.mkfifo(tmp_path / LEDGER)
    with pytest.raises(InputError, match="holds something that was not written here"):
        write(tmp_path)


def test_a_folder_called_like_the_ledger_is_named(tmp_path):
    (tmp_path / LEDGER).mkdir()
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"\.uncertainty\.json is a folder, .*move it away"):
            write(tmp_path, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == [LEDGER]
