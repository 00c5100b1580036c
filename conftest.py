"""The doctests of the service, like its tests, are for where its extra is installed."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("fastapi") else ["uncertainty/service/*"]
