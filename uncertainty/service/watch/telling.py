"""Each batch is told to a URL and to a command, as JSON; what did not arrive is told again, after pauses that grow."""

from __future__ import annotations

import json
import shlex
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from uncertainty.errors import in_one_line
from uncertainty.service.watch.settings import Told

_FIRST, _LONGEST = 1.0, 60.0


@dataclass
class Teller:
    """Tells batches; each one at least once, in their order."""

    told: Told
    key: str
    """Of the watched folder: with the number of the batch it tells who gets one twice."""
    pause: float = 0.0

    def tell(self, content: dict[str, Any]) -> str | None:
        """Tell one batch; return why it has to be told again after `pause` seconds, None where it has not."""
        body = json.dumps(content).encode() + b"\n"
        why = self._posted(body, content["batch"]) or self._ran(body)
        self.pause = 0.0 if why is None else min(_LONGEST, 2 * self.pause or _FIRST)
        return why

    def _posted(self, body: bytes, number: int) -> str | None:
        if self.told.webhook is None:
            return None
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"{self.key}-{number}"}
        request = urllib.request.Request(self.told.webhook, body, headers)  # noqa: S310, of http or https, see Told
        try:
            with urllib.request.urlopen(request, timeout=self.told.timeout) as answer:  # noqa: S310
                answer.read(1 << 16)
        except urllib.error.HTTPError as error:
            error.close()
            return f"the webhook at {self.told.host} answered {error.code}"
        except (OSError, ValueError) as error:
            return f"the webhook at {self.told.host} can't be reached ({in_one_line(error)})"
        return None

    def _ran(self, body: bytes) -> str | None:
        if self.told.command is None:
            return None
        words = shlex.split(self.told.command)
        try:
            done = subprocess.run(words, input=body, timeout=self.told.timeout, check=False)  # noqa: S603, the user's own
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{words[0]} failed ({in_one_line(error)})"
        return f"{words[0]} ended with status {done.returncode}" if done.returncode else None
