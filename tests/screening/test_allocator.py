"""The allocator is told once a process, and only where nobody else did."""

import subprocess
import sys

import pytest

_GROWN = """\
import resource
import numpy as np
from uncertainty.screening.allocator import keep_freed_memory
kept = keep_freed_memory()
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(1 << 26, np.uint8)
before = faults()
for _ in range(3): np.ones(1 << 26, np.uint8)
import pyarrow as pa
print(kept, (faults() - before) * resource.getpagesize() < 1 << 26, pa.default_memory_pool().backend_name)
"""


def told(**environment):
    found = subprocess.run(
        [sys.executable, "-c", _GROWN], capture_output=True, text=True, env={"PYTHONPATH": ".", **environment}
    )
    assert not found.stderr
    return found.stdout.split()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is on Linux")
def test_freed_memory_is_used_again_unless_the_user_said_how_malloc_works():
    assert told() == ["True", "True", "system"]
    assert told(ARROW_DEFAULT_MEMORY_POOL="mimalloc")[2] == "mimalloc"
    assert told(MALLOC_ARENA_MAX="2")[2] != "system"
    assert told(MALLOC_ARENA_MAX="2")[0] == "False"
