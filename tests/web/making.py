"""Tiny models, images and a server in a thread, for tests of the service."""

import asyncio
import contextlib
import functools
import http.server
import io
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import uvicorn
from onnx import TensorProto, helper, save_model
from PIL import Image

from quietpixel.card import METADATA_KEY, Card
from quietpixel.inference.job import Result
from quietpixel.inference.level import Noise
from quietpixel.web.options import ServiceOptions
from quietpixel.web.problems import MEDIA_TYPE
from quietpixel.web.server import TimeoutProtocol, listen


def write_photo(path: Path, channels: int, *, blind: bool = False) -> Path:
    """Write a model that blurs in proportion to its noise level: by half at 0.1.

    A blind one blurs fully at a negative level, which stands for an unknown one.
    """
    values = {"five": [-5.0 if blind else 5.0], "one": [1.0]}
    kernel = np.zeros((channels, channels, 3, 3), np.float32)
    for channel in range(channels):
        kernel[channel, channel] = 1 / 9
    nodes = [
        helper.make_node("Transpose", ["image"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["first", "kernel"], ["sum"], pads=[1] * 4),
        helper.make_node("Transpose", ["sum"], ["blurred"], perm=[0, 2, 3, 1]),
        helper.make_node("Mul", ["sigma", "five"], ["scaled"]),
        helper.make_node("Min", ["scaled", "one"], ["weight"]),
        helper.make_node("Sub", ["blurred", "image"], ["change"]),
        helper.make_node("Mul", ["change", "weight"], ["weighted"]),
        helper.make_node("Add", ["image", "weighted"], ["denoised"]),
    ]
    weights = [helper.make_tensor(name, TensorProto.FLOAT, [1], v) for name, v in values.items()]
    weights.append(
        helper.make_tensor("kernel", TensorProto.FLOAT, kernel.shape, kernel.ravel().tolist())
    )
    shape = ["n", "h", "w", channels]
    graph = helper.make_graph(
        nodes,
        "photo",
        [
            helper.make_tensor_value_info("image", TensorProto.FLOAT, shape),
            helper.make_tensor_value_info("sigma", TensorProto.FLOAT, ["n", "h", "w", 1]),
        ],
        [helper.make_tensor_value_info("denoised", TensorProto.FLOAT, shape)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    entry = model.metadata_props.add()
    entry.key = METADATA_KEY
    card = Card(
        name=path.stem,
        architecture="blur",
        channels=channels,
        divisor=4,
        halo=1,
        sigma_input=True,
        blind=blind,
        noise="gaussian:0.1",
        parameters=9,
        operations=9,
        scores={"nothing": {"psnr": 30.123456}},
        data="nothing",
        licence="MIT",
        not_for="anything but tests",
    )
    entry.value = card.to_json()
    save_model(model, str(path))
    return path


class QuickServer(uvicorn.Server):
    """Looks for the end of the test ten times as often as uvicorn's own."""

    async def main_loop(self) -> None:
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            await asyncio.sleep(0.01)


@contextlib.contextmanager
def running(app, options: ServiceOptions) -> Iterator[int]:
    protocol = type("Protocol", (TimeoutProtocol,), {"limits": options.limits})
    config = uvicorn.Config(app, http=protocol, ws="none", log_config=None, server_header=False)
    listener = listen(replace(options, port=0))
    server = QuickServer(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def noisy(height: int = 40, width: int = 60, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Return a uint8 image of mean 0.5 with noise of standard deviation 0.1.

    Gentle waves are the same in all channels, which would else be taken for unrelated ones.
    """
    rng = np.random.default_rng(seed)
    waves = 0.05 * np.sin(np.arange(height) / 12)[:, np.newaxis] * np.sin(np.arange(width) / 12)
    values = 0.5 + waves[..., np.newaxis] + 0.1 * rng.standard_normal((height, width, channels))
    pixels = np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)
    return pixels[:, :, 0] if channels == 1 else pixels


def coded(pixels: np.ndarray, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def decoded(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def detail(answer, status: int) -> str:
    """Return the detail of a problem and check its form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"].endswith(".")
    return problem["detail"]


class Slow:
    """Runs a job in steps until it is released, and returns its image as it is."""

    def __init__(self) -> None:
        self.steps, self.released = 0, threading.Event()

    def __call__(self, job, on_progress):
        while not self.released.wait(0.01):
            self.steps += 1
            on_progress(0.25)
        return Result(job.images.reshape(job.shape), Noise(), (0.0, 255.0))


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def serve_folder(folder: Path, headers=()) -> http.server.ThreadingHTTPServer:
    """Serve the files of a folder from a thread, as any web host does."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def guess_type(self, path: str) -> str:
            known = {".mjs": "text/javascript", ".wasm": "application/wasm"}
            return known.get(Path(path).suffix) or super().guess_type(path)

        def log_message(self, *words) -> None: ...

        def end_headers(self) -> None:
            for name, value in headers:
                self.send_header(name, value)
            super().end_headers()

    server = http.server.ThreadingHTTPServer(
        ("localhost", 0), functools.partial(Handler, directory=folder)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
