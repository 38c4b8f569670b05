"""Defects beside noise: impulses, stripes, pixels not to be seen, the screen of a print.

Impulses are salt and pepper, hot and dead pixels. A value is an outlier if it lies far beyond its
eight neighbours, measured by their own spread, so that edges, lines and noise are left alone.
Stripes are rows or columns that are lighter or darker as a whole. Hidden pixels (transparent,
masked, not finite) are filled from those around them. The screen of a halftone print is found only.
"""

import numpy as np

from quietpixel.array_types import Array, BoolArray, FloatArray

PASSES = 3
"""Repairs one after the other: the second finds outliers that had another one beside them."""
HALO = 2 * PASSES
"""Pixels of surroundings that decide what `repair_outliers` makes of a pixel."""
STRICT, LOOSE = (0.1, 3.0), (0.08, 1.5)
"""Least distance from the neighbours and multiple of their spread, to detect and to repair. Of 47
clean photographs the strict pair found 0.007 % of the values in the median and 0.012 % at most."""
NOISES = 5.0
"""Least distance as a multiple of the image's fine structure, so that strong noise has none."""
RARE, FEWEST = 3e-4, 10
"""Share and number of outliers from which an image is taken to have impulses; a few are content."""
SPARSE, ALONE = 0.02, 0.3
"""Share of outliers below which they are taken for strokes of text, if fewer of them than the
second have no like two pixels away. On pages of 8 to 24 pixels a letter up to 24 % were alone, of
salt and pepper up to 2 % at least 67 %; dense impulses touch too, but are seldom that few."""
IN_LINES = 0.5
"""Dots and thin strokes of letters lie in lines, impulses do not: so few outliers are text, too, if
their number varies between neighbouring rows or columns by more than this and three deviations of
chance (the variance beyond that of chance, over the square of the mean). Less the deviations it is
mostly 0.6 to 80 on pages, at most 0.2 in photographs with 0.05 to 10 % of impulses."""
DENSE, AVOIDING, CELL = 0.04, 0.33, 16
"""Dots of an image in few values (dithered) keep away from each other: outliers of a larger share
than the first are such dots if fewer of them touch, above or beside, than the second of what their
number in squares of so many pixels makes likely. With two to four values 0 to 0.32, with six and
eight up to 0.6, photographs with 5 to 40 % of impulses 0.37 to 0.78."""
FILL_CELL = 1024
"""Side of the squares that are filled one after the other, so that large images need little memory;
what a pixel is filled with depends on its square alone."""
_PAIRS = (1, 23, 45, 67, 2, 13, 46, 57, 12, 56, 4, 37, 15, 26, 14, 36, 24, 35, 34)
_EXCHANGES = [divmod(pair, 10) for pair in _PAIRS]
"""Pairs of places whose exchange sorts eight values (K. Batcher, 1968): 6 times as fast as a sort
of short columns."""
_OFFSETS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
_RING = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3) if max(abs(dy), abs(dx)) == 2]


def outlier_distance(image: Array) -> float | None:
    """Return how far outliers of an image lie from their neighbours at least; None without any.

    Parameters
    ----------
    image
        float32 (H, W, C) in [0, 1], a sample is enough.
    """
    if min(image.shape[:2]) < 3:
        return None
    around = _sorted_neighbours(image)
    # The mean of the fourth and the fifth of eight neighbours is their median.
    usual = (around[3] + around[4]) / 2
    distance = NOISES * 1.4826 * float(np.median(np.abs(image - usual)))
    found = _beyond(image, around, max(STRICT[0], distance), STRICT[1])
    count = found.sum()
    if count < max(RARE * found.size, FEWEST):
        return None
    sparse = count < SPARSE * found.size
    if sparse and (_lies_in_lines(found) or _share_alone(image, usual, found) < ALONE):
        return None
    return None if count > DENSE * found.size and _avoid_each_other(found) else distance


