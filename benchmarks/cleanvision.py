"""Our statistics and near-duplicates beside the checks of cleanvision: python -m benchmarks.cleanvision --python FILE.

Both read the same JPEG photographs of 500x375 in one thread, by turns, each in a process of its own, and find what is
dark, bright, blurred, without content, of odd size, copied or nearly so. Its licence, AGPL, keeps cleanvision out of
this environment: install it in one of its own and name the Python of that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

PHOTOS, TURNS = 1000, 3
_HERE = Path(__file__).resolve().parent.parent
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
THEIRS = """\
import json, sys
from time import process_time
from cleanvision import Imagelab
if __name__ == "__main__":
    lab, begun = Imagelab(data_path=sys.argv[1], verbose=False), process_time()
    lab.find_issues(n_jobs=1, verbose=False)
    print("\\n" + json.dumps(process_time() - begun))
"""
OURS = """\
import json, sys
from time import process_time
import numpy as np
from uncertainty.annotation.near_duplicates import folded
from uncertainty.images.decoding import decode, digest, read
from uncertainty.images.quality import quality, reduced
from uncertainty.images.sources import find_images
from uncertainty.images.thumbnails import details, thumbnail
images, begun = find_images(sys.argv[1]), process_time()
looks, told = [], set()
for item in images:
    data = read(item.data)
    image = decode(data)
    small = reduced(image)
    quality(image, small)
    looks.append(thumbnail(small))
    told.add(digest(data))
folded(details(np.stack(looks)))
print(json.dumps(process_time() - begun))
"""


def seconds(python: str, code: str, folder: Path, **environment: str) -> float:
    """Return seconds of the processor that a script took for a folder, its imports left out."""
    words = [python, "-c", code, str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **_ONE_THREAD, **environment})
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print milliseconds an image of both, and the ratio."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="that of an environment with cleanvision in it")
    parser.add_argument("--photos", type=int, default=PHOTOS, help="default: %(default)s")
    parser.add_argument("--turns", type=int, default=TURNS, help="the median of so many (default: %(default)s)")
    given = parser.parse_args()
    with TemporaryDirectory() as name:
        from benchmarks.cases import write_images

        write_images(folder := Path(name) / "photos", given.photos, (500, 375))
        turns = [
            (
                seconds(given.python, THEIRS, folder, PYTHONPATH=""),
                seconds(sys.executable, OURS, folder, PYTHONPATH=str(_HERE)),
            )
            for _ in range(given.turns)
        ]
    theirs, ours = (1000 * median(turn[k] for turn in turns) / given.photos for k in (0, 1))
    sys.stdout.write(f"cleanvision {theirs:.2f} ms an image, ours {ours:.2f}: {theirs / ours:.1f} times as long\n")


if __name__ == "__main__":
    main()
