"""From key to next image at the review desk in Chromium: python -m benchmarks.review_desk (serve, report-tests).

The page itself measures from the key until the frame after the one with the decoded image has been drawn.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from tests.browsers import started, waited
from tests.report.reports import verdict_table, write_screening
from tests.service.desk.served import press, served, sign_in, text
from uncertainty.service.desk.desk import DeskSettings

CLASSES = [f"class {k:04}" for k in range(1000)]
MEASURED = "return performance.getEntriesByName('key to next image').map((one) => one.duration)"
PACES = {"as fast as the next image stands": 0.0, "three images a second": 1 / 3, "one image a second": 1.0}


def photographs(root: Path, n: int) -> list[str]:
    """Write n parts of two photographs, 640 by 480 pixels, as JPEG; return their names."""
    rng, photos = np.random.default_rng(0), load_sample_images().images
    names = []
    for k in range(n):
        photo = photos[k % 2]
        left, top = (int(rng.integers(0, side - 200)) for side in (photo.shape[1], photo.shape[0]))
        part = Image.fromarray(photo[top : top + 200, left : left + 200]).resize((640, 480))
        names.append(f"{k:05}.jpg")
        part.save(root / names[-1], quality=90)
    return names


def screening(root: Path, n: int) -> Path:
    """Write a screening of n photographs with a thousand classes; return its folder."""
    (root / "photographs").mkdir()
    names = photographs(root / "photographs", n)
    out = write_screening(root / "out", verdict_table(names, CLASSES))
    (out / "summary.json").write_text(f'{{"input_root": "{root / "photographs"}"}}', "utf-8")
    return out


def timed(out: Path, keys: int, pace: float) -> tuple[list[float], int]:
    """Confirm so many images by key, not faster than one in `pace` seconds; return milliseconds, and answers kept."""
    from selenium.webdriver.common.keys import Keys

    (out / "review.sqlite").unlink(missing_ok=True)
    browser = started()
    try:
        with served(DeskSettings(out)) as (address, desk):
            sign_in(browser, address, "benchmark")
            for k in range(keys):
                begun = time.monotonic()
                press(browser, Keys.ENTER)
                waited(lambda k=k: len(browser.execute_script(MEASURED)) > k)
                time.sleep(max(0.0, pace - (time.monotonic() - begun)))
            waited(lambda: text(browser, "#saving") == "saved")
            found = browser.execute_script(MEASURED)
            return [float(one) for one in found], len(desk.store.standing())
    finally:
        browser.quit()


def main() -> None:
    """Print median, 95 % quantile and longest of each pace."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--keys", type=int, default=200)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as where:
        out = screening(Path(where), asked.images)
        for words, pace in PACES.items():
            found, kept = timed(out, asked.keys, pace)
            half, most = np.quantile(found, [0.5, 0.95])
            sys.stdout.write(
                f"{words}: median {half:.0f} ms, 95 % within {most:.0f} ms, longest {max(found):.0f} ms; "
                f"{kept} of {asked.keys} answers kept, {asked.images} images in the queue\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
