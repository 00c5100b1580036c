"""One thread for every test: networks and matrices here are so small that several threads only wait for each other."""

import os

# Before NumPy and torch are imported, which read it once; processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
