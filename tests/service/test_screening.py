"""Images over HTTP: the same rows as `screen`, however they are sent and whatever comes with them."""

import asyncio
import io
import json
import threading
import time
from dataclasses import replace

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.service.clients import BASE, code
from tests.service.saved import InMemory
from uncertainty.classifiers.base import ArrayItem
from uncertainty.service.answers import NDJSON
from uncertainty.service.app import create_app
from uncertainty.service.lanes import Lane
from uncertainty.service.settings import Batching, Limits, ServiceSettings

PNG = {"content-type": "image/png"}


@pytest.fixture(scope="module")
def app(world, tmp_path_factory):
    root = tmp_path_factory.mktemp("served")
    settings = ServiceSettings(
        {"stripes": InMemory(root, lambda: world.screener)}, store=root / "kept.sqlite", limits=Limits(images=40)
    )
    app = create_app(settings)
    yield app
    app.state.parts.close()


@pytest.fixture
def ask(app):
    def ask(method, path, **request):
        async def asking():
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
                return await client.request(method, path, **request)

        return asyncio.run(asking())

    return ask


@pytest.fixture(scope="module")
def files(world):
    return {path.name: path.read_bytes() for path in sorted(world.incoming.iterdir())}


@pytest.fixture(scope="module")
def expected(world):
    return world.screener.screen(world.incoming).table.to_pylist()


def form(files):
    return [("images", (name, data, "image/png")) for name, data in files.items()]


def alike(row, other):
    assert row.keys() == other.keys()
    for name, value in row.items():
        if isinstance(value, float):
            assert value == pytest.approx(other[name], rel=1e-5, abs=1e-6), name
        else:
            assert value == other[name], name


def test_many_images_have_the_rows_of_screen(ask, files, expected):
    answer = ask("POST", "/v1/screen", files=form(files))
    assert answer.status_code == 200
    assert answer.json()["screener"] == "stripes"
    for row, other in zip(answer.json()["rows"], expected, strict=True):
        alike(row, other)


def test_one_image_has_its_row(ask, files, expected):
    name, data = next(iter(files.items()))
    answer = ask("POST", "/v1/screen", params={"name": name}, content=data, headers=PNG)
    alike(answer.json()["rows"][0] | {"rank": expected[0]["rank"]}, expected[0])
    assert answer.json()["rows"][0]["rank"] == 1


@pytest.mark.parametrize("accept", [{"accept": "Application/X-NDJSON"}, [("accept", "a/b"), ("accept", NDJSON)]])
def test_lines(ask, files, accept):
    answer = ask("POST", "/v1/screen", files=form(files), headers=accept)
    assert [json.loads(line)["file_name"] for line in answer.text.splitlines()] == list(files)


def test_requests_at_once_are_judged_together_and_get_their_own_rows(app, files, expected):
    async def asking():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            sent = [
                client.post("/v1/screen", params={"name": name}, content=data, headers=PNG)
                for name, data in files.items()
            ]
            return await asyncio.gather(*sent)

    for answer, other in zip(asyncio.run(asking()), expected, strict=True):
        alike(answer.json()["rows"][0] | {"rank": other["rank"]}, other)


def test_an_image_that_is_none_is_a_row_among_others(ask, files):
    mixed = dict(list(files.items())[:2]) | {"bad.png": b"no image"}
    rows = ask("POST", "/v1/screen", files=form(mixed)).json()["rows"]
    assert [row["error"] is None for row in rows] == [True, True, False]
    assert rows[2]["flagged"]
    assert rows[2]["p_wrong"] is None


def test_a_body_that_nothing_was_done_to_is_taken_as_it_is(ask, files):
    named = {**PNG, "content-encoding": "identity, Identity,"}
    assert ask("POST", "/v1/screen", content=next(iter(files.values())), headers=named).status_code == 200


def test_where_none_can_be_read_the_client_is_told(ask):
    answer = ask("POST", "/v1/screen", content=b"no image", headers=PNG)
    assert (answer.status_code, code(answer)) == (422, "unreadable")
    assert "cannot identify" in answer.json()["rows"][0]["error"]


def test_thumbnails(ask, files):
    name, data = next(iter(files.items()))
    rows = ask("POST", "/v1/screen", params={"thumbnails": True}, files=form({name: data, "x": b"-"})).json()["rows"]
    assert rows[0]["thumbnail"].startswith("data:image/webp;base64,")
    assert rows[1]["thumbnail"] is None


def test_explanations_are_those_of_explain(ask, world, files):
    from uncertainty.workflows.explain import explain_images

    name, data = next(iter(files.items()))
    told = explain_images(world.screener, [world.incoming / name])[0]
    row = ask("POST", "/v1/explain", files=form({name: data})).json()["rows"][0]
    assert row["words"] == replace(told, file_name=name).words()
    assert row["nearest"][0]["name"] == told.nearest[0].name
    assert row["answer"]["file_name"] == name