def _avoid_each_other(found: BoolArray) -> bool:
    """Return whether fewer outliers touch than chance lets."""
    pixels = np.asarray(found.any(axis=2))
    touching = np.sum(pixels[1:] & pixels[:-1]) + np.sum(pixels[:, 1:] & pixels[:, :-1])
    rows, columns = (length // CELL for length in pixels.shape)
    cells = pixels[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL)
    return bool(touching < AVOIDING * 2 * CELL**2 * np.sum(cells.mean(axis=(1, 3)) ** 2))


def _lies_in_lines(found: BoolArray) -> bool:
    """Return whether the number of outliers changes from line to line by more than chance."""
    pixels = found.any(axis=2)
    for axis in (0, 1):
        counts = pixels.sum(axis=axis)
        mean = counts.mean()
        # 0 for chance, whatever the density, if that is smooth.
        change = (np.mean(np.diff(counts) ** 2) / 2 - mean) / mean**2
        if change > IN_LINES + 3 * np.sqrt(3 / len(counts)) / mean:
            return True
    return False


def _share_alone(image: Array, usual: Array, found: BoolArray) -> float:
    """Return the share of found values with none two pixels away that differs as much."""
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="symmetric")
    rows, columns, channels = np.nonzero(found)
    ring = np.stack([padded[rows + 2 + dy, columns + 2 + dx, channels] for dy, dx in _RING])
    step = image[found] - usual[found]
    alike = (ring - usual[found]) * np.sign(step) > np.abs(step) / 2
    return 1 - float(alike.any(axis=0).mean())


def repair_outliers(image: Array, distance: float) -> Array:
    """Return `image` (H, W, C) with outliers replaced by the median of their sound neighbours.

    Parameters
    ----------
    image
        float32 in [0, 1].
    distance
        As `outlier_distance` found it.

    References
    ----------
    H. Hwang, R. Haddad, "Adaptive median filters: new algorithms and results", IEEE TIP 1995.
    """
    for _ in range(PASSES):
        around = _sorted_neighbours(image)
        found = _beyond(image, around, max(LOOSE[0], distance), LOOSE[1])
        if not found.any():
            break
        image = np.where(found, (around[3] + around[4]) / 2, image)
    return image


