"""The HTTP API for programs: `/v1/denoise`, `/v1/estimate`, `/v1/models`."""

import json
import re
from pathlib import PurePosixPath
from typing import Any
from unicodedata import normalize
from urllib.parse import quote

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from quietpixel.files import FORMATS, format_of_name, split_ending, writable_formats
from quietpixel.web.app_state import AppState, get_app_state
from quietpixel.web.parameters import PARAMETERS, check_names, read_settings
from quietpixel.web.problems import problem_responses
from quietpixel.web.processing import Result, denoise, estimate
from quietpixel.web.uploads import ChunkedResponse

router = APIRouter(prefix="/v1", tags=["images"], responses=problem_responses(401, 403, 421))

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {"file": _BINARY["schema"]},
}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One image file, as the body or as the only part of a form.",
        "content": {
            "multipart/form-data": {"schema": _FORM},
            "application/octet-stream": _BINARY,
            "image/*": _BINARY,
        },
    }
}
HEADERS = {
    "Content-Disposition": ("File name of the result.", "string"),
    "Quietpixel-Model": ("Name of the model.", "string"),
    "Quietpixel-Sigma": ("Noise level that was used, if the model takes one.", "number"),
    "Quietpixel-Notes": ("JSON list of notes on the result.", "string"),
    "Quietpixel-Picture": ("JSON description of the file, as from /v1/estimate.", "string"),
    "Server-Timing": ("Milliseconds for reading, denoising and writing.", "string"),
}
IMAGE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The denoised image: same size, depth, profile and metadata.",
        "content": {FORMATS[name].media_type: _BINARY for name in writable_formats()},
        "headers": {
            name: {"description": text, "schema": {"type": kind}}
            for name, (text, kind) in HEADERS.items()
        },
    }
}
UPLOAD = problem_responses(400, 408, 413, 415, 422, 500, 503)


def example(**values: Any) -> ConfigDict:
    """Return the configuration of a response whose description shows an example."""
    return ConfigDict(json_schema_extra={"examples": [values]})


class Estimate(BaseModel):
    """The noise level of an image file and a description of the file."""

    model_config = example(
        sigma=0.1,
        sigma_255=25.5,
        kinds=["fine"],
        coarse=False,
        channels="rgb",
        law="poisson:40+gaussian:0.05",
        format="png",
        width=400,
        height=300,
        pages=1,
        colour="gray",
        alpha=False,
        type="uint8",
        profile=False,
        notes=[],
    )

    sigma: float
    sigma_255: float
    kinds: list[str]
    coarse: bool
    channels: str
    law: str | None
    format: str
    width: int
    height: int
    pages: int
    colour: str
    alpha: bool
    type: str
    profile: bool
    notes: list[str]


class ModelList(BaseModel):
    """The cards of all models, and the default models for gray and RGB images."""

    model_config = example(
        models=[{"name": "photo", "channels": 3, "sigma_input": True}],
        default={"gray": "photo", "rgb": "photo"},
    )

    models: list[dict[str, Any]]
    default: dict[str, str | None]


@router.post(
    "/denoise",
    summary="Denoise an image",
    response_class=Response,
    responses={**IMAGE, **UPLOAD},
    openapi_extra={"parameters": PARAMETERS, **BODY},
)
async def denoise_upload(request: Request) -> Response:
    """Send an image file; it comes back denoised, in the same format unless asked otherwise."""
    app_state = get_app_state(request)
    models, options = app_state.models, app_state.options
    settings = read_settings(
        request.query_params, options.denoise, options.limits.max_pixels, more=("job",)
    )
    models.choose(settings.options.model)  # reports an unknown name before the upload
    name, result = await app_state.process(
        request,
        lambda upload, progress: (upload.name, denoise(models, upload, settings, progress)),
        job=request.query_params.get("job"),
    )
    return image_response(app_state, name, result)


def image_response(app_state: AppState, name: str, result: Result) -> Response:
    """Return a denoised image file with the headers that describe it."""
    app_state.metrics.pixels.labels(result.model).inc(result.pixels)
    headers = {
        **result_headers(result),
        "Content-Disposition": disposition(name, result.format),
        # Headers are Latin-1, and a model may have any file name.
        "Quietpixel-Model": quote(result.model, safe=" ()+,.-_"),
        "Quietpixel-Notes": json.dumps(result.notes),
        "Quietpixel-Picture": json.dumps(result.picture),
    }
    media_type = FORMATS[result.format].media_type
    return ChunkedResponse(result.content, app_state.memory, media_type, headers)


@router.post(
    "/estimate",
    summary="Estimate the noise level of an image",
    responses=UPLOAD,
    openapi_extra=BODY,
)
async def estimate_upload(request: Request) -> Estimate:
    """Send an image file; its noise level and a description of the file come back."""
    check_names(request.query_params, ())
    app_state = get_app_state(request)
    max_pixels = app_state.options.limits.max_pixels
    found = await app_state.process(
        request, lambda upload, progress: estimate(app_state.models, upload, max_pixels, progress)
    )
    return Estimate(**found)


@router.get("/models", summary="List the models")
async def list_models(request: Request) -> ModelList:
    """Return the card of every model, and the default models."""
    return ModelList(**get_app_state(request).models.describe())


def result_headers(result: Result) -> dict[str, str]:
    """Return the timing and the noise level of a result as headers."""
    timing = (f"{step};dur={1000 * seconds:.1f}" for step, seconds in result.seconds.items())
    headers = {"Server-Timing": ", ".join(timing)}
    if result.sigma is not None:
        headers["Quietpixel-Sigma"] = f"{result.sigma:.6g}"
    return headers


def disposition(name: str, format: str) -> str:
    """Return the header that names a download after its upload, with ``-clean`` added.

    Examples
    --------
    >>> print(disposition("caf\u00e9.JPG", "jpeg"))
    attachment; filename="cafe-clean.JPG"; filename*=UTF-8''caf%C3%A9-clean.JPG
    """
    path = PurePosixPath(name.replace("\\", "/"))
    same = format_of_name(path) == format
    # The sender's own spelling, such as .JPG, where the format stays.
    stem, ending = split_ending(path.name)
    ending = ending if same else FORMATS[format].suffixes[0]
    # Most file systems take 255 bytes, and a letter can take several.
    stem = stem[:150] or "picture"
    # curl and other simple clients read only `filename`, which must be ASCII without quotes.
    letters = normalize("NFKD", stem).encode("ascii", "ignore").decode().strip() or "picture"
    plain = re.sub(r"[^\w .()+,-]", "_", letters)
    coded = quote(f"{stem}-clean{ending}", safe="")
    return f"attachment; filename=\"{plain}-clean{ending}\"; filename*=UTF-8''{coded}"
