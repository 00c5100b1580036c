"""Images as pictures, and what needs the network again, one image at a time."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from uncertainty.errors import ImageError, MissingDependencyError, UncertaintyError
from uncertainty.images.previews import webp_uri
from uncertainty.service.desk.asking import Item, Token, answered, known
from uncertainty.service.desk.desk import Desk
from uncertainty.service.problems import Refused


def add_looks(router: APIRouter, desk: Desk) -> None:
    """Add the pictures, and known-good images, heat map and explanation of an image."""
    kept = {"cache-control": "private, max-age=3600"}

    @router.get("/desk/picture/{item}")
    @answered
    def picture(item: Item, size: Annotated[str, Query(pattern="^(shown|whole)$")] = "shown", token: Token = "") -> Any:
        known(desk, token)
        if item >= len(desk.screened.names):
            raise ImageError("is not one of this review")
        return Response(desk.shown.picture(item, size), media_type="image/webp", headers=kept)

    def looked(item: int, token: str, look: str) -> Any:
        known(desk, token)
        if desk.looks is None:
            raise Refused(404, "no_screener", "no screener was given to look at images again")
        if item >= len(desk.screened.names):
            raise ImageError("is not one of this review")
        try:
            return getattr(desk.looks, look)(item)
        except ImageError:
            raise
        except MissingDependencyError as error:
            raise Refused(501, "not_installed", str(error)) from error
        except UncertaintyError as error:
            raise Refused(422, "no_look", _without_folders(desk, str(error))) from error

    @router.get("/desk/nearest/{item}")
    @answered
    def nearest(item: Item, token: Token = "") -> Response:
        found = looked(item, token, "nearest")
        found["known_good"] = [webp_uri(one) for one in found["known_good"]]
        return JSONResponse(found, headers=kept)

    @router.get("/desk/heat/{item}")
    @answered
    def heat(item: Item, token: Token = "") -> Response:
        return JSONResponse(looked(item, token, "heat"), headers=kept)

    @router.get("/desk/explained/{item}")
    @answered
    def explained(item: Item, token: Token = "") -> Response:
        return JSONResponse({"lines": looked(item, token, "explained").words()[1:]}, headers=kept)


def _without_folders(desk: Desk, text: str) -> str:
    """Leave out where files lie on the machine that serves."""
    asked = desk.settings
    places = [asked.out, asked.reference, asked.images, None if asked.saved is None else asked.saved.folder]
    for place in places:
        text = text if place is None else text.replace(str(place), place.name)
    return text
