"""Train the estimator of the noise level: the small network behind ``sigma="auto"``.

    python benchmarks/train_noise_level.py MODEL PHOTOS OUT.npz [--minutes 17] [--workers 2]
                                          [--earlier FILE.npz | --tune FILE.npz]

MODEL obeys a noise level (the bundled ``photo``), PHOTOS is a folder of clean photographs; every
20th, by name, is for validation and never used. Two steps:

1. Crops of the photographs, some softened, enlarged, gray or dark, get noise of every kind. The
   measures of each crop and of its blocks are noted, with the PSNR that MODEL reaches on a part of
   it at each of 13 levels.
2. Four networks weigh the blocks and map them to a level, their mean. The loss is the PSNR lost
   against the best of the levels: they are trained through the denoiser, for the picture that comes
   out.

Prints the mean loss in dB on every eighth crop, by kind of noise, beside that of the true standard
deviation and of an estimator of white noise. --earlier names weights whose networks join the mean,
such as those in use: networks of another training err in other places. --tune names weights that
were trained for another denoiser, and are adapted to MODEL with far fewer crops: a quarter of the
passes at a third of the learning rate. Copy OUT.npz to ``src/quietpixel/weights/noise-level.npz``.
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
from quietpixel.noise.level import FLOOR, measure_blocks
from quietpixel.noise.parser import parse_noise

LEVELS = np.array([0, 0.7, 1.5, 2.5, 4, 6, 9, 13, 19, 27, 38, 54, 75]) / 255
LAWS = (
    "gaussian:0..60/255,clip=no",
    "gaussian:0..20/255,clip=no",
    "photo:0..12/255",
    "photo:1/255..8/255",
    "photo:2/255..40/255",
    "camera:0.02",
    "photo:0..10/255",  # and then JPEG, always
    "photo:4/255..20/255",
    "",  # no noise
    "",  # grain of film and scans, see `add_grain`
    "",  # blotches of colour beside fine noise, see `add_blotches`
    "gaussian:2/255..40/255,clip=no",  # and then JPEG, always
)
JPEG, GRAIN, BLOTCHED, WHITE_NOISE = (6, 7, 11), 9, 10, (0, 1)
"""Laws whose result is stored as JPEG, half the time twice, as crops of a camera's file are."""
DARK = 0.2
"""Share of the crops that are darkened, to 0.08 to 0.7 of their light."""
RESIZED = 0.4
"""Share of the crops, but those of white noise, that are made smaller with their noise, as
photographs for the web are, then sharpened and stored as JPEG, each in some of the cases."""
SHARES = (0.07, 0.10, 0.08, 0.07, 0.09, 0.04, 0.09, 0.10, 0.10, 0.16, 0.05, 0.05)
"""Of the crops, for each of the laws."""
BLOCKS = 384
"""Blocks of a crop that are kept; a third of them, drawn anew, for each step."""
MARGIN, GRAIN_MARGIN, WHITE = 0.26, 0.22, 0.75
"""How much higher, as a logarithm, the level is for noise of which an estimator of white noise
finds less than this share: real noise is less regular than what the laws draw. On 11 pairs of a
Canon 600D 39.60 dB without a margin, 39.82 with 0.22; old prints in gray need 0.26 to come out
smooth (LOG.md)."""
SIDES = (192, 320, 480)
PART, BORDER = 112, 8
"""Side of the part that is denoised, and what of it is not compared, in pixels."""
EPOCHS, NETWORKS = 60, 4
MOST_LOST = 6.0
"""A crop counts at most so many dB: a wrong level on an image without noise can cost any number."""

LAYERS = [f"{part}_{n}" for n in range(1, 8) for part in ("kernel", "bias")]

