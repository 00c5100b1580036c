"""What kills leave of the review desk and of a watched folder: python -m benchmarks.kills (with --kills 50).

The desk is killed while several people answer, the watch while images arrive, at random moments, and begun again. It
ends with status 1 where a label that was acknowledged is lost, or an image is not screened exactly once.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.service_process import ROOT, Service, made, started
from uncertainty import Verdicts

_PEOPLE, _ITEMS = 3, 1500
FORM, JSON = {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": "application/json"}


def desk_killed(out: Path, kills: int) -> tuple[int, int]:
    """Kill the desk of a screening under load; return labels acknowledged, and those of them lost."""
    rng, acknowledged = random.Random(0), set[int]()
    for turn in range(kills):
        desk = started(out, "--explore", 0, verb="review")
        with closing(http.client.HTTPConnection(*desk.place, timeout=30)) as connection:
            # The first to ask waits for the ranking; the moments are to be those of a desk at work.
            _asked(connection, "/desk/next", b"", {"Cookie": _signed_in(connection, "first"), **JSON})
        timer = threading.Timer(rng.uniform(0.1, 1.2), desk.kill)
        timer.start()
        people = [threading.Thread(target=_answering(desk, f"p{turn}-{k}", acknowledged)) for k in range(_PEOPLE)]
        for thread in people:
            thread.start()
        for thread in (*people, timer):
            thread.join()
        if desk.process.stdout is not None:
            desk.process.stdout.close()
    with closing(sqlite3.connect(out / "review.sqlite")) as kept:
        found = {item for (item,) in kept.execute("SELECT item FROM answers WHERE withdrawn = 0")}
    return len(acknowledged), len(acknowledged - found)


def _answering(desk: Service, name: str, acknowledged: set[int]) -> Callable[[], None]:
    """Return what answers image after image until the desk is gone, and notes what was called saved."""

    def work() -> None:
        connection = http.client.HTTPConnection(*desk.place, timeout=30)
        try:
            headers = {"Cookie": _signed_in(connection, name), **JSON}
            found = _asked(connection, "/desk/next", b"", headers)
            while items := found["items"]:
                said = {"item": items[0]["item"], "kind": "class", "classes": [0]}
                found = _asked(connection, "/desk/answer", json.dumps(said).encode(), headers)
                acknowledged.add(found["saved"])
        except (OSError, http.client.HTTPException):
            connection.close()  # it was killed

    return work


def _signed_in(connection: http.client.HTTPConnection, name: str) -> str:
    connection.request("POST", "/desk/name", f"annotator={name}", FORM)
    answer = connection.getresponse()
    answer.read()
    return str(answer.headers["Set-Cookie"]).split(";")[0]


def _asked(connection: http.client.HTTPConnection, path: str, body: bytes, headers: dict[str, str]) -> dict[str, list]:  # type: ignore[type-arg]
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"the desk answered {answer.status}: {content[:200]!r}")
    return dict(json.loads(content))


def watch_killed(screener: Path, images: list[Path], root: Path, kills: int) -> tuple[int, int, int]:
    """Kill a watch while images arrive; return how many came, and how many are missing, and there more than once."""
    folder, out, to = root / "arriving", root / "watched", root / "flagged"
    folder.mkdir()
    rng, sent = random.Random(0), 0
    for _ in range(kills):
        process = _watching(screener, folder, out, to)
        until = time.monotonic() + rng.uniform(0.1, 1.0)
        while time.monotonic() < until:
            sent = _sent(images, folder, sent)
            time.sleep(0.01)
        process.kill()
        process.wait()
    process = _watching(screener, folder, out, to)
    while _known(out) < sent:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    if process.wait():
        raise SystemExit("the watch did not end well")
    verdicts = Verdicts.read(out).table
    rows = Counter(verdicts["file_name"].to_pylist())
    flagged = {row["file_name"] for row in verdicts.select(["file_name", "flagged"]).to_pylist() if row["flagged"]}
    placed, left = ({path.name for path in at.iterdir()} if at.exists() else set() for at in (to, folder))
    missing = sent - len(rows) + len(flagged ^ placed) + len((set(rows) - flagged) ^ left)
    return sent, missing, sum(rows.values()) - len(rows)


def _watching(screener: Path, folder: Path, out: Path, to: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "uncertainty", "watch", screener, folder, "-o", out, "--move", to]
    command += ["--settle", "0.1", "--every", "0.05", "--publish", "0", "--batch-size", "8"]
    where = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([*map(str, command)], env=where, stdout=subprocess.PIPE, text=True)
    for line in process.stdout or ():
        if line.startswith("watching "):
            break
    threading.Thread(target=lambda: [None for _ in process.stdout or ()], daemon=True).start()
    return process


def _sent(images: list[Path], folder: Path, sent: int) -> int:
    part = folder / f".{sent}.part"
    shutil.copy(images[sent % len(images)], part)
    os.replace(part, folder / f"{sent:06}.jpg")
    return sent + 1


def _known(out: Path) -> int:
    with closing(sqlite3.connect(out / ".watch" / "watch.sqlite")) as kept:
        return int(kept.execute("SELECT count(*) FROM files").fetchone()[0])


def main() -> None:
    """Print what was lost."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of each")
    kills = parser.parse_args().kills
    with TemporaryDirectory() as name:
        root = Path(name)
        screener, folder = made("resnet20", root, 200, 2000)
        images = sorted(folder.iterdir())
        sent, missing, twice = watch_killed(screener, images, root, kills)
        print(f"{kills} kills of a watch: {sent} images came, {missing} lost, {twice} twice", flush=True)
        acknowledged, lost = desk_killed(_screened(root), kills)
        print(f"{kills} kills of a desk: {acknowledged} labels acknowledged, {lost} lost", flush=True)
    if missing or twice or lost or not acknowledged:
        sys.exit(1)


def _screened(root: Path) -> Path:
    from tests.report.reports import verdict_table, write_screening

    return write_screening(root / "out", verdict_table([f"{k:05}.png" for k in range(_ITEMS)], ("cat", "dog", "eel")))


if __name__ == "__main__":
    main()
