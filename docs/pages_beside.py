"""Pages that lie beside `docs/` in the repository, so that links lead to them on the site as they do in the files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
BESIDE = ("CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/*.md", "experiments/*.md", "experiments/results/*.[mp][dn]*")


def on_files(files: Any, config: Any) -> Any:
    """Add them under the names that they have from the top of the repository."""
    for path in sorted(path for pattern in BESIDE for path in ROOT.glob(pattern)):
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links out of `docs/` stay inside the site: `../experiments/` lies beside the page there."""
    if "/" in page.file.src_uri:
        return markdown
    return re.sub(r"\]\(\.\./(?=experiments/|benchmarks/|[A-Z]+\.md)", "](", markdown)
