import json
import os
import shutil
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from uncertainty.service.watch.settings import WatchSettings
from uncertainty.service.watch.watch import watching


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "arriving").mkdir()
    return WatchSettings(tmp_path / "arriving", tmp_path / "out", settle=0, publish=0, batch_size=4)


@pytest.fixture
def incoming(world):
    return sorted(world.incoming.iterdir())


@pytest.fixture
def arrive(settings, incoming):
    """Put images of the world into the watched folder, by their positions."""

    def arrive(*positions):
        for k in positions:
            part = settings.folder / f".{incoming[k].name}.part"
            shutil.copy(incoming[k], part)
            os.replace(part, settings.folder / incoming[k].name)

    return arrive


@pytest.fixture
def look(world, settings):
    """Watch until nothing is left to do; returns the batches."""

    def look(**other):
        with watching(world.screener, replace(settings, **other)) as watch:
            watch.arrivals.look()
            batches = []
            while (batch := watch.screen()) is not None:
                batches.append(batch)
                watch.hand_on()
            watch.hand_on()
            if watch.ledger.rows():
                watch.publish()
        return batches

    return look


class Heard:
    """What a webhook got: (headers, batch); `answers` are the statuses of the next answers, then 200."""

    def __init__(self):
        self.batches, self.answers = [], []


@contextmanager
def listening():
    heard = Heard()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.batches.append((dict(self.headers), json.loads(body)))
            self.send_response(heard.answers.pop(0) if heard.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        heard.url = f"http://127.0.0.1:{server.server_port}/hook?secret=s3cret"
        try:
            yield heard
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def webhook():
    with listening() as heard:
        yield heard
