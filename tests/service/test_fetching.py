"""Images at URLs: from public addresses alone, within bounds, and never by way of a redirection."""

import ipaddress
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from uncertainty.errors import ImageError
from uncertainty.service.fetching import Fetcher

HERE = ipaddress.ip_address("127.0.0.1")


class Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/image")
        elif self.path == "/gone":
            self.send_response(404)
        else:
            self.send_response(200)
        self.end_headers()
        if self.path == "/image":
            self.wfile.write(b"an image")
        elif self.path == "/large":
            self.wfile.write(bytes(5000))
        elif self.path == "/slow":
            for _ in range(50):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.05)

    def log_message(self, *args):
        pass

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True


@pytest.fixture(scope="module")
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


LOCAL = Fetcher(1000, seconds=1, allowed=lambda address: address == HERE, any_port=True)


def test_what_is_there(site):
    assert LOCAL.fetch(f"{site}/image") == b"an image"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/moved", "not followed"),
        ("/gone", "status 404"),
        ("/large", "larger than 1000 bytes"),
        ("/slow", "takes too long"),
    ],
)
def test_what_is_not_taken(site, path, why):
    with pytest.raises(ImageError, match=why):
        LOCAL.fetch(f"{site}{path}")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://[::1]/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://0.0.0.0/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://[::ffff:127.0.0.1]/",
        "http://[fd00::1]/",
        "http://224.0.0.1/",
    ],
)
def test_private_addresses_are_never_connected_to(url, monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *args: pytest.fail("it connected"))
    with pytest.raises(ImageError, match=r"not a public one|no such host"):
        Fetcher(1000).fetch(url)


def test_a_name_with_one_private_address_is_refused(monkeypatch):
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("8.8.8.8", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: both)
    monkeypatch.setattr(socket, "create_connection", lambda *args: pytest.fail("it connected"))
    with pytest.raises(ImageError, match="not a public one"):
        Fetcher(1000).fetch("http://example.org/")


def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(monkeypatch):
    """Though the name means another one a moment later."""
    answers = [["8.8.8.8"], ["127.0.0.1"]]

    def looked_up(*args, **options):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 80)) for one in answers.pop(0)]

    connected = []

    def connect(place, timeout):
        connected.append(place)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(ImageError, match="no answer"):
        Fetcher(1000).fetch("http://example.org/a.jpg")
    assert connected == [("8.8.8.8", 80)]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/a",
        "gopher://example.org/a",
        "http://",
        "http://user:secret@example.org/",
        "http://example.org:22/",
        "http://example.org:99999/",
        "http://[not/",
        "http://example.org/\r\nX: y",
        "http://example.org/" + "x" * 5000,
        "",
    ],
)
def test_what_is_no_url_of_a_picture(url):
    with pytest.raises(ImageError):
        Fetcher(1000).fetch(url)
