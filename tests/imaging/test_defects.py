"""Impulses and stripes are repaired where there are any; structure and noise are left alone."""

import io

import numpy as np
import pytest

from quietpixel.imaging.defects import (
    HALO,
    has_screen,
    outlier_distance,
    repair_outliers,
    single_pixels,
    stripe_offsets,
)


def scene(side: int = 96) -> np.ndarray:
    """Edges, thin lines, a gradient and a soft spot."""
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    image = 0.2 + 0.5 * x
    image[y > 0.5] += 0.2
    image[:, 20] = 0.9
    image[np.arange(side), np.arange(side)] = 0.05
    image += 0.3 * np.exp(-((x - 0.7) ** 2 + (y - 0.2) ** 2) * 800)
    return np.repeat(image[..., None], 3, axis=-1).astype(np.float32)


def with_impulses(clean: np.ndarray, share: float) -> np.ndarray:
    draw = np.random.default_rng(0).random(clean.shape)
    noisy = np.where(draw < share / 2, 0, np.where(draw > 1 - share / 2, 1, clean))
    return noisy.astype(np.float32)


def psnr(image: np.ndarray, clean: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((image - clean) ** 2)))


@pytest.mark.parametrize(("share", "gain"), [(0.001, 0.5), (0.02, 6), (0.08, 6)])
def test_impulses_are_found_and_repaired(share: float, gain: float) -> None:
    clean = scene()
    noisy = with_impulses(clean, share)
    distance = outlier_distance(noisy)
    assert distance is not None
    assert psnr(repair_outliers(noisy, distance), clean) > psnr(noisy, clean) + gain


def test_sharp_structure_has_none() -> None:
    assert outlier_distance(scene()) is None


@pytest.mark.parametrize("sigma", [2 / 255, 10 / 255, 50 / 255])
def test_noise_has_none(sigma: float) -> None:
    noise = sigma * np.random.default_rng(0).standard_normal((128, 128, 3))
    assert outlier_distance((0.5 + noise).astype(np.float32)) is None


GLYPHS = {
    "i": ".#. ... .#. .#. .#. .#. .#.",
    "t": ".#.. ###. .#.. .#.. .#.. .#.. ..#.",
    "r": "..... ..... #.##. ##... #.... #.... #....",
    "n": "..... ..... #.##. ##..# #...# #...# #...#",
    "o": "..... ..... .###. #...# #...# #...# .###.",
    "e": "..... ..... .###. #...# ##### #.... .###.",
    "l": ".#. .#. .#. .#. .#. .#. .#.",
    "a": "..... ..... .###. ....# .#### #...# .####",
}


@pytest.mark.parametrize("level", [0, 3, 10])
def test_the_dots_and_ends_of_letters_are_no_impulses(level: int) -> None:
    rng = np.random.default_rng(2)
    page = np.ones((256, 256, 1), np.float32)
    for top in range(4, 240, 14):
        left = 4
        while left < 245:
            rows = GLYPHS[rng.choice(list(GLYPHS))].split()
            glyph = np.array([[mark == "." for mark in row] for row in rows], np.float32)
            page[top : top + 7, left : left + glyph.shape[1], 0] = glyph
            left += glyph.shape[1] + 2
    noisy = page + level / 255 * rng.standard_normal(page.shape, np.float32)
    assert outlier_distance(noisy.clip(0, 1)) is None
    noisy[rng.random(page.shape) < 0.02] = 0.5
    assert outlier_distance(noisy.clip(0, 1)) is not None


