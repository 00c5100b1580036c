"""Threads of OpenMP sleep while they wait, unless the user said how they do."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

_TOLD = """\
import ctypes
import sys
from uncertainty.screening.waiting_threads import let_waiting_threads_sleep
print(let_waiting_threads_sleep(), flush=True)
ctypes.CDLL(sys.argv[1])
"""


def openmp():
    """The library that torch brings, which is loaded without torch: that takes seconds less."""
    spec = find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    return next(Path(spec.origin).parent.glob("lib/libgomp*.so*"), None)


@pytest.mark.skipif(openmp() is None, reason="torch has another OpenMP here")
@pytest.mark.parametrize(
    ("said", "told", "waits"),
    [
        ({}, "True", "PASSIVE"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "False", "ACTIVE"),
        ({"GOMP_SPINCOUNT": "7"}, "False", "7"),
    ],
)
def test_openmp_reads_what_the_command_line_or_the_user_says(said, told, waits):
    found = subprocess.run(
        [sys.executable, "-c", _TOLD, str(openmp())],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ".", "OMP_DISPLAY_ENV": "VERBOSE", **said},
    )
    assert found.stdout.split() == [told]
    assert f"= '{waits}'" in found.stderr


def test_the_command_line_says_so_before_torch_is_loaded():
    code = "import os, sys; from uncertainty.cli import main; sys.argv[1:] = ['--version']\n"
    code += "try: main()\nexcept SystemExit: print(os.environ['OMP_WAIT_POLICY'])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": "."})
    assert found.stdout.split()[-1] == "PASSIVE"
