"""The web page and the routes that only the page uses: previews, views, progress."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from quietpixel.batch.denoise import FolderScale
from quietpixel.errors import ArgumentError, TooLargeError
from quietpixel.files import FORMATS
from quietpixel.imaging.intensity_scale import Scale
from quietpixel.inference.coarse_noise import can_find
from quietpixel.web.api import result_headers
from quietpixel.web.app_state import Progress, get_app_state
from quietpixel.web.digit_parts import find_digit_model
from quietpixel.web.parameters import check_names, read_number, read_settings
from quietpixel.web.problems import RefusalError
from quietpixel.web.processing import Upload, denoise, estimate, view
from quietpixel.web.uploads import ChunkedResponse

router = APIRouter(include_in_schema=False)

STATIC = Path(__file__).with_name("static")
FILES = {path.name: path for path in STATIC.iterdir()}
PAGES = {"/": "index.html", "/docs": "docs.html"}
# Windows may have other types for these in its registry, and browsers then refuse the scripts.
MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
PREVIEW_PIXELS = 10_000_000
"""Most pixels of a preview: a screen of 3840 x 2160 with its margin."""


@router.get("/")
@router.get("/docs")
@router.get("/static/{name}")
async def get_file(request: Request) -> Response:
    """Return a file of the page."""
    path = FILES.get(PAGES.get(request.url.path) or request.path_params["name"])
    if path is None:
        raise HTTPException(404)
    content = path.read_bytes()
    # Browsers ask each time and get 304 unless the content has changed. Its hash is the tag
    # because an update may leave the time and the size of a file as they were.
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"Cache-Control": "no-cache", "ETag": tag}
    known = request.headers.get("if-none-match", "").replace("W/", "").split(",")
    if tag in (each.strip() for each in known):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=MEDIA_TYPES[path.suffix])


@router.get("/page/setup")
async def get_setup(request: Request) -> JSONResponse:
    """Return limits, the number of parallel requests, the digit model and the file formats."""
    app_state = get_app_state(request)
    limits = app_state.options.limits
    return JSONResponse(
        {
            "in_hand": app_state.options.slots,
            "body": limits.max_body,
            "pixels": limits.max_pixels,
            "digits": find_digit_model(app_state.models),
            # Files of others may be chosen too: the answer says what to install.
            "formats": [kind.title for kind in FORMATS.values() if kind.remedy is None],
            "suffixes": [suffix for kind in FORMATS.values() for suffix in kind.suffixes],
        }
    )


@router.post("/page/preview")
async def denoise_preview(request: Request) -> Response:
    """Return a small image denoised, ahead of the queue of full-size images."""
    app_state = get_app_state(request)
    # Channels of a flat part have nothing in common but its noise, which says nothing of the whole.
    defaults = replace(app_state.options.denoise, channels="rgb")
    words = request.query_params
    settings = read_settings(words, defaults, PREVIEW_PIXELS, more=("camera",))
    options, models = settings.options, app_state.models
    card = models.cards[models.choose(options.model)]
    if "camera" in words and card.takes_level and not isinstance(options.sigma, str):
        # As in the whole image, which also spares measuring the part.
        camera = read_number("camera", words["camera"])
        if not 0 <= camera <= 1:
            raise ArgumentError(f"`camera` must lie between 0 and 1; got {camera:g}.")
        camera = camera if can_find(card) else 0.0
        scale = Scale(0, 255, 255, level=0, camera=camera)  # `sigma` is the level
        settings = replace(settings, scale=FolderScale("uint8", options.channels, (scale,)))
    result = await _process_part(
        request, lambda upload, progress: denoise(models, upload, settings, progress)
    )
    headers, media_type = result_headers(result), "application/octet-stream"
    return ChunkedResponse(result.content, app_state.memory, media_type, headers)


@router.post("/page/estimate")
async def estimate_part(request: Request) -> JSONResponse:
    """Return the noise level of a part of an image, ahead of the queue of full-size images."""
    models = get_app_state(request).models
    found = await _process_part(
        request, lambda upload, progress: estimate(models, upload, PREVIEW_PIXELS, progress)
    )
    return JSONResponse(found)


async def _process_part(request: Request, work: Callable[[Upload, Progress], Any]) -> Any:
    """Return what `work` makes of a small image, ahead of the queue of full-size images."""
    app_state = get_app_state(request)
    try:
        return await app_state.process(request, work, queue=app_state.previews)
    except TooLargeError as error:  # no option of the service raises this limit
        raise RefusalError(413, error.explain(None)) from error


@router.post("/page/view")
async def make_view(request: Request) -> Response:
    """Return an image in a format that browsers show."""
    app_state = get_app_state(request)
    check_names(request.query_params, ("range",))
    range, text = None, request.query_params.get("range")
    if text is not None:
        try:
            low, high = (float(part) for part in text.split(","))
        except ValueError:
            low, high = 1.0, 0.0
        # Beyond float32 the scaling would overflow; NaN fails the comparison too.
        if not -1e38 < low < high < 1e38:
            raise ArgumentError(
                "`range` must be two increasing numbers, black and white; "
                f"got '{text[:100]}'. Try 0,4095."
            )
        range = low, high
    max_pixels = app_state.options.limits.max_pixels
    content, media_type, shown = await app_state.process(
        request, lambda upload, _: view(upload, max_pixels, range)
    )
    headers = {"Quietpixel-Range": "{:.9g},{:.9g}".format(*shown)}
    return ChunkedResponse(content, app_state.memory, media_type, headers)


@router.get("/page/progress")
async def get_progress(request: Request) -> JSONResponse:
    """Return the completed fraction of each request named by ``job``; null while it waits."""
    jobs = get_app_state(request).jobs
    names = request.query_params.getlist("job")[:100]
    return JSONResponse({name: jobs[name].fraction for name in names if name in jobs})
