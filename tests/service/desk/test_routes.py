"""The desk over HTTP: what is refused, what is never told, and what is only acknowledged once it is on the disk."""

import asyncio
import io
import json

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.service.clients import BASE, TOKEN, code
from uncertainty.service.app import create_app
from uncertainty.service.desk.pages import POLICY
from uncertainty.service.desk.plan import Plan
from uncertainty.service.desk.routes import desk_router
from uncertainty.service.problems import busy
from uncertainty.service.settings import ServiceSettings


class Client:
    """A browser without a page: it keeps its cookies, and asks an application in this process."""

    def __init__(self, app):
        self.app, self.cookies = app, httpx.Cookies()

    def request(self, method, path, **more):
        async def ask():
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=BASE, cookies=self.cookies) as client:
                answer = await client.request(method, path, **more)
                self.cookies = client.cookies
                return answer

        return asyncio.run(ask())

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, **more):
        return self.request("POST", path, **more)


def client_of(desk, name="ann", settings=ServiceSettings()):  # noqa: B008, it is frozen
    client = Client(create_app(settings, [desk_router(desk)]))
    if name is not None:
        answer = client.post("/desk/name", data={"annotator": name})
        assert (answer.status_code, answer.headers["location"]) == (303, "/desk")
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
    return client


def said(item, kind="class", classes=(0,), **more):
    return {"item": item, "kind": kind, "classes": list(classes), **more}


def test_an_answer_brings_the_next_images_and_the_count(desk_of):
    client = client_of(desk_of(10))
    first = client.post("/desk/next").json()
    assert [one["rank"] for one in first["items"]] == [1, 2, 3, 4]
    answer = client.post("/desk/answer", json=said(first["items"][0]["item"])).json()
    assert answer["saved"] == first["items"][0]["item"]
    assert [one["rank"] for one in answer["items"]] == [2, 3, 4, 5]
    assert (answer["headline"]["done"], answer["headline"]["images"]) == (1, 10)
    undone = client.post("/desk/undo").json()
    assert undone["undone"] == first["items"][0]["item"]
    assert [one["rank"] for one in undone["items"]] == [1, 2, 3, 4]
    assert client.post("/desk/undo").json()["undone"] is None


def test_two_people_and_one_image(desk_of):
    desk = desk_of(10)
    ann, ben = client_of(desk), client_of(desk, "ben")
    item = ann.post("/desk/next").json()["items"][0]["item"]
    assert ben.post("/desk/answer", json=said(item)).status_code == 409
    assert ann.post("/desk/answer", json=said(item)).status_code == 200
    assert ann.post("/desk/answer", json=said(item)).status_code == 200
    assert ben.post("/desk/answer", json=said(item, classes=[1])).status_code == 409
    assert len(desk.store.standing()) == 1


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("answer", said(10**9), 422),
        ("answer", said(-1), 422),
        ("answer", said(0, classes=[3]), 422),
        ("answer", said(0, classes=[]), 422),
        ("answer", said(0, classes=[0, 1]), 422),
        ("answer", said(0, kind="rubbish"), 422),
        ("answer", said(0, label="<script>"), 422),
        ("answer", said(0, seconds=-1), 422),
        ("answer", [1], 422),
        ("open/1", None, 422),
        ("open/../../etc", None, 404),
    ],
)
def test_what_is_no_answer_is_refused_and_nothing_kept(desk_of, path, body, status):
    desk = desk_of(5)
    answer = client_of(desk).post(
        f"/desk/{path}", content=json.dumps(body), headers={"content-type": "application/json"}
    )
    assert answer.status_code == status
    told = answer.json()["error"]["message"]
    assert "/" not in told.replace("/desk", "") or told == "there is no POST /etc; /openapi.json tells what there is"
    assert desk.store.standing() == []


@pytest.mark.parametrize(
    "path", ["picture/99", "picture/-1", "picture/..%2F..%2Fetc%2Fpasswd", "nearest/1", "assets/../desk.py"]
)
def test_an_image_is_a_number_and_nothing_else(desk_of, path):
    assert client_of(desk_of(5)).get(f"/desk/{path}").status_code in (404, 422)


def test_without_a_name_nothing_is_told(desk_of):
    client = client_of(desk_of(5), name=None)
    assert "Who are you?" in client.get("/desk").text
    for path in ("/desk/picture/0", "/desk/labels.csv", "/desk/heat/0"):
        assert client.get(path).status_code == 401
    for path in ("/desk/next", "/desk/undo", "/desk/update"):
        assert client.post(path).status_code == 401
    assert client.get("/desk/progress").headers["location"] == "/desk"


@pytest.mark.parametrize("name", ["", " ", "x" * 61, "a\x00b", "\u202egnp"])
def test_a_name_that_nobody_could_read_is_asked_for_again(desk_of, name):
    client = client_of(desk_of(5), name=None)
    assert client.post("/desk/name", data={"annotator": name}).status_code == 422


