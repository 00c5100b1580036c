from __future__ import annotations

import sys
from pathlib import Path

import pytest

from uncertainty.classifiers.source import Source, changed


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that says so when any of it is imported."""
    root = tmp_path / "never_imported"
    (root / "inner").mkdir(parents=True)
    for file in (root / "__init__.py", root / "inner" / "__init__.py", root / "inner" / "nets.py"):
        file.write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    return root


def test_the_file_is_found_without_importing_anything(package: Path) -> None:
    found = Source.of("never_imported.inner.nets:factory?weights=w.pth")
    assert found is not None
    assert Path(found.file) == package / "inner" / "nets.py"
    assert Path(str(Source.of("never_imported:factory")).partition("'")[2].partition("'")[0]).name == "__init__.py"
    assert not any(name.startswith("never_imported") for name in sys.modules)


@pytest.mark.parametrize(
    "target", ["no_such_module_at_all:x", "never_imported.absent:x", "sys:exit", "", ":", "a..b:c"]
)
def test_there_may_be_none(target: str, package: Path) -> None:
    assert Source.of(target) is None
    assert changed(target, Source("x.py", "0" * 64)) is None


def test_another_content_is_told_and_another_place_with_the_same_is_not(package: Path) -> None:
    then = Source.of("never_imported.inner.nets:factory")
    assert then is not None
    assert changed("never_imported.inner.nets:factory", then) is None
    assert changed("never_imported.inner.nets:factory", then._replace(file="/elsewhere/nets.py")) is None
    (package / "inner" / "nets.py").write_text("raise SystemExit('changed')\n")
    said = changed("never_imported.inner.nets:factory", then)
    assert said is not None
    assert said.startswith(str(package / "inner" / "nets.py"))
    assert then.sha256[:12] in said
