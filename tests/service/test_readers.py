"""Images, forms, JSON and heads that are nearly right: what reads them refuses them, and falls over none."""

import json

import pytest

from tests.service.readers import KINDS, bear, sent
from tests.service.saved import InMemory
from uncertainty.service.app import create_app
from uncertainty.service.settings import ServiceSettings

EXAMPLES = {"images": 250, "forms": 120, "documents": 100, "heads": 150}


@pytest.fixture(scope="module")
def app(world, tmp_path_factory):
    root = tmp_path_factory.mktemp("read")
    app = create_app(ServiceSettings({"stripes": InMemory(root, lambda: world.screener)}, store=root / "kept.sqlite"))
    yield app
    app.state.parts.close()


@pytest.fixture(autouse=True)
def quiet(caplog):
    caplog.set_level("ERROR", "python_multipart")


@pytest.mark.parametrize("kind", KINDS)
def test_requests_that_are_nearly_right(app, kind):
    bear(app, kind, EXAMPLES[kind])


def test_a_form_without_an_end_loses_no_image_silently(app, image):
    def part(name):
        return b'--part\r\nContent-Disposition: form-data; name="i"; filename="%s"\r\n\r\n%s\r\n' % (name, image)

    whole = part(b"a.png") + part(b"b.png") + b"--part--"
    kind = [(b"host", b"127.0.0.1"), (b"content-type", b"multipart/form-data; boundary=part")]
    status, body = sent(app, "POST", "/v1/screen", head=kind, body=whole)
    assert (status, len(json.loads(body)["rows"])) == (200, 2)
    for cut in (2, len(b"--part--"), len(part(b"b.png")) // 2, len(whole)):
        status, body = sent(app, "POST", "/v1/screen", head=kind, body=whole[: len(whole) - cut])
        assert (status, json.loads(body)["error"]["code"]) == (400, "bad_form")
