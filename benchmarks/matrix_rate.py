"""The share of the machine's matrix rate that the engine reaches.

    python benchmarks/matrix_rate.py [MODEL] [--repeats 5] [--json FILE]

The limit is a product of square matrices, measured in the same precision by the same library;
the best of several sizes counts. The engine's rate is the number of multiply-adds on the model's
card, for a batch of 512 x 1024 pixels, divided by the time of that batch; layers that only move or
add data count in the time but not in the number. A multiply-add counts as two operations.
Other work on the machine disturbs both.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from record import Record

from quietpixel.inference.engine import import_openvino, open_engine
from quietpixel.inference.model_store import find_model

SIDES = (1024, 2048, 3072)
HEIGHT, WIDTH = 512, 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="mnist-unet")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    path, record = find_model(given.model), Record()
    record.table("precision", "matrix product, GFLOP/s", "engine, GFLOP/s", "share")
    for precision in sorted({open_engine(path).precision, "f32"}):
        limit = max(time_product(side, precision, given.repeats) for side in SIDES)
        rate = time_engine(path, precision, given.repeats)
        rates = (f"{each / 1e9:.0f}" for each in (limit, rate))
        record.row(precision, *rates, f"{rate / limit:.0%}")
    record.save(given.json)


def time_product(side: int, precision: str, repeats: int) -> float:
    """Return operations per second of a product of two square matrices."""
    openvino = import_openvino()
    ops = openvino.opset13
    left = ops.parameter([side, side], np.float32)
    right = np.random.default_rng(0).normal(0, 1, (side, side)).astype(np.float32)
    product = ops.matmul(left, ops.constant(right), False, False)
    settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    model = openvino.Model([product], [left])
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    given = right.T.copy()
    return 2 * side**3 / clock(lambda: request.infer([given], share_inputs=True), repeats)


def time_engine(path: object, precision: str, repeats: int) -> float:
    """Return operations per second of the model on one batch."""
    engine = open_engine(path, precision=precision)  # type: ignore[arg-type]
    card = engine.card
    if not card.operations:
        raise SystemExit("The model's card does not give the number of multiply-adds.")
    height, width = card.size or (HEIGHT, WIDTH)
    count = max(HEIGHT * WIDTH // (height * width), 1)
    batch = np.random.default_rng(0).random((count, height, width, card.channels), np.float32)
    level = np.full((count, height, width, 1), 15 / 255, np.float32) if card.sigma_input else None
    return 2 * card.operations * batch[..., 0].size / clock(lambda: engine(batch, level), repeats)


def clock(call: Callable[[], object], repeats: int) -> float:
    """Return the least seconds of some calls after a first one."""
    call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
