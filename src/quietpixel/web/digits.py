"""The two halves of the digit autoencoder, for the page that shows its 16 numbers."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from quietpixel.array_types import FloatArray
from quietpixel.inference.engine import import_openvino
from quietpixel.web.app_state import get_app_state
from quietpixel.web.digit_parts import SIZE, find_digit_model, split_digit_model
from quietpixel.web.models import Models
from quietpixel.web.problems import RefusalError

router = APIRouter(include_in_schema=False)


class SplitModel:
    """Encoder and decoder of a bottleneck model, run separately and in one thread at a time.

    Parameters
    ----------
    path
        ONNX file of a model whose dense layer ``code`` is its bottleneck.

    Raises
    ------
    ModelError
        If the model has no such layer.

    Examples
    --------
    >>> from quietpixel.inference.model_store import find_model
    >>> model = SplitModel(find_model("mnist-bottleneck"))
    >>> code, *_ = model.encode(np.zeros((28, 28), np.float32))
    >>> code.shape, model.decode(code).shape
    ((16,), (28, 28))
    """

    def __init__(self, path: Path) -> None:
        core = import_openvino().Core()
        # On one thread both halves take 1.5 ms; in float32 they equal the whole model within 1e-5.
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
        encoder, decoder = (
            core.compile_model(core.read_model(part), "CPU", settings)
            for part in split_digit_model(path)
        )
        self.length = decoder.input(0).partial_shape[1].get_length()
        self._encoder = encoder.create_infer_request()
        self._decoder = decoder.create_infer_request()

    def encode(self, image: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the code (length,) of a digit (28, 28) in [0, 1], and what both convolutions
        return (channels, H, W).
        """
        code, first, second = self._run(self._encoder, image[np.newaxis, :, :, np.newaxis])
        return code[0], first[0], second[0]

    def decode(self, code: FloatArray) -> FloatArray:
        """Return the image (H, W) for a code (length,)."""
        return self._run(self._decoder, code[np.newaxis])[0][0, :, :, 0]

    def _run(self, request: Any, batch: FloatArray) -> list[FloatArray]:
        request.infer([np.ascontiguousarray(batch, np.float32)])
        # Copies, because the next run overwrites the outputs.
        return [np.array(output.data) for output in request.output_tensors]


# No lock: the queue of previews, in which its requests wait, has one slot.
_open_split_model = lru_cache(1)(SplitModel)


def answer(models: Models, body: bytes) -> dict[str, list[float]]:
    """Return code and image for a JSON object with an image or a code.

    For an image, `first` and `second` are what the convolutions return, in one list each.

    Raises
    ------
    RefusalError
        If it holds neither in the right length, or there is no model.
    """
    try:
        given = json.loads(body)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise RefusalError(400, "The body must be a JSON object with 'image' or 'code'.")
    name = find_digit_model(models)
    if name is None:
        raise RefusalError(404, "No model for digits is installed.")
    split, seen = _open_split_model(models.paths[name]), {}
    if "image" in given:
        image = _read_numbers(given, "image", SIZE[0] * SIZE[1]).reshape(SIZE)
        code, seen["first"], seen["second"] = split.encode(np.clip(image, 0, 1))
    else:
        code = _read_numbers(given, "code", split.length)
    found = {"code": code, "image": split.decode(code), **seen}
    # Four digits are finer than the page can show, and halve the response.
    return {
        name: np.round(values.ravel().astype(float), 4).tolist() for name, values in found.items()
    }


@router.post("/page/digit")
async def split_digit(request: Request) -> JSONResponse:
    """Take ``{"image": [784 numbers]}`` or ``{"code": [16 numbers]}``; return code and image.

    For an image, also what both convolutions return.
    """
    app_state = get_app_state(request)
    found = await app_state.process(
        request,
        lambda upload, _: answer(app_state.models, upload.getvalue()),
        queue=app_state.previews,
    )
    return JSONResponse(found)


def _read_numbers(given: dict[str, Any], name: str, length: int) -> FloatArray:
    try:
        numbers = np.array(given.get(name), np.float32)
    except (TypeError, ValueError):
        numbers = np.zeros(0, np.float32)
    if numbers.shape != (length,) or not np.isfinite(numbers).all():
        raise RefusalError(422, f"`{name}` must be a list of {length} numbers.")
    return numbers
