"""Lets a student play with the autoencoder that keeps 16 numbers of a digit."""

import json
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from numpy.typing import NDArray
from starlette.responses import JSONResponse

from quietpixel.errors import ImageError, ModelError
from quietpixel.inference.engine import import_openvino
from quietpixel.web.app_state import Watch, get_app_state
from quietpixel.web.models import Models
from quietpixel.web.problems import RefusalError

FloatArray = NDArray[np.float32]

_CODE = re.compile(r"(^|/)code(_\d+)?/")
"""Names of what the layer ``code`` computes, as the export writes them."""


class Halves:
    """Encoder and decoder of a bottleneck model.

    Parameters
    ----------
    path
        The ONNX file of a model whose dense layer ``code`` holds all that it keeps of an image.

    Raises
    ------
    ModelError
        If the model has no such layer.

    Examples
    --------
    >>> from quietpixel.inference.model_store import find_model
    >>> halves = Halves(find_model("mnist-bottleneck"))
    >>> code = halves.encode(np.zeros((28, 28), np.float32))
    >>> code.shape, halves.decode(code).shape
    ((16,), (28, 28))
    """

    def __init__(self, path: Path) -> None:
        openvino = import_openvino()
        core = openvino.Core()
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
        whole, tail = core.read_model(str(path)), core.read_model(str(path))
        self.length = _code_of(whole, path).get_partial_shape()[1].get_length()
        self.size = tuple(whole.input(0).partial_shape[i].get_length() for i in (1, 2))
        head = openvino.Model([_code_of(whole, path)], whole.get_parameters(), "encoder")
        self._encoder = core.compile_model(head, "CPU", settings).create_infer_request()
        tail = _from_code(tail, path, self.length)
        self._decoder = core.compile_model(tail, "CPU", settings).create_infer_request()
        self._lock = threading.Lock()

    def encode(self, image: FloatArray) -> FloatArray:
        """Return the code, (length,), of an image (H, W) in [0, 1]."""
        if image.shape != self.size:
            raise ImageError(f"`image` must be {self.size[0]} x {self.size[1]}; got {image.shape}.")
        code: FloatArray = self._run(self._encoder, image[np.newaxis, :, :, np.newaxis])[0]
        return code

    def decode(self, code: FloatArray) -> FloatArray:
        """Return the image (H, W) that a code (length,) stands for."""
        if code.shape != (self.length,):
            raise ImageError(f"`code` must hold {self.length} numbers; got {code.shape}.")
        image: FloatArray = self._run(self._decoder, code[np.newaxis])[0, :, :, 0]
        return image

    def _run(self, request: Any, batch: FloatArray) -> FloatArray:
        with self._lock:
            request.infer([np.ascontiguousarray(batch, np.float32)])
            result: FloatArray = np.array(request.get_output_tensor(0).data)
        return result


def _code_of(model: Any, path: Path) -> Any:
    """Return the output that holds the code: the last of the layer ``code``."""
    nodes = [
        node
        for node in model.get_ordered_ops()
        if _CODE.search(node.get_friendly_name()) and node.get_type_name() in ("Add", "MatMul")
    ]
    if not nodes:
        raise ModelError(
            f"The model '{path.stem}' has no layer 'code', so it cannot be cut into encoder and "
            "decoder; use a model of the kind bottleneck."
        )
    return nodes[-1].output(0)


def _from_code(model: Any, path: Path, length: int) -> Any:
    """Return the model that begins where the code is known."""
    openvino = import_openvino()
    code = _code_of(model, path)
    start = openvino.opset13.parameter([-1, length], np.float32, name="code")
    for target in list(code.get_target_inputs()):
        target.replace_source_output(start.output(0))
    return openvino.Model(model.get_results(), [start], "decoder")


router = APIRouter(include_in_schema=False)

SIZE = (28, 28)
USUAL = "mnist-bottleneck"


def digit_model(models: Models) -> str | None:
    """Return the name of the model for the tab of digits, None where there is none."""
    names = [
        name
        for name, card in models.cards.items()
        if "code" in card.training.get("options", {}) and (card.size, card.channels) == (SIZE, 1)
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
    app_state, digits = get_app_state(request), request.app.state.digits

    async with app_state.upload(request) as upload:

        def work(watch: Watch) -> dict[str, list[float]]:
            return digits.answer(_read(upload.content))  # type: ignore[no-any-return]

        return JSONResponse(await app_state.do(request, work, queue=app_state.quick))


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
