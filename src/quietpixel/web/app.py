"""The FastAPI application: all routes, those for operators among them, and shared state."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from quietpixel import __version__
from quietpixel.web import api, digits, jobs, metrics, pages
from quietpixel.web.app_state import AppState, get_app_state
from quietpixel.web.middleware import Guard
from quietpixel.web.models import Models
from quietpixel.web.options import ServiceOptions
from quietpixel.web.problems import BusyError, add_handlers, problem_responses

ABOUT = """Denoises images. An image comes back in its own format, with its size, depth, colour
profile and metadata. Errors are `application/problem+json`."""

PUBLIC: dict[str, Any] = {"security": []}
"""Operations that need no token."""

router = APIRouter(tags=["operation"], responses=problem_responses(401, 403, 421))


@router.get("/healthz", summary="Liveness check", openapi_extra=PUBLIC)
async def check_health() -> dict[str, str]:
    """Answer as long as the process can."""
    return {"status": "alive"}


@router.get(
    "/readyz", summary="Readiness check", responses=problem_responses(503), openapi_extra=PUBLIC
)
async def check_ready(request: Request) -> dict[str, str]:
    """Answer until the shutdown begins."""
    app_state = get_app_state(request)
    if app_state.draining:
        raise BusyError("ending", app_state.queue.retry_after)
    return {"status": "ready"}


@router.get(
    "/metrics",
    summary="Metrics in the text format of Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def get_metrics(request: Request) -> Response:
    """Return counters, gauges and request times."""
    headers = {"Content-Type": metrics.MEDIA_TYPE}
    return Response(get_app_state(request).metrics.to_text(), headers=headers)


def make_app(options: ServiceOptions, models: Models) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    options
        Settings of the service.
    models
        Models that it offers.
    """
    app_state = AppState(options, models)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app_state.close()

    app = FastAPI(
        title="quietpixel",
        description=ABOUT,
        version=__version__,
        # FastAPI's own pages load scripts from another host.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.shared = app_state
    app.state.digits = digits.DigitModel(models)
    app.state.jobs = jobs.Jobs()
    for part in (api, jobs, pages, digits):
        app.include_router(part.router)
    app.include_router(router)
    document = app.openapi()  # kept by the application, so changes stay
    for path in ("/v1/denoise", "/v1/jobs"):
        for parameter in document["paths"][path]["post"]["parameters"]:
            # Which models there are is known only here, when the service starts.
            if parameter["name"] == "model":
                parameter["schema"] = {"type": "string", "enum": sorted(models.paths)}
    if options.token is not None:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    add_handlers(app)
    app.add_middleware(Guard, options=options, metrics=app_state.metrics)
    if options.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(options.cors),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=[*api.HEADERS, "Location", "Retry-After"],
        )
    return app
