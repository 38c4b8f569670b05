"""Blotches of colour: found, removed at a quarter of the size, alike in tiles and in the whole."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from quietpixel import DenoiseOptions, Denoiser
from quietpixel.imaging.strength import LUMINANCE
from quietpixel.inference import job as jobs
from quietpixel.inference.job import run
from quietpixel.noise.level import measure_level

RANGE = (0, 1)


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


def test_blotches_are_found_where_colour_noise_is_coarse_alone() -> None:
    rng = np.random.default_rng(1)
    clean, light = scene(), rng.standard_normal((160, 160, 1))
    grain = ndimage.gaussian_filter(light, (0.9, 0.9, 0))
    others = [
        np.zeros_like(clean),
        20 / 255 * rng.standard_normal(clean.shape),
        20 / 255 * light,
        12 / 255 * grain / grain.std(),
    ]
    assert measure_level(clean + camera_noise()).blotches > 0.25
    for noise in others:
        assert measure_level((clean + noise).astype(np.float32)).blotches == 0
    gray = clean[..., :1] + camera_noise()[..., :1]
    assert measure_level(gray).blotches == 0


@pytest.mark.parametrize("sigma", ["auto", 10 / 255])
def test_blotches_become_weaker_and_luminance_stays(monkeypatch, sigma: float | str) -> None:
    denoiser, noise = Denoiser("photo", precision="f32"), camera_noise()
    clean = np.repeat(scene()[..., :1], 3, axis=2)  # its colour is noise alone
    seen = []
    find = jobs.find_blotches
    monkeypatch.setattr(jobs, "find_blotches", lambda *words: seen.append(find(*words)) or seen[-1])

    def rest(job: jobs.DenoiseJob) -> float:
        left = run(job).image - clean
        return float((left - (left @ LUMINANCE)[..., np.newaxis]).std())

    job = denoiser.prepare(clean + noise, DenoiseOptions(sigma=sigma, range=RANGE))
    assert job.level is not None
    assert job.level.blotches is not None
    without = replace(job, level=replace(job.level, blotches=None))
    assert rest(job) < 0.92 * rest(without)
    assert len(seen) == 1
    assert np.abs(seen[0] @ LUMINANCE).max() < 1e-6 < np.abs(seen[0]).max()


def test_tiles_and_odd_sizes_equal_the_whole() -> None:
    image = scene(203, 321) + camera_noise(203, 321)
    options = DenoiseOptions(range=RANGE, strength=1.3, colour_strength=0.9)
    whole = Denoiser("photo", precision="f32").prepare(image, options)
    tiled = Denoiser("photo", precision="f32", memory="30MB").prepare(image, options)
    assert len(whole.tiles) == 1 < len(tiled.tiles)
    assert tiled.level is not None
    assert tiled.level.blotches is not None
    np.testing.assert_allclose(run(tiled).image, run(whole).image, atol=1e-5)


def test_work_may_end_between_blotches_and_the_first_tile(monkeypatch) -> None:
    image = scene() + camera_noise()
    job = Denoiser("photo").prepare(image, DenoiseOptions(range=RANGE))
    found, find = [], jobs.find_blotches
    monkeypatch.setattr(jobs, "find_blotches", lambda *words: found.append(1) or find(*words))
    monkeypatch.setattr(jobs, "run_model", lambda *words: pytest.fail("a tile was computed"))

    def stop(share: float) -> None:
        if found:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run(job, stop)


def test_a_batch_and_a_stack_lose_their_blotches_as_single_images_do(monkeypatch) -> None:
    denoiser = Denoiser("photo", precision="f32")
    noisy = [scene() + camera_noise(), (scene() + camera_noise()[::-1]).astype(np.float32)]
    bytes_ = np.stack([np.clip(np.rint(255 * each), 0, 255).astype(np.uint8) for each in noisy])
    single = np.stack([denoiser(each) for each in bytes_])
    np.testing.assert_allclose(denoiser.batch(bytes_), single, atol=1)
    seen = []
    find = jobs.find_blotches
    monkeypatch.setattr(jobs, "find_blotches", lambda *words: seen.append(words) or find(*words))
    stack = denoiser.denoise(bytes_, DenoiseOptions(axes="tyxc"))
    assert len(seen) == 2
    assert np.abs(stack.image.astype(int) - single).mean() < 0.5


def test_a_gray_page_among_pages_of_colour_has_none() -> None:
    denoiser = Denoiser("photo", precision="f32")
    pages = np.clip(np.rint(255 * np.stack([scene() + camera_noise()] * 3)), 0, 255)
    pages[1] = pages[1, ..., :1]
    pages = pages.astype(np.uint8)
    stack = denoiser.denoise(pages, DenoiseOptions(axes="tyxc")).image
    sigma = denoiser.estimate_sigma(pages[0])
    assert np.array_equal(stack[1], denoiser(pages[1], sigma=sigma))
    assert np.array_equal(stack[0], denoiser(pages[0]))