@pytest.mark.parametrize("channels", [1, 3])
def test_dots_in_lines_are_no_impulses(channels: int) -> None:
    """Dots of thin letters are alone, as impulses are, but all of a line in the same row."""
    rng = np.random.default_rng(0)
    dots = rng.random((256, 256)) < 0.05
    dots[np.arange(256) % 14 != 3] = False
    anywhere = rng.permutation(dots.ravel()).reshape(dots.shape)
    denser = rng.random(dots.shape) < 0.03 * np.linspace(0, 1, 256) ** 3
    for marked, impulses in ((dots, False), (dots.T, False), (anywhere, True), (denser, True)):
        page = np.where(marked, 0.2, 0.9)[..., np.newaxis].repeat(channels, axis=2)
        assert (outlier_distance(page.astype(np.float32)) is not None) == impulses


def dithered(image: np.ndarray, values: int) -> np.ndarray:
    """Return an image in few values, whose dots lie on a grid of 4 x 4 pixels (B. Bayer, 1973)."""
    order = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]
    limits = np.tile(np.array(order), (image.shape[0] // 4, image.shape[1] // 4))[..., np.newaxis]
    result = np.floor(image * (values - 1) + (limits + 0.5) / 16) / (values - 1)
    return result.astype(np.float32)


@pytest.mark.parametrize("values", [3, 6])
def test_dots_of_an_image_in_few_values_are_no_impulses(values: int) -> None:
    clean = scene().clip(0, 1)
    assert outlier_distance(dithered(clean, values)) is None
    assert outlier_distance(with_impulses(clean, 0.3)) is not None  # they touch, as chance has it


def test_what_is_no_outlier_stays_to_the_last_bit() -> None:
    noisy = with_impulses(scene(), 0.02)
    distance = outlier_distance(noisy)
    assert distance is not None
    same = repair_outliers(noisy, distance) == noisy
    assert same.mean() > 0.975
    clean = scene()
    assert np.mean(repair_outliers(clean, distance) == clean) > 0.999


def test_a_pixel_depends_on_no_more_than_the_halo() -> None:
    noisy = with_impulses(scene(), 0.08)
    whole = repair_outliers(noisy, 0.1)
    part = repair_outliers(noisy[16:64, 16:64], 0.1)
    inner = slice(HALO, -HALO)
    np.testing.assert_array_equal(part[inner, inner], whole[16:64, 16:64][inner, inner])


def test_a_few_bright_points_are_content() -> None:
    stars = np.zeros((64, 64, 1), np.float32)
    stars[::25, ::25] = 40
    assert outlier_distance(stars) is None


def test_tiny_images_have_none() -> None:
    assert outlier_distance(np.ones((2, 9, 1), np.float32)) is None


# Stripes.


def striped_scene() -> np.ndarray:
    y, x = np.mgrid[:160, :400].astype(np.float32) / 200
    image = 0.3 + 0.3 * x + 0.1 * np.sin(9 * y + 5 * x)
    image[60:90, 40:120] += 0.2
    return np.repeat(image[..., None], 3, axis=-1).astype(np.float32)


@pytest.mark.parametrize("sigma", [3 / 255, 8 / 255])
def test_row_noise_is_removed_beside_white_noise(sigma: float) -> None:
    rng, clean = np.random.default_rng(0), striped_scene()
    rows = sigma * rng.standard_normal((len(clean), 1, 1)).astype(np.float32)
    noisy = clean + rows + 3 / 255 * rng.standard_normal(clean.shape).astype(np.float32)
    offsets = stripe_offsets(noisy)
    assert offsets is not None
    assert offsets.shape == (160, 3)
    left = rows[:, 0] - offsets
    assert left.std() < 0.55 * sigma


def test_columns_are_rows_of_the_transposed_image() -> None:
    columns = 8 / 255 * np.random.default_rng(1).standard_normal((1, 400, 1)).astype(np.float32)
    noisy = striped_scene() + columns
    assert stripe_offsets(noisy) is None
    assert stripe_offsets(noisy.swapaxes(0, 1)) is not None


@pytest.mark.parametrize("sigma", [0.0, 10 / 255])
def test_an_image_without_row_noise_has_none(sigma: float) -> None:
    noise = sigma * np.random.default_rng(0).standard_normal(striped_scene().shape).astype(
        np.float32
    )
    assert stripe_offsets(striped_scene() + noise) is None


@pytest.mark.parametrize("period", [2.5, 4, 7, 19, 44])
@pytest.mark.parametrize("square", [False, True])
def test_a_pattern_that_repeats_is_no_noise(period: float, square: bool) -> None:
    wave = np.sin(2 * np.pi * np.arange(256) / period)
    wave = np.sign(wave) if square else wave
    image = np.tile((0.5 + 0.3 * wave)[:, np.newaxis, np.newaxis], (1, 256, 3))
    noise = 6 / 255 * np.random.default_rng(0).standard_normal(image.shape)
    assert stripe_offsets((image + noise).astype(np.float32)) is None


def test_rows_are_found_beside_a_frame_that_has_none() -> None:
    rows = 8 / 255 * np.random.default_rng(0).standard_normal((160, 1, 1))
    noisy = (striped_scene() + rows).astype(np.float32)
    framed = np.pad(noisy, ((0, 0), (60, 60), (0, 0)))
    offsets = stripe_offsets(framed)
    assert offsets is not None
    assert (rows[:, 0] - offsets).std() < 0.55 * 8 / 255


@pytest.mark.parametrize("quality", [None, 90])
def test_a_line_of_text_is_no_stripe(quality: int | None) -> None:
    """Above and below x-height most columns change, but the paper between letters does not."""
    from PIL import Image, ImageDraw, ImageFont

    strip = Image.new("L", (400, 36), 255)
    line = "murmurs azure nooses, unwise moose were some more"
    for top in (2, 18):
        ImageDraw.Draw(strip).text((4, top), line, font=ImageFont.load_default(16), fill=0)
    if quality:
        file = io.BytesIO()
        strip.save(file, "JPEG", quality=quality)
        strip = Image.open(file)
    image = np.asarray(strip, np.float32)[..., np.newaxis] / 255
    assert stripe_offsets(image) is None
    rows = 20 / 255 * np.random.default_rng(0).standard_normal((36, 1, 1))
    assert stripe_offsets((0.8 * image + rows).astype(np.float32)) is not None


def test_flat_and_tiny_images_have_none() -> None:
    assert stripe_offsets(np.full((64, 64, 3), 0.5, np.float32)) is None
    assert stripe_offsets(np.zeros((8, 64, 1), np.float32)) is None


def test_a_pixel_is_alone_in_its_own_channel() -> None:
    marked = np.zeros((6, 7, 3), bool)
    marked[2, 3] = True  # neighbours in memory, not in the image
    assert np.array_equal(single_pixels(marked), marked)
    marked[3, 4, 1] = True
    alone = single_pixels(marked)
    assert np.argwhere(alone).tolist() == [[2, 3, 0], [2, 3, 2]]


@pytest.mark.parametrize("shape", [(128, 256), (256, 256), (384, 400)])
def test_the_dots_of_a_print_are_a_screen_and_noise_is_none(shape: tuple[int, int]) -> None:
    """One square, four and nine: the middle of an even number lies between two."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    dots = np.cos(2 * np.pi * (x + y) / 7.3) + np.cos(2 * np.pi * (x - y) / 7.3)
    noise = np.random.default_rng(0).normal(0, 0.05, shape)
    assert has_screen((0.5 + 0.1 * dots + noise).astype(np.float32))
    assert not has_screen((0.5 + noise).astype(np.float32))


def test_lines_and_frames_of_a_drawing_are_no_screen() -> None:
    """Their power fills rows and columns of the spectrum, where equal periods lie across."""
    drawing = np.ones((384, 400), np.float32)
    drawing[::37] = drawing[:, ::53] = 0.7
    drawing[100:300, 60] = drawing[300, 60:350] = 0
    rows = np.rint(200 + 80 * np.sin(np.arange(400) / 25)).astype(int)
    drawing[rows, np.arange(400)] = 0.3
    assert not has_screen(drawing)
