"""The OpenAPI document against the service: whatever it allows to be sent, no answer is one that it does not know."""

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
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


@pytest.fixture(scope="module")
def document(world, tmp_path_factory):
    root = tmp_path_factory.mktemp("served")
    served = {"stripes": InMemory(root, lambda: world.screener)}
    app = create_app(ServiceSettings(served, store=root / "kept.sqlite", hosts=("testserver",)))
    yield schemathesis.openapi.from_asgi("/openapi.json", app)
    app.state.parts.close()


schema = schemathesis.pytest.from_fixture("document")


@schema.parametrize()
@settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_one_that_is_documented(case):
    case.call_and_validate(checks=CHECKS)


def test_every_route_has_examples_or_parameters_that_are_described(document):
    paths = document.raw_schema["paths"]
    body = paths["/v1/screen"]["post"]["requestBody"]["content"]
    assert {"image/jpeg", "multipart/form-data", "application/json"} <= set(body)
    assert body["application/json"]["example"]
    assert paths["/v1/screen"]["post"]["responses"]["200"]["content"]["application/json"]["example"]
    assert all(one.get("summary") for path in paths.values() for one in path.values())
