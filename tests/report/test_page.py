"""One file, from which nothing that data hold can break out."""

import base64
import hashlib
import html
import json
import re

import pytest

from uncertainty.report.page import SCRIPTS, embedded, page
from uncertainty.report.words import Stressed

NASTY = "</script><!--<script>&amp;\u2028\u2029\u0000'\"\\ \ud800"


def built(data=None, beside=False, title="A title"):
    return page(
        title, [["plain ", "too, ", Stressed("stressed"), " <plain>"]], {} if data is None else data, beside=beside
    )


def test_data_come_back_and_hold_nothing_a_parser_minds():
    text = embedded({"a": NASTY, NASTY: [1, None, True]})
    assert json.loads(text) == {"a": NASTY, NASTY: [1, None, True]}
    assert not re.search("[<>&\u2028\u2029\ud800]", text)
    with pytest.raises(ValueError, match="Out of range float"):
        embedded([float("nan")])


def test_data_that_name_a_place_of_the_template_stay_data():
    text = built({"name": "@@SCRIPT@@ @@STYLE@@"}, title="@@DATA@@ <i>")
    assert text.count("'use strict'") == 1
    assert "@@DATA@@ &lt;i&gt;" in text
    assert "plain too, <strong>stressed</strong> &lt;plain&gt;" in text


def test_the_policy_allows_this_script_and_this_style_alone():
    text = built()
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1])
    assert policy.startswith("default-src 'none'; ")
    for kind, pattern in (("script", r"<script>(.*?)</script>"), ("style", r"<style>(.*?)</style>")):
        (content,) = re.findall(pattern, text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "img-src data:;" in policy
    assert "img-src data: 'self' file:;" in built(beside=True)
    assert "unsafe" not in policy


def test_scripts_make_elements_and_never_parse_text():
    from importlib import resources

    folder = resources.files("uncertainty.report") / "assets"
    assert sorted(one.name for one in folder.iterdir() if one.name.endswith(".js")) == sorted(SCRIPTS)
    for name in SCRIPTS:
        script = (folder / name).read_text("utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|fetch\(|import\b", script
        )
        assert "</" not in script
        assert len(script.splitlines()) <= 350
