"""How threads of torch and numpy wait in this process: asleep, so that threads that decode have the cores."""

from __future__ import annotations

import os
import sys

_POLICY = "OMP_WAIT_POLICY"
_SAID_BY = (_POLICY, "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
_TIMEOUT = "OPENBLAS_THREAD_TIMEOUT"
_SOONEST = "4"  # 2^4 cycles; it takes no less


def let_waiting_threads_sleep() -> bool:
    """Have threads that wait sleep instead of asking again and again; return whether those of torch were told.

    torch shares each layer among its threads, and those done first ask for milliseconds whether the others are; those
    of numpy's OpenBLAS ask for tens of milliseconds after each product. That takes the cores from what decodes, or from
    any other program, see `benchmarks/README.md`. How many threads there are (`OMP_NUM_THREADS`) stays as it is, and so
    do all numbers to the last bit, which depend on how many. Both read this once, while they are loaded, so nothing is
    done for a library that is there already, or where the environment says how its threads wait (OMP_WAIT_POLICY,
    GOMP_SPINCOUNT, KMP_BLOCKTIME; OPENBLAS_THREAD_TIMEOUT). It is set for the whole process and those that it starts,
    so the command line does it and the library leaves it to you.
    """
    if "numpy" not in sys.modules:
        os.environ.setdefault(_TIMEOUT, _SOONEST)
    if "torch" in sys.modules or any(variable in os.environ for variable in _SAID_BY):
        return False
    os.environ[_POLICY] = "PASSIVE"
    return True
