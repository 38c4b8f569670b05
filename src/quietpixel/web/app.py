"""The application: routes, the door, and what is shared, put together."""

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.staticfiles import StaticFiles

from quietpixel import __version__
from quietpixel.web import api, digits, health, pages
from quietpixel.web.app_state import AppState
from quietpixel.web.middleware import Guard
from quietpixel.web.models import Models
from quietpixel.web.options import Options
from quietpixel.web.problems import add_handlers

ABOUT = """Takes the noise out of pictures. A picture comes back as the kind of file that it was:
same size, depth, colour profile and metadata. Errors are `application/problem+json`."""

EXPOSED = [
    "Content-Disposition",
    "Quietpixel-Model",
    "Quietpixel-Notes",
    "Quietpixel-Picture",
    "Quietpixel-Sigma",
    "Retry-After",
    "Server-Timing",
]


def make_app(options: Options, models: Models) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    options
        How the service runs.
    models
        The models that it knows.
    """
    app_state = AppState(options, models)
    app = FastAPI(
        title="quietpixel",
        description=ABOUT,
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.shared = app_state
    app.state.digits = digits.Digits(models)
    for part in (api, health, pages, digits):
        app.include_router(part.router)
    app.mount("/static", StaticFiles(directory=pages.STATIC), name="static")
    _name_models(app, models)
    add_handlers(app)
    app.add_middleware(Guard, options=options, metrics=app_state.metrics)
    if options.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(options.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=EXPOSED,
        )
    return app


def _name_models(app: FastAPI, models: Models) -> None:
    """Let the OpenAPI document say which models there are."""
    for parameter in app.openapi()["paths"]["/v1/denoise"]["post"]["parameters"]:
        if parameter["name"] == "model":
            parameter["schema"] = {"type": "string", "enum": sorted(models.paths)}


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Take requests from now on, and let the threads go at the end."""
    app_state: AppState = app.state.shared
    app_state.ready = True
    yield
    app_state.close()
