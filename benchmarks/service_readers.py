"""Requests that are nearly right, by the thousand: python -m benchmarks.service_readers (serve-tests), two minutes.

Images, forms, JSON and heads with some of their structure changed, as `tests/service` sends them a few hundred times,
at the service in this process. It ends with an error, and the smallest request that shows it, where an answer is a 5xx
or tells of this machine, or where memory grows by more than an image of 50 megapixels takes.
"""

from __future__ import annotations

import logging
import time
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.cases import CASES, fitted, write_images
from tests.service.readers import KINDS, bear
from tests.service.saved import InMemory
from uncertainty.images.sources import find_images
from uncertainty.service.app import create_app
from uncertainty.service.settings import ServiceSettings

_KNOWN_GOOD = 500


def main() -> None:
    """Send them, and print how many bore up."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=2000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0, help="other requests by another seed")
    chosen = parser.parse_args()
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    logging.getLogger("uncertainty").setLevel(logging.CRITICAL)  # what can't be decoded is said in the answers
    with TemporaryDirectory() as name:
        root, case = Path(name), CASES["resnet20"]
        write_images(root / "images", 16, case.size)
        screener = fitted(case.classifier(), find_images(root / "images"), _KNOWN_GOOD)
        app = create_app(ServiceSettings({"a": InMemory(root, lambda: screener)}, store=root / "kept.sqlite"))
        try:
            for kind in KINDS:
                begun = time.perf_counter()
                grown = bear(app, kind, chosen.examples, chosen.seed)
                told = f"{kind}: {chosen.examples} requests in {time.perf_counter() - begun:.0f} s, no 5xx"
                print(f"{told}; memory {grown / 2**20:+.0f} MiB at most", flush=True)
        finally:
            app.state.parts.close()


if __name__ == "__main__":
    main()
