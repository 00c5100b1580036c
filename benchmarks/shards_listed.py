"""What it takes to find very many images in Parquet shards or a manifest: python -m benchmarks.shards_listed.

Written are shards of rows with a byte or two each, as encoded images without a path, or with --manifest one Parquet
table of names of 24 characters; found are the images, the fingerprint of the list, and a part of it. Printed are
seconds and the memory beside the libraries.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.memory import peak_memory

IMAGES, SHARDS = 10_000_000, 100
_AT_ONCE = 100_000


def write(folder: Path, images: int, shards: int) -> None:
    """Write so many rows in so many files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir()
    rows = pa.table({"image": pa.array([b"no"] * (images // shards), pa.binary())})
    for k in range(shards):
        pq.write_table(rows, folder / f"shard-{k:05d}.parquet")


def write_manifest(path: Path, images: int) -> None:
    """Write so many names, of files that are not there: none is opened to be listed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = pa.schema({"file_name": pa.string()})
    with pq.ParquetWriter(path, kind) as writer:
        for first in range(0, images, _AT_ONCE):
            names = [f"photos/2026/{row:08d}.jpg" for row in range(first, min(first + _AT_ONCE, images))]
            writer.write_table(pa.table({"file_name": names}, kind))


def _find(folder: str) -> None:
    from uncertainty.images.sources import find_images

    begun = perf_counter()
    images = find_images(folder)
    images.fingerprint()
    images.cut(range(len(images) // 2, min(len(images) // 2 + 1024, len(images))))
    sys.stdout.write(f"{perf_counter() - begun}\n")


def main() -> None:
    """Print a line."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=IMAGES, help="default: %(default)s")
    parser.add_argument("--shards", type=int, default=SHARDS, help="default: %(default)s")
    parser.add_argument("--manifest", action="store_true", help="one table of names in place of shards")
    parser.add_argument("--find", help="what is run and measured")
    given = parser.parse_args()
    if given.find:
        _find(given.find)
        return
    with TemporaryDirectory() as name:
        peaks = []
        for images in (given.shards, given.images):
            place = Path(name) / (f"{images}.parquet" if given.manifest else str(images))
            if given.manifest:
                write_manifest(place, images)
            else:
                write(place, images, given.shards)
            begun = perf_counter()
            peaks.append(peak_memory([sys.executable, "-m", __spec__.name, "--find", str(place)]))
            seconds = perf_counter() - begun
    where = "a manifest" if given.manifest else f"{given.shards} Parquet files"
    sys.stdout.write(
        f"{given.images:,} images in {where}: {seconds:.1f} s with starting, "
        f"{peaks[1] - peaks[0]:.0f} MB more than for {given.shards}\n"
    )


if __name__ == "__main__":
    main()
