"""`uncertainty doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncertainty.commands.options import Device, Model, Trusted
from uncertainty.commands.shared import console, plainly, say, say_notes
from uncertainty.errors import InputError


def doctor(
    image: Annotated[str | None, typer.Argument(help="With --model: an image to classify.", show_default=False)] = None,
    model: Model = None,
    classes: Annotated[Path | None, typer.Option(help="Class names in output order: .txt or JSON.")] = None,
    show: Annotated[
        Path | None, typer.Option(help="Write a picture of what the network is given of the image: a .png file.")
    ] = None,
    device: Device = None,
    trust_model_file: Trusted = False,
) -> None:
    """Say what is installed, or what is found out about a model: uncertainty doctor [--model SPEC [IMAGE]]."""
    from uncertainty.commands.tables import doctor_table, doctor_warnings

    if model is None:
        if image is not None or show is not None:
            raise InputError("an image is looked at by a model; give --model SPEC too")
        console().print(doctor_table())
        say_notes(doctor_warnings())
        return
    from uncertainty.workflows.examine import examine
    from uncertainty.workflows.fit import ModelSource

    for what, found in examine(ModelSource(model, classes, device=device, trust=trust_model_file), image, show):
        say(f"{what + ':':25} {plainly(found)}")
