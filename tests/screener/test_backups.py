"""The screener before a change is kept whole; changes at the same time wait for each other; links lead nowhere."""

import json
import multiprocessing
import os
import shutil

import pytest
from problems import known_good, made_problem

from screener.sealing import arrays_file
from uncertainty.errors import InputError
from uncertainty.screener import Screener
from uncertainty.screener.artifact import MANIFEST, files_of
from uncertainty.screener.backups import changing, kept_before, kept_beside


@pytest.fixture(scope="module")
def screener():
    return Screener.fit_outputs(known_good(120, 1), made_problem(200, 2))


@pytest.fixture
def saved(screener, tmp_path):
    screener.save(tmp_path / "s")
    return tmp_path / "s"


def test_a_copy_is_kept_by_its_id_and_made_once(screener, saved):
    kept = kept_beside(saved)
    assert kept.name == f"s.{screener.id}"
    assert Screener.load(kept).id == screener.id
    before = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert kept_beside(saved) == kept
    assert {path: path.stat().st_mtime_ns for path in kept.iterdir()} == before
    assert [path.name for path in files_of(kept)] == [path.name for path in files_of(saved)]


def test_what_is_not_ours_is_neither_kept_nor_overwritten(screener, saved, tmp_path):
    (saved / "notes.txt").write_text("mine")
    (tmp_path / f"s.{screener.id}").mkdir()
    (tmp_path / f"s.{screener.id}" / "theirs").write_text("x")
    (tmp_path / f"s.{screener.id}-2").symlink_to(tmp_path / "nowhere")
    kept = kept_beside(saved)
    assert kept.name == f"s.{screener.id}-3"
    assert Screener.load(kept).id == screener.id
    assert not (kept / "notes.txt").exists()
    assert (tmp_path / f"s.{screener.id}" / "theirs").read_text() == "x"


def test_one_that_can_t_be_read_is_kept_too(saved):
    (saved / MANIFEST).write_text('{"format_version": 2}')
    kept = kept_before(saved)
    assert (kept / MANIFEST).read_text() == '{"format_version": 2}'
    assert len(files_of(kept)) == 2
    assert kept_before(saved.parent / "nothing") is None


def test_saving_removes_what_is_ours_alone(screener, saved, tmp_path):
    (tmp_path / "precious").write_text("kept")
    for name in ("arrays-notes.txt", "arrays.safetensors.bak", ".hidden"):
        (saved / name).write_text("mine")
    (saved / f"arrays-{'0' * 16}.safetensors").symlink_to(tmp_path / "precious")
    (saved / "arrays.safetensors").write_text("of an older release")
    (saved / ".manifest.json.abcdefgh").write_text("of a process that was killed")
    old = arrays_file(saved)
    screener.with_budget(0.3).save(saved)
    names = sorted(path.name for path in saved.iterdir())
    assert names == sorted([arrays_file(saved).name, ".hidden", "arrays-notes.txt", "arrays.safetensors.bak", MANIFEST])
    assert (tmp_path / "precious").read_text() == "kept"
    assert old.name == arrays_file(saved).name or not old.exists()


def test_copies_that_a_killed_process_began_are_removed(screener, saved, tmp_path):
    left, others = tmp_path / f".s.{screener.id}.abcd1234", tmp_path / ".s.notes"
    (left / "copy").mkdir(parents=True)
    others.mkdir()
    kept_beside(saved)
    assert not left.exists()
    assert others.exists()


def test_a_manifest_that_is_a_link_is_replaced(screener, saved, tmp_path):
    shutil.move(saved / MANIFEST, tmp_path / "elsewhere.json")
    (saved / MANIFEST).symlink_to(tmp_path / "elsewhere.json")
    before = (tmp_path / "elsewhere.json").read_bytes()
    screener.with_budget(0.3).save(saved)
    assert (tmp_path / "elsewhere.json").read_bytes() == before
    assert not (saved / MANIFEST).is_symlink()


def test_a_reader_that_comes_between_reads_again(screener, saved, monkeypatch):
    from uncertainty.screener import artifact

    new, read = screener.without_known_good(screener.known_good[:2]), artifact.read_manifest
    times: list[int] = []

    def late(path):
        manifest = read(path)
        if not times:
            new.save(saved)
        times.append(1)
        return manifest

    monkeypatch.setattr(artifact, "read_manifest", late)
    assert Screener.load(saved).id == new.id
    assert len(times) == 2


def narrowed(folder, share):
    with changing(folder):
        old = Screener.load(folder)
        old.with_budget(share).save(folder)


def test_changes_at_the_same_time_are_all_there(saved):
    spawn = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    running = [spawn.Process(target=narrowed, args=(saved, 0.1 + 0.05 * k)) for k in range(4)]
    for one in running:
        one.start()
    for one in running:
        one.join()
    assert [one.exitcode for one in running] == [0] * 4
    history = json.loads((saved / MANIFEST).read_text())["history"]
    assert len(history) == 4
    assert len({line["policy"]["target"] for line in history} | {Screener.load(saved).budget}) in (4, 5)


def test_a_new_folder_is_held_and_goes_where_nothing_came_of_it(saved, tmp_path):
    with pytest.raises(ZeroDivisionError), changing(saved, tmp_path / "new"):
        raise ZeroDivisionError
    assert not (tmp_path / "new").exists()
    with changing(saved, tmp_path / "new"):
        Screener.load(saved).save(tmp_path / "new")
    with pytest.raises(InputError, match="holds a screener already"), changing(saved, tmp_path / "new"):
        pass
