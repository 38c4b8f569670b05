"""What 8-bit integers in some layers of a photo model cost and bring, after training.

    python benchmarks/int8_layers.py MODEL.onnx PHOTOS [--layers TEXT ...] [--threads 1]

PHOTOS is the folder that the model was trained on: every 20th photograph by name is for validation
(every seventh of these is used, the middle 192 x 192 pixels); ten others calibrate the ranges, the
percentile 99.995 of each. Convolutions whose name contains one of the texts compute in int8, the
others in bfloat16. Reported are the PSNR with white noise of 25/255 (level given) and without
noise, computed in float32 but for those layers, and the least processor time of OpenVINO for a tile
of 384 x 384 in seven calls. Needs onnxruntime.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnxruntime import quantization
from record import Record

from quietpixel.array_types import FloatArray
from quietpixel.files import list_images, read_picture
from quietpixel.imaging.metrics import psnr
from quietpixel.inference.engine import open_engine

LAYERS = ("_2_block", "lowest", "to_2_", "to_3_", "down_1_block_1", "up_1_block_1")
"""The two lowest levels and half of the blocks above: most of the gain, least of the loss."""
Feed = dict[str, FloatArray]


class Ranges(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Gives ONNX Runtime the images from which it finds the range of each layer."""

    def __init__(self, feeds: Iterator[Feed]) -> None:
        self._feeds = feeds

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--layers", nargs="*", default=LAYERS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    paths = list_images(given.photos, recursive=True).images
    clean = [read_middle(path, 192) for path in paths[::20][:27:7]]
    others = [path for number, path in enumerate(paths) if number % 20][::97][:10]
    ranges = (
        feed(read_middle(path, 128), sigma / 255, seed)
        for seed, path in enumerate(others)
        for sigma in (0, 15, 40)
    )
    record = Record()
    record.table("layers in int8", "sigma 25", "without noise, mean and worst", "processor time")
    with tempfile.TemporaryDirectory() as folder:
        mixed = Path(folder) / "mixed.onnx"
        count = quantize(given.model, mixed, given.layers, Ranges(ranges))
        for name, model in (("0", given.model), (f"{count}", mixed)):
            noisy, quiet = (measure(model, clean, sigma) for sigma in (25 / 255, 0.0))
            record.row(name, f"{np.mean(noisy):.3f}", f"{np.mean(quiet):.2f}, {min(quiet):.2f}",
                       f"{1000 * time_tile(model, given.threads):.1f} ms")  # fmt: skip
    record.save(given.json)


def read_middle(path: Path, side: int) -> FloatArray:
    picture = read_picture(path)
    page = picture.pages[0].astype(np.float32) / np.float32(picture.maximum)
    top, left = ((size - side) // 2 for size in page.shape[:2])
    return np.broadcast_to(page, (*page.shape[:2], 3))[top : top + side, left : left + side]


def feed(clean: FloatArray, sigma: float, seed: int) -> Feed:
    noise = np.random.default_rng(seed).normal(0, sigma, clean.shape)
    level = np.full((1, *clean.shape[:2], 1), sigma, np.float32)
    return {"image": (clean + noise).astype(np.float32)[np.newaxis], "sigma": level}


def quantize(model: Path, mixed: Path, layers: list[str], ranges: Any) -> int:
    """Write the model with some convolutions in int8, and return how many."""
    graph = onnx.load(model).graph
    chosen = [
        node.name
        for node in graph.node
        if node.op_type.startswith("Conv") and any(text in node.name for text in layers)
    ]
    quantization.quantize_static(
        model, mixed, ranges, nodes_to_quantize=chosen, per_channel=True,
        calibrate_method=quantization.CalibrationMethod.Percentile,
        extra_options={"CalibPercentile": 99.995},
    )  # fmt: skip
    return len(chosen)


def measure(model: Path, clean: list[FloatArray], sigma: float) -> list[float]:
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    results = (session.run(None, feed(each, sigma, seed))[0][0] for seed, each in enumerate(clean))
    return [psnr(each, np.clip(result, 0, 1)) for each, result in zip(clean, results, strict=True)]


def time_tile(model: Path, threads: int) -> float:
    """Return the least processor time of seven calls of OpenVINO."""
    engine = open_engine(model, threads=threads)
    batch, level = (
        np.full((1, 384, 384, 3), 0.5, np.float32),
        np.full((1, 384, 384, 1), 0.1, np.float32),
    )
    times = [time.process_time()]
    for _ in range(7):
        engine(batch, level)
        times.append(time.process_time())
    return float(np.diff(times).min())


if __name__ == "__main__":
    main()
