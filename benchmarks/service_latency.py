"""How long one image takes: python -m benchmarks.service_latency.

Three figures for each network: the time of one image in the process, p99 of requests at half the service's capacity
(arrivals by chance), and requests a second with p99 below 500 ms, of the service and of a plain endpoint.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.service_process import ROOT, Answers, Client, Service, made, saturated, serving

JPEG = {"Content-Type": "image/jpeg"}
_CONNECTIONS, _MOST = (1, 2, 4, 8, 16, 32, 64), 0.5
_SINGLE = """
import sys, time
from pathlib import Path
import numpy as np
from uncertainty.classifiers.base import ArrayItem
from uncertainty.screening.allocator import keep_freed_memory
from uncertainty.screening.saved_screener import SavedScreener
keep_freed_memory()
screener = SavedScreener(Path(sys.argv[1])).load()
items = [ArrayItem(path.name, path.read_bytes()) for path in sorted(Path(sys.argv[2]).iterdir())[:100]]
seconds = []
for item in items[:5] + items:
    begun = time.perf_counter()
    screener.screen([item], workers=1)
    seconds.append(time.perf_counter() - begun)
print(np.median(seconds[5:]))
"""


def single(screener: Path, images: Path) -> float:
    """Return the median seconds of one image in a process of its own."""
    command = [sys.executable, "-c", _SINGLE, str(screener), str(images)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def fastest(service: Service, bodies: list[bytes]) -> tuple[float, float]:
    """Return the most requests a second that any number of connections gets with p99 below 500 ms, and at all."""
    best, most = 0.0, 0.0
    for connections in _CONNECTIONS:
        begun = time.perf_counter()
        answers = saturated(service, "/v1/screen", [(body, JPEG) for body in bodies], connections)
        rate = answers.statuses.count(200) / (time.perf_counter() - begun)
        most = max(most, rate)
        if set(answers.statuses) == {200} and np.quantile(answers.seconds, 0.99) < _MOST:
            best = max(best, rate)
        else:
            break
    return best, most


def at_rate(service: Service, bodies: list[bytes], rate: float, seed: int = 0) -> Answers:
    """Send each body at a moment of its own, so many a second; the time of a request counts from that moment."""
    rng, answers, lock = random.Random(seed), Answers(), threading.Lock()
    moments = np.cumsum([rng.expovariate(rate) for _ in bodies]) + time.perf_counter() + 0.1
    left = iter(zip(moments.tolist(), bodies, strict=True))

    def work() -> None:
        client = Client(service.place)
        while True:
            with lock:
                due, body = next(left, (0.0, b""))
            if not body:
                client.close()
                return
            time.sleep(max(0.0, due - time.perf_counter()))
            status, _ = client.post("/v1/screen", body, JPEG)
            with lock:
                answers.statuses.append(status)
                answers.seconds.append(time.perf_counter() - due)

    threads = [threading.Thread(target=work) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def main() -> None:
    """Print the figures."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, nargs=2, default=(4000, 600), help="of ResNet-20 and of Lite0")
    parser.add_argument("--known-good", type=int, default=20_000)
    chosen = parser.parse_args()
    for case, count in zip(("resnet20", "lite0"), chosen.requests, strict=True):
        with TemporaryDirectory() as folder:
            screener, images = made(case, Path(folder), min(count, 500), chosen.known_good)
            files = [path.read_bytes() for path in sorted(images.iterdir())]
            bodies = [files[k % len(files)] for k in range(count)]
            alone = single(screener, images)
            with serving(screener) as service:
                best, most = fastest(service, bodies)
                half = at_rate(service, bodies, most / 2)
            with serving(screener, module="benchmarks.service_plain") as service:
                plain, _ = fastest(service, bodies)
        p99 = float(np.quantile(half.seconds, 0.99))
        print(
            f"{case}: one image {1000 * alone:.1f} ms; p99 at half load {1000 * p99:.1f} ms, ratio {p99 / alone:.2f}; "
            f"{best:.0f} requests/s below 500 ms, plain {plain:.0f}, ratio {best / max(plain, 1e-9):.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
