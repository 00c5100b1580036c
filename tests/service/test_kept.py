"""Verdicts that are kept: acknowledged once they are on the disk, once each, and read by every command."""

import sqlite3
import threading
from concurrent.futures import wait
from dataclasses import replace

import pytest

from uncertainty.errors import InputError
from uncertainty.service.lanes import Lane
from uncertainty.service.problems import Refused
from uncertainty.service.settings import Batching
from uncertainty.service.verdict_store import Origin, VerdictStore, Wanted
from uncertainty.verdicts import Verdicts
from uncertainty.workflows.monitor import monitor_folder


@pytest.fixture(scope="module")
def judged(world):
    from uncertainty.classifiers.base import ArrayItem

    lane = Lane(world.screener, Batching())
    items = [ArrayItem(path.name, path.read_bytes()) for path in sorted(world.incoming.iterdir())]
    found = lane.submit([*items, ArrayItem("bad.png", b"no image")]).result(60)
    lane.close()
    return found


@pytest.fixture
def store(tmp_path):
    store = VerdictStore(tmp_path / "kept.sqlite")
    yield store
    store.close()


def some(judged, names):
    rows = [row for row in judged.rows if row["file_name"] in names]
    digests = [d for row, d in zip(judged.rows, judged.digests, strict=True) if row["file_name"] in names]
    return replace(judged, rows=rows, digests=digests)


PLAIN = Origin("stripes", None, "")


def test_what_was_kept_is_read_back_after_the_file_was_opened_anew(judged, store):
    assert store.keep(judged, PLAIN).result() == judged.rows
    again = VerdictStore(store.file.path)
    found = again.rows(Wanted())
    again.close()
    assert [one["verdict"] for one in found] == judged.rows
    assert [one["digest"] for one in found] == judged.digests
    assert {one["screener"] for one in found} == {"stripes"}


def test_filters(judged, store):
    store.keep(judged, PLAIN).result()
    flagged = [row["file_name"] for row in judged.rows if row["flagged"]]
    assert [one["verdict"]["file_name"] for one in store.rows(Wanted(flagged=True))] == flagged
    name = judged.rows[3]["file_name"]
    assert [one["verdict"] for one in store.rows(Wanted(file_name=name))] == [judged.rows[3]]
    assert store.rows(Wanted(until=0.0)) == store.rows(Wanted(screener="other")) == []
    assert [one["id"] for one in store.rows(Wanted(after=2, limit=3))] == [3, 4, 5]


def test_a_key_again_is_answered_by_what_was_kept_and_keeps_nothing(judged, store):
    origin = Origin("stripes", "key", "body")
    first = some(judged, [judged.rows[0]["file_name"]])
    assert store.under_key(origin) is None
    store.keep(first, origin).result()
    assert store.under_key(origin) == store.keep(judged, origin).result() == first.rows
    assert len(store.rows(Wanted())) == 1
    with pytest.raises(Refused, match="something else"):
        store.keep(judged, replace(origin, body="another")).result()
    assert len(store.rows(Wanted())) == 1


def test_the_same_key_at_once_is_kept_once(judged, store):
    wait([store.keep(judged, Origin("stripes", "key", "body")) for _ in range(20)])
    assert len(store.rows(Wanted())) == len(judged.rows)


def test_the_export_is_a_table_that_commands_read(world, judged, store, tmp_path):
    store.keep(judged, PLAIN).result()
    path = tmp_path / "out" / "verdicts.parquet"
    assert store.export(path, Wanted()) == len(judged.rows)
    found, expected = Verdicts.read(path.parent), world.screener.screen(world.incoming)
    assert found.table.schema.equals(expected.table.schema)
    assert found.provenance == expected.provenance
    assert sorted(found.table["rank"].to_pylist()) == list(range(1, len(judged.rows) + 1))
    assert found.table["error"].null_count == len(judged.rows) - 1
    assert monitor_folder(path.parent, world.screener).accuracy.n == len(judged.rows) - 1


def test_the_newest_verdict_of_an_image_counts_and_other_pictures_keep_a_name(judged, store, tmp_path):
    names = [row["file_name"] for row in judged.rows[:2]]
    one, other = some(judged, names[:1]), some(judged, names[1:])
    renamed = replace(other, rows=[other.rows[0] | {"file_name": names[0]}])
    for rows in (one, one, renamed):
        store.keep(rows, PLAIN).result()
    store.export(tmp_path / "verdicts.parquet", Wanted())
    stem = names[0].removesuffix(".png")
    kept = Verdicts.read(tmp_path / "verdicts.parquet").table["file_name"].to_pylist()
    assert kept == [names[0], f"{stem}-{other.digests[0]}.png"]


def test_nothing_to_export(store, tmp_path):
    with pytest.raises(Refused) as refused:
        store.export(tmp_path / "verdicts.parquet", Wanted())
    assert refused.value.status_code == 404


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "other.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    (tmp_path / "text").write_text("this is no database, and longer than a header of one " * 10, "utf-8")
    for wrong in (path, tmp_path / "text", tmp_path):
        with pytest.raises(InputError):
            VerdictStore(wrong)


def test_a_locked_file_is_said_and_nothing_is_lost(judged, store, monkeypatch):
    store.file.write(lambda connection: connection.execute("PRAGMA busy_timeout=50")).result()
    other = sqlite3.connect(store.file.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Refused) as refused:
        store.keep(judged, PLAIN).result()
    assert (refused.value.status_code, refused.value.code) == (503, "store_busy")
    assert "Retry-After" in refused.value.headers
    other.execute("ROLLBACK")
    other.close()
    assert store.keep(judged, PLAIN).result() == judged.rows


def test_a_full_disk_is_said_and_nothing_half_is_kept(judged, store):
    pages = store.file.write(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0]).result()
    store.file.write(lambda connection: connection.execute(f"PRAGMA max_page_count={pages + 1}")).result()
    with pytest.raises(Refused) as refused:
        store.keep(judged, PLAIN).result()
    assert (refused.value.status_code, refused.value.code) == (507, "store_full")
    store.file.write(lambda connection: connection.execute("PRAGMA max_page_count=100000")).result()
    assert store.rows(Wanted()) == []
    store.keep(judged, PLAIN).result()
    assert len(store.rows(Wanted())) == len(judged.rows)


def test_readers_go_on_while_something_is_written(judged, store):
    store.keep(judged, PLAIN).result()
    seen = []
    with store.file.reading() as connection:
        before = connection.execute("SELECT count(*) FROM verdicts").fetchone()[0]
        writing = threading.Thread(target=lambda: store.keep(judged, PLAIN).result())
        writing.start()
        writing.join()
        seen.append(connection.execute("SELECT count(*) FROM verdicts").fetchone()[0])
    assert seen == [before]
    assert len(store.rows(Wanted())) == 2 * before
