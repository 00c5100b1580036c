"""A service in a process of its own, screeners for it, and a client that asks it one thing after another."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.cases import CASES, fitted, write_images
from uncertainty.images.sources import find_images

ROOT = Path(__file__).resolve().parent.parent
BOUNDARY = "----images-of-a-benchmark"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
_START_SECONDS = 120
_ASLEEP = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_THREAD_TIMEOUT": "4"}
"""How threads wait, as the command line has it: so the plain endpoint has it too."""


@dataclass
class Service:
    """A process that serves; `url` is where."""

    process: subprocess.Popen[str]
    url: str

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return str(parts.hostname), int(parts.port or 80)

    @property
    def resident(self) -> int:
        """Bytes of its memory that are in use now."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text("ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    @property
    def processor_seconds(self) -> float:
        """Of all its threads together."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self, seconds: float = 60) -> int:
        """Ask it to end, wait until it has, and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def started(*arguments: object, cwd: Path | None = None, module: str = "uncertainty", verb: str = "serve") -> Service:
    """Start `uncertainty serve` (or `review`) with these arguments at a free port, and wait until it listens."""
    command = [sys.executable, "-m", module, *([verb] if module == "uncertainty" else []), *map(str, arguments)]
    path = os.pathsep.join([str(ROOT), *([os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else [])])
    process = subprocess.Popen(
        [*command, "--port", "0"],
        cwd=cwd,
        env={**_ASLEEP, **os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
    limit = threading.Timer(_START_SECONDS, process.kill)
    limit.start()
    try:
        for line in process.stdout or ():
            if " at http://" in line:
                threading.Thread(target=_read_on, args=(process,), daemon=True).start()
                return Service(process, "http://" + line.partition(" at http://")[2].split(";")[0].strip())
    finally:
        limit.cancel()
    raise SystemExit(f"the service did not start: status {process.wait()}")


def _read_on(process: subprocess.Popen[str]) -> None:
    for _ in process.stdout or ():
        pass


@contextmanager
def serving(*arguments: object, **options: Any) -> Iterator[Service]:
    """Serve until the end of the block."""
    service = started(*arguments, **options)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.end()
        if service.process.stdout is not None:
            service.process.stdout.close()


def made(case: str, folder: Path, images: int, known_good: int) -> tuple[Path, Path]:
    """Make a screener and images of a case; returns their folders."""
    write_images(folder / "images", images, CASES[case].size)
    screener = fitted(CASES[case].classifier(), find_images(folder / "images"), known_good)
    screener.save(folder / "screener")
    return folder / "screener", folder / "images"


def form_of(files: Sequence[Path]) -> bytes:
    """Return files as the body of a form."""
    parts = []
    for path in files:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="images"; filename="{path.name}"\r\n'
        parts += [head.encode(), b"Content-Type: image/jpeg\r\n\r\n", path.read_bytes(), b"\r\n"]
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


class Client:
    """One connection that is kept alive."""

    def __init__(self, place: tuple[str, int], timeout: float = 120) -> None:
        self._connection = http.client.HTTPConnection(*place, timeout=timeout)

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Send a request and read the answer."""
        self._connection.request("POST", path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def get(self, path: str) -> Any:
        """Return a JSON document."""
        self._connection.request("GET", path)
        return json.loads(self._connection.getresponse().read())

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
