"""How the service is: health, metrics, monitoring, kept verdicts over HTTP, and a browser's session."""

import asyncio
import os
import time
from contextlib import contextmanager

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.service.clients import BASE, TOKEN, code
from tests.service.saved import InMemory
from uncertainty.errors import ArtifactError
from uncertainty.service.app import create_app
from uncertainty.service.lanes import Lane
from uncertainty.service.metrics import Metrics
from uncertainty.service.settings import ServiceSettings
from uncertainty.service.window import Window
from uncertainty.verdicts import Verdicts


@contextmanager
def made(world, folder, **settings):
    app = create_app(ServiceSettings({"stripes": InMemory(folder, lambda: world.screener)}, **settings))
    try:
        yield app
    finally:
        app.state.parts.close()


async def client_of(app):
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url=BASE)


def talk(app, *requests, **options):
    """Answers to requests one after another, of one client."""

    async def talking():
        async with await client_of(app) as client:
            client.headers.update(options.get("headers", {}))
            return [await client.request(method, path, **request) for method, path, request in requests]

    return asyncio.run(talking())


def form(world, most=40):
    paths = sorted(world.incoming.iterdir())[:most]
    return {"files": [("images", (path.name, path.read_bytes(), "image/png")) for path in paths]}


def test_health_metrics_and_info(world, tmp_path):
    with made(world, tmp_path) as app:
        health, ready, _, metrics, info = talk(
            app,
            ("GET", "/healthz", {}),
            ("GET", "/readyz", {}),
            ("POST", "/v1/screen", form(world)),
            ("GET", "/metrics", {}),
            ("GET", "/v1/info", {}),
        )
    assert health.json() == ready.json() == {"status": "ok"}
    flagged = sum(world.screener.screen(world.incoming).table["flagged"].to_pylist())
    assert f'uncertainty_images_total{{outcome="flagged",screener="stripes"}} {flagged}.0' in metrics.text
    assert 'uncertainty_requests_total{route="/v1/screen",status="200"} 1.0' in metrics.text
    (about,) = info.json()["screeners"]
    assert about["screen_id"] == world.screener.id
    assert about["policy"] == str(world.screener.decision.policy)
    assert str(tmp_path) not in info.text


def test_what_it_begins_with_is_no_image_of_anybody(world, tmp_path):
    with made(world, tmp_path) as app:
        served = app.state.parts.screeners.get(None)
        (metrics,) = talk(app, ("GET", "/metrics", {}))
        assert (served.lane.pending, served.window.found()["window"]) == (0, 0)
    assert "uncertainty_images_total{" not in metrics.text


def test_a_screener_that_can_not_begin_is_served_and_noted(world, tmp_path, monkeypatch, caplog):
    def broken(lane):
        raise RuntimeError("no memory")

    monkeypatch.setattr(Lane, "warm", broken)
    with made(world, tmp_path) as app:
        (answer,) = talk(app, ("POST", "/v1/screen", form(world, 1)))
    assert answer.status_code == 200
    assert "screener 'stripes' can't judge a grey picture: no memory" in caplog.text


def test_paths_that_nobody_knows_are_one_route(world, tmp_path):
    with made(world, tmp_path) as app:
        *_, metrics = talk(app, ("GET", "/a", {}), ("GET", "/b/../c", {}), ("GET", "/metrics", {}))
    assert 'uncertainty_requests_total{route="other",status="404"} 2.0' in metrics.text


def test_monitoring_says_what_monitor_says(world, tmp_path):
    from uncertainty.screening.second_pass import monitored

    with made(world, tmp_path) as app:
        before, mistyped, _, after, metrics = talk(
            app,
            ("GET", "/v1/monitor", {}),
            ("GET", "/v1/monitor?screnner=other", {}),
            ("POST", "/v1/screen", form(world)),
            ("GET", "/v1/monitor", {}),
            ("GET", "/metrics", {}),
        )
    told = monitored(world.screener.screen(world.incoming).table.to_batches(), world.screener)
    assert before.json()["images"] == 0
    assert (mistyped.status_code, code(mistyped)) == (422, "unknown_parameter")
    assert after.json()["words"] == told.words()
    assert after.json()["drift"]["p_value"] == told.drift.p_value
    assert after.json()["images"] == told.accuracy.n
    assert after.json()["alarm"] == told.alarm
    assert f'uncertainty_drift_alarm{{screener="stripes"}} {float(told.alarm)}' in metrics.text


