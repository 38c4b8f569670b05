"""Coarse noise: found, removed in smaller copies, alike in tiles and in the whole."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import quietpixel
from quietpixel import DenoiseOptions, Denoiser
from quietpixel.files import read_picture
from quietpixel.imaging.intensity_scale import Scale
from quietpixel.imaging.metrics import psnr
from quietpixel.imaging.strength import LUMINANCE
from quietpixel.imaging.tiling import Grid
from quietpixel.inference import job as jobs
from quietpixel.inference.coarse_noise import CoarseNoise, Copies, find_coarse_noise, plan_copies
from quietpixel.inference.job import DenoiseJob, run
from quietpixel.noise.level import measure_level

RANGE = (0, 1)
PAGE_FILES = Path(quietpixel.__file__).parent / "web" / "static"


def scene(height: int = 160, width: int = 160) -> np.ndarray:
    y, x = np.mgrid[:height, :width].astype(np.float32) / 160
    image = np.stack([0.3 + 0.3 * x, 0.6 - 0.2 * y, 0.4 + 0.1 * np.sin(9 * x + 5 * y)], axis=-1)
    image[60:120, 50:140] += 0.2
    return image.astype(np.float32)


def camera_noise(height: int = 160, width: int = 160) -> np.ndarray:
    """Return noise as a camera's JPEG has it: coarse, its colour as strong in every octave."""
    rng = np.random.default_rng(0)
    light = ndimage.gaussian_filter(rng.standard_normal((height, width, 1)), (1.5, 1.5, 0))
    frequency = np.hypot(np.fft.fftfreq(height)[:, np.newaxis], np.fft.fftfreq(width))
    frequency[0, 0] = np.inf  # mean zero
    spectrum = np.fft.fft2(rng.standard_normal((height, width, 3)), axes=(0, 1))
    colour = np.fft.ifft2(spectrum / frequency[..., np.newaxis], axes=(0, 1)).real
    colour = ndimage.gaussian_filter(colour / colour.std(), (1.5, 1.5, 0))
    colour -= colour.mean(axis=2, keepdims=True)
    return ((6 * light / light.std() + 2 * colour) / 255).astype(np.float32)


def test_noise_of_a_camera_is_found_where_noise_is_coarse() -> None:
    rng = np.random.default_rng(1)
    clean, light = scene(), rng.standard_normal((160, 160, 1))
    grain = ndimage.gaussian_filter(light, (0.9, 0.9, 0))
    others = [
        np.zeros_like(clean),
        20 / 255 * rng.standard_normal(clean.shape),
        20 / 255 * light,
        12 / 255 * grain / grain.std(),
    ]
    assert measure_level(clean + camera_noise()).camera > 0.7
    for noise in others:
        assert measure_level((clean + noise).astype(np.float32)).camera == 0
    assert measure_level(clean[..., :1] + camera_noise()[..., :1]).camera > 0.7


def leave_coarse_noise(job: DenoiseJob) -> DenoiseJob:
    assert job.level is not None
    assert job.level.camera is not None
    return replace(job, level=replace(job.level, camera=None))


@pytest.mark.parametrize("sigma", ["auto", 10 / 255])
def test_blotches_of_colour_become_weaker(monkeypatch, sigma: float | str) -> None:
    denoiser, noise = Denoiser("photo", precision="f32"), camera_noise()
    clean = np.repeat(scene()[..., :1], 3, axis=2)  # its colour is noise alone
    seen = []
    find = jobs.find_coarse_noise
    monkeypatch.setattr(
        jobs, "find_coarse_noise", lambda *words: seen.append(find(*words)) or seen[-1]
    )

    def rest(job: DenoiseJob) -> float:
        left = run(job).image - clean
        return float((left - (left @ LUMINANCE)[..., np.newaxis]).std())

    job = denoiser.prepare(clean + noise, DenoiseOptions(sigma=sigma, range=RANGE))
    assert rest(job) < 0.92 * rest(leave_coarse_noise(job))
    assert len(seen) == 1
    assert np.abs(seen[0].blotches @ LUMINANCE).max() < 1e-6 < np.abs(seen[0].blotches).max()