def _sorted_neighbours(image: Array) -> Array:
    """Return the eight neighbours of each value, (8, H, W, C), the least first."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="symmetric")
    around = np.stack([padded[1 + y : 1 + y + height, 1 + x : 1 + x + width] for y, x in _OFFSETS])
    for first, second in _EXCHANGES:
        low, high = around[first], around[second]
        least = np.minimum(low, high)
        np.maximum(low, high, out=high)
        low[...] = least
    return around


def _beyond(image: Array, around: Array, least: float, spreads: float) -> BoolArray:
    # Not the extremes, so that an outlier does not hide the one beside it.
    low, high = around[1], around[6]
    reach = np.float32(least) + np.float32(spreads) * (high - low)
    return (image > high + reach) | (image < low - reach)


def single_pixels(marked: BoolArray) -> BoolArray:
    """Return which of the marked values have no marked one among their eight neighbours.

    Parameters
    ----------
    marked
        (H, W, ...), few of them true: time and memory follow their number.

    Examples
    --------
    >>> marked = np.zeros((4, 9), bool)
    >>> marked[0, 2] = marked[2, 5] = marked[3, 6] = True
    >>> np.argwhere(single_pixels(marked)).tolist()
    [[0, 2]]
    """
    inner = int(np.prod(marked.shape[2:]))
    places, width = np.flatnonzero(marked), marked.shape[1]
    touching = np.zeros(places.shape, bool)
    for step in (1, width - 1, width, width + 1):  # around a corner too, which costs nothing
        touching |= np.isin(places + step * inner, places)
        touching |= np.isin(places - step * inner, places)
    result = np.zeros(marked.shape, bool)
    result.ravel()[places[~touching]] = True
    return result


WINDOW = 15
"""Rows to either side that the running mean of the row profile covers."""
SEGMENTS = 4
"""Parts of each row that must agree on its offset."""
FAINTEST, ALIKE, REPEATING = 1.0 / 255, 0.6, 0.25
"""Least typical offset, least median correlation between the parts of the rows, and the largest of
the offsets with those of other rows, to which chance adds three deviations."""
STILL, MOST_STILL = 1 / 8, 0.085
"""Of the steps to a row with a large one, those below this share of it, and how many of them are
content: paper between letters does not change. Rows of 2 to 20/255 on 70 photographs, with white
noise, dark, overexposed, and in a frame, have at most 0.08, lines of text in strips of 30 to 80
pixels 0.24 to 0.43, in JPEGs mostly 0.1 to 0.25."""


def stripe_offsets(image: Array) -> Array | None:
    """Return the offset of each row of an image, (H, C), or None if it has no stripes.

    The step from a row to the next is the median over the columns, which content hardly moves;
    the sum of the steps, less its running mean, is the offset.

    Parameters
    ----------
    image
        float32 (H, W, C) in [0, 1]; for columns, pass it transposed.
    """
    if len(image) < 2 * WINDOW or image.shape[1] < 8 * SEGMENTS:
        return None
    parts = np.array_split(image, SEGMENTS, axis=1)
    offsets = np.stack([_offsets(part) for part in parts])
    typical = 1.4826 * np.median(np.abs(offsets.mean(axis=0)))
    limit = 3 * typical
    flat = np.clip(offsets.mean(axis=-1), -limit, limit)
    if typical < FAINTEST or not flat.std(axis=1).all():
        return None
    if np.median(np.corrcoef(flat)[np.triu_indices(SEGMENTS, 1)]) < ALIKE:
        return None
    # Noise of a row says nothing of the next; blinds, fences and gratings repeat.
    profile = flat.mean(axis=0)
    repeats = np.correlate(profile, profile, "full")[len(profile) :][:WINDOW] / (profile @ profile)
    if np.abs(repeats).max() > REPEATING + 3 / np.sqrt(len(profile)) or _stands_still(image):
        return None
    return np.clip(_offsets(image), -2 * limit, 2 * limit)


def _stands_still(image: Array) -> bool:
    """Return whether part of an image does not follow the steps of its rows."""
    steps = np.diff(image, axis=0).mean(axis=-1)
    steps = steps[:, steps.any(axis=0)]  # a frame follows nothing
    typical = np.abs(np.median(steps, axis=1))
    large = typical >= max(float(np.median(typical)), FAINTEST / 2)
    still = np.abs(steps[large]) < STILL * typical[large, np.newaxis]
    return bool(large.any() and np.median(still.mean(axis=1)) > MOST_STILL)


def _offsets(image: Array) -> Array:
    # Sorted along the last axis, which took a tenth of the time of np.median along another.
    ordered = np.sort(np.diff(image, axis=0).swapaxes(1, 2), axis=-1)
    steps = (ordered[..., (image.shape[1] - 1) // 2] + ordered[..., image.shape[1] // 2]) / 2
    profile = np.concatenate([np.zeros((1, image.shape[2])), np.cumsum(steps, axis=0)])
    # A triangle, not a box: the running mean of a step then has no ripples of its own.
    weights = np.bartlett(2 * WINDOW + 1)[1:-1] / WINDOW
    padded = np.pad(profile, ((WINDOW - 1, WINDOW - 1), (0, 0)), mode="reflect")
    smooth = [np.convolve(column, weights, mode="valid") for column in padded.T]
    return np.asarray(profile - np.stack(smooth, axis=1), np.float32)


SCREEN_SIDE = 128
"""Height and width in pixels of the up to 3 x 3 squares in which a screen is looked for."""
SCREEN_AROUND = 6
"""Frequencies to either side, in a row and in a column of the spectrum, that a peak is compared
with: lines and frames of a drawing have their power in whole rows and columns."""
SCREEN_PEAK = 3.0
"""Least logarithm of the power of a screen over the mean of the frequencies around. 1 of 187 clean
photographs has more (a woman before a wire grid), plots and windows of programs have at most 2.7,
photographs printed with dots of 3 to 12 pixels 3.7, but for periods and angles of JPEG's blocks."""


