"""Who may ask, from where, and how much."""

import pytest
from fastapi import APIRouter, Request

from tests.service.clients import PLAIN, TOKEN, asked, code
from uncertainty.errors import InputError
from uncertainty.service.security import COOKIE, session_of
from uncertainty.service.settings import Batching, Limits, ServiceSettings

SESSION = f"{COOKIE}={session_of(TOKEN)}"
router = APIRouter()


@router.post("/echo")
async def echo(request: Request):
    return {"bytes": len(await request.body())}


@router.get("/broken")
async def broken():
    raise RuntimeError("/secret/place is broken")


def echoed(settings=PLAIN, **request):
    return asked(settings, [router], **{"method": "POST", "path": "/echo", "content": b"x"} | request)


def test_a_plain_request_passes_and_bears_safe_headers():
    answer = echoed()
    assert answer.json() == {"bytes": 1}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", ".", "localhost..", "localhost@evil.example", "localhost:8x"]
)
def test_another_name_is_refused(host):
    answer = echoed(headers={"host": host})
    assert (answer.status_code, code(answer)) == (421, "unknown_host")


@pytest.mark.parametrize("name", ["Content-Type", "Authorization", "Idempotency-Key", "Origin"])
def test_a_header_of_which_one_counts_comes_once(name):
    answer = echoed(headers=[(name, "a"), (name, "b")])
    assert (answer.status_code, code(answer)) == (400, "repeated_header")
    assert name.lower() in answer.json()["error"]["message"]


@pytest.mark.parametrize("host", ["localhost.", "LOCALHOST:8000", "localhost:", "[0:0:0:0:0:0:0:1]:8000", "127.0.0.1."])
def test_a_name_has_many_spellings(host):
    assert echoed(headers={"host": host}).status_code == 200


@pytest.mark.parametrize("allowed", ["screen.example", "Screen.Example.", "screen.example:8000"])
def test_a_name_may_be_allowed(allowed):
    assert echoed(ServiceSettings(hosts=(allowed,)), headers={"host": "screen.example"}).status_code == 200


@pytest.mark.parametrize("settings", [PLAIN, ServiceSettings(hosts=("screen.example",), token=TOKEN)])
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_asks_by_an_address(settings, path):
    assert asked(settings, path=path, headers={"host": "10.1.2.3:8000"}).json() == {"status": "ok"}
    assert asked(settings, path="/v1/info", headers={"host": "10.1.2.3:8000"}).status_code == 421


def test_who_bears_the_token_in_a_header_asks_by_an_address_and_no_cookie_does():
    named = ServiceSettings(hosts=("screen.example",), token=TOKEN)
    for bears, status in (({"authorization": f"Bearer {TOKEN}"}, 200), ({"cookie": SESSION}, 421)):
        assert asked(named, path="/metrics", headers={"host": "10.1.2.3:8000", **bears}).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://[not an address"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_pages_of_other_sites_may_not_send(headers):
    answer = echoed(headers=headers)
    assert (answer.status_code, code(answer)) == (403, "other_site")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://localhost", "localhost:80"),
        ("https://localhost", "localhost:443"),
    ],
)
def test_an_own_page_may_send(origin, host):
    own = {"origin": origin, "host": host, "sec-fetch-site": "same-origin"}
    assert echoed(headers=own).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": b"Bearer \xff\xfe"},
        {"cookie": f"{COOKIE}={TOKEN}"},
        {"cookie": "a=b;;;=;\x0b"},
    ],
)
def test_without_the_token_nothing_is_answered(headers):
    answer = echoed(ServiceSettings(token=TOKEN), headers=headers)
    assert (answer.status_code, code(answer)) == (401, "no_token")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"bearer {TOKEN}"},
        {"cookie": SESSION},
        {"cookie": f'theme={{"dark": true}}; seen; user@host=1; {SESSION}; grid[0]=1'},
        [("cookie", "a=b"), ("cookie", SESSION)],
    ],
)
def test_with_the_token_it_is(headers):
    assert echoed(ServiceSettings(token=TOKEN), headers=headers).status_code == 200


def test_a_body_is_refused_by_what_it_declares_and_by_what_it_is():
    small = ServiceSettings(limits=Limits(body=100))

    async def unsaid():
        for _ in range(20):
            yield b"x" * 10

    for answer in (echoed(small, content=b"x" * 101), echoed(small, content=unsaid())):
        assert (answer.status_code, code(answer)) == (413, "too_large")
    assert echoed(small, content=b"x" * 100).status_code == 200


def test_bodies_of_all_requests_have_a_room():
    answer = echoed(ServiceSettings(limits=Limits(body=100, bodies=50)), content=b"x" * 60)
    assert (answer.status_code, code(answer), answer.headers["retry-after"]) == (503, "no_room", "1")


@pytest.mark.parametrize("length", ["-1", "1e3", "9" * 50])
def test_a_length_that_is_none(length):
    assert echoed(headers={"content-length": length}).status_code in (400, 413)


def test_a_long_head():
    answer = echoed(headers={"x-long": "y" * 20_000})
    assert (answer.status_code, code(answer)) == (431, "headers_too_large")


def test_a_fault_says_nothing_of_itself():
    answer = asked(routers=[router], path="/broken")
    assert (answer.status_code, code(answer)) == (500, "internal")
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/nowhere", 404, "there is no GET /nowhere; /openapi.json tells what there is"),
        ("/no%00%0awhere", 404, "there is no GET /no\\x00\\nwhere; /openapi.json tells what there is"),
        ("/echo", 405, "there is no GET /echo; send POST"),
    ],
)
def test_what_is_not_there_is_named_with_what_there_is(path, status, message):
    answer = asked(routers=[router], path=path)
    assert (answer.status_code, answer.json()["error"]["message"]) == (status, message)


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "0.0.0.0"},
        {"token": "short"},
        {"port": 70000},
        {"window": 0},
        {"batching": Batching(queue=3)},
        {"screeners": {"a b": None}},
    ],
)
def test_settings_that_are_refused(wrong):
    with pytest.raises(InputError):
        ServiceSettings(**wrong)
