"""The OpenAPI document against the service: whatever it allows to be sent, no answer is one that it does not know."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.service.saved import InMemory
from uncertainty.service.app import create_app
from uncertainty.service.settings import ServiceSettings

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def lasting(app):
    """The application without its end, which schemathesis would bring about after each operation."""

    async def asked(scope, receive, send):
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for what in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{what}.complete"})

    return asked


@pytest.fixture(scope="module")
def document(world, tmp_path_factory):
    root = tmp_path_factory.mktemp("served")
    served = {"stripes": InMemory(root, lambda: world.screener)}
    app = create_app(ServiceSettings(served, store=root / "kept.sqlite", hosts=("testserver",)))
    yield schemathesis.openapi.from_asgi("/openapi.json", lasting(app))
    app.state.parts.close()


OPERATIONS = [
    ("post", "/v1/screen"),
    ("post", "/v1/explain"),
    ("get", "/v1/verdicts"),
    ("get", "/v1/verdicts.parquet"),
    ("get", "/v1/monitor"),
    ("get", "/v1/info"),
    ("get", "/metrics"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("post", "/session"),
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_is_one_that_is_documented(document, method, path):
    @settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=document[path][method].as_strategy())
    def holds(case):
        case.call_and_validate(checks=CHECKS)

    holds()


def test_every_operation_is_tried(document):
    known = {(method, path) for path, methods in document.raw_schema["paths"].items() for method in methods}
    assert known == set(OPERATIONS)


def test_every_route_has_examples_or_parameters_that_are_described(document):
    paths = document.raw_schema["paths"]
    body = paths["/v1/screen"]["post"]["requestBody"]["content"]
    assert {"image/jpeg", "multipart/form-data", "application/json"} <= set(body)
    assert body["application/json"]["example"]
    assert paths["/v1/screen"]["post"]["responses"]["200"]["content"]["application/json"]["example"]
    assert all(one.get("summary") for path in paths.values() for one in path.values())
