"""Drawings and pages of text, whose edges would pass for noise."""

from typing import NamedTuple

import numpy as np

from quietpixel.array_types import Array, BoolArray

BLOCK = 8
"""Side of a block in pixels."""
CONSTANT, SOLID = 0.1, 0.3
"""Squares of any one value count where this share of the blocks lies in constant areas, as in
drawings; elsewhere they may be noise, enlarged by repeating its pixels. Black ones count only
beside this share of the other pixels in such squares, and in text: counts of few photons are mostly
0."""
TYPED, BRIGHT, INKED = (0.65, 0.25, 0.15), 0.8, 0.9
"""Least shares in light text on black: of the blocks that are not blank, those that have letters;
of neighbours in them that are ink together, as a correlation; and of the ink that has 0.8 of the
highest values. The highest of all values is taken for 0.9 (`PAPER` and `INK`), so that dim text
counts as well. Text of 8 to 36 pixels has 0.75 to 0.96, 0.29 to 0.7 and 0.24 to 1, JPEGs of it less
of the first if it is coloured (0.4) and of the last at quality 50 (0.06). Inverted scans with noise
of 10/255 and more, cut off at black, have 0.44 to 0.6 of the first. Counts of photons reach two at
most (cells, whose noise was made equally strong, 0.8, 0 and 0.05, filaments 0.87, 0.3 and 0.06,
spots 0.75, 0.5 and 0.06), all three where they are cut off at white (see `REPEATED`)."""
PAPER, INK = (12 / 255, 0.2), (60 / 255, 0.05)
"""A block has letters if such a share of its pixels (0.2) is as near to the paper, and such a share
(0.05) as far from it. Paper is one of the two most frequent values of constant blocks, if it fills
`LEAST_PAPER` of all; black counts only in text (`TYPED`). Pages of text of 11 to 40 pixels in
JPEGs of quality 40 to 95 have letters in 0.7 to 0.9 of the blocks, clean photographs, noisy ones in
a frame, drawings and scans in at most 0.2."""
REPEATED, RECURRING, EXACT, MOST_FREQUENT = 0.005, 0.3, 0.8, 0.2
"""Letters recur, noise does not. Of the patches with ink, 0.6 to 0.98 have an equal one elsewhere
in text of 8 to 36 pixels, mostly more than 0.02 if it was enlarged or reduced, and mostly less than
0.0005 where all have noise. From 0.3 on an image is a page of text; its paper is the most frequent
value, if a fifth of the pixels have it. On paper that is the darkest value, as of lines, filaments
and spots with photon noise on exact black, it is none below 0.005. A JPEG changes each letter in
another way, and the paper around it: 0.3 to 0.76 of the pixels near to the paper have exactly its
value, elsewhere 0.85 or more, so below 0.8 nothing follows from it."""
PATCH, PATCH_INK, PATCH_BETWEEN, FEWEST_PATCHES = 5, 8, 3, 50
"""Side of such a patch; its least number of pixels of ink, and of those neither darkest nor
brightest, as what is cut off recurs; and how many patches say something."""
HASH = 0x9E3779B1
"""Base of the polynomial modulo 2 ** 32 by which patches are compared."""
PAPERS, LEAST_PAPER, BLACK = 2, 0.05, 1e-9
"""How many values are tried as paper, their least share of the blocks, and the highest brightness
of a black block."""


def find_drawing(colours: Array, constant: BoolArray, brightness: Array) -> tuple[Array, float]:
    """Return what tells that an image was drawn or typed.

    Parameters
    ----------
    colours
        The image, (H, W, 3).
    constant
        Which blocks of 8 x 8 lie in constant areas, (rows, columns).
    brightness
        Of each block, (rows, columns), 0 for black.

    Returns
    -------
    squares
        Share of the squares of 2 x 2 pixels of each block that count as drawn, (rows, columns).
    letters
        Share of the blocks outside constant areas that have letters, 0 to 1.
    """
    rows, columns = constant.shape
    cells = colours[: rows * BLOCK, : columns * BLOCK]
    # Faster than `max` of an axis.
    values = np.maximum(np.maximum(cells[..., 0], cells[..., 1]), cells[..., 2])
    on_black = _is_typed_on_black(cells, values, ~constant)
    squares = _share_even_squares(cells, constant, typed=on_black)
    return squares, _share_letters(cells, values, constant, brightness, black=on_black)


def _share_even_squares(cells: Array, constant: BoolArray, *, typed: bool) -> Array:
    # Faster than `all` and `any` of an axis.
    if constant.mean() < CONSTANT and not typed:
        white = cells >= 1
        white = white[..., 0] & white[..., 1] & white[..., 2]
        pairs = white[::2] & white[1::2]
        even = pairs[:, ::2] & pairs[:, 1::2]
    else:
        corner, *others = (cells[y::2, x::2] for y in (0, 1) for x in (0, 1))
        same = (others[0] == corner) & (others[1] == corner) & (others[2] == corner)
        even = same[..., 0] & same[..., 1] & same[..., 2]
        lit = _is_lit(corner)
        black = typed or np.mean(even & lit) >= SOLID * np.mean(lit)
        even &= lit | black
    (rows, columns), half = constant.shape, BLOCK // 2
    return even.reshape(rows, half, columns, half).mean(axis=(1, 3))


def _is_lit(cells: Array) -> BoolArray:
    return (cells[..., 0] > 0) | (cells[..., 1] > 0) | (cells[..., 2] > 0)


