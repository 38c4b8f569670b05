"""Impulses and stripes are repaired before the model, in tiles as in the whole image."""

import sys

import numpy as np
import pytest

from quietpixel import DenoiseOptions, Denoiser
from quietpixel.batch.denoise import Settings, denoise_picture
from quietpixel.card import Card
from quietpixel.files import Picture
from quietpixel.inference import denoiser
from quietpixel.inference.arrays import Layout, read_layout
from quietpixel.inference.repair import Repair, find_repair
from quietpixel.inference.tile_plan import choose_grid


def scene(height: int = 200, width: int = 264) -> np.ndarray:
    """Soft shapes with edges, in colour, float32."""
    y, x = np.mgrid[:height, :width].astype(np.float32) / 200
    image = np.stack([0.3 + 0.3 * x, 0.5 - 0.2 * y, 0.4 + 0.1 * np.sin(6 * x + 4 * y)], axis=-1)
    image[60:120, 50:140] += 0.25
    image[(x - 0.9) ** 2 + (y - 0.5) ** 2 < 0.05] -= 0.2
    return image.astype(np.float32)


def to_bytes(image: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def psnr(image: np.ndarray, clean: np.ndarray) -> float:
    error = np.mean((image.astype(np.float64) - to_bytes(clean)) ** 2)
    return float(20 * np.log10(255) - 10 * np.log10(error))


def salted(clean: np.ndarray, share: float = 0.02) -> np.ndarray:
    draw = np.random.default_rng(0).random(clean.shape)
    return to_bytes(np.where(draw < share / 2, 0, np.where(draw > 1 - share / 2, 1, clean)))


def striped(clean: np.ndarray, axis: int, sigma: float = 8 / 255) -> np.ndarray:
    shape = [1, 1, 1]
    shape[axis] = clean.shape[axis]
    return to_bytes(clean + sigma * np.random.default_rng(1).standard_normal(shape))


@pytest.fixture(scope="module")
def photo() -> Denoiser:
    return Denoiser("photo")


def test_salt_and_pepper_is_removed_and_named(photo: Denoiser) -> None:
    noisy = salted(scene())
    result = photo.denoise(noisy)
    assert psnr(noisy, scene()) < 24
    assert psnr(result.image, scene()) > 34
    assert result.noise.kinds == ("impulses",)
    assert "Single outlying pixels were repaired before denoising." in result.notes


@pytest.mark.parametrize("axis", [0, 1])
def test_stripes_are_removed_and_named(photo: Denoiser, axis: int) -> None:
    noisy = striped(scene(), axis)
    result = photo.denoise(noisy)
    assert psnr(noisy, scene()) < 31
    assert psnr(result.image, scene()) > 36
    assert result.noise.kinds == ("stripes",)
    assert "Stripes were removed before denoising." in result.notes


def test_an_image_without_them_is_not_repaired() -> None:
    rng, clean = np.random.default_rng(0), scene()
    for sigma in (0, 5 / 255, 25 / 255):
        noisy = to_bytes(clean + sigma * rng.standard_normal(clean.shape))
        assert find_repair(noisy, read_layout(noisy)) is None


def test_repaired_tiles_equal_the_whole() -> None:
    noisy = striped(to_bytes(scene()) / 255, 0)
    noisy[np.random.default_rng(2).random(noisy.shape[:2]) < 0.01, 1] = 255
    options = {"precision": "f32", "threads": 1}
    whole = Denoiser("photo", memory="2GB", **options).prepare(noisy)
    tiled = Denoiser("photo", memory="19MB", **options).prepare(noisy)
    assert whole.repair is not None
    assert whole.repair.kinds == ("stripes", "impulses")
    assert len(whole.tiles) == 1
    assert len(tiled.tiles) > 2
    from quietpixel.inference.job import run

    difference = run(whole).image.astype(int) - run(tiled).image
    assert np.abs(difference).max() <= 1


def test_strength_zero_repairs_nothing(photo: Denoiser) -> None:
    noisy = salted(scene())
    np.testing.assert_array_equal(photo.denoise(noisy, DenoiseOptions(strength=0)).image, noisy)


def printed(gray: np.ndarray, period: float) -> np.ndarray:
    """Dots on a grid turned by 45 degrees whose size follows the brightness."""
    y, x = np.mgrid[: gray.shape[0], : gray.shape[1]]
    waves = [np.cos(np.sqrt(2) * np.pi * (x + sign * y) / period) for sign in (1, -1)]
    return to_bytes(np.where(gray > (sum(waves) + 2) / 4, 1, 0))


@pytest.mark.parametrize("period", [4.0, 6.3])
def test_a_halftone_print_is_named(
    photo: Denoiser, period: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)  # a base installation has none
    result = photo.denoise(printed(scene(256, 320).mean(axis=2), period))
    assert "halftone" in result.noise.kinds
    assert any("halftone" in note for note in result.notes)


def test_noise_and_a_grating_are_no_halftone_print() -> None:
    y, x = np.mgrid[:256, :320]
    noise = 0.5 + 0.1 * np.random.default_rng(0).standard_normal((256, 320))
    for image in (noise, noise + 0.3 * np.sin(2 * np.pi * (x + y) / 7)):
        pixels = to_bytes(image)[..., np.newaxis]
        repair = find_repair(pixels, read_layout(pixels))
        assert repair is None or not repair.screen


@pytest.mark.parametrize("count", [3, 7])
def test_images_of_a_stack_are_searched_for_defects_once_and_share_a_level(
    photo: Denoiser, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    noise = 0.05 * np.random.default_rng(2).standard_normal((count, 96, 104, 1))
    pages = to_bytes(scene(96, 104)[..., 1:2] + noise)
    searched = []

    def search(image: np.ndarray, layout: Layout) -> Repair | None:
        searched.append(image.shape)
        return find_repair(image, layout)

    monkeypatch.setattr(denoiser, "find_repair", search)
    denoised, found = denoise_picture(photo, Picture(tuple(pages), colour="gray"), Settings())
    assert searched == count * [(96, 104, 1)]
    assert found.noise == count * (found.noise[0],)
    assert found.noise[0].sigma == pytest.approx(0.05, rel=0.1)
    for page, result in zip(pages, denoised.pages, strict=True):
        alone = photo(page, sigma=found.noise[0].sigma)
        np.testing.assert_array_equal(result, alone)


def test_images_of_different_scans_in_one_file_keep_their_levels(photo: Denoiser) -> None:
    rng = np.random.default_rng(2)
    pages = [
        to_bytes(scene(96, 104)[..., 1:2] + sigma * rng.standard_normal((96, 104, 1)))
        for sigma in (0.02, 0.08)
    ]
    _, found = denoise_picture(photo, Picture(tuple(pages), colour="gray"), Settings())
    assert [page.sigma for page in found.noise] == pytest.approx([0.02, 0.08], rel=0.25)


def test_tiles_have_the_halos_of_repair_and_model_together() -> None:
    card = Card(name="any", architecture="unet", channels=3, halo=10, divisor=4)
    grids = [choose_grid(card, (500, 500), 10_000, margin=halo) for halo in (0, 6)]
    assert [grid.halo for grid in grids] == [10, 16]
