"""`uncertainty export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from uncertainty.commands.options import TOOLS, Overwrite, Target
from uncertainty.commands.shared import say, say_notes
from uncertainty.figures import number_of
from uncertainty.images.remote import located


def export(
    source: Annotated[
        Any,
        typer.Argument(
            parser=located,
            metavar="SOURCE",
            help="Folder that `screen` wrote, or its URL, or a table, e.g. what `rank` wrote.",
        ),
    ],
    to: Annotated[Target, typer.Option(metavar="TOOL", help=f"The tool or library that opens it: {TOOLS}.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="New folder or .zip; for csv and parquet a file.")],
    images: Annotated[Path | None, typer.Option(help="Where the images are, if not where they were screened.")] = None,
    image_url_prefix: Annotated[
        str, typer.Option(help="Label Studio: what stands before names in addresses, e.g. s3://bucket/images/.")
    ] = "",
    copy: Annotated[
        bool | None, typer.Option("--copy/--link", help="Bring the images along, as copies or as links.")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="File of class names, for a table that is not beside its summary.json.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Export for a labelling tool: uncertainty export out/ranking.csv --to label-studio -o tasks/."""
    from uncertainty.classifiers.class_names import read_class_names
    from uncertainty.exports.base import Place
    from uncertainty.exports.export import export as exported

    names = read_class_names(classes) if classes else None
    place: Place = "nowhere" if copy is None else "copy" if copy else "link"
    how = {"image_url_prefix": image_url_prefix, "place": place, "overwrite": overwrite}
    done = exported(source, to, out, images=images, classes=names, **how)
    say_notes(done.notes)
    say(f"{number_of(done.images, 'image')} written to {done.path}")