def _share_letters(
    cells: Array, values: Array, constant: BoolArray, brightness: Array, *, black: bool
) -> float:
    if constant.all():
        return 0.0
    plain = constant if black else constant & (brightness > BLACK)
    rounded = np.round(brightness[plain], 4)
    _, first, counts = np.unique(rounded, return_index=True, return_counts=True)
    most = 0.0
    for paper in np.argsort(-counts, kind="stable")[:PAPERS]:
        if counts[paper] < LEAST_PAPER * constant.size:
            break
        row, column = BLOCK * np.argwhere(plain)[first[paper]]
        found = _find_letters(cells, cells[row, column])
        if not _is_noise(values, cells[row, column], found):
            most = max(most, float(found.letters[~constant].mean()))
    return 1.0 if _recurs(cells, values) else most


class _Letters(NamedTuple):
    """Which blocks have letters or are blank, (rows, columns); which pixels are near to the paper,
    which are ink, (rows, 8, columns, 8).
    """

    letters: BoolArray
    blank: BoolArray
    near: BoolArray
    ink: BoolArray


def _find_letters(cells: Array, paper: Array, unit: float = 1.0) -> _Letters:
    shape = cells.shape[0] // BLOCK, BLOCK, cells.shape[1] // BLOCK, BLOCK
    distance = np.abs(cells[..., 0] - paper[0])
    for channel in (1, 2):  # faster than `max` of an axis
        np.maximum(distance, np.abs(cells[..., channel] - paper[channel]), out=distance)
    near, ink = distance <= PAPER[0] * unit, distance >= INK[0] * unit
    near, ink = near.reshape(shape), ink.reshape(shape)
    paper_pixels, ink_pixels = (
        each.sum(axis=1, dtype=np.uint8).sum(axis=2) for each in (near, ink)
    )
    most = BLOCK**2
    letters = (paper_pixels >= PAPER[1] * most) & (ink_pixels >= INK[1] * most)
    return _Letters(letters, paper_pixels == most, near, ink)


def _is_noise(values: Array, paper: Array, found: _Letters) -> bool:
    """Return whether letters on unchanged paper of the darkest value do not recur."""
    near = found.near & found.letters[:, np.newaxis, :, np.newaxis]
    if paper.max() > values.min() or not near.any():
        return False
    exact = np.mean(values.reshape(near.shape)[near] == paper.max())
    return bool(exact >= EXACT and _share_repeated(values, found.ink) < REPEATED)


def _recurs(cells: Array, values: Array) -> bool:
    """Return whether what is on the most frequent value recurs, so that it is text."""
    stored = np.clip(np.round(values * 255), 0, 255).astype(np.uint8)
    counts = np.bincount(stored.ravel())
    if counts.max() < MOST_FREQUENT * values.size:
        return False
    row, column = np.unravel_index(np.argmax(stored == counts.argmax()), values.shape)
    ink = _find_letters(cells, cells[row, column]).ink
    return _share_repeated(values, ink) >= RECURRING


def _share_repeated(values: Array, ink: BoolArray) -> float:
    """Return the share of patches with ink that have an equal one, by a hash of their values."""
    ink = ink.reshape(values.shape)
    codes = np.round(values * 65535).astype(np.int32).view(np.uint32)
    powers = np.array([pow(HASH, power, 2**32) for power in range(PATCH**2)], np.uint32)
    hashes = _sum_patches(codes, powers[:PATCH], powers[::PATCH])
    ones = np.ones(PATCH, np.uint8)
    between = (values > values.min()) & (values < values.max())
    some = _sum_patches(ink.view(np.uint8), ones, ones) >= PATCH_INK
    some &= _sum_patches(between.view(np.uint8), ones, ones) >= PATCH_BETWEEN
    _, counts = np.unique(hashes[some], return_counts=True)
    total = counts.sum()
    return float(counts[counts > 1].sum() / total) if total >= FEWEST_PATCHES else np.nan


def _sum_patches(values: Array, across: Array, down: Array) -> Array:
    """Return the weighted sum of each patch, modulo the range of integers."""
    for factors in (down, across):
        size = values.shape[0] - PATCH + 1
        values = sum(values[at : at + size] * factor for at, factor in enumerate(factors)).T
    return values


def _is_typed_on_black(cells: Array, values: Array, others: BoolArray) -> bool:
    """Return whether an image is light text on black, of which few squares have one value."""
    unit = max(float(values.max()), INK[0]) / INKED
    black = np.zeros(3, cells.dtype)
    found = _find_letters(cells, black, unit)
    letters = found.letters & others
    # What a JPEG spreads around coloured letters is blank; noise is not.
    if letters.sum() < TYPED[0] * max((others & ~found.blank).sum(), 1):
        return False
    strokes = found.ink.swapaxes(1, 2)[letters].astype(np.float32)
    share = strokes.mean(axis=(1, 2))
    down = (strokes[:, 1:] * strokes[:, :-1]).mean(axis=(1, 2))
    across = (strokes[..., 1:] * strokes[..., :-1]).mean(axis=(1, 2))
    joined = ((down + across) / 2 - share**2) / (share - share**2)
    light = values[values >= INK[0] * unit]
    if not len(light):  # ink that is darker than black
        return False
    bright = np.mean(light > BRIGHT * np.quantile(light, 0.995))
    if np.median(joined) < TYPED[1] or bright < TYPED[2]:
        return False
    return not _is_noise(values, black, found)