Array = NDArray[Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=17.0)
    parser.add_argument("--workers", type=int, default=2)
    others = parser.add_mutually_exclusive_group()
    others.add_argument("--earlier", type=Path)
    others.add_argument("--tune", type=Path)
    given = parser.parse_args()
    Denoiser(given.model)  # a wrong name fails here
    with ProcessPoolExecutor(given.workers) as pool:
        jobs = [
            pool.submit(simulate, given.model, given.photos, seed, given.minutes)
            for seed in range(given.workers)
        ]
        parts = [job.result() for job in jobs]
    crops = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    print(f"{len(crops['kind'])} crops", flush=True)
    weights = fit(crops, given.tune)
    if given.earlier:
        with np.load(given.earlier) as earlier:
            weights = join(weights, dict(earlier))
    np.savez(given.out, **weights)


def simulate(model: str, photos: Path, seed: int, minutes: float) -> dict[str, Array]:
    """Return, of noisy crops: white noise, summary, blocks, true deviation, kind, PSNR by level."""
    engine = open_engine(find_model(model), threads=1)
    paths = [p for i, p in enumerate(list_images(photos, recursive=True).images, 1) if i % 20]
    laws = [parse_noise(text) if text else None for text in LAWS]
    rows, end, number = [], time.monotonic() + 60 * minutes, 0
    while time.monotonic() < end:
        rng = np.random.default_rng((seed, number))
        number += 1
        path = paths[rng.integers(len(paths))]
        kind = int(rng.choice(len(laws), p=SHARES))
        resized = kind not in WHITE_NOISE and rng.random() < RESIZED
        scale = rng.uniform(0.4, 0.9) if resized else 1.0
        photo = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
        clean, law = draw_clean(photo, rng, scale), laws[kind]
        if rng.random() < (0.7 if kind == BLOTCHED else DARK):
            clean = clean * np.float32(np.exp(rng.uniform(np.log(0.08), np.log(0.7))))
        noisy = clean if law is None else law(clean, rng)
        if kind == BLOTCHED:
            noisy = add_blotches(clean, rng)
        if kind == GRAIN:
            noisy = add_grain(clean, rng)
        if kind in JPEG or (kind == GRAIN and rng.random() < 0.4):
            noisy = store_as_jpeg(np.clip(noisy, 0, 1), rng)
        if resized:
            clean, noisy = resize_both(clean, noisy, scale, rng)
        clean, noisy = (np.repeat(x, 3 if x.shape[2] == 1 else 1, 2) for x in (clean, noisy))
        if rng.random() < 0.7:
            noisy = np.rint(np.clip(noisy, 0, 1) * 255) / np.float32(255)
        noisy = noisy.astype(np.float32)
        top, left = (int(rng.integers(side - PART + 1)) for side in noisy.shape[:2])
        part = slice(top, top + PART), slice(left, left + PART)
        sigma = np.sqrt(np.mean((noisy - clean) ** 2))
        score = score_levels(engine, noisy[part], clean[part], sigma)
        found = measure_blocks(noisy)
        some = rng.choice(len(found.blocks), BLOCKS, replace=len(found.blocks) < BLOCKS)
        row = {"white": found.white, "summary": found.summary, "kind": kind, "score": score}
        row["blocks"] = found.blocks[some].astype(np.float16)
        rows.append(row | {"sigma": sigma})
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def score_levels(engine: Any, noisy: Array, clean: Array, sigma: float) -> Array:
    """Return the PSNR at each of `LEVELS`; each one far from `sigma` is 1 dB below the next."""
    low, high = sigma / 4 - 1 / 255, 5 * sigma + 4 / 255
    tried = np.flatnonzero((low <= LEVELS) & (high >= LEVELS))
    levels = LEVELS[tried, None, None, None] * np.ones((PART, PART, 1))
    results = engine(np.repeat(noisy[None], len(tried), axis=0), levels.astype(np.float32))
    inner = (results - clean)[:, BORDER:-BORDER, BORDER:-BORDER]
    scores = -10 * np.log10(np.mean(inner**2, axis=(1, 2, 3)) + 3e-6)
    nearest = np.clip(np.arange(len(LEVELS)), tried[0], tried[-1])
    return scores[nearest - tried[0]] - np.abs(np.arange(len(LEVELS)) - nearest)


