"""The service as a process: what happens on its socket, and when it is told to end or killed."""

import asyncio
import http.client
import json
import socket
import sqlite3
import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import pytest

from benchmarks.service_process import Client, serving, started
from tests.service.conftest import SPEC
from uncertainty import cli
from uncertainty.errors import InputError
from uncertainty.service.app import create_app
from uncertainty.service.server import run
from uncertainty.service.settings import ServiceSettings
from uncertainty.service.verdict_store import VerdictStore, Wanted

PNG = {"content-type": "image/png"}
POST = b"POST /v1/screen HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


def sent(place, data, seconds=5, pause=0.0):
    """What comes back for raw bytes, until the service hangs up; "" where it does without a word."""
    answer = b""
    with socket.create_connection(place, timeout=seconds) as connection:
        try:
            for part in [data] if isinstance(data, bytes) else data:
                connection.sendall(part)
                time.sleep(pause)
            while more := connection.recv(1 << 16):
                answer += more
        except (BrokenPipeError, ConnectionResetError):
            pass
        except TimeoutError:
            return "waiting"
        return answer.decode("latin-1")


def test_it_answers(service, image):
    client = Client(service.place)
    status, body = client.post("/v1/screen", image, PNG)
    assert status == 200
    assert json.loads(body)["screener"] == "stripes"
    client.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X%d: y\r\n" % k for k in range(5000)) + b"\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"no request at all\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n",
        b"POST /v1/screen HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST /v1/screen HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/screen HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v1/screen HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /%ff%00%0d%0a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /v1/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"POST /v1/screen?name=%ff%fe HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 1\r\n"
        b"Connection: close\r\n\r\nx",
    ],
)
def test_what_is_no_request_or_a_hostile_one_is_the_clients_fault(service, raw):
    answer = sent(service.place, raw)
    assert answer.startswith("HTTP/1.1 4"), answer[:100]
    assert "Traceback" not in answer
    told, _ = json.JSONDecoder().raw_decode(answer.partition("\r\n\r\n")[2])
    assert set(told["error"]) == {"code", "message"}


