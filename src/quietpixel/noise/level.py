"""The noise level that a denoiser should be given for an image, found from the image alone."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from quietpixel.array_types import Array, BoolArray, FloatArray
from quietpixel.noise.drawings import BLOCK, find_drawing
from quietpixel.noise.estimate import (
    estimate_sigma,
    one_blas_thread,
    patch_covariance,
    sigma_from,
)

WEIGHTS = Path(__file__).parent.parent / "weights" / "noise-level.npz"
LEAST_SIDE = 32
"""Height and width in pixels below which only white noise is measured."""
OCTAVES = 5
"""Octaves of spatial frequency that are measured, each in blocks of 8 x 8 of its samples."""
MOST_BLOCKS = 1024
"""How many blocks of an image are looked at; twice as many changed levels by less than 1 %."""
FLATTEST = (0.03, 0.1, 0.3)
"""The blocks of each octave are summed up by these quantiles of their power."""
OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], np.float32) / np.sqrt(
    np.array([[3], [2], [6]], np.float32)
)
"""Luminance and two colour differences, orthonormal."""
LEAST_KIND = 2 / 255
"""Level from which kinds of noise are named."""
COARSE, LEAST_COARSE = 1.4, 3 / 255
"""Coarse noise has at least this ratio of its level to that of white noise, and this level."""
SHARED = 2.0
"""Amplitude of luminance over that of colour, in the finest octave of the flattest blocks, from
which noise counts as shared by the channels; 2 where half of its variance is."""
JPEG = 0.3
"""Strength of the grid of JPEG (median, the weaker of its two directions) from which it is named:
0.4 to 1.1 in camera JPEGs of PolyU, at most 0.15 where noise was added to photographs."""
EXCESS, EXCESS_RATIOS = 1.6, (4.0, 9.0)
"""Factor of noise that is as coarse as in camera JPEGs: none up to the first of these ratios
of its level to that of white noise, all of it from the second. The denoiser is trained with levels
above the true one (`level_excess`), since real noise is less regular than any law: 600D pairs 40.36
dB with the factor, 40.18 without, their noise doubled 36.32 and 35.52."""
STRONG, STRONG_WHITE, STRONG_RATIOS = 1.6, (0.45 / 255, 1.1 / 255), (8.0, 12.0)
"""A further factor where such noise is strong: by the level of white noise, of which a camera's
processing leaves 0.2 to 0.4 of 255 in 600D pairs, 1 in their noise tripled, and by the ratio, which
is up to 6 for grain. Noise doubled 36.32 -> 36.38 dB, tripled 33.44 -> 33.70; none of 140
photographs without noise is concerned."""
WEAK, FINENESS = (6 / 255, 9 / 255), (0.52, 0.7)
"""From the second of these levels noise is raised by that factor only if it is coarse, since grain
raised by it loses up to 3 dB: wholly up to the first fineness (see `BlockMeasures`), not at all
from the second. Noise of the 600D, as it is and 1.5 to 3 times as strong, mostly has a fineness of
0.47 to 0.54, grain blurred by 1.5 pixels 0.57 to 0.67, by 0.9 pixels 0.7 to 0.85. Up to the first
level all of it is raised: texture hides how fine weaker noise is."""
QUANTISED, LITTLE_WHITE = (0.79, 0.84), (0.7 / 255, 1.2 / 255)
"""White noise in a JPEG of low quality is coarse as well, and not raised above those levels: its
level would be twice the best. It has a low `BlockMeasures.evenness`, as JPEG took whole patterns
from patches (none is raised up to the first), and still some white noise (none from the second
level). White noise of 15/255 at quality 30 has 0.56 to 0.78 and 1 to 5/255, noise of the 600D, as
it is and two or three times as strong, 0.83 to 0.95, blurred noise less than 0.5/255."""
INDEPENDENT, AGREEMENT = (1.05, 1.12), (0.6, 0.8, 1.4, 1.8)
"""In colour images noise that channels do not share gets the level of white noise, which errs by
1 % (white noise of 15/255 on 27 photographs) where the network errs by up to 18 %. Limits:
amplitude as in `SHARED` (wholly up to the first, not from the second; 1.15 where a tenth of the
variance is shared, which the level of white noise misses), and the network's level over that of
white noise (wholly between the middle two), which texture makes too high."""
EVEN = (((0.82, 0.9), (0.5, 0.7, 1.15, 1.35)), ((0.92, 0.96), (0.5, 0.7, 1.8, 2.5)))
"""The level of white noise, shared by channels or not, is that of the patches' direction of least
variance, in which content is weakest: 0.98 to 1.04 of gray noise of 15/255 on nine of ten
photographs, where the network finds up to 1.2 of it. Pairs of limits, of which the more certain
counts: deviation in that direction over that in the fifth (none up to the first, wholly from the
second) and the network's level over it, as in `AGREEMENT`. The first is 0.87 to 0.99 for such
noise, 0.77 to 0.93 for noise blurred by 0.4 pixels, whose level it would make too low, at most 0.8
with 0.5, 0.78 in 135 photographs."""
SMOOTH_COLOUR = (1.5, 3.0)
"""Coarse noise of colour images is that of a camera if its colour is smooth: `BlockMeasures.shared`
above the second of these, none below the first. It is 24 to 59 in 600D pairs, at least 4 where
they are sharpened, 1 in a drawing without noise, whose edges would lose 1.4 dB, and for white noise
of an image that was enlarged."""
DRAWN, DRAWN_ON_PAGES = np.array([[0.1, 0.16], [0.03, 0.06]])
"""Nine of ten blocks that are not of one value have at least this share of squares of 2 x 2 pixels
of one value (see `find_drawing`) on a page of clean text (from 0.19 on, letters of 8 to 24 pixels),
whose edges would pass for noise of 20 to 80/255. No noise is found from the second on, all of it up
to the first: noise of 1/255 leaves 0.06, an overexposed photograph mostly 0. Photographs and camera
JPEGs have 0. The second pair counts on pages of text (`PAGE`), whose paper has no noise: some have
0.06 to 0.15, JPEGs of them 0."""
PAGE, PAGE_LEVEL = (0.3, 0.5), 8 / 255
"""In a JPEG of text the edges are not even, and pass for noise of 15 to 70/255, which would destroy
the letters. The level is at most the second of these where such a share of the blocks that are not
constant has letters. The best level is 3 to 20/255."""
FLOOR = 1.5 / 255
"""Levels are compared as the logarithm of the level plus this."""
HIGHEST = 75 / 255
"""The highest level that the estimator and the bundled models have seen."""
LEAST_POWER, DEAD, ROUNDING = 1e-9, 1e-6, 1e-12
"""Added to powers before the logarithm; the power below which JPEG has left nothing of a block; and
that below which there are only errors of float32."""


def estimate_level(image: Array, hidden: BoolArray | None = None) -> float:
    """Return the level that `measure_level` finds, without the kinds of the noise."""
    return measure_level(image, hidden).level


class MeasuredNoise(NamedTuple):
    """What `measure_level` finds.

    Parameters
    ----------
    level
        On the image's scale, at least 0; up to 4 times the standard deviation of coarse noise,
        about 1.5 to 2.5 times that of grain.
    kinds
        Of noise that can be seen: "coarse" or "fine", then "shared" (by the channels) and "JPEG".
        Coarse noise has a deviation well above what an estimator of white noise finds. On three
        photographs with white noise, shared by channels or not, it was 0.8 to 1.05 times that;
        with noise blurred by 0.6 to 1 pixel mostly 1.5 to 7 times. In camera JPEGs of PolyU it is
        mostly 4 to 10 times.
    camera
        How far the noise is as coarse as in camera JPEGs, in colour with smooth colour, 0 to 1.
    typed
        How far the image is a page of text, whose edges would pass for noise, 0 to 1.
    """

    level: float
    kinds: tuple[str, ...] = ()
    camera: float = 0.0
    typed: float = 0.0


@one_blas_thread()
def measure_level(image: Array, hidden: BoolArray | None = None) -> MeasuredNoise:
    """Return the level with which a denoiser gives the best picture of a noisy image.

    On white noise that is its standard deviation. Noise that neighbours or channels share escapes
    an estimator of white noise: it finds 0.1 to 0.4 of it in camera JPEGs. So the power of small
    blocks, in each octave of luminance and colour, goes through a small network, trained for the
    error of the picture that the denoiser then makes (``benchmarks/train_noise_level.py``).

    Parameters
    ----------
    image
        Floats (H, W, 1) or (H, W, 3), black 0 and white 1.
    hidden
        Which pixels say nothing of the noise, because they were filled, (H, W).
    """
    # A smaller image has too few blocks for quantiles of their power.
    if min(image.shape[:2]) < LEAST_SIDE:
        return MeasuredNoise(estimate_sigma(image))
    found = measure_blocks(image, hidden)
    places = np.linspace(0, len(found.blocks) - 1, min(len(found.blocks), MOST_BLOCKS))
    weights = _weights()
    summary = (found.summary - weights["summary_mean"]) / weights["summary_deviation"]
    blocks = (found.blocks[places.astype(int)] - weights["blocks_mean"]) / (
        weights["blocks_deviation"]
    )

    def dense(x: Array, number: int) -> Array:
        result: Array = x @ weights[f"kernel_{number}"] + weights[f"bias_{number}"]
        return result

    # Arrays are (networks, blocks, units): a mean of several errs less than each.
    units = np.clip(blocks, -5, 5)
    for number in (1, 2):
        units = np.maximum(dense(units, number), 0)
    attention = np.exp(dense(units, 3))
    attention /= attention.sum(axis=1, keepdims=True)
    pooled = attention.transpose(0, 2, 1) @ dense(units, 4)
    count = len(pooled)
    means = units.mean(axis=1)
    x = np.concatenate([np.tile(summary, (count, 1)), pooled.reshape(count, -1), means], axis=1)
    x = x[:, np.newaxis]
    for number in (5, 6):
        x = np.maximum(dense(x, number), 0)
    level = float((found.white + FLOOR) * np.exp(dense(x, 7).mean()) - FLOOR)
    level = min(max(level, 0.0), HIGHEST)
    typed = float(np.interp(found.letters, PAGE, (0, 1)))
    level *= float(np.interp(found.drawn, typed * DRAWN_ON_PAGES + (1 - typed) * DRAWN, (1, 0)))
    white, certain = _find_white(level, found)
    level = level ** (1 - certain) * white**certain
    level = _spare_letters(level, typed)
    coarse = _find_coarse(level, found)
    raised = _spare_letters(_raise_coarse(level, found, coarse), typed)
    smooth = _log_share(found.shared, SMOOTH_COLOUR) if found.shared else 1.0
    return MeasuredNoise(raised, _name_kinds(level, found), coarse * smooth, typed)


def _spare_letters(level: float, typed: float) -> float:
    """Return the level, or a lower one for a page of text."""
    return float(level ** (1 - typed) * min(level, PAGE_LEVEL) ** typed)


def _name_kinds(level: float, found: "BlockMeasures") -> tuple[str, ...]:
    if level < LEAST_KIND:
        return ()
    coarse = level > max(COARSE * found.white, LEAST_COARSE)
    named = {"shared": found.shared > SHARED, "JPEG": found.grid > JPEG}
    return ("coarse" if coarse else "fine", *(kind for kind, is_there in named.items() if is_there))


def _find_white(level: float, found: "BlockMeasures") -> tuple[float, float]:
    """Return the level of white noise, and how certain it is that all noise is, 0 to 1."""
    independent = np.interp(found.shared, INDEPENDENT, (1, 0)) if found.shared else 0.0
    sigma = float(found.least ** (1 - independent) * found.white**independent)
    sigma /= np.sqrt(found.live)  # constant areas have no noise, which lowers variances
    ratio = level / max(sigma, 1e-6)
    rules = [(independent, AGREEMENT)]
    rules += [(np.interp(found.evenness, even, (0, 1)), agreement) for even, agreement in EVEN]
    certain = max(share * np.interp(ratio, limits, (0, 1, 1, 0)) for share, limits in rules)
    return sigma, float(certain)


def _find_coarse(level: float, found: "BlockMeasures") -> float:
    """Return how far noise is as coarse as in camera JPEGs, 0 to 1."""
    coarse = _log_share(_ratio(level, found), EXCESS_RATIOS)
    smooth = np.interp(found.fineness, FINENESS, (1, 0))
    even = np.interp(found.evenness, QUANTISED, (0, 1))
    fine = smooth * max(even, np.interp(found.white, LITTLE_WHITE, (1, 0)))
    return coarse * float(np.interp(level, WEAK, (1, fine)))


def _raise_coarse(level: float, found: "BlockMeasures", coarse: float) -> float:
    strong = _log_share(found.white, STRONG_WHITE) * _log_share(_ratio(level, found), STRONG_RATIOS)
    return level * float((EXCESS * STRONG**strong) ** coarse)


def _ratio(level: float, found: "BlockMeasures") -> float:
    return level / max(found.white, 1e-6)


def _log_share(value: float, limits: tuple[float, float]) -> float:
    """Return 0 up to the first limit, 1 from the second, between them by the logarithm."""
    return float(np.interp(np.log(max(value, 1e-6)), np.log(limits), (0, 1)))


@dataclass(frozen=True)
class BlockMeasures:
    """What the level is estimated from.

    Parameters
    ----------
    white
        Standard deviation of the white noise of all channels.
    least, evenness
        Standard deviation in the direction of patches of luminance and of colour with the smallest
        variance, and its ratio to that in the fifth.
    live
        Share of the blocks that are not in constant areas or hidden.
    fineness
        Amplitude of the flattest blocks in the first octave of luminance over that in the second;
        2 for white noise.
    shared
        Amplitude of their first octave in luminance over that in colour; 0 for gray.
    grid
        Median strength of the grid of JPEG, in the weaker of its two directions.
    drawn
        Share of squares of 2 x 2 pixels of one value that nine of ten blocks have at least, see
        `DRAWN`; blocks of one value do not count.
    letters
        Share of the blocks with letters, see `PAGE`; constant areas do not count.
    summary
        (37,): logarithms of the white noise of all channels and of luminance, of the amplitude of
        the flattest blocks in each octave of luminance and colour, of how much stronger edges are
        on one line in eight (the grid of JPEG), and the share of blocks without any detail.
    blocks
        (N, 22): for each block of 8 x 8 pixels its logarithmic amplitudes, in each octave, of
        luminance along the axes and diagonally, the difference between the axes, and of colour;
        then its brightness and the white noise.
    """

    white: float
    least: float
    evenness: float
    live: float
    fineness: float
    shared: float
    grid: float
    drawn: float
    letters: float
    summary: FloatArray
    blocks: FloatArray


def measure_blocks(image: Array, hidden: BoolArray | None = None) -> BlockMeasures:
    """Return what the level is estimated from; see `measure_level` for the parameters."""
    # Gray has no network of its own: three equal channels are colour without colour noise.
    colours = np.broadcast_to(image, (*image.shape[:2], 3)).astype(np.float32, copy=False)
    covariance = patch_covariance(colours)
    white = sigma_from(covariance)
    # Planes are sums of the channels, so their covariances are sums too.
    planes_covariance = np.einsum("pc,cidj,pd->pij", OPPONENT, covariance, OPPONENT)
    luminance_sigma = sigma_from(planes_covariance[0][np.newaxis, :, np.newaxis])
    variances = np.linalg.eigvalsh(planes_covariance).sum(axis=0)
    logarithm = np.log(np.array([white, luminance_sigma]) + 1e-4)
    planes = (OPPONENT @ colours.reshape(-1, 3).T).reshape(3, *colours.shape[:2])
    details, brightness = _block_details(planes)
    shown = [_find_shown(hidden, power, octave) for octave, power in enumerate(details)]
    flattest = []
    # Clipped areas have no power but rounding, and would pass for the flattest blocks.
    live = [
        seen & (power.sum((2, 3)) > ROUNDING) for power, seen in zip(details, shown, strict=True)
    ]
    for chosen in (slice(0, 1), slice(1, 3)):
        for power, some in zip(details, live, strict=True):
            total = power[:, :, chosen].sum(3).mean(2)[some] / 4
            flat = np.quantile(total, FLATTEST) if total.size else np.zeros(3)
            flattest += list(0.5 * np.log(flat + 1e-8))
    amplitudes = np.array([logarithm[1], *flattest]) - logarithm[0]
    luminance = np.log(details[0][:, :, 0, :2].mean(-1) + LEAST_POWER)
    grid = _grid_strength(planes[0])
    summary = [logarithm[0], *amplitudes, *grid]
    constant = _find_constant_areas(details[0], brightness)
    kept = (shown[0] & ~constant).ravel()
    kept = kept if kept.any() else shown[0].ravel()
    dead = np.mean(luminance.ravel()[kept] < np.log(DEAD))
    blocks = _align_octaves(details, logarithm[0], brightness)[kept]
    # Noise that the channels share is in luminance, with three times their variance.
    least, fifth = (float(np.sqrt(max(variances[at] / 3, LEAST_POWER))) for at in (0, 4))
    # Medians of the three quantiles.
    fineness = float(np.exp(flattest[1] - flattest[4]))
    gray = np.abs(planes[1:]).max() < 1e-6
    shared = 0.0 if gray else float(np.exp(flattest[1] - flattest[16]))
    squares, letters = find_drawing(colours, constant, brightness)
    drawn = float(np.quantile(squares.ravel()[kept], 0.1))
    summed = np.array([*summary, dead], np.float32)
    return BlockMeasures(
        white, least, least / fifth, float(kept.mean()), fineness, shared, float(min(grid[:2])),
        drawn, letters, summed, blocks,
    )  # fmt: skip


def _find_shown(hidden: BoolArray | None, power: Array, octave: int) -> BoolArray:
    """Return the blocks of an octave that hold no hidden pixel; all, where each holds one."""
    height, width = power.shape[:2]
    shown = np.ones((height, width), bool)
    if hidden is not None and hidden.any():
        rows, columns = np.nonzero(hidden)
        side = BLOCK << octave
        shown[np.minimum(rows // side, height - 1), np.minimum(columns // side, width - 1)] = False
    return shown if shown.any() else np.ones_like(shown)


def _find_constant_areas(details: Array, brightness: Array) -> BoolArray:
    """Return which blocks hold one value, the same as a neighbour's.

    Clipped areas, frames and what was filled carry no noise. A single block of one value may be
    what JPEG left of noise.
    """
    constant: BoolArray = details.sum(axis=(2, 3)) < LEAST_POWER
    found = np.zeros_like(constant)
    for axis in (0, 1):  # views that share the memory of the arrays
        first, value, mark = (np.moveaxis(each, axis, 0) for each in (constant, brightness, found))
        same = first[1:] & first[:-1] & (np.abs(np.diff(value, axis=0)) < 1e-6)
        mark[1:] |= same
        mark[:-1] |= same
    return found


def _block_details(planes: Array) -> tuple[list[Array], Array]:
    """Return the power of Haar details in blocks, and the brightness of the finest blocks.

    The power of each octave has the shape (rows, columns, 3 planes, 3 directions): horizontal,
    vertical, diagonal. An octave for which the image is too small repeats the one before.
    """
    powers: list[Array] = []
    brightness = planes[0, :1, :1]
    for octave in range(OCTAVES):
        height, width = (side // 2 * 2 for side in planes.shape[1:])
        rows, columns = height // BLOCK, width // BLOCK
        if not (rows and columns):
            powers.append(powers[-1])
            continue
        upper, lower = planes[:, :height:2, :width], planes[:, 1:height:2, :width]
        total, step = upper + lower, upper - lower
        left, right, falling, rising = (x[..., i::2] for x in (total, step) for i in (0, 1))
        planes = (left + right) / 4
        details = (left - right, falling + rising, falling - rising)
        power = [_mean_of_blocks(np.square(each), rows, columns) for each in details]
        powers.append(np.stack(power, axis=-1).transpose(1, 2, 0, 3) / 4)
        if octave == 0:
            brightness = _mean_of_blocks(planes[:1], rows, columns)[0]
    return powers, brightness


def _mean_of_blocks(samples: Array, rows: int, columns: int) -> Array:
    side = BLOCK // 2  # Haar details are half as dense as the pixels
    inner = samples[:, : rows * side, : columns * side]
    # Row by row first: sums along four neighbours are slow.
    lines = inner.reshape(-1, rows, side, columns * side).mean(axis=2)
    mean: Array = lines.reshape(-1, rows, columns, side).mean(axis=3)
    return mean


def _align_octaves(details: list[Array], white: float, brightness: Array) -> FloatArray:
    """Return the measures of all octaves at the place of each of the finest blocks, (N, 22)."""
    rows, columns = (np.arange(length) for length in details[0].shape[:2])
    least = max(white, np.log(0.3 / 255))
    values: list[Array] = []
    for octave, power in enumerate(details):
        logarithms = np.log(power + LEAST_POWER)
        measures = np.stack(
            [
                np.log(power[:, :, 0, :2].mean(-1) + LEAST_POWER) / 2 - least,
                logarithms[:, :, 0, 2] / 2 - least,
                np.abs(logarithms[:, :, 0, 0] - logarithms[:, :, 0, 1]) / 2,
                np.log(power[:, :, 1:].mean((2, 3)) + LEAST_POWER) / 2 - least,
            ],
            axis=-1,
        )
        down = np.minimum(rows >> octave, power.shape[0] - 1)
        right = np.minimum(columns >> octave, power.shape[1] - 1)
        values.append(measures[down][:, right])
    values += [brightness[..., np.newaxis], np.full((*brightness.shape, 1), white)]
    return np.concatenate(values, axis=-1).reshape(rows.size * columns.size, -1).astype(np.float32)


def _grid_strength(luminance: Array) -> list[float]:
    """Return how much the strongest of eight lines exceeds the middle one, (4,), logarithms.

    By the median and by the mean of the second differences, across columns and rows.
    """
    steps = [np.abs(x[2:] - 2 * x[1:-1] + x[:-2]) for x in (luminance.T, luminance)]
    lines = [[each[start::8].ravel() for start in range(8)] for each in steps]
    strengths = np.array([[f(x) for x in eight] for f in (_median, np.mean) for eight in lines])
    strengths += 1e-5
    return list(np.log(strengths.max(axis=1) / np.median(strengths, axis=1)))


def _median(values: FloatArray) -> Any:
    """Return what `np.median` does of a list of finite values, in two thirds of its time."""
    middle = len(values) // 2
    ordered = np.partition(values, middle)
    return ordered[middle] if len(values) % 2 else (ordered[:middle].max() + ordered[middle]) / 2


@cache
def _weights() -> dict[str, Array]:
    with np.load(WEIGHTS) as stored:
        return dict(stored)
