#!/usr/bin/env bash
# Tests that schemathesis makes from a fixture do not run under pytest 9.2.
#
# Versions: schemathesis 4.32.5, pytest 9.2.0, fastapi 0.165.0.
# Expected: `schemathesis.pytest.from_fixture(...)` gives a test for each operation; its requirement allows this pytest.
# Seen: every such test fails with "'Function' object has no attribute '_nodeid'" before a request is sent, though the
#   service answers well. Hypothesis with `document[path][method].as_strategy()` does the same work and runs.
# Source: schemathesis/pytest/lazy.py, which reads and sets `request.node._nodeid`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet schemathesis==4.32.5 pytest==9.2.0 fastapi==0.165.0
cat > "$folder/test_made.py" <<'PY'
import pytest
import schemathesis
from fastapi import FastAPI


@pytest.fixture
def document():
    app = FastAPI()

    @app.get("/ok")
    def ok() -> dict[str, str]:
        return {}

    return schemathesis.openapi.from_asgi("/openapi.json", app)


schema = schemathesis.pytest.from_fixture("document")


@schema.parametrize()
def test_made(case):
    case.call_and_validate()
PY
cd "$folder"
"$folder/venv/bin/pytest" -q -p no:cacheprovider test_made.py | grep _nodeid
