#!/usr/bin/env bash
# openvino 2026.4.1 with openvino-telemetry 2025.2.0, which pip installs beside it: `import openvino` alone counts as use.
# Without a consent file consent is taken as given, an id of the user is written to ~/intel, and an event is handed to the
# sender. One would guess that a library which only runs models reports nothing, or asks first. With CI set it does not;
# `opt_in_out --opt_out` ends it for a user, and where openvino_telemetry can't be imported a stand-in takes its place.
# Seen 30 November 2026: consent True, event ('ov', 'import', 'general_import'), ~/intel/openvino_ga_cid.
# Nothing is sent here: what would send is replaced before.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 openvino-telemetry==2025.2.0 numpy==2.4.6
mkdir "$work/home"
cd "$work"
cat > import.py <<'PY'
import os
import sys
from pathlib import Path

if sys.argv[1] == "hidden":
    sys.modules["openvino_telemetry"] = None
else:
    from openvino_telemetry import Telemetry
    events = []
    Telemetry.send_event = lambda self, *what, **more: events.append((self.consent, *what))
import openvino

made = sorted(path.name for path in Path(os.environ["HOME"]).rglob("*") if path.is_file())
if sys.argv[1] == "hidden":
    print("hidden:", made)
    assert made == [], made
else:
    print(events, made)
    assert events[0][:3] == (True, "ov", "import"), events
    assert "openvino_ga_cid" in made, made
PY
env -u CI HOME="$work/home" "$work/venv/bin/python" import.py hidden
env -u CI HOME="$work/home" "$work/venv/bin/python" import.py seen