def has_screen(luminance: Array) -> bool:
    """Return whether an image shows the dots of a halftone print.

    Two peaks of the spectrum, the second across the first and of the same period, in the median
    of several squares: a fence or a fabric seldom fills the whole image.

    Parameters
    ----------
    luminance
        float32 (H, W) in [0, 1].
    """
    side = SCREEN_SIDE
    if min(luminance.shape) < side or max(luminance.shape) < 2 * side:
        return False
    tops, lefts = (
        np.linspace(0, length - side, min(length // side, 3)).astype(int)
        for length in luminance.shape
    )
    squares = np.stack([luminance[y : y + side, x : x + side] for y in tops for x in lefts])
    window = np.outer(np.hanning(side), np.hanning(side)).astype(np.float32)
    spectra = np.fft.rfft2((squares - squares.mean((1, 2), keepdims=True)) * window)
    # Sorted, because np.median takes three times as long along the first axis.
    ordered, middle = np.sort(np.abs(spectra) ** 2, axis=0), len(squares) // 2
    power = (ordered[(len(squares) - 1) // 2] + ordered[middle]) / 2
    # The constant is about what rounding to 8 bits leaves, so that a smooth drawing has no peaks.
    power = np.log(power + 0.01)
    shifts = range(-SCREEN_AROUND, SCREEN_AROUND + 1)
    lines = [np.mean([np.roll(power, shift, axis) for shift in shifts], axis=0) for axis in (0, 1)]
    power -= np.maximum(*lines)
    down, right = np.fft.fftfreq(side)[:, np.newaxis], np.fft.rfftfreq(side)
    frequency = np.hypot(down, right)
    grid = [np.abs(8 * each - np.rint(8 * each)) < 0.08 for each in (down, right)]
    power[(frequency < 1 / 16) | (frequency > 0.42) | (grid[0] & grid[1])] = 0  # the blocks of JPEG
    y, x = np.unravel_index(power.argmax(), power.shape)
    first = frequency[y, x]
    across = np.abs(down * down[y, 0] + right * right[x]) < 0.5 * frequency * first
    second = power[across & (np.abs(frequency - first) < 0.15 * first)].max(initial=0.0)
    return bool(min(power[y, x], second) > SCREEN_PEAK)


def fill_hidden(image: Array, visible: BoolArray) -> Array:
    """Return `image` with the values that are not visible filled from those around them.

    The visible values are averaged over ever larger squares, and each hidden one takes the
    finest average that exists (push and pull: Gortler and others, The Lumigraph, 1996). A square
    of 1024 pixels without any visible value is filled with their mean over the image.

    Parameters
    ----------
    image
        (H, W, C) of any type; it is not changed.
    visible
        (H, W, C) or (H, W, 1). `image` itself comes back where all or none is visible.

    Examples
    --------
    >>> image = np.array([[[50], [200]]], np.uint8)
    >>> fill_hidden(image, np.array([[[True], [False]]])).ravel().tolist()
    [50, 50]
    """
    if visible.all() or not visible.any():
        return image
    filled = image.copy()
    # Only a square of nothing needs it; elsewhere the pixels nearby say more.
    overall = float(np.mean(image, where=np.broadcast_to(visible, image.shape), dtype=np.float64))
    for top in range(0, image.shape[0], FILL_CELL):
        for left in range(0, image.shape[1], FILL_CELL):
            cell = np.s_[top : top + FILL_CELL, left : left + FILL_CELL]
            shown = visible[cell]
            if shown.all():
                continue
            weight = shown.astype(np.float32)
            known = np.where(shown, image[cell], 0)  # a product would keep NaN
            if shown.any():
                # About their mean, because float32 has too few digits for a large offset.
                mean = float(
                    known.sum(dtype=np.float64) / np.broadcast_to(shown, known.shape).sum()
                )
                values = _fill(((known - mean) * shown).astype(np.float32), weight) + mean
            else:
                values = np.full(known.shape, overall)
            if image.dtype.kind in "ui":
                values = np.rint(values)
            np.copyto(filled[cell], values, where=~shown, casting="unsafe")
    return filled


def _fill(total: FloatArray, weight: FloatArray) -> FloatArray:
    around = _sum_around(weight)
    nearby = _sum_around(total) / np.maximum(around, 1e-12)
    own = np.where(weight > 0, total / np.maximum(weight, 1e-12), nearby)
    if around.all():
        return own
    coarse = _fill(_sum_pairs(total), _sum_pairs(weight))
    fine = coarse.repeat(2, axis=0).repeat(2, axis=1)[: total.shape[0], : total.shape[1]]
    return np.where(around > 0, own, fine)


def _sum_around(values: FloatArray) -> FloatArray:
    """Return the sums over 3x3 neighbourhoods."""
    height, width = values.shape[:2]
    framed = np.pad(values, ((1, 1), (1, 1), (0, 0)))
    rows = framed[:height] + framed[1:-1] + framed[2:]
    return rows[:, :width] + rows[:, 1:-1] + rows[:, 2:]


def _sum_pairs(values: FloatArray) -> FloatArray:
    """Return the sums over squares of 2x2."""
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    return even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