def test_on_a_full_disk_no_label_is_called_saved_and_the_next_try_keeps_it(desk_of, caplog):
    desk = desk_of(200)
    client = client_of(desk)
    room = "PRAGMA max_page_count={}"
    pages = desk.store._write(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    desk.store._write(lambda db: db.execute(room.format(pages)).fetchone())
    items, kept, answer = client.post("/desk/next").json()["items"], 0, None
    while (answer := client.post("/desk/answer", json=said(items[0]["item"]))).status_code == 200:
        items, kept = answer.json()["items"], kept + 1
    assert (answer.status_code, code(answer)) == (507, "store_full")
    assert len(desk.store.standing()) == desk.standing().expected.n == kept
    strangers = client_of(desk, None)
    while (named := strangers.post("/desk/name", data={"annotator": "x" * 60})).status_code == 303:
        pass
    assert (named.status_code, "Who are you?" in named.text, "disk is full" in named.text) == (507, True, True)
    desk.store._write(lambda db: db.execute(room.format(10**6)).fetchone())
    assert client.post("/desk/answer", json=said(items[0]["item"])).status_code == 200
    assert len(desk.store.standing()) == desk.standing().expected.n == kept + 1


def test_a_table_of_labels_that_finds_no_room_does_not_keep_the_desk_from_ending(desk_of, caplog, monkeypatch):
    desk = desk_of(5)
    client = client_of(desk)
    client.post("/desk/answer", json=said(client.post("/desk/next").json()["items"][0]["item"]))

    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("uncertainty.service.desk.desk.write_labels", full)
    desk.close()
    assert "No space left on device; they are in " in caplog.text


def test_the_bare_address_leads_to_the_desk(desk_of):
    assert client_of(desk_of(5)).get("/").headers["location"] == "/desk"


def test_other_sites_can_send_nothing(desk_of):
    desk = desk_of(5)
    client = client_of(desk)
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        for path in ("answer", "undo", "update", "name"):
            assert client.post(f"/desk/{path}", json=said(0), headers=headers).status_code == 403
    assert client.get("/desk", headers={"host": "evil.example"}).status_code == 421
    assert desk.store.standing() == []


def test_with_a_token_a_browser_is_asked_for_it_once(desk_of):
    client = client_of(desk_of(5), None, ServiceSettings(token=TOKEN))
    assert client.get("/desk").status_code == 401
    page = client.get("/session")
    assert "What is the token?" in page.text
    for asset in ("session.js", "desk.css", "report.css"):
        assert f"/desk/assets/{asset}" in page.text
        assert client.get(f"/desk/assets/{asset}").status_code == 200
    assert code(client.post("/session", content="wrong")) == "wrong_token"
    assert client.post("/session", content=TOKEN).status_code == 204
    assert "Who are you?" in client.get("/desk").text


def test_names_and_classes_are_text_in_a_page_in_which_nothing_runs(desk_of):
    hostile = "</script><img src=x onerror=bad(1)>"
    desk = desk_of([f"{k}<script>bad(2)<|script>.png" for k in range(4)], (hostile, "dog"), plan=Plan(0.0, 1.0))
    ann, ben = client_of(desk, hostile), client_of(desk, "ben")
    item = ann.post("/desk/next").json()["items"][0]["item"]
    ann.post("/desk/answer", json=said(item))
    assert ben.post("/desk/next").json()["items"][0]["how"] == "second"
    ben.post("/desk/answer", json=said(item, classes=[1]))
    for page in (ann.get("/desk"), ann.get("/desk/progress")):
        assert page.headers["content-security-policy"] == POLICY
        assert "<img" not in page.text
        assert "<script>" not in page.text
        assert "onclick" not in page.text
    assert "&lt;script&gt;bad(2)" in page.text


def test_pictures_come_from_where_the_images_were_screened(desk_of, tmp_path):
    desk = desk_of(5)
    client = client_of(desk)
    answer = client.get("/desk/picture/2")
    assert (answer.headers["content-type"], answer.content[8:12]) == ("image/webp", b"WEBP")
    (tmp_path / "images" / "001.png").write_bytes(b"<svg onload=bad()>")
    (tmp_path / "images" / "003.png").unlink()
    for item in (1, 3):
        refused = client.get(f"/desk/picture/{item}")
        assert code(refused) == "no_picture"
        assert str(tmp_path) not in refused.text


def test_large_images_are_made_smaller_unless_one_looks_closer(desk_of, tmp_path):
    desk = desk_of(3)
    Image.fromarray(np.zeros((900, 2600, 3), np.uint8)).save(tmp_path / "images" / "000.png")
    client = client_of(desk)
    sizes = [Image.open(io.BytesIO(client.get(f"/desk/picture/0{of}").content)).size for of in ("", "?size=whole")]
    assert sizes == [(1280, 443), (2600, 900)]


def test_what_is_not_on_the_disk_is_not_called_saved(desk_of, monkeypatch):
    desk = desk_of(5)
    client = client_of(desk)
    item = client.post("/desk/next").json()["items"][0]["item"]

    def full(given):
        raise busy("store_busy", "what was asked to be kept can't be kept now; try again")

    with monkeypatch.context() as patch:
        patch.setattr(desk.store, "add", full)
        refused = client.post("/desk/answer", json=said(item))
    assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
    assert desk.standing().expected.n == 0
    assert client.post("/desk/answer", json=said(item)).json()["headline"]["done"] == 1


def test_the_labels_are_a_file_to_download(desk_of):
    client = client_of(desk_of(5), "=ann")
    item = client.post("/desk/next").json()["items"][0]["item"]
    client.post("/desk/answer", json=said(item, kind="unknown"))
    answer = client.get("/desk/labels.csv")
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.text.splitlines()[0] == "file_name,label,annotator,time,how"
    assert ",(no known class),'=ann," in answer.text.splitlines()[1]


@pytest.mark.parametrize("path", ["/desk/update", "/desk/update/apply", "/desk/"])
def test_pages_that_buttons_lead_to_may_be_come_back_to(desk_of, path):
    answer = client_of(desk_of(5)).get(path, follow_redirects=False)
    assert answer.headers["location"] in ("/desk/progress", "/desk")


def test_a_review_without_screener_can_be_updated_by_nothing(desk_of):
    assert "no screener was given" in client_of(desk_of(5)).post("/desk/update").json()["error"]["message"]
