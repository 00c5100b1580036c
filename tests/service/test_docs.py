"""The client of the page works against a service."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "service.md"


def test_the_client_of_the_page(world, service, tmp_path):
    (script,) = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len([line for line in script.splitlines() if line and "import" not in line]) <= 30
    names = {}
    exec(compile(script, "service.md", "exec"), names)
    paths = sorted(world.incoming.iterdir())
    client = names["Screening"](*service.place)
    for keep in (False, True):
        assert [row["file_name"] for row in client.rows(paths, keep=keep)] == [path.name for path in paths]
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    assert "cannot identify" in next(client.rows([bad]))["error"]
    client.connection.close()