def add_grain(image: Array, rng: np.random.Generator) -> Array:
    """Return an image with blurred noise that the channels share, wholly or in part."""
    from scipy import ndimage

    blur, shared = rng.uniform(0.3, 1.5), 1.0 if rng.random() < 0.6 else rng.random()
    draws = [rng.standard_normal((*image.shape[:2], count)) for count in (1, image.shape[2])]
    noise = np.sqrt(shared) * draws[0] + np.sqrt(1 - shared) * draws[1]
    grain = ndimage.gaussian_filter(noise, (blur, blur, 0))
    return image + grain * (np.exp(rng.uniform(np.log(1.5), np.log(35))) / 255 / grain.std())


def add_blotches(image: Array, rng: np.random.Generator) -> Array:
    """Return an image with white noise and, in colour alone, noise of 2 to 30 pixels."""
    from scipy import ndimage

    level = np.exp(rng.uniform(np.log(1), np.log(20))) / 255
    blur = np.exp(rng.uniform(np.log(1), np.log(10)))
    colour = rng.standard_normal(image.shape)
    colour -= colour.mean(axis=2, keepdims=True)  # nothing of it is left in gray
    colour = ndimage.gaussian_filter(colour, (blur, blur, 0))
    colour /= max(float(colour.std()), 1e-9)
    white = rng.standard_normal(image.shape) * rng.uniform(0.2, 1.5)
    return image + level * (colour + white)


def store_as_jpeg(image: Array, rng: np.random.Generator) -> Array:
    """Return an image after JPEG, in half of the cases twice and cut off the first grid."""
    last = 30 if rng.random() < 0.4 else 60
    for least in (85, last)[int(rng.random() < 0.5) :]:
        quality, halve = int(rng.integers(least, 97)), bool(rng.random() < 0.7)
        shift = tuple(rng.integers(0, 8, 2)) if least == 85 else (0, 0)
        stored = lose_as_jpeg(np.roll(image, shift, (0, 1)), quality, halve_colour=halve)
        image = np.roll(stored, (-shift[0], -shift[1]), (0, 1))
    return image


