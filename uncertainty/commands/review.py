"""`uncertainty review`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from uncertainty.commands.network_options import NetworkOptions, with_screener_options
from uncertainty.commands.options import ScreenedHere
from uncertainty.commands.serve import AllowedHost, Host, Port, Token
from uncertainty.commands.shared import say, say_notes
from uncertainty.defaults import EXPLORE, LEASE, STOP_BELOW
from uncertainty.verbs.ranges import limits

Screener = Annotated[
    Path | None, typer.Option(help="Folder that `uncertainty fit` wrote; to look again, and to be updated.")
]
Images = Annotated[Path | None, typer.Option(help="Where the screened images are now.")]
Reference = Annotated[Path | None, typer.Option(help="Its known-good images, to show the nearest ones.")]
Explore = Annotated[
    float, typer.Option(**limits("explore"), help="Share drawn at random, so that accuracy can be estimated.")
]
Second = Annotated[
    float, typer.Option(**limits("second"), help="Share that a second person sees too, to tell how far they agree.")
]
Strategy = Annotated[str, typer.Option(help="What comes first: one of the strategies of `rank`.")]
StopBelow = Annotated[
    float, typer.Option(**limits("stop_below"), help="Share of errors from which on a look is worth it.")
]
Lease = Annotated[float, typer.Option(**limits("lease"), help="Seconds after which an image goes to somebody else.")]
Seed = Annotated[int, typer.Option(**limits("seed"), help="Of what is drawn.")]
Database = Annotated[Path | None, typer.Option(help="File that keeps the labels.", show_default="review.sqlite in OUT")]
ExportOnly = Annotated[bool, typer.Option("--export-only", help="Write the labels so far as a table, and leave.")]


@with_screener_options
def review(
    out: ScreenedHere,
    screener: Screener = None,
    images: Images = None,
    reference: Reference = None,
    explore: Explore = EXPLORE,
    second: Second = 0.0,
    strategy: Strategy = "uncertainty",
    stop_below: StopBelow = STOP_BELOW,
    lease: Lease = LEASE,
    seed: Seed = 0,
    database: Database = None,
    export_only: ExportOnly = False,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    token: Token = None,
    allowed_host: AllowedHost = [],  # noqa: B006
    *,
    network: NetworkOptions,
) -> None:
    """Look at what was screened, and label it, in a browser: uncertainty review OUT --screener SCREENER."""
    from uncertainty.service.extra import needed

    needed()
    from uncertainty.service.desk.desk import DeskSettings
    from uncertainty.service.desk.plan import Plan

    settings = DeskSettings(
        out,
        None if screener is None else network.saved(screener),
        images=images,
        reference=reference,
        database=database,
        plan=Plan(explore, second, strategy, seed),
        stop_below=stop_below,
        lease=lease,
    )
    if export_only:
        _export(settings)
    else:
        _serve(settings, host=host, port=port, token=token, hosts=tuple(allowed_host))


def _export(settings: Any) -> None:
    from contextlib import closing

    from uncertainty.service.desk.desk import Desk

    with closing(Desk(settings)) as desk:
        say(f"labels written to {desk.write_labels()}")


def _serve(settings: Any, **where: Any) -> None:
    from uncertainty.service.desk.serving import serve_desk
    from uncertainty.service.settings import ServiceSettings

    service = ServiceSettings(**where)
    page = "desk" if service.token is None else "session"
    serve_desk(settings, service, lambda url: say(f"review at {url}/{page}; interrupt to end"), say_notes)
