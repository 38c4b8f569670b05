"""Train the estimator of the noise level: the small network behind ``sigma="auto"``.

    python benchmarks/train_noise_level.py MODEL PHOTOS OUT.npz [--minutes 17] [--workers 2]

MODEL obeys a noise level (the bundled ``photo``), PHOTOS is a folder of clean photographs; every
20th, by name, is for validation and never used. Two steps:

1. Crops of the photographs, some softened, enlarged or gray, get noise of every kind. The features
   of each crop are noted, with the PSNR that MODEL reaches on a part of it at each of 13 levels.
2. A network of 32 and 16 units maps the features to a level. Its loss is the PSNR lost against the
   best of the levels: it is trained through the denoiser, for the picture that comes out.

Prints the mean loss in dB on every eighth crop, by kind of noise, beside that of the true standard
deviation and of an estimator of white noise. Copy OUT.npz to ``src/quietpixel/weights``.
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from quietpixel import Denoiser
from quietpixel.files import list_images
from quietpixel.inference.engine import open_engine
from quietpixel.inference.model_store import find_model
from quietpixel.noise.camera import lose_as_jpeg
from quietpixel.noise.level import FLOOR, level_features, relative_features
from quietpixel.noise.parser import parse_noise

LEVELS = np.array([0, 0.7, 1.5, 2.5, 4, 6, 9, 13, 19, 27, 38, 54, 75]) / 255
LAWS = (
    "gaussian:0..60/255,clip=no",
    "gaussian:0..20/255,clip=no",
    "photo:0..12/255",
    "photo:0..12/255",
    "photo:2/255..40/255",
    "camera:0.02",
    "photo:0..10/255",  # and then JPEG, always
    "",  # no noise
)
JPEG = 6
SIDES = (192, 320, 480)
PART, BORDER = 112, 8
"""Side of the part that is denoised, and what of it is not compared, in pixels."""
EPOCHS = 120
MOST_LOST = 6.0
"""A crop counts at most so many dB: a wrong level on an image without noise can cost any number."""

Array = NDArray[Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=17.0)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    Denoiser(given.model)  # a wrong name fails here
    with ProcessPoolExecutor(given.workers) as pool:
        jobs = [
            pool.submit(simulate, given.model, given.photos, seed, given.minutes)
            for seed in range(given.workers)
        ]
        parts = [job.result() for job in jobs]
    features, sigmas, kinds, scores = (np.concatenate(each) for each in zip(*parts, strict=True))
    print(f"{len(features)} crops")
    np.savez(given.out, **fit(features, sigmas, kinds, scores))


def simulate(model: str, photos: Path, seed: int, minutes: float) -> tuple[Array, ...]:
    """Return features, true deviation, kind of noise and PSNR at each level of noisy crops."""
    engine = open_engine(find_model(model), threads=1)
    paths = [p for i, p in enumerate(list_images(photos, recursive=True).images, 1) if i % 20]
    laws = [parse_noise(text) if text else None for text in LAWS]
    levels = np.broadcast_to(LEVELS[:, None, None, None], (len(LEVELS), PART, PART, 1))
    levels = levels.astype(np.float32)
    rows, end, number = [], time.monotonic() + 60 * minutes, 0
    while time.monotonic() < end:
        rng = np.random.default_rng((seed, number))
        number += 1
        path = paths[rng.integers(len(paths))]
        clean = draw_clean(np.asarray(Image.open(path).convert("RGB"), np.float32) / 255, rng)
        kind = int(rng.integers(len(laws)))
        law = laws[kind]
        noisy = clean if law is None else law(clean, rng)
        if kind == JPEG:
            quality, halve = int(rng.integers(60, 97)), bool(rng.random() < 0.7)
            noisy = lose_as_jpeg(np.clip(noisy, 0, 1), quality, halve_colour=halve)
        clean, noisy = (np.repeat(x, 3 if x.shape[2] == 1 else 1, 2) for x in (clean, noisy))
        if rng.random() < 0.7:
            noisy = np.rint(np.clip(noisy, 0, 1) * 255) / np.float32(255)
        noisy = noisy.astype(np.float32)
        top, left = (int(rng.integers(side - PART + 1)) for side in noisy.shape[:2])
        part = np.repeat(noisy[None, top : top + PART, left : left + PART], len(LEVELS), axis=0)
        error = engine(part, levels) - clean[top : top + PART, left : left + PART]
        inner = error[:, BORDER:-BORDER, BORDER:-BORDER]
        score = -10 * np.log10(np.mean(inner**2, axis=(1, 2, 3)) + 3e-6)
        rows.append((level_features(noisy), np.sqrt(np.mean((noisy - clean) ** 2)), kind, score))
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def draw_clean(image: Array, rng: np.random.Generator) -> Array:
    """Return a crop of a photograph, as sharp or as soft as cameras deliver, in colour or gray."""
    from scipy import ndimage

    height, width = (min(int(rng.choice(SIDES)), side) for side in image.shape[:2])
    top, left = (
        int(rng.integers(whole - part + 1))
        for whole, part in zip(image.shape[:2], (height, width), strict=True)
    )
    clean = image[top : top + height, left : left + width]
    way = rng.random()
    if way < 0.45:
        blur = rng.uniform(0.3, 2.2)
        clean = ndimage.gaussian_filter(clean, (blur, blur, 0))
    elif way < 0.55:
        clean = ndimage.zoom(clean[: height // 2, : width // 2], (2, 2, 1), order=3)
    return clean.mean(axis=2, keepdims=True) if rng.random() < 0.25 else clean


@dataclass(frozen=True)
class Samples:
    """What the network is trained on, each of the length of the number of crops.

    Parameters
    ----------
    inputs
        Features, standardised.
    white, wanted
        Logarithm of the white noise, and from there to the best level.
    lost
        What each level loses against the best, in dB.
    """

    inputs: Array
    white: Array
    wanted: Array
    lost: Array

    def loss(self, output: Any, some: Any = slice(None)) -> Any:
        """Return what the levels that the network answers lose, in dB."""
        import tensorflow as tf

        grid = np.log(LEVELS + FLOOR).astype(np.float32)
        level = tf.clip_by_value(output + self.white[some], grid[0], grid[-1] - 1e-4)
        place = tf.clip_by_value(tf.searchsorted(grid, level, side="right") - 1, 0, len(grid) - 2)
        low, high = tf.gather(grid, place), tf.gather(grid, place + 1)
        before, after = (tf.gather(self.lost[some], place + step, batch_dims=1) for step in (0, 1))
        return before + (level - low) / (high - low) * (after - before)


def fit(features: Array, sigmas: Array, kinds: Array, scores: Array) -> dict[str, Array]:
    """Return the weights of the estimator, the best of three trainings."""
    training = np.arange(len(features)) % 8 != 0
    relative = relative_features(features)
    mean, deviation = relative[training].mean(0), relative[training].std(0) + 1e-6
    white = np.log(np.exp(features[:, 0]) + FLOOR)
    samples = Samples(
        ((relative - mean) / deviation).astype(np.float32),
        white.astype(np.float32),
        (np.log(LEVELS + FLOOR)[scores.argmax(1)] - white).astype(np.float32),
        np.minimum(scores.max(1, keepdims=True) - scores, MOST_LOST).astype(np.float32),
    )
    rivals = [np.log(sigmas + FLOOR) - white, np.zeros_like(white)]
    others = [samples.loss(each.astype(np.float32)).numpy() for each in rivals]
    best: tuple[float, dict[str, Array]] = (np.inf, {})
    for seed in range(3):
        net = train(samples, np.flatnonzero(training), seed)
        lost = samples.loss(net(samples.inputs)[:, 0]).numpy()
        print(f"lost {lost[training].mean():.3f} dB, held out {lost[~training].mean():.3f} dB")
        for kind, text in enumerate(LAWS):
            some = ~training & (kinds == kind)
            ours, true, as_white = (float(each[some].mean()) for each in (lost, *others))
            print(f"  {ours:.2f}, true {true:.2f}, white {as_white:.2f}: {text or 'no noise'}")
        if lost[~training].mean() < best[0]:
            names = [f"{part}_{n}" for n in (1, 2, 3) for part in ("kernel", "bias")]
            weights = dict(zip(names, net.get_weights(), strict=True))
            statistics = {
                "mean": mean.astype(np.float32),
                "deviation": deviation.astype(np.float32),
            }
            best = float(lost[~training].mean()), statistics | weights
    return best[1]


def train(samples: Samples, order: Array, seed: int) -> Any:
    """Return a network trained on the samples of these numbers."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    hidden = [keras.layers.Dense(units, activation="relu") for units in (32, 16)]
    last = keras.layers.Dense(1, kernel_initializer="zeros")
    net = keras.Sequential([keras.Input(samples.inputs.shape[1:]), *hidden, last])
    optimizer = keras.optimizers.AdamW(3e-3, weight_decay=1e-2)
    rng = np.random.default_rng(seed)
    for epoch in range(EPOCHS):
        optimizer.learning_rate = 3e-3 * (1 - epoch / EPOCHS)
        rng.shuffle(order)
        for start in range(0, len(order), 256):
            some = order[start : start + 256]
            x = samples.inputs[some]
            x = x + 0.03 * rng.standard_normal(x.shape, np.float32)  # or it learns the crops
            with tf.GradientTape() as tape:
                output = net(x, training=True)[:, 0]
                value = tf.reduce_mean(samples.loss(output, some))
                near = tf.reduce_mean(tf.abs(output - samples.wanted[some]))
                value += near * (0.5 if epoch < EPOCHS // 4 else 0.05)
            gradients = tape.gradient(value, net.trainable_variables)
            optimizer.apply_gradients(zip(gradients, net.trainable_variables, strict=True))
    return net


if __name__ == "__main__":
    main()