@pytest.mark.parametrize("sigma", ["auto", 30 / 255])
def test_coarse_noise_of_luminance_becomes_weaker(sigma: float | str) -> None:
    photo = read_picture(PAGE_FILES / "sample-photo.jpg").pages[0][100:228, 100:260]
    clean = photo.astype(np.float32).mean(axis=2) / 255
    noise = 10 / 255 * np.random.default_rng(0).standard_normal(clean.shape)
    small = Denoiser("photo", precision="f32")(clean, sigma=20 / 255, range=RANGE)
    clean, noisy = (
        ndimage.zoom(each, 2, order=1, mode="nearest", grid_mode=True).astype(np.float32)
        for each in (small, small + noise)
    )
    job = Denoiser("photo", precision="f32").prepare(
        noisy, DenoiseOptions(sigma=sigma, range=RANGE)
    )
    before, after = (psnr(clean, run(each).image) for each in (leave_coarse_noise(job), job))
    assert after > before + 0.2


@pytest.mark.parametrize(
    ("camera", "share", "levels"),
    [(1, 0.7, (0.12, 0.45)), (0.25, 0.7, (0.2925, 0.6)), (0.05, 0.14, (0.3385, 0.64))],
)
def test_copies_get_higher_levels_where_fine_noise_is_strong_too(camera, share, levels) -> None:
    half = np.zeros((32, 32, 1, 1), np.float32)
    card = Denoiser("photo").card
    copies = Copies(half, np.ones((1, 1, 1), np.float32), plan_copies(card, (64, 64), 10**6))
    given = []
    found = find_coarse_noise(
        copies,
        np.array([camera], np.float32),
        (2.0, 1.0),
        lambda pixels, level: given.append(float(level.max())) or pixels,
        lambda: None,
    )
    assert given == pytest.approx([2 * level for level in levels])
    assert found.share == pytest.approx(share)


@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_and_odd_sizes_equal_the_whole(channels: int) -> None:
    image = (scene(203, 321) + camera_noise(203, 321))[..., :channels]
    # Hot pixels, so that a step before the model reads beyond a tile.
    rows, columns = np.random.default_rng(3).integers(5, (198, 316), (60, 2)).T
    image[rows, columns] = 1
    options = DenoiseOptions(range=RANGE, strength=1.3, colour_strength=0.9)
    whole = Denoiser("photo", precision="f32").prepare(image, options)
    tiled = Denoiser("photo", precision="f32", memory="30MB").prepare(image, options)
    assert len(whole.tiles) == 1 < len(tiled.tiles)
    assert tiled.level is not None
    assert tiled.level.camera is not None
    assert tiled.repair is not None
    np.testing.assert_allclose(run(tiled).image, run(whole).image, atol=1e-5)


def test_copies_are_cut_as_well_and_equal_the_whole() -> None:
    image = scene(400, 720) + camera_noise(400, 720)
    job = Denoiser("photo", precision="f32").prepare(image, DenoiseOptions(range=RANGE))
    tiled = Denoiser("photo", precision="f32", memory="30MB").prepare(
        image, DenoiseOptions(range=RANGE)
    )
    shares: list[float] = []
    result = run(tiled, shares.append).image
    # More than one tile of a copy, and progress after each.
    assert len(shares) - 1 > len(tiled.tiles) + 2
    assert shares == sorted({*shares})
    assert shares[-1] == 1
    np.testing.assert_allclose(result, run(job).image, atol=1e-5)


def test_tiles_have_the_surroundings_that_the_correction_needs(monkeypatch) -> None:
    noisy = scene(160, 400) + camera_noise(160, 400)
    denoiser = Denoiser("photo", precision="f32", memory="20MB")
    halo = denoiser.card.divisor * 10  # a whole number of times, which leaves no pixel to spare
    monkeypatch.setattr(Denoiser, "card", replace(denoiser.card, halo=halo))
    job = denoiser.prepare(noisy, DenoiseOptions(range=RANGE))
    copies = plan_copies(denoiser.card, (1600, 1600), 200**2)
    for tiles in (job.tiles, *copies.values()):
        inner = [tile.columns for tile in tiles if tile.columns.keep_start]
        assert inner
        assert all(span.keep_start - span.start >= halo + 2 for span in inner)


