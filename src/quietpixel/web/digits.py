"""Lets a student play with the autoencoder that keeps 16 numbers of a digit."""

import json
import threading
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from numpy.typing import NDArray
from starlette.responses import JSONResponse

from quietpixel.web.app_state import Watch, house_of
from quietpixel.web.encoder_decoder import Halves
from quietpixel.web.models import Models
from quietpixel.web.problems import RefusalError

router = APIRouter(include_in_schema=False)

SIZE = (28, 28)
USUAL = "mnist-bottleneck"


def digit_model(models: Models) -> str | None:
    """Return the name of the model for the tab of digits, None where there is none."""
    names = [
        name
        for name, card in models.cards.items()
        if card.architecture == "bottleneck" and card.size == SIZE and card.channels == 1
    ]
    return USUAL if USUAL in names else next(iter(names), None)


class Digits:
    """The halves of the digit model, opened when they are first used."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._halves: Halves | None = None
        self._lock = threading.Lock()

    def answer(self, given: dict[str, Any]) -> dict[str, list[float]]:
        """Return code and image for an image, or for a code.

        Raises
        ------
        RefusalError
            If neither is given in the right length.
        """
        halves = self._open()
        if "image" in given:
            image = _numbers(given, "image", SIZE[0] * SIZE[1]).reshape(SIZE)
            code = halves.encode(np.clip(image, 0, 1))
        else:
            code = _numbers(given, "code", halves.length)
        return {"code": _list(code), "image": _list(halves.decode(code).ravel())}

    def _open(self) -> Halves:
        with self._lock:
            if self._halves is None:
                name = digit_model(self._models)
                if name is None:
                    raise RefusalError(404, "No model for digits is installed here.")
                self._halves = Halves(self._models.paths[name])
            return self._halves


@router.post("/page/digit")
async def use_halves(request: Request) -> JSONResponse:
    """Take ``{"image": [784 numbers]}`` or ``{"code": [16 numbers]}``; return code and image."""
    house, digits = house_of(request), request.app.state.digits

    async with house.upload(request) as upload:

        def work(watch: Watch) -> dict[str, list[float]]:
            return digits.answer(_read(upload.content))  # type: ignore[no-any-return]

        return JSONResponse(await house.do(request, work, turns=house.quick))


def _read(content: bytes) -> dict[str, Any]:
    try:
        given = json.loads(content)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise RefusalError(400, "The body must be a JSON object with 'image' or 'code'.")
    return given


def _numbers(given: dict[str, Any], word: str, length: int) -> NDArray[np.float32]:
    try:
        numbers = np.array(given.get(word), np.float32)
    except (TypeError, ValueError):
        numbers = np.zeros(0, np.float32)
    if numbers.shape != (length,) or not np.isfinite(numbers).all():
        raise RefusalError(422, f"`{word}` must be a list of {length} numbers.")
    return numbers


def _list(values: NDArray[np.float32]) -> list[float]:
    return [round(float(value), 4) for value in values]
