"""What kills leave: python -m benchmarks.kills service (or desk, or watch), two to three minutes each.

The service is killed while verdicts are kept, the desk while several people answer, the watch while images arrive, at
random moments, and begun again; two of them live at a time, in places of their own. It ends with status 1 where a
verdict or label that was acknowledged is lost, or an image is not screened exactly once.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import threading
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.service_faults import killed
from benchmarks.service_process import Service, made, started
from benchmarks.watch_process import known, watching
from tests.report.reports import verdict_table, write_screening
from uncertainty import Verdicts

_PEOPLE, _ITEMS, _AT_ONCE = 3, 8000, 2
_OPTIONS = ("--settle", 0.1, "--every", 0.05, "--publish", 0, "--batch-size", 8)
FORM, JSON = {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Made:
    """A screener, and images to send."""

    screener: Path
    images: list[Path]


def service_killed(place: Made, root: Path, kills: int, seed: int) -> tuple[str, bool]:
    """Kill the service under load; return what was found, and whether it is as it must be."""
    acknowledged, lost = killed(place.screener, place.images[:64], root / "kept.sqlite", kills, seed)
    return f"{acknowledged} verdicts acknowledged, {lost} lost", lost == 0 < acknowledged


def desk_killed(place: Made, root: Path, kills: int, seed: int) -> tuple[str, bool]:
    """Kill the desk of a screening under load; return what was found, and whether it is as it must be."""
    out = write_screening(root / "out", verdict_table([f"{k:05}.png" for k in range(_ITEMS)], ("cat", "dog", "eel")))
    rng, acknowledged = random.Random(seed), set[int]()
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
    lost = len(acknowledged - found)
    return f"{len(acknowledged)} labels acknowledged, {lost} lost", lost == 0 < len(acknowledged)


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


def watch_killed(place: Made, root: Path, kills: int, seed: int) -> tuple[str, bool]:
    """Kill a watch while images arrive; return what was found, and whether it is as it must be."""
    folder, out, to = root / "arriving", root / "watched", root / "flagged"
    folder.mkdir()
    rng, sent = random.Random(seed), 0
    for _ in range(kills):
        process = watching(place.screener, folder, out, *_OPTIONS, "--move", to)
        until = time.monotonic() + rng.uniform(0.1, 1.0)
        while time.monotonic() < until:
            sent = _sent(place.images, folder, sent)
            time.sleep(0.01)
        process.kill()
        process.wait()
    process = watching(place.screener, folder, out, *_OPTIONS, "--move", to)
    while known(out) < sent:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    if process.wait():
        raise SystemExit("the watch did not end well")
    verdicts = Verdicts.read(out).table
    rows = Counter(verdicts["file_name"].to_pylist())
    flagged = {row["file_name"] for row in verdicts.select(["file_name", "flagged"]).to_pylist() if row["flagged"]}
    placed, left = ({path.name for path in at.iterdir()} if at.exists() else set() for at in (to, folder))
    missing = sent - len(rows) + len(flagged ^ placed) + len((set(rows) - flagged) ^ left)
    twice = sum(rows.values()) - len(rows)
    return f"{sent} images came, {missing} lost, {twice} twice", missing == twice == 0 < sent


def _sent(images: list[Path], folder: Path, sent: int) -> int:
    part = folder / f".{sent}.part"
    shutil.copy(images[sent % len(images)], part)
    os.replace(part, folder / f"{sent:06}.jpg")
    return sent + 1


WHAT = {"service": service_killed, "desk": desk_killed, "watch": watch_killed}


def main() -> None:
    """Print what was lost."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("--kills", type=int, default=50)
    chosen = parser.parse_args()
    with TemporaryDirectory() as name, ThreadPoolExecutor(_AT_ONCE) as lives:
        root = Path(name)
        screener, folder = made("resnet20", root, 200, 2000)
        place = Made(screener, sorted(folder.iterdir()))

        def live(k: int) -> tuple[str, bool]:
            (own := root / f"life{k}").mkdir()
            return WHAT[chosen.what](place, own, len(range(k, chosen.kills, _AT_ONCE)), k)

        found = list(lives.map(live, range(_AT_ONCE)))
    print(f"{chosen.kills} kills of a {chosen.what}: {'; '.join(told for told, _ in found)}", flush=True)
    if not all(right for _, right in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
