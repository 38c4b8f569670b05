"""What those who run the service ask: is it alive, is it ready, how is it doing."""

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from quietpixel.web import metrics
from quietpixel.web.app_state import get_app_state
from quietpixel.web.openapi import problems
from quietpixel.web.problems import BusyError

router = APIRouter(tags=["operation"])


class State(BaseModel):
    """How the service is."""

    status: str


@router.head("/healthz", include_in_schema=False)  # some balancers ask so
@router.get("/healthz", summary="Say that the process lives", responses=problems())
async def healthz() -> State:
    """Answer as long as the process can."""
    return State(status="alive")


@router.head("/readyz", include_in_schema=False)  # some balancers ask so
@router.get("/readyz", summary="Say whether requests are taken", responses=problems(503))
async def readyz(request: Request) -> State:
    """Answer once the default models are open, and until the service is told to end."""
    if not get_app_state(request).ready:
        raise BusyError("ending", 1)
    return State(status="ready")


@router.get(
    "/metrics",
    summary="Tell the counters in Prometheus' text format",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **problems()},
)
async def tell_metrics(request: Request) -> Response:
    """Return counters, gauges and the times of requests."""
    return Response(get_app_state(request).metrics.text(), media_type=metrics.MEDIA_TYPE)
