"""`uncertainty serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uncertainty.commands.network_options import NetworkOptions, with_network_options
from uncertainty.commands.shared import say, say_notes

if TYPE_CHECKING:
    from collections.abc import Sequence

Host = Annotated[str, typer.Option(help="Interface to listen at; another than loopback takes a token.")]
Port = Annotated[int, typer.Option(help="Port to listen at; 0: a free one.")]
Token = Annotated[
    str | None,
    typer.Option(help="What requests must bear.", envvar="UNCERTAINTY_TOKEN", show_envvar=True, show_default=False),
]
AllowedHost = Annotated[
    list[str], typer.Option("--allowed-host", help="Another name that the service is called by; repeatable.")
]


@with_network_options
def serve(
    screeners: Annotated[list[str], typer.Argument(help="Folders that `uncertainty fit` wrote, or NAME=FOLDER.")],
    host: Host = "127.0.0.1",
    port: Port = 8000,
    token: Token = None,
    allowed_host: AllowedHost = [],  # noqa: B006
    allow_urls: Annotated[bool, typer.Option("--allow-urls", help="Fetch images that requests name by URL.")] = False,
    store: Annotated[Path | None, typer.Option(help="SQLite file for verdicts that are to be kept.")] = None,
    queue: Annotated[int, typer.Option(help="Images that may wait; beyond it the answer is 503.")] = 512,
    max_images: Annotated[int, typer.Option(help="Images in a request.")] = 64,
    max_megabytes: Annotated[int, typer.Option(help="Size of a request.")] = 20,
    window: Annotated[int, typer.Option(help="Newest images that /v1/monitor looks at.")] = 1000,
    *,
    network: NetworkOptions,
) -> None:
    """Judge images over HTTP: uncertainty serve SCREENER --port 8000."""
    from uncertainty.service.extra import needed

    needed()
    from uncertainty.service.settings import Batching, Limits, ServiceSettings

    settings = ServiceSettings(
        screeners={name: network.saved(folder) for name, folder in named(screeners).items()},
        host=host,
        port=port,
        token=token,
        hosts=tuple(allowed_host),
        allow_urls=allow_urls,
        store=store,
        window=window,
        batching=Batching(batch_size=network.batch_size, workers=network.workers, queue=queue),
        limits=Limits(body=max_megabytes << 20, images=max_images),
    )
    from uncertainty.service.app import create_app
    from uncertainty.service.server import run

    app = create_app(settings)
    for served in app.state.parts.screeners.all():
        say(f"{served.name}: {served.lane.screener.describe()}")
        say_notes(served.lane.screener.decision.notes(served.lane.screener.model.classes))
    run(app, settings, ready=lambda url: say(f"listening at {url}; interrupt to end"))


def named(given: Sequence[str]) -> dict[str, Path]:
    """Return folders by name: the one before a `=`, or else that of the folder.

    Raises InputError for a name given twice.

    >>> named(["out/roofs", "old=out/roofs-2024"])
    {'roofs': PosixPath('out/roofs'), 'old': PosixPath('out/roofs-2024')}
    """
    from uncertainty.errors import InputError

    found: dict[str, Path] = {}
    for one in given:
        before, sign, after = one.partition("=")
        folder = Path(after if sign else one)
        name = before if sign else folder.resolve().name
        if name in found:
            raise InputError(f"two screeners are called {name!r}; write NAME={folder} to call one otherwise")
        found[name] = folder
    return found
