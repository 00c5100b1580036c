"""What the service bears: python -m benchmarks.service_faults (four minutes; with --short, half a minute).

Ten thousand hostile requests among as many good ones, and with --soak and --kills a soak and kills at random moments
under load (of fifty, `benchmarks.kills` makes two at a time). All of it at 127.0.0.1, a network that costs little. It
ends with status 1 where a hostile request got a 5xx, a good one a wrong answer, an acknowledged verdict was lost,
memory grew by more than 5 % in the soak, or by more than the bodies that it may hold among hostile requests.
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import threading
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from benchmarks.service_hostile import hostile_requests
from benchmarks.service_process import FORM, Client, Service, form_of, made, serving, started
from uncertainty.service.settings import Limits
from uncertainty.service.verdict_store import VerdictStore, Wanted

JPEG = {"Content-Type": "image/jpeg"}
_KNOWN_GOOD, _IMAGES = 2000, 64
_SHARE = 0.8
_ROOM = Limits().bodies
"""Bytes that a service may grow by among hostile requests: those of all bodies that it holds."""


@dataclass(frozen=True)
class Amount:
    """How much of each."""

    requests: int = 10_000
    kills: int = 0
    soak: float = 0.0
    growth: float = 0.05


# A service that has just started still grows a little.
SHORT = Amount(200, 1, 6.0, growth=0.15)


def expected(service: Service, images: list[Path]) -> dict[str, float]:
    """Return p_wrong by name, from one request."""
    client = Client(service.place)
    rows = json.loads(client.post("/v1/screen", form_of(images), FORM)[1])["rows"]
    client.close()
    return {row["file_name"]: row["p_wrong"] for row in rows}


def among_hostile(service: Service, images: list[Path], requests: int) -> tuple[Counter[str], int]:
    """Send hostile requests and good ones, at the same time; return how hostile ones ended, and good ones wrong."""
    known, ended, wrong = expected(service, images), Counter[str](), 0
    lock = threading.Lock()

    def hostile(seed: int) -> None:
        for request in hostile_requests(seed, requests // 2):
            how = request(service.place)
            with lock:
                ended[how] += 1

    def good(seed: int) -> None:
        nonlocal wrong
        client, rng = Client(service.place), random.Random(seed)
        for _ in range(requests // 2):
            path = rng.choice(images)
            status, body = client.post(f"/v1/screen?name={path.name}", path.read_bytes(), JPEG)
            right = status == 200 and abs(json.loads(body)["rows"][0]["p_wrong"] - known[path.name]) < 1e-4
            with lock:
                wrong += not right
        client.close()

    _together([lambda k=k: hostile(k) for k in range(2)] + [lambda k=k: good(k) for k in range(2)])  # type: ignore[misc]
    return ended, wrong


@contextmanager
def peak(service: Service) -> Iterator[Callable[[], int]]:
    """Look at the memory of a service meanwhile; yields what tells by how many bytes it was above its beginning."""
    begun, most, over = service.resident, [0], threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            most[0] = max(most[0], service.resident - begun)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: most[0]
    finally:
        over.set()
        thread.join()


def _together(works: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def killed(screener: Path, images: list[Path], store: Path, kills: int, seed: int = 0) -> tuple[int, int]:
    """Kill the service at random moments under load; return verdicts acknowledged, and those of them lost."""
    rng, acknowledged = random.Random(seed), set[str]()
    for turn in range(kills):
        service = started(screener, "--store", store)
        timer = threading.Timer(rng.uniform(0.0, 1.0), service.kill)
        works = [_keeping(service, images, f"{turn}-{worker}", acknowledged) for worker in range(4)]
        expected(service, images)  # so that the moments are those of a service at work
        timer.start()
        _together(works)
        timer.join()
        service.process.wait()
        if service.process.stdout is not None:
            service.process.stdout.close()
    kept = set(_kept(store))
    return len(acknowledged), len(acknowledged - kept)


def _keeping(service: Service, images: list[Path], name: str, acknowledged: set[str]) -> Callable[[], None]:
    """Return what sends images to be kept until the service is gone, and notes those that were acknowledged."""

    def work() -> None:
        client = Client(service.place)
        for number in range(10**6):
            file = f"{name}-{number}.jpg"
            path = f"/v1/screen?keep=true&name={file}"
            try:
                status, _ = client.post(path, images[number % _IMAGES].read_bytes(), JPEG)
            except (OSError, http.client.HTTPException):
                break
            if status == 200:
                acknowledged.add(file)
        client.close()

    return work


def _kept(path: Path) -> Iterator[str]:
    store, after = VerdictStore(path), 0
    while page := store.rows(Wanted(after=after, limit=10_000)):
        yield from (one["verdict"]["file_name"] for one in page)
        after = page[-1]["id"]
    store.close()


def capacity(service: Service, images: list[Path], seconds: float) -> float:
    """Return requests a second, of one image each, that four connections get answered."""
    counts = [0] * 4

    def work(k: int) -> None:
        client, until = Client(service.place), time.monotonic() + seconds
        while time.monotonic() < until:
            client.post("/v1/screen", images[counts[k] % _IMAGES].read_bytes(), JPEG)
            counts[k] += 1
        client.close()

    _together([lambda k=k: work(k) for k in range(4)])  # type: ignore[misc]
    return sum(counts) / seconds


def soaked(service: Service, images: list[Path], seconds: float) -> tuple[Counter[int], float]:
    """Load the service at 80 % of its capacity; return statuses, and by which share memory grew.

    That is from the mean over the second tenth of the time to that over the last.
    """
    rate = _SHARE * capacity(service, images, min(10.0, seconds / 3))
    statuses, sizes, lock = Counter[int](), list[int](), threading.Lock()
    begun, until = time.monotonic(), time.monotonic() + seconds

    def work(k: int) -> None:
        client, number = Client(service.place), 0
        while (now := time.monotonic()) < until:
            due = begun + (4 * number + k) / rate
            if due > now:
                time.sleep(min(due - now, max(0.0, until - now)))
            status, _ = client.post("/v1/screen", images[number % _IMAGES].read_bytes(), JPEG)
            number += 1
            with lock:
                statuses[status] += 1
        client.close()

    def look() -> None:
        while time.monotonic() < until:
            sizes.append(service.resident)
            time.sleep(seconds / 200)

    _together([*[lambda k=k: work(k) for k in range(4)], look])  # type: ignore[list-item,misc]
    tenth = max(1, len(sizes) // 10)
    return statuses, mean(sizes[-tenth:]) / mean(sizes[tenth : 2 * tenth]) - 1


def main() -> None:
    """Print what was borne."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a little of each, as .ci/run does")
    parser.add_argument("--requests", type=int, default=Amount.requests, help="hostile ones, and as many good")
    parser.add_argument("--kills", type=int, default=Amount.kills)
    parser.add_argument("--soak", type=float, default=Amount.soak, help="seconds, such as 600")
    chosen = parser.parse_args()
    amount = SHORT if chosen.short else Amount(chosen.requests, chosen.kills, chosen.soak)
    with TemporaryDirectory() as name:
        if not borne(Path(name), amount):
            sys.exit(1)