@pytest.mark.parametrize(
    ("request_", "status", "which"),
    [
        ({"content": b"x", "headers": {"content-type": "text/plain"}}, 415, "unknown_body"),
        ({"content": b"x"}, 415, "unknown_body"),
        ({"content": b"", "headers": PNG}, 422, "unreadable"),
        ({"json": {"urls": ["http://127.0.0.1/a.png"]}}, 403, "urls_not_allowed"),
        ({"json": [1]}, 422, "no_urls"),
        ({"content": b"[" * 100_000, "headers": {"content-type": "application/json"}}, 400, "bad_json"),
        ({"content": b"\xff\xfe", "headers": {"content-type": "application/json"}}, 400, "bad_json"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "bad_form"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400, "bad_form"),
        ({"content": b'{"urls": []} more', "headers": {"content-type": "application/json"}}, 400, "bad_json"),
        ({"content": b'{"urls": [], "urls": []}', "headers": {"content-type": "application/json"}}, 400, "bad_json"),
        ({"json": {"urls": ["http://a.example/1.png"], "keep": True}}, 422, "unknown_field"),
        ({"content": b"x", "headers": {**PNG, "content-encoding": "gzip"}}, 415, "unknown_coding"),
        ({"content": b"x", "headers": {**PNG, "content-encoding": "identity, br"}}, 415, "unknown_coding"),
        (
            {"content": b"x", "headers": [*PNG.items(), *(("content-encoding", c) for c in ("identity", "gzip"))]},
            *(415, "unknown_coding"),
        ),
        ({"files": [("i", (f"{k}.png", b"x")) for k in range(41)]}, 413, "too_many_images"),
        ({"files": [("i", (f"{k}.png", b"x")) for k in range(10_000)]}, 413, "too_many_images"),
        ({"files": {"i": (None, "text")}}, 422, "no_file_name"),
        ({"files": {"i": ("../../etc/passwd", b"x")}}, 422, "bad_name"),
        ({"files": {"i": ("/etc/passwd", b"x")}}, 422, "bad_name"),
        ({"files": {"i": ("a\\..\\b.png", b"x")}}, 422, "bad_name"),
        ({"params": {"name": "a//b.png"}, "content": b"x", "headers": PNG}, 422, "bad_name"),
        ({"params": {"name": "folder/"}, "content": b"x", "headers": PNG}, 422, "bad_name"),
        ({"params": {"name": ["a", "b"]}, "content": b"x", "headers": PNG}, 422, "repeated_parameter"),
        ({"params": {"kepe": True}, "content": b"x", "headers": PNG}, 422, "unknown_parameter"),
        ({"params": {"keep": True}, "content": b"x", "headers": {**PNG, "idempotency-key": ""}}, 422, "invalid"),
        ({"params": {"name": "a\x00b"}, "content": b"x", "headers": PNG}, 422, "bad_name"),
        ({"params": {"name": "a\u202eb"}, "content": b"x", "headers": PNG}, 422, "bad_name"),
        ({"params": {"name": "x" * 300}, "content": b"x", "headers": PNG}, 422, "invalid"),
        ({"params": {"name": "é" * 200}, "content": b"x", "headers": PNG}, 422, "bad_name"),
        ({"params": {"screener": "other"}, "content": b"x", "headers": PNG}, 404, "no_such_screener"),
        ({"params": {"keep": "perhaps"}, "content": b"x", "headers": PNG}, 422, "invalid"),
        ({"content": b"x", "headers": {**PNG, "idempotency-key": "k"}}, 422, "key_without_keep"),
    ],
)
def test_what_is_refused(ask, request_, status, which):
    answer = ask("POST", "/v1/screen", **request_)
    assert (answer.status_code, code(answer)) == (status, which)


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=b"])
def test_a_form_that_can_not_be_read_is_told_how_it_is_made(ask, kind):
    answer = ask("POST", "/v1/screen", content=b"--b\r\n\r\nx", headers={"content-type": kind})
    assert answer.json()["error"]["message"].startswith("the form ")
    assert "curl -F" in answer.json()["error"]["message"]


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def hostile_files():
    """Files that are none, lie about themselves, or would fill the memory."""
    picture = Image.new("RGB", (40, 40), "red")
    png, jpeg = encoded(picture, "PNG"), encoded(picture, "JPEG")
    huge = bytearray(png)
    huge[16:24] = (100_000).to_bytes(4, "big") * 2
    thin = bytearray(png)
    thin[16:24] = (2**31 - 1).to_bytes(4, "big") + (1).to_bytes(4, "big")
    yield from {
        "truncated PNG": png[:60],
        "truncated JPEG": jpeg[: len(jpeg) // 2],
        "100,000 a side": bytes(huge),
        "2,147,483,647 wide": bytes(thin),
        "bomb": encoded(Image.new("L", (9000, 9000)), "PNG"),
        "PDF": b"%PDF-1.7\n" + png,
        "zip": b"PK\x03\x04" + bytes(100),
        "script": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "HTML": b"<html><script>alert(1)</script>",
        "empty": b"",
        "zeros": bytes(5000),
        "TIFF header alone": b"II*\x00\x08\x00\x00\x00\xff\xff",
        "GIF header alone": b"GIF89a\xff\xff\xff\xff",
    }.items()


@pytest.mark.parametrize(("what", "data"), list(hostile_files()), ids=lambda one: one if isinstance(one, str) else "")
def test_hostile_files(ask, what, data):
    answer = ask("POST", "/v1/screen", content=data, headers=PNG)
    assert (answer.status_code, code(answer)) == (422, "unreadable")
    assert "Traceback" not in answer.text
    assert "/work" not in answer.text
    assert "site-packages" not in answer.text


def test_a_picture_with_something_behind_it_is_the_picture(ask, files):
    """A polyglot is judged as the picture that every reader sees, and its other half is nobody's."""
    _name, data = next(iter(files.items()))
    plain = ask("POST", "/v1/screen", content=data, headers=PNG).json()["rows"][0]
    both = ask("POST", "/v1/screen", content=data + b"PK\x03\x04<script>", headers=PNG).json()["rows"][0]
    assert both["p_wrong"] == plain["p_wrong"]


def odd_screener(world):
    """The world's network, but it raises on white images and returns NaN for black ones."""
    network = world.screener.classifier.network

    class Sometimes(type(network)):
        def __call__(self, inputs, *rest):
            if (inputs.mean(axis=(1, 2, 3)) > 0.45).any():
                raise RuntimeError("no kernel in /usr/lib/kernels/secret.so")
            found = super().__call__(inputs, *rest)
            dark = inputs.mean(axis=(1, 2, 3)) < -0.45
            return replace(found, logits=np.where(dark[:, None], np.nan, found.logits).astype(np.float32))

    other = Sometimes.__new__(Sometimes)
    vars(other).update(vars(network))
    return replace(world.screener, classifier=replace(world.screener.classifier, network=other))


def test_what_the_network_fails_on_fails_alone(world, files, tmp_path):
    app = create_app(ServiceSettings({"odd": InMemory(tmp_path, lambda: odd_screener(world))}))
    some = dict(list(files.items())[:3])
    some["white.png"] = encoded(Image.new("RGB", (12, 12), "white"), "PNG")
    some["black.png"] = encoded(Image.new("RGB", (12, 12), "black"), "PNG")

    async def asking():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            return await client.post("/v1/screen", files=form(some))

    answer = asyncio.run(asking())
    rows = answer.json()["rows"]
    assert [row["error"] is None for row in rows] == [True, True, True, False, False]
    assert "the network fails on it" in rows[3]["error"]
    assert "(a path)" in rows[3]["error"]
    assert "/usr" not in answer.text
    assert "NaN" in rows[4]["error"]
    app.state.parts.close()


def test_a_full_queue_says_when_to_come_again(world, files, tmp_path):
    settings = ServiceSettings(
        {"s": InMemory(tmp_path, lambda: world.screener)}, batching=Batching(queue=3), limits=Limits(images=3)
    )
    app = create_app(settings)

    async def asking():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            three = [client.post("/v1/screen", files=form(dict(list(files.items())[k : k + 3]))) for k in range(9)]
            return await asyncio.gather(*three)

    answers = sorted(asyncio.run(asking()), key=lambda answer: answer.status_code)
    assert answers[0].status_code == 200
    answer = answers[-1]
    assert (answer.status_code, code(answer)) == (503, "queue_full")
    assert int(answer.headers["retry-after"]) >= 1
    app.state.parts.close()


def test_an_image_waits_the_less_for_others_the_fewer_are_under_way(world, files):
    """Sixteen of a batch of 32 have half the window, two a sixteenth; once none is being decoded nobody waits."""
    for many, most in ((2, 100.0), (16, 800.0)):
        lane, gate = Lane(world.screener, Batching(batch_size=32, wait=1600.0, workers=2)), threading.Event()
        lane.load = held(lane.load, gate, free=1)
        image = next(iter(files.values()))
        found = [lane.submit([ArrayItem(f"{k}", image)]) for k in range(many)]
        until_ready(lane, 1)
        assert 0 < lane._patience() <= most
        gate.set()
        assert all(len(one.result(60).rows) == 1 for one in found)
        lane.close()


def test_a_request_that_is_not_decoded_waits_for_a_quarter_of_a_batch(world, files):
    """It could not be answered sooner; an image of somebody else's is judged, and takes along what there is."""
    for free, more, endless in ((7, 0, True), (8, 0, False), (3, 1, False)):
        lane, gate = Lane(world.screener, Batching(batch_size=32, wait=1600.0, workers=9)), threading.Event()
        lane.load = held(lane.load, gate, free=free + more)
        image = next(iter(files.values()))
        found = [lane.submit([ArrayItem("0", image)]) for _ in range(more)]
        found.append(lane.submit([ArrayItem(f"{more + k}", image) for k in range(12)]))
        until_ready(lane, free + more)
        assert (lane._patience() == float("inf")) is endless
        gate.set()
        assert [len(one.result(60).rows) for one in found] == [1] * more + [12]
        lane.close()


def until_ready(lane, images):
    while len(lane._ready) < images:
        time.sleep(0.001)


def held(load, gate, free):
    """Loads the first images at once, and all others once the gate is open."""

    def held(item):
        if int(item.name) >= free:
            gate.wait(60)
        return load(item)

    return held
