"""Images that arrive become the rows of a screening, once each, whenever the process ends."""

import json
import logging
import os
import sqlite3
import threading
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from uncertainty import Verdicts
from uncertainty.errors import InputError
from uncertainty.service.watch import parts, watch
from uncertainty.service.watch.settings import How, Told, WatchSettings
from uncertainty.service.watch.watch import watching
from uncertainty.verdicts import read_summary
from uncertainty.workflows.screen import screen_into


def rows(settings):
    return {row["file_name"]: row for row in Verdicts.read(settings.out).table.to_pylist()}


def test_the_rows_are_those_of_screen(world, settings, arrive, look, tmp_path):
    arrive(*range(20))
    assert [batch.images for batch in look()] == [4] * 5
    arrive(*range(20, 40))
    look()
    summary = screen_into(tmp_path / "screened", world.screener, str(world.incoming))
    expected, found = Verdicts.read(tmp_path / "screened").table, Verdicts.read(settings.out).table
    assert found.schema.names == expected.schema.names
    assert found["file_name"].to_pylist() == expected["file_name"].to_pylist()
    assert found["rank"].to_pylist() == expected["rank"].to_pylist()
    np.testing.assert_allclose(found["p_wrong"], expected["p_wrong"], atol=1e-6)
    kept = read_summary(settings.out)
    assert {name: kept[name] for name in ("images", "flagged", "unreadable")} == {
        name: summary[name] for name in ("images", "flagged", "unreadable")
    }
    assert sorted(os.listdir(settings.out)) == sorted([*os.listdir(tmp_path / "screened"), ".watch"])


def test_nothing_is_screened_twice(settings, arrive, look):
    arrive(*range(6))
    assert sum(batch.images for batch in look()) == 6
    assert look() == []
    arrive(6)
    assert [batch.images for batch in look()] == [1]
    assert len(rows(settings)) == 7


def test_rows_keep_the_order_they_were_screened_in_where_the_clock_is_set_back(settings, arrive, look, monkeypatch):
    arrive(4, 5)
    look()
    before = list(rows(settings))
    monkeypatch.setattr("time.time", lambda: 1.0)
    arrive(1)
    os.utime(settings.folder / "001.png", (1, 1))
    look()
    assert list(rows(settings)) == [*before, "001.png"]
    assert look() == []


def test_the_same_picture_again_is_no_new_row_and_another_one_under_its_name_is(settings, arrive, look, incoming):
    arrive(0, 1)
    look()
    os.utime(settings.folder / incoming[0].name, (1, 1))
    (settings.folder / incoming[1].name).write_bytes(incoming[2].read_bytes())
    assert [batch.images for batch in look()] == [1]
    assert list(rows(settings)) == ["000.png", "001.png", "001~2.png"]
    assert look() == []
    arrive(2)
    found = (look(), rows(settings))[1]
    assert found["001~2.png"]["p_wrong"] == pytest.approx(found["002.png"]["p_wrong"])


def test_a_damaged_image_is_a_row_after_it_had_time_to_become_whole(settings, arrive, look, incoming):
    arrive(0)
    (settings.folder / "half.png").write_bytes(incoming[1].read_bytes()[:60])
    batches = look()
    assert sum(batch.images for batch in batches) == 2
    assert rows(settings)["half.png"]["error"]
    assert rows(settings)["half.png"]["flagged"]


def test_a_writer_that_paused_too_long_is_read_once_it_is_done(world, settings, incoming):
    path, whole = settings.folder / "slow.png", incoming[0].read_bytes()
    path.write_bytes(whole[:60])
    with watching(world.screener, replace(settings, settle=0.001)) as watch:
        for content in (whole[:60], whole):
            path.write_bytes(content)
            watch.arrivals.look()
            watch.arrivals.clock = lambda: 1e9
            batch = watch.screen()
            watch.arrivals.clock = lambda: 1e8
        watch.publish()
    assert batch.images == 1
    assert rows(settings)["slow.png"]["error"] is None


def test_a_file_that_changes_while_it_is_read_is_read_again(world, settings, arrive, incoming, monkeypatch):
    arrive(0)
    path = settings.folder / incoming[0].name
    with watching(world.screener, settings) as watch:
        watch.arrivals.look()
        judged = watch._judged
        monkeypatch.setattr(watch, "_judged", lambda names: (judged(names), path.write_bytes(b"more"))[0])
        assert watch.screen().images == 0
        assert watch.arrivals.waiting == 0
        monkeypatch.setattr(watch, "_judged", lambda names: (judged(names), path.unlink())[0])
        watch.arrivals.look()
        assert watch.screen().images == 0
        assert watch.ledger.rows() == 0


def test_names_that_are_no_text_are_shown_and_found_again(settings, look, incoming):
    odd = os.fsdecode(b"caf\xe9.png")
    (settings.folder / odd).write_bytes(incoming[0].read_bytes())
    look(flagged=How.COPY, flagged_to=settings.out.with_name("to"))
    assert list(rows(settings)) == ["caf\\udce9.png"]
    assert look(flagged=How.COPY, flagged_to=settings.out.with_name("to")) == []


def test_rows_that_fill_a_part_become_one(settings, arrive, look, monkeypatch):
    monkeypatch.setattr(parts, "ROWS_IN_A_PART", 10)
    arrive(*range(24))
    assert [batch.images for batch in look()] == [4, 4, 2, 4, 4, 2, 4]
    inside = settings.out / ".watch"
    assert sorted(path.name for path in inside.glob("part-*")) == [f"part-{k:08}.parquet" for k in range(2)]
    assert [path.name for path in (inside / "batches").iterdir()] == ["part-00000007.parquet"]
    arrive(*range(24, 40))
    look()
    assert len(rows(settings)) == 40


