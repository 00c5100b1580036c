"""How threads of OpenMP wait for each other in this process: asleep, so that threads that decode have the cores."""

from __future__ import annotations

import os
import sys

_POLICY = "OMP_WAIT_POLICY"
_SAID_BY = (_POLICY, "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def let_waiting_threads_sleep() -> bool:
    """Tell OpenMP to have threads that wait sleep instead of asking again and again; return whether it was told.

    torch shares each layer among its threads, and those done first ask for milliseconds whether the others are.
    That takes the cores from what decodes, or from any other program, see `benchmarks/README.md`. How many threads
    there are (`OMP_NUM_THREADS`) stays as it is, and so do all numbers to the last bit, which depend on how many.
    OpenMP reads this once, while it is loaded, so nothing is done where torch is there already, or where the
    environment says how threads wait (OMP_WAIT_POLICY, GOMP_SPINCOUNT, KMP_BLOCKTIME). It is set for the whole process
    and those that it starts, so the command line does it and the library leaves it to you.
    """
    if "torch" in sys.modules or any(variable in os.environ for variable in _SAID_BY):
        return False
    os.environ[_POLICY] = "PASSIVE"
    return True