def test_what_monitoring_says_does_not_depend_on_what_came_first(world):
    table = world.screener.screen(world.incoming).table
    told = []
    for seed in range(3):
        window = Window("stripes", world.screener, 1000, Metrics())
        for row in np.random.default_rng(seed).permutation(len(table)):
            window(table.slice(int(row), 1), 0.0)
        told.append(window.found())
    assert told[0] == told[1] == told[2]
    assert told[0]["drift"]["p_value"] is not None


def test_metrics_tell_of_drift_without_anybody_asking_for_it(world, tmp_path):
    with made(world, tmp_path, monitor_every=0.02) as app:

        async def running():
            async with app.router.lifespan_context(app), await client_of(app) as client:
                await client.post("/v1/screen", **form(world))
                for _ in range(500):
                    text = (await client.get("/metrics")).text
                    if 'bound="high"' in text and 'images{screener="stripes"} 40.0' in text:
                        return text
                    await asyncio.sleep(0.02)
                return text

        text = asyncio.run(running())
    assert 'uncertainty_window_images{screener="stripes"} 40.0' in text
    assert 'uncertainty_accuracy{bound="low",screener="stripes"}' in text


def test_a_window_holds_the_newest(world, tmp_path):
    with made(world, tmp_path, window=25) as app:
        *_, found = talk(app, *[("POST", "/v1/screen", form(world))] * 3, ("GET", "/v1/monitor", {}))
    assert found.json()["images"] == 25


def test_kept_verdicts_over_http(world, tmp_path):
    keep = {"params": {"keep": True}}
    key = {"headers": {"idempotency-key": "once"}}
    with made(world, tmp_path, store=tmp_path / "kept.sqlite") as app:
        first, again, other, page, rest, lines, table = talk(
            app,
            ("POST", "/v1/screen", {**form(world), **keep, **key}),
            ("POST", "/v1/screen", {**form(world), **keep, **key}),
            ("POST", "/v1/screen", {**form(world, 3), **keep, **key}),
            ("GET", "/v1/verdicts", {"params": {"limit": 30}}),
            ("GET", "/v1/verdicts", {"params": {"after": 30}}),
            ("GET", "/v1/verdicts", {"params": {"flagged": True}, "headers": {"accept": "application/x-ndjson"}}),
            ("GET", "/v1/verdicts.parquet", {}),
        )
    assert first.json() == again.json()
    assert (other.status_code, code(other)) == (422, "key_reused")
    assert page.json()["next"] == 30
    assert rest.json()["next"] is None
    kept = [one["verdict"] for one in page.json()["verdicts"] + rest.json()["verdicts"]]
    assert kept == first.json()["rows"]
    assert len(lines.text.splitlines()) == sum(row["flagged"] for row in kept)
    (tmp_path / "verdicts.parquet").write_bytes(table.content)
    assert len(Verdicts.read(tmp_path / "verdicts.parquet").table) == len(kept) == pq.read_metadata(
        tmp_path / "verdicts.parquet"
    ).num_rows  # fmt: skip


def test_the_table_is_sent_whole_and_leaves_nothing_behind(world, tmp_path, monkeypatch):
    made_at = tmp_path / "made"
    made_at.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(made_at))
    asked = ("bytes=0-3", "bytes=9-1", "bytes=999999999-", "lines=1")
    with made(world, tmp_path, store=tmp_path / "kept.sqlite") as app:
        _, *tables = talk(
            app,
            ("POST", "/v1/screen", {**form(world, 3), "params": {"keep": True}}),
            *[("GET", "/v1/verdicts.parquet", {"headers": {"range": one}}) for one in asked],
        )
    assert {one.status_code for one in tables} == {200}
    assert {one.headers["accept-ranges"] for one in tables} == {"none"}
    assert all(one.content.endswith(b"PAR1") for one in tables)
    assert list(made_at.iterdir()) == []