class Killed(BaseException):
    """The process ends here."""


def dying(patch, moments):
    """Let the process end when something is about to reach the disk, or has, for the so-manieth time."""
    left, replaced, together = iter(range(moments)), os.replace, watch.Ledger.together

    def step(*_):
        if next(left, None) is None:
            raise Killed

    patch.setattr(os, "replace", lambda *a: (step(), replaced(*a), step())[1])
    patch.setattr(os, "fsync", step)
    patch.setattr(watch.Ledger, "together", lambda self: (step(), together(self))[1])


@pytest.mark.parametrize("seed", range(3))
def test_whenever_it_is_killed_nothing_is_lost_or_done_twice(world, settings, arrive, look, monkeypatch, seed, webhook):
    monkeypatch.setattr(parts, "ROWS_IN_A_PART", 10)
    arrive(*range(24))
    rng, to = np.random.default_rng(seed), settings.out.with_name("to")
    options = {"flagged": How.MOVE, "flagged_to": to, "told": Told(webhook.url)}
    for _ in range(8):
        with pytest.MonkeyPatch.context() as patch, suppress(Killed):
            dying(patch, int(rng.integers(0, 40)))
            look(**options)
    look(**options)
    found = rows(settings)
    assert sorted(found) == sorted(path.name for path in world.incoming.iterdir())[:24]
    flagged = {name for name, row in found.items() if row["flagged"]}
    assert flagged == {path.name for path in to.iterdir()}
    assert flagged
    assert {path.name for path in settings.folder.iterdir()} == set(found) - flagged
    told = {headers["Idempotency-Key"]: batch for headers, batch in webhook.batches}
    assert sorted(image["file_name"] for batch in told.values() for image in batch["images"]) == sorted(found)


def test_a_webhook_that_is_away_is_told_later_and_holds_nothing_up(world, settings, arrive, webhook, caplog):
    arrive(*range(6))
    webhook.answers = [500]
    with watching(world.screener, replace(settings, told=Told(webhook.url))) as watch:
        watch.arrivals.look()
        assert [watch.screen().images, watch.hand_on(), watch.screen().images] == [4, None, 2]
        watch.hand_on()
        assert len(webhook.batches) == 1
        watch._tell_at = 0
        watch.hand_on()
        assert watch.ledger.outbox() is None
    assert [batch["batch"] for _, batch in webhook.batches] == [1, 1, 2]
    assert len({headers["Idempotency-Key"] for headers, _ in webhook.batches}) == 2
    image = webhook.batches[0][1]["images"][0]
    assert (image["file_name"], image["path"]) == ("000.png", "000.png")
    assert {"p_wrong", "flagged", "reasons", "error"} <= image.keys()
    (said,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said == "batch 1 was not told: the webhook at 127.0.0.1 answered 500; it is told again"


def test_a_command_reads_each_batch_and_is_told_where_the_flagged_ones_are(settings, arrive, look, tmp_path):
    arrive(*range(24))
    to = tmp_path / "to"
    look(told=Told(command=f"tee -a '{tmp_path / 'told'}'"), flagged=How.LINK, flagged_to=to)
    batches = map(json.loads, (tmp_path / "told").read_text("utf-8").splitlines())
    told = [image for batch in batches for image in batch["images"]]
    assert [image["file_name"] for image in told] == sorted(rows(settings))
    assert {image["placed"] for image in told if image["flagged"]} == {str(path) for path in to.iterdir()}


@pytest.mark.parametrize(
    ("command", "why"), [("false", "false ended with status 1"), ("no-such-program", "no-such-program failed")]
)
def test_a_command_that_fails_is_run_again(settings, arrive, look, caplog, command, why):
    arrive(0)
    look(told=Told(command=command))
    assert why in caplog.text
    look(told=Told(command="true"))
    with sqlite3.connect(settings.out / ".watch" / "watch.sqlite") as kept:
        assert kept.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
    kept.close()


def test_it_runs_until_it_is_told_to_end(world, settings, arrive):
    arrive(*range(6))
    stop, batches = threading.Event(), []

    def heard(batch):
        batches.append(batch)
        if sum(one.images for one in batches) == 6:
            stop.set()

    with watching(world.screener, replace(settings, every=0.01)) as watch:
        summary = watch.run(stop, heard)
    assert summary["images"] == 6
    assert len(rows(settings)) == 6


def test_without_an_image_there_are_no_verdicts(world, settings):
    stop = threading.Event()
    stop.set()
    with watching(world.screener, settings) as watch:
        assert watch.run(stop, print) is None


def test_what_is_refused(world, settings, arrive, look, tmp_path):
    arrive(0)
    for other in (settings.folder, settings.folder / "out"):
        with pytest.raises(InputError, match="lies in the watched"):
            replace(settings, out=other)
        with pytest.raises(InputError, match="lies in the watched"):
            replace(settings, flagged=How.MOVE, flagged_to=other)
    with pytest.raises(InputError, match="no folder that could be watched"):
        WatchSettings(tmp_path / "none", tmp_path / "out")
    with pytest.raises(InputError, match="no URL of http"):
        Told("file:///etc/passwd")
    with pytest.raises(InputError, match="can't be read"):
        Told(command="echo 'open")
    look()
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="holds a watch of something else: the names or columns"):
        look(folder=tmp_path / "other")
    with (
        watching(world.screener, settings),
        pytest.raises(InputError, match="is being written by another process that watches"),
        watching(world.screener, settings),
    ):
        pytest.fail("two at once")


def test_another_screening_is_not_written_over(world, settings, look, arrive):
    arrive(0)
    screen_into(settings.out, world.screener, str(settings.folder))
    with pytest.raises(InputError, match="holds another screening"):
        look()
