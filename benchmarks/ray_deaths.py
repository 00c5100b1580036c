"""Machines that die while Ray screens: python -m benchmarks.ray_deaths.

A cluster of several machines, as Ray's own tests make it on one; at given shares of the parts one of them is killed and
another comes. Printed are the parts that were done twice and what differs from the local engine in the end.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from unittest.mock import patch

import ray

from benchmarks.cases import CASES, fitted, write_images
from uncertainty.images.sources import find_images
from uncertainty.screener import Screener
from uncertainty.screening.part_tables import Screen, task_of
from uncertainty.screening.ray_actors import RayActors
from uncertainty.screening.ray_engine import RayEngine
from uncertainty.workflows import screen as workflow
from uncertainty.workflows.screen import screen_into

IMAGES, PART, MACHINES, DEATHS = 8192, 256, 2, 3


def cluster(machines: int) -> Any:
    """Return a cluster with so many machines of one processor beside this process, and Ray connected to it."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(machines):
        made.add_node(num_cpus=1)
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    return made


def measure(folder: Path, case: str, images: int, machines: int, deaths: int) -> tuple[int, int, float, list[str]]:
    """Return parts, parts that were tried again, seconds, and the files that differ from those of the local engine."""
    write_images(folder / "images", images, CASES[case].size)
    screener = fitted(CASES[case].classifier(), find_images(folder / "images"))
    screener.save(folder / "screener")
    made, again, done = cluster(machines), [], [0]
    parts = -(-images // PART)
    tried = RayActors._tried

    def noting(actors: RayActors, work: int) -> Any:
        again.append(work)
        return tried(actors, work)

    def kill(rows: int) -> None:
        done[0] += rows > 0
        if rows and done[0] % (parts // (deaths + 1)) == 0 and done[0] < parts:
            made.remove_node(sorted(made.worker_nodes, key=id)[0], allow_graceful=False)
            made.add_node(num_cpus=1)

    with patch.object(workflow, "task_of", partial(task_of, rows_in_a_part=PART)):
        screen_into(folder / "local", screener, folder / "images")
        engine = RayEngine(Screen(folder / "screener"), actors=machines)
        begun = perf_counter()
        with patch.object(RayActors, "_tried", noting):
            alone = Screener.load(folder / "screener", None)
            screen_into(folder / "ray", alone, folder / "images", progress=kill, engine=engine)
    seconds = perf_counter() - begun
    ray.shutdown()
    made.shutdown()
    names = [path.name for path in (folder / "local").iterdir()]
    apart = [name for name in names if (folder / "local" / name).read_bytes() != (folder / "ray" / name).read_bytes()]
    return parts, len(again), seconds, apart


def main() -> None:
    """Print what was lost; exit 1 where a file differs."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=IMAGES, help="default: %(default)s")
    parser.add_argument("--case", choices=CASES, default="resnet20", help="default: %(default)s")
    parser.add_argument("--machines", type=int, default=MACHINES, help="default: %(default)s")
    parser.add_argument("--deaths", type=int, default=DEATHS, help="default: %(default)s")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        found = measure(Path(folder), given.case, given.images, given.machines, given.deaths)
    parts, again, seconds, apart = found
    sys.stdout.write(
        f"{given.deaths} of {given.machines} machines died and were replaced: {again} of {parts} parts done again, "
        f"{seconds:.0f} s; files that differ from the local engine's: {', '.join(apart) or 'none'}\n"
    )
    if apart:
        sys.exit(1)


if __name__ == "__main__":
    main()