@pytest.mark.parametrize(
    "request_",
    [
        ("POST", "/v1/screen", {"params": {"keep": True}, "content": b"x", "headers": {"content-type": "image/png"}}),
        ("GET", "/v1/verdicts", {}),
        ("GET", "/v1/verdicts.parquet", {}),
    ],
)
def test_without_a_store_nothing_is_kept(world, tmp_path, request_):
    with made(world, tmp_path) as app:
        (answer,) = talk(app, request_)
    assert (answer.status_code, code(answer)) == (409, "no_store")


def test_a_browser_gets_a_cookie_for_the_token(world, tmp_path):
    with made(world, tmp_path, token=TOKEN) as app:
        before, wrong, right, after, health = talk(
            app,
            ("GET", "/v1/info", {}),
            ("POST", "/session", {"content": b"another token altogether"}),
            ("POST", "/session", {"content": TOKEN.encode()}),
            ("GET", "/v1/info", {}),
            ("GET", "/healthz", {}),
        )
    assert [one.status_code for one in (before, wrong, right, after, health)] == [401, 401, 204, 200, 200]
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie


def test_a_replaced_screener_is_loaded_without_a_dropped_request(world, tmp_path):
    """Requests go on while it is replaced, and while what replaces it can't be loaded."""
    answers = [world.screener.with_budget(0.3), ArtifactError("damaged"), world.screener.with_budget(0.05)]
    mark = tmp_path / "manifest.json"
    mark.write_text("1", "ascii")

    def make():
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    settings = ServiceSettings({"stripes": InMemory(tmp_path, make)}, reload_every=0.02)
    app = create_app(settings)
    path = next(world.incoming.iterdir())

    async def running():
        found = []
        async with app.router.lifespan_context(app), await client_of(app) as client:
            for turn in range(2, 60):
                request = client.post("/v1/screen", content=path.read_bytes(), headers={"content-type": "image/png"})
                found.append(await request)
                if turn in (5, 25):
                    mark.write_text("1" * turn, "ascii")
                    os.utime(mark, ns=(turn, turn))
                await asyncio.sleep(0.02)
            for _ in range(200):
                info = (await client.get("/v1/info")).json()["screeners"][0]
                if not answers:
                    break
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.1)
            found.append(
                await client.post("/v1/screen", content=path.read_bytes(), headers={"content-type": "image/png"})
            )
            info = (await client.get("/v1/info")).json()["screeners"][0]
            return found, info

    found, info = asyncio.run(running())
    assert {answer.status_code for answer in found} == {200}
    thresholds = [answer.json()["rows"][0]["threshold"] for answer in found]
    assert thresholds[0] != thresholds[-1]
    assert info["stale"] is False
    assert info["loaded_at"] <= time.time()


def test_a_removed_screener_is_told_and_goes_on(world, tmp_path):
    mark = tmp_path / "manifest.json"
    mark.write_text("1", "ascii")
    settings = ServiceSettings({"stripes": InMemory(tmp_path, lambda: world.screener)}, reload_every=0.01)
    app = create_app(settings)

    async def stale(client):
        return (await client.get("/v1/info")).json()["screeners"][0]["stale"]

    async def running():
        async with app.router.lifespan_context(app), await client_of(app) as client:
            found = [await stale(client)]
            for change in (mark.unlink, lambda: mark.write_text("12", "ascii")):
                change()
                for _ in range(300):
                    if await stale(client) != found[-1]:
                        break
                    await asyncio.sleep(0.01)
                found.append(await stale(client))
            return found

    assert asyncio.run(running()) == [False, True, False]