@pytest.mark.parametrize(
    ("raw", "status", "told"),
    [
        (b"GET /healthz HTTP/1.0\r\n\r\n", 200, '{"status":"ok"}'),
        (b"HEAD /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 200, ""),
        (b"HEAD /v1/screen HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 405, ""),
        (b"GET http://localhost/healthz HTTP/1.0\r\n\r\n", 200, '{"status":"ok"}'),
        (b"GET http://evil.example/v1/info HTTP/1.0\r\nHost: localhost\r\n\r\n", 421, "not called 'evil.example'"),
        (b"GET http://localhost@evil.example/v1/info HTTP/1.0\r\n\r\n", 421, "unknown_host"),
        (b"GET http:///v1/info HTTP/1.0\r\n\r\n", 421, "unknown_host"),
        (b"GET /healthz HTTP/1.1\r\nHost: 10.1.2.3:8000\r\nConnection: close\r\n\r\n", 200, '{"status":"ok"}'),
        (b"GET HTTP://localhost HTTP/1.0\r\n\r\n", 404, "there is no GET /;"),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400, "Missing mandatory Host"),
        (b"GET /healthz?" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431, "longer than 16384 bytes"),
        (POST + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n", 413, "larger than 20971520 bytes"),
    ],
)
def test_how_it_is_spoken_to(service, raw, status, told):
    """Also without a host in HTTP/1.0, by a whole URL, whose host counts, and without a body in return.

    Nobody is told to go on with what is refused.
    """
    head, _, body = sent(service.place, raw).partition("\r\n\r\n")
    assert int(head.split()[1]) == status
    assert told in body
    assert bool(told) == bool(body)


@pytest.mark.parametrize("size", [(20 << 20) + 1, 60 << 20])
def test_bodies_beyond_the_limit_get_to_read_why(service, size):
    client = Client(service.place)
    status, body = client.post("/v1/screen", bytes(size), PNG)
    assert (status, json.loads(body)["error"]["code"]) == (413, "too_large")
    client.close()


def test_who_hangs_up_in_the_middle_harms_nobody(service, image):
    for _ in range(20):
        with socket.create_connection(service.place) as connection:
            connection.sendall(POST + b"Content-Length: 9999\r\n\r\n" + image[:50])
    client = Client(service.place)
    assert client.post("/v1/screen", image, PNG)[0] == 200
    client._connection.request("GET", "/metrics")
    assert b'status="500"' not in client._connection.getresponse().read()
    client.close()


def test_heads_and_bodies_that_do_not_come_or_are_none(home, image, capfd):
    """Within the limits of time, which are made short here: the connection ends, with a 408 where a head came."""
    with serving(cwd=home, module="tests.service.slow_limits") as service:
        begun = time.monotonic()
        with ThreadPoolExecutor(20) as pool:
            heads = [pool.submit(sent, service.place, b"GET / HT", 20) for _ in range(10)]
            start = (
                b"POST /v1/screen HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 99\r\n\r\n"
            )
            bodies = [pool.submit(sent, service.place, [start, *[b"x"] * 5], 20, 0.1) for _ in range(9)]
            client = Client(service.place)
            assert client.post("/v1/screen", image, PNG)[0] == 200
            client.close()
        assert {one.result() for one in heads} == {""}
        assert all(one.result().startswith("HTTP/1.1 408") for one in bodies)
        assert time.monotonic() - begun < 20
        head = b"POST /v1/screen HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunked = sent(service.place, head + b"zz\r\n")
        assert chunked.startswith("HTTP/1.1 400")
    assert "Traceback" not in capfd.readouterr().err  # such a request is over, and nothing is sent for it any more


def test_told_to_end_it_finishes_what_it_accepted(home, image):
    service = started("stripes", "--model", SPEC, cwd=home)
    with ThreadPoolExecutor(8) as pool:
        clients = [Client(service.place) for _ in range(8)]
        answers = [pool.submit(client.post, "/v1/screen", image, PNG) for client in clients]
        wait(answers, return_when=FIRST_COMPLETED)
        status = service.end()
        statuses = []
        for one in answers:
            try:
                statuses.append(one.result()[0])
            except (ConnectionError, http.client.HTTPException):  # what came after it had stopped to accept
                statuses.append(None)
    for client in clients:
        client.close()
    service.process.stdout.close()
    assert status in (0, -15, 143)
    assert set(statuses) <= {200, None}
    assert 200 in statuses


def test_killed_at_any_moment_what_was_acknowledged_is_kept(home, image, tmp_path):
    acknowledged = []
    for turn in range(3):
        service = started("stripes", "--model", SPEC, "--store", tmp_path / "kept.sqlite", cwd=home)
        client = Client(service.place)
        try:
            for number in range(100_000):
                name = f"{turn}-{number}.png"
                status, _ = client.post(f"/v1/screen?keep=true&name={name}", image, PNG)
                assert status == 200
                acknowledged.append(name)
                if number == 5:
                    threading.Timer(0.1 * turn, service.kill).start()
        except (ConnectionError, http.client.HTTPException):
            client.close()
        service.process.wait()
        service.process.stdout.close()
    store = VerdictStore(tmp_path / "kept.sqlite")
    kept = {one["verdict"]["file_name"] for one in store.rows(Wanted(limit=10**6))}
    assert len(acknowledged) > 10
    assert set(acknowledged) <= kept
    with store.file.reading() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere"),
        (["stripes", "stripes"], "two screeners are called 'stripes'"),
        (["stripes", "--host", "0.0.0.0"], "give a token too"),
        (["stripes", "--token", "short"], "at least 16 characters"),
        (["stripes", "--store", "served_model.py"], "can't be used as a store"),
    ],
)
def test_command_lines_that_fail_say_so_in_one_line(home, arguments, said, monkeypatch, capsys):
    monkeypatch.chdir(home)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", ["uncertainty", "serve", *arguments, "--model", SPEC, "--port", "0"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert said in last


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = ServiceSettings(port=taken.getsockname()[1])
        with pytest.raises(InputError, match="give another --port"):
            run(create_app(settings), settings)


def test_the_store_is_whole_beside_a_running_service(service, home, image):
    client = Client(service.place)
    client.post("/v1/screen?keep=true&name=beside.png", image, PNG)
    client.close()
    connection = sqlite3.connect(home / "kept.sqlite")
    assert connection.execute("SELECT count(*) FROM verdicts WHERE file_name = 'beside.png'").fetchone() == (1,)
    connection.close()


def test_answers_are_sent_at_once(monkeypatch):
    """Head and body are two writes: with Nagle's algorithm the second waits for the client, 40 ms on Linux."""
    at_once = []

    class Server:
        async def serve(self, sockets):
            (listening,) = sockets

            async def met(reader, writer):
                connection = writer.get_extra_info("socket")
                at_once.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
                writer.close()

            async with await asyncio.start_server(met, sock=listening):
                reader, writer = await asyncio.open_connection(*listening.getsockname())
                await reader.read()
                writer.close()

    monkeypatch.setattr("uncertainty.service.server.server_of", lambda app, settings: Server())
    run(None, ServiceSettings(port=0))
    assert at_once == [1]