def resize_both(
    clean: Array, noisy: Array, scale: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return both images made smaller, in some of the cases sharpened, the noisy one as JPEG."""
    from scipy import ndimage

    kernel = (Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BOX)[
        rng.choice(3, p=(0.5, 0.3, 0.2))
    ]
    size = [max(PART, round(side * scale)) for side in (clean.shape[1], clean.shape[0])]
    amount, width = (rng.random() < 0.4) * rng.uniform(0.2, 1.2), rng.uniform(0.4, 1.2)

    def change(image: Array) -> Array:
        planes = [Image.fromarray(plane) for plane in np.moveaxis(image.astype(np.float32), 2, 0)]
        small = np.stack([np.asarray(each.resize(size, kernel)) for each in planes], axis=2)
        return small + amount * (small - ndimage.gaussian_filter(small, (width, width, 0)))

    clean, noisy = (np.clip(change(each), 0, 1) for each in (clean, np.clip(noisy, 0, 1)))
    if rng.random() < 0.5:
        noisy = lose_as_jpeg(
            noisy, int(rng.integers(75, 98)), halve_colour=bool(rng.random() < 0.6)
        )
    return clean, noisy


def draw_clean(image: Array, rng: np.random.Generator, scale: float = 1) -> Array:
    """Return a crop of a photograph, as sharp or as soft as cameras deliver, in colour or gray.

    At `scale` below 1 the crop is larger, because it is made smaller later.
    """
    from scipy import ndimage

    wanted = [int(rng.choice(SIDES)) / scale for _ in range(2)]
    height, width = (min(int(w), side) for w, side in zip(wanted, image.shape[:2], strict=True))
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
    summary, blocks
        Standardised.
    start, wanted
        Logarithm of the white noise, less the margin, and from there to the best level.
    lost
        What each level loses against the best, in dB.
    """

    summary: Array
    blocks: Array
    start: Array
    wanted: Array
    lost: Array

    def loss(self, output: Any, some: Any = slice(None)) -> Any:
        """Return what the levels that the network answers lose, in dB."""
        return loss_of(output, self.start[some], self.lost[some])


def loss_of(output: Any, start: Any, lost: Any) -> Any:
    """Return the loss in dB of levels, from a table of the losses at `LEVELS`."""
    import tensorflow as tf

    grid = np.log(LEVELS + FLOOR).astype(np.float32)
    level = tf.clip_by_value(output + start, grid[0], grid[-1] - 1e-4)
    place = tf.clip_by_value(tf.searchsorted(grid, level, side="right") - 1, 0, len(grid) - 2)
    low, high = tf.gather(grid, place), tf.gather(grid, place + 1)
    before, after = (tf.gather(lost, place + step, batch_dims=1) for step in (0, 1))
    return before + (level - low) / (high - low) * (after - before)


def fit(crops: dict[str, Array], tune: Path | None = None) -> dict[str, Array]:
    """Return the weights of the estimator, networks whose answers are averaged."""
    white, kinds, scores, summary = (crops[k] for k in ("white", "kind", "score", "summary"))
    training = np.arange(len(white)) % 8 != 0
    blocks = crops["blocks"].astype(np.float32)
    statistics = {
        "summary_mean": summary[training].mean(0),
        "summary_deviation": summary[training].std(0) + 1e-6,
        "blocks_mean": blocks[training].mean((0, 1)),
        "blocks_deviation": blocks[training].std((0, 1)) + 1e-6,
    }
    starts: list[list[Array] | None] = [None] * NETWORKS
    if tune is not None:
        with np.load(tune) as file:
            statistics = {name: file[name] for name in statistics}
            layers = [file[name] for name in LAYERS]
        # A bias is stored as a row, to be added to many blocks.
        starts = [
            [
                each[n, 0] if name.startswith("bias") else each[n]
                for name, each in zip(LAYERS, layers, strict=True)
            ]
            for n in range(len(layers[0]))
        ]
    # Of noise that all channels share, luminance holds the square root of 3 times as much.
    seen = np.maximum(white, np.exp(summary[:, 0] + summary[:, 1]) / np.sqrt(3))
    coarse = seen < WHITE * crops["sigma"]
    margin = np.where(kinds == GRAIN, GRAIN_MARGIN, MARGIN)
    start = (np.log(white + FLOOR) - margin * coarse).astype(np.float32)
    samples = Samples(
        (summary - statistics["summary_mean"]) / statistics["summary_deviation"],
        np.clip((blocks - statistics["blocks_mean"]) / statistics["blocks_deviation"], -5, 5),
        start,
        (np.log(LEVELS + FLOOR)[scores.argmax(1)] - start).astype(np.float32),
        np.minimum(scores.max(1, keepdims=True) - scores, MOST_LOST).astype(np.float32),
    )
    rivals = [np.log(each + FLOOR) - start for each in (crops["sigma"], white)]
    others = [samples.loss(each.astype(np.float32)).numpy() for each in rivals]
    order, outputs = np.flatnonzero(training), []
    nets = [train(samples, order, seed, start) for seed, start in enumerate(starts)]
    for net in nets:
        parts = np.array_split(np.arange(len(white)), len(white) // 256 + 1)
        output = [net([samples.summary[p], samples.blocks[p]])[:, 0].numpy() for p in parts]
        outputs.append(np.concatenate(output))
    for output in (*outputs, np.mean(outputs, axis=0)):
        lost = samples.loss(output).numpy()
        print(f"lost {lost[training].mean():.3f} dB, held out {lost[~training].mean():.3f} dB")
    for kind, text in enumerate(LAWS):
        some = ~training & (kinds == kind)
        ours, true, as_white = (float(each[some].mean()) for each in (lost, *others))
        print(f"  {ours:.2f}, true {true:.2f}, white {as_white:.2f}: {text or 'no noise'}")
    arrays = zip(*(net.get_weights() for net in nets), strict=True)
    stacked = [np.stack([each if each.ndim == 2 else each[None] for each in one]) for one in arrays]
    weights = statistics | dict(zip(LAYERS, stacked, strict=True))
    return {name: value.astype(np.float32) for name, value in weights.items()}


def join(weights: dict[str, Array], earlier: dict[str, Array]) -> dict[str, Array]:
    """Return the networks of both, the earlier ones made to read measures standardised as now."""
    for name, layer in (("blocks", 1), ("summary", 5)):
        mean, deviation = (weights[f"{name}_{each}"] for each in ("mean", "deviation"))
        old_mean, old_deviation = (earlier[f"{name}_{each}"] for each in ("mean", "deviation"))
        kernel, read = earlier[f"kernel_{layer}"].copy(), slice(len(mean))
        offset = ((mean - old_mean) / old_deviation) @ kernel[:, read]
        kernel[:, read] *= (deviation / old_deviation)[:, np.newaxis]
        earlier |= {f"kernel_{layer}": kernel}
        earlier |= {f"bias_{layer}": earlier[f"bias_{layer}"] + offset[:, np.newaxis]}
    layers = {name for name in weights if name.startswith(("kernel", "bias"))}
    return weights | {name: np.concatenate([weights[name], earlier[name]]) for name in layers}


def build_network(summary: int, blocks: int) -> Any:
    """Return the network that `quietpixel.noise.level` computes; layers in the order of use."""
    import keras
    from keras.layers import Dense

    whole, each = keras.Input((summary,)), keras.Input((None, blocks))
    hidden = Dense(32, activation="relu")(Dense(32, activation="relu")(each))
    attention = keras.layers.Softmax(axis=1)(Dense(4)(hidden))
    pooled = keras.ops.einsum("nba,nbv->nav", attention, Dense(8)(hidden))
    mean = keras.ops.mean(hidden, axis=1)
    x = keras.layers.Concatenate()([whole, keras.ops.reshape(pooled, (-1, 32)), mean])
    x = Dense(24, activation="relu")(Dense(48, activation="relu")(x))
    return keras.Model([whole, each], Dense(1, kernel_initializer="zeros")(x))


def train(samples: Samples, order: Array, seed: int, weights: list[Array] | None = None) -> Any:
    """Return a network trained on the samples of these numbers, or adapted from `weights`."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    net = build_network(samples.summary.shape[1], samples.blocks.shape[2])
    rate, epochs, pulled = 3e-3, EPOCHS, EPOCHS // 4
    if weights is not None:
        net.set_weights(weights)
        rate, epochs, pulled = rate / 3, EPOCHS // 4, 0
    optimizer = keras.optimizers.AdamW(rate, weight_decay=1e-2)

    @tf.function  # type: ignore[misc]
    def step(inputs: list[Any], start: Any, lost: Any, wanted: Any, pull: Any) -> None:
        with tf.GradientTape() as tape:
            output = net(inputs, training=True)[:, 0]
            value = tf.reduce_mean(loss_of(output, start, lost))
            value += pull * tf.reduce_mean(tf.abs(output - wanted))
        gradients = tape.gradient(value, net.trainable_variables)
        optimizer.apply_gradients(zip(gradients, net.trainable_variables, strict=True))

    rng = np.random.default_rng(seed)
    for epoch in range(epochs):
        optimizer.learning_rate = rate * (1 - epoch / epochs)
        rng.shuffle(order)
        pull = np.float32(0.5 if epoch < pulled else 0.05)
        for start in range(0, len(order), 128):
            some = order[start : start + 128]
            summary = samples.summary[some]
            # Without noise on the summary it learns the crops by heart.
            summary = summary + 0.03 * rng.standard_normal(summary.shape, np.float32)
            blocks = samples.blocks[some][:, rng.integers(0, BLOCKS, BLOCKS // 3)]
            targets = (each[some] for each in (samples.start, samples.lost, samples.wanted))
            step([summary, blocks], *targets, pull)
    return net


if __name__ == "__main__":
    main()
