"""What the service counts of itself, for Prometheus."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
_PREFIX = "uncertainty_"


class Metrics:
    """Counters of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = r = CollectorRegistry()
        self.requests = Counter(f"{_PREFIX}requests", "Requests answered.", ["route", "status"], registry=r)
        self.seconds = Histogram(
            f"{_PREFIX}request_seconds", "From head to answer.", ["route"], buckets=_SECONDS, registry=r
        )
        self.images = Counter(f"{_PREFIX}images", "Images judged.", ["screener", "outcome"], registry=r)
        self.p_wrong = Counter(f"{_PREFIX}predicted_errors", "Sum of p_wrong.", ["screener"], registry=r)
        self.batch = Histogram(
            f"{_PREFIX}batch_images", "Images in a forward pass.", ["screener"], buckets=_SIZES, registry=r
        )
        self.batch_seconds = Counter(f"{_PREFIX}batch_seconds", "In forward passes.", ["screener"], registry=r)
        self.queue = Gauge(f"{_PREFIX}queue_images", "Images accepted and not judged.", ["screener"], registry=r)
        self.reloads = Counter(f"{_PREFIX}reloads", "Artifacts loaded anew.", ["screener", "outcome"], registry=r)
        self.kept = Counter(f"{_PREFIX}verdicts_kept", "Verdicts kept.", registry=r)
        self.alarm = Gauge(f"{_PREFIX}drift_alarm", "1 where the window has drifted.", ["screener"], registry=r)
        self.accuracy = Gauge(
            f"{_PREFIX}accuracy", "Estimated without labels over the window.", ["screener", "bound"], registry=r
        )
        self.window = Gauge(f"{_PREFIX}window_images", "Images in the window.", ["screener"], registry=r)


class Measured:
    """Counts requests by route, never by what a client makes up."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note how it ended."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.requests.labels(route, str(status or 500)).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - begun)
