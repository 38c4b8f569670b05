"""The page and what it alone asks: its files, previews, views for the screen, progress."""

from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, JSONResponse, Response

from quietpixel.errors import ArgumentError
from quietpixel.web.app_state import get_app_state
from quietpixel.web.digits import digit_model
from quietpixel.web.processing import denoise, estimate, view
from quietpixel.web.request_parameters import check_words, read_denoise_request
from quietpixel.web.streaming import Parts

router = APIRouter(include_in_schema=False)

STATIC = Path(__file__).with_name("static")
PREVIEW_PIXELS = 3_000_000
"""The most that a preview may have: it must come at once."""


@router.api_route("/", methods=["GET", "HEAD"])
async def show_page() -> FileResponse:
    """Return the page."""
    return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})


@router.api_route("/docs", methods=["GET", "HEAD"])
async def show_docs() -> FileResponse:
    """Return the page that shows the OpenAPI document."""
    return FileResponse(STATIC / "docs.html", headers={"Cache-Control": "no-cache"})


@router.get("/page/setup")
async def tell_setup(request: Request) -> JSONResponse:
    """Return what the page must know: models, limits, how much to send at once."""
    app_state = get_app_state(request)
    limits = app_state.options.limits
    digits = digit_model(app_state.models)
    return JSONResponse(
        {
            "in_hand": app_state.options.in_hand,
            "body": limits.body,
            "pixels": limits.pixels,
            "preview": PREVIEW_PIXELS,
            "digits": digits,
        }
    )


@router.post("/page/preview")
async def denoise_preview(request: Request) -> Response:
    """Return a small picture denoised, before the large ones that wait."""
    app_state = get_app_state(request)
    wanted = read_denoise_request(request.query_params)
    async with app_state.upload(request) as upload:
        result = await app_state.do(
            request,
            lambda watch: denoise(app_state.models, upload.file, wanted, PREVIEW_PIXELS, watch),
            queue=app_state.quick,
        )
    timing = ", ".join(f"{step};dur={1000 * took:.1f}" for step, took in result.seconds.items())
    headers = {"Server-Timing": timing}
    if result.sigma is not None:
        headers["Quietpixel-Sigma"] = f"{result.sigma:.6g}"
    return Parts(result.content, app_state.held, "application/octet-stream", headers)


@router.post("/page/estimate")
async def estimate_part(request: Request) -> JSONResponse:
    """Return the noise of a part of a picture, before the large ones that wait."""
    app_state = get_app_state(request)
    async with app_state.upload(request) as upload:
        found = await app_state.do(
            request, lambda watch: estimate(upload.file, PREVIEW_PIXELS), queue=app_state.quick
        )
    return JSONResponse(found)


@router.post("/page/view")
async def make_view(request: Request) -> Response:
    """Return a picture that the browser cannot show as one that it can."""
    app_state = get_app_state(request)
    check_words(request.query_params, ("range",))
    wanted = _read_range(request.query_params.get("range"))
    most = app_state.options.limits.pixels
    async with app_state.upload(request) as upload:
        shown = await app_state.do(request, lambda watch: view(upload.file, most, wanted))
    headers = {"Quietpixel-Range": "{:.9g},{:.9g}".format(*shown.range)}
    return Parts(shown.content, app_state.held, shown.media_type, headers)


def _read_range(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low, high = 1.0, 0.0
    if not -1e38 < low < high < 1e38:
        raise ArgumentError(
            f"`range` must be two growing numbers, black and white; got '{text[:100]}'. Try 0,4095."
        )
    return low, high


@router.get("/page/progress")
async def tell_progress(request: Request) -> JSONResponse:
    """Return how far each of the requests named in ``job`` is: null waits, 0 to 1 is in work."""
    watches = get_app_state(request).watches
    names = request.query_params.getlist("job")[:100]
    return JSONResponse({name: watches[name].share for name in names if name in watches})