def test_the_coarse_part_goes_part_of_the_way_to_that_of_the_copy() -> None:
    result = np.zeros((16, 16, 1, 3), np.float32)
    copy = np.full((8, 8, 1, 1), 0.1, np.float32)
    tile = next(Grid((16, 16), (16, 16), halo=0).tiles())
    noise = CoarseNoise(None, copy, np.array([[0.6]], np.float32))
    np.testing.assert_allclose(noise.correct_luminance(result, tile), 0.06, rtol=1e-5)
    result[::2] = 0.2  # finer than the copy, and of its mean
    np.testing.assert_allclose(noise.correct_luminance(result, tile), result, atol=1e-6)


def test_work_may_end_after_a_tile_of_a_copy(monkeypatch) -> None:
    image = scene() + camera_noise()
    job = Denoiser("photo").prepare(image, DenoiseOptions(range=RANGE))
    monkeypatch.setattr(jobs, "_denoise_tile", lambda *words: pytest.fail("a tile was computed"))

    def stop(share: float) -> None:
        if share > 0:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run(job, stop)


def test_a_batch_and_a_stack_lose_their_coarse_noise_as_single_images_do(monkeypatch) -> None:
    denoiser = Denoiser("photo", precision="f32")
    noisy = [scene() + camera_noise(), (scene() + camera_noise()[::-1]).astype(np.float32)]
    bytes_ = np.stack([np.clip(np.rint(255 * each), 0, 255).astype(np.uint8) for each in noisy])
    single = np.stack([denoiser(each) for each in bytes_])
    np.testing.assert_allclose(denoiser.batch(bytes_), single, atol=1)
    seen = []
    find = jobs.find_coarse_noise
    monkeypatch.setattr(
        jobs, "find_coarse_noise", lambda *words: seen.append(words) or find(*words)
    )
    stack = denoiser.denoise(bytes_, DenoiseOptions(axes="tyxc"))
    assert len(seen) == 2
    assert np.abs(stack.image.astype(int) - single).mean() < 0.5


def test_a_gray_page_among_pages_of_colour_is_denoised_as_gray() -> None:
    denoiser = Denoiser("photo", precision="f32")
    pages = np.clip(np.rint(255 * np.stack([scene() + camera_noise()] * 3)), 0, 255)
    pages[1] = pages[1, ..., :1]
    pages = pages.astype(np.uint8)
    stack = denoiser.denoise(pages, DenoiseOptions(axes="tyxc")).image
    found = denoiser.prepare(pages[0]).level
    assert found is not None
    assert found.camera is not None
    scale = Scale(0, 255, 255, level=float(found.values[0, 0, 0]), camera=float(found.camera[0]))
    alone = denoiser.denoise(pages[1], scale=scale).image
    assert np.array_equal(stack[1], alone)
    assert np.ptp(alone, axis=2).max() == 0
    assert np.array_equal(stack[0], denoiser(pages[0]))


def test_an_image_without_it_does_not_depend_on_others_of_a_batch() -> None:
    denoiser, clean = Denoiser("photo", precision="f32"), scene()
    white = clean + 0.1 * np.random.default_rng(0).standard_normal(clean.shape).astype(np.float32)
    assert measure_level(white).camera == 0
    both = np.stack([white, clean + camera_noise()])
    np.testing.assert_allclose(
        *(denoiser.batch(some, range=RANGE)[0] for some in (both, both[:1])), atol=1e-5
    )


def test_it_is_not_looked_for_in_parts_of_an_image() -> None:
    denoiser, noisy = Denoiser("photo", precision="f32"), scene() + camera_noise()
    layout, options = denoiser.layout_for(noisy), DenoiseOptions(range=RANGE, sigma=10 / 255)
    tiles = tuple(Grid((160, 160), (160, 160), halo=80, divisor=8).tiles())
    images = noisy[:, :, np.newaxis]
    levels = [
        denoiser.prepare_stack(images, layout, options, tiles=given).level
        for given in (None, tiles)
    ]
    assert [level is not None and level.camera is not None for level in levels] == [True, False]
