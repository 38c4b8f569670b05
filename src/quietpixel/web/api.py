"""What programs call: `/v1/denoise`, `/v1/estimate`, `/v1/models`."""

import json
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from quietpixel.files import FORMATS
from quietpixel.files.formats import format_of_name
from quietpixel.web.app_state import AppState, get_app_state
from quietpixel.web.openapi import BODY, PARAMETERS, PICTURE, problems
from quietpixel.web.processing import MEDIA_TYPES, Result, denoise, estimate
from quietpixel.web.request_parameters import check_words, read_denoise_request
from quietpixel.web.streaming import Parts

router = APIRouter(prefix="/v1", tags=["pictures"])

UPLOAD = problems(400, 408, 413, 422, 500, 503)


class Estimate(BaseModel):
    """The noise of a picture file, and what the file is."""

    sigma: float
    sigma_255: float
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
    """The models of the service with their cards, and which is taken for gray and for RGB."""

    models: list[dict[str, Any]]
    default: dict[str, str | None]


@router.post(
    "/denoise",
    summary="Take the noise out of a picture",
    response_class=Response,
    responses={**PICTURE, **UPLOAD},
    openapi_extra={**PARAMETERS, **BODY},
)
async def denoise_upload(request: Request) -> Response:
    """Send a picture file; the same kind of file comes back, clean."""
    app_state = get_app_state(request)
    wanted = read_denoise_request(request.query_params, more=("job",))
    if wanted.options.model is not None:
        app_state.models.choose(
            str(wanted.options.model), 3
        )  # a wrong name is told before the upload
    most = app_state.options.limits.pixels
    async with app_state.upload(request) as upload:
        result = await app_state.do(
            request,
            lambda watch: denoise(app_state.models, upload.file, wanted, most, watch),
            name=request.query_params.get("job"),
        )
    app_state.metrics.count("quietpixel_pixels_total", result.pixels, model=result.model)
    return answer(app_state, result, upload.name)


@router.post(
    "/estimate",
    summary="Estimate the noise of a picture",
    responses=UPLOAD,
    openapi_extra=BODY,
)
async def estimate_upload(request: Request) -> Estimate:
    """Send a picture file; its noise level comes back, and what the file is."""
    check_words(request.query_params, ())
    app_state = get_app_state(request)
    most = app_state.options.limits.pixels
    async with app_state.upload(request) as upload:
        found = await app_state.do(request, lambda watch: estimate(upload.file, most))
    return Estimate(**found)


@router.get("/models", summary="List the models", responses=problems())
async def list_models(request: Request) -> ModelList:
    """Return every model by name with what its card says."""
    models = get_app_state(request).models
    return ModelList(
        models=[{**asdict(card), "name": name} for name, card in models.cards.items()],
        default={"gray": models.default(1), "rgb": models.default(3)},
    )


def answer(app_state: AppState, result: Result, name: str) -> Response:
    """Return a result as a file to download."""
    headers = {
        "Content-Disposition": disposition(name, result.format),
        "Quietpixel-Model": quote(result.model, safe=" ()+,.-_"),
        "Quietpixel-Notes": json.dumps(result.notes),
        "Quietpixel-Picture": json.dumps(result.picture),
        "Server-Timing": ", ".join(
            f"{step};dur={seconds * 1000:.1f}" for step, seconds in result.seconds.items()
        ),
    }
    if result.sigma is not None:
        headers["Quietpixel-Sigma"] = f"{result.sigma:.6g}"
    return Parts(result.content, app_state.held, MEDIA_TYPES[result.format], headers)


def disposition(name: str, format: str) -> str:
    """Return the header that gives a download its name: that of the upload with ``-clean``.

    Examples
    --------
    >>> disposition("holiday.JPG", "jpeg")
    "attachment; filename*=UTF-8''holiday-clean.JPG"
    >>> disposition("../../etc/passwd", "png")
    "attachment; filename*=UTF-8''passwd-clean.png"
    """
    path = PurePosixPath(name.replace("\\", "/"))
    same = format_of_name(path) == format  # type: ignore[arg-type]
    ending = path.suffix if same else FORMATS[format].suffixes[0]
    stem = "".join(letter for letter in path.stem if letter.isprintable())[:150] or "picture"
    return f"attachment; filename*=UTF-8''{quote(f'{stem}-clean{ending}', safe='')}"