def borne(folder: Path, amount: Amount) -> bool:
    """Print what was borne; return whether all of it was."""
    screener, root = made("resnet20", folder, _IMAGES, _KNOWN_GOOD)
    images, right = sorted(root.iterdir()), True
    with serving(screener) as service:
        if amount.requests:
            expected(service, images)
            with peak(service) as grown_by:
                ended, wrong = among_hostile(service, images, amount.requests)
            server_errors = sum(count for how, count in ended.items() if how.startswith("5"))
            print(
                f"hostile: {dict(sorted(ended.items()))}; 5xx: {server_errors}; good ones wrong: {wrong}; "
                f"memory at most {grown_by() / 2**20:+.0f} MiB",
                flush=True,
            )
            right &= server_errors == wrong == 0 and grown_by() <= _ROOM
        if amount.soak:
            statuses, grown = soaked(service, images, amount.soak)
            print(f"soak of {amount.soak:.0f} s: {dict(statuses)}; memory {100 * grown:+.1f} %", flush=True)
            right &= set(statuses) == {200} and grown <= amount.growth
    if amount.kills:
        acknowledged, lost = killed(screener, images, folder / "kept.sqlite", amount.kills)
        print(f"{amount.kills} kills: {acknowledged} verdicts acknowledged, {lost} lost", flush=True)
        right &= lost == 0 < acknowledged
    return right


if __name__ == "__main__":
    main()
