"""The service with limits of time that a test can wait for."""

import sys
from dataclasses import replace
from pathlib import Path

from uncertainty.screening.saved_screener import SavedScreener
from uncertainty.service import server
from uncertainty.service.app import create_app
from uncertainty.service.settings import Limits, ServiceSettings

if __name__ == "__main__":
    sys.path.append(".")
    saved = SavedScreener(Path("stripes"), "served_model:tiny?weights=weights.safetensors")
    settings = ServiceSettings({"stripes": saved}, port=0, limits=replace(Limits(), seconds=1.0))
    server.TimedProtocol.head_seconds = 1.0
    server.run(create_app(settings), settings, ready=lambda url: print(f"listening at {url};", flush=True))
