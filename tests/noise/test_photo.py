"""Photo noise: of the given strength, with mean zero, shared and coarse to any degree."""

import numpy as np
import pytest

from quietpixel.errors import ArgumentError
from quietpixel.noise import photo
from quietpixel.noise.parser import image_rng, parse_noise
from quietpixel.noise.photo import PhotoNoise

GRAY = np.full((64, 64, 3), 0.5, np.float32)


def draw(law: PhotoNoise, clean: np.ndarray, count: int = 60) -> np.ndarray:
    return np.stack([law(clean, image_rng(0, 0, i)) - clean for i in range(count)])


def test_it_is_seeded_and_keeps_shape_and_type() -> None:
    for clean in (GRAY, GRAY[..., :1], GRAY[..., 0]):
        first, second = (PhotoNoise(0.1)(clean, image_rng(1, 2, 3)) for _ in range(2))
        np.testing.assert_array_equal(first, second)
        assert (first.shape, first.dtype) == (clean.shape, np.float32)


def test_it_is_as_strong_as_asked_and_has_mean_zero() -> None:
    noise = draw(PhotoNoise(20 / 255), GRAY)
    strengths = np.sqrt(np.mean(noise**2, axis=(1, 2, 3)))
    # Compression takes some of the noise away, and never adds much.
    assert np.median(strengths) == pytest.approx(20 / 255, rel=0.05)
    assert strengths.max() < 1.1 * 20 / 255
    assert np.abs(noise.mean(axis=(1, 2))).max() < 1.5 / 255
    assert np.abs(noise.mean()) < 0.1 / 255


def test_channels_share_all_some_or_none_of_it() -> None:
    noise = draw(PhotoNoise(10 / 255), GRAY, 100)
    shared = np.array([np.corrcoef(n[..., 0].ravel(), n[..., 1].ravel())[0, 1] for n in noise])
    assert np.mean(np.abs(shared) < 0.2) > 0.1
    assert np.quantile(shared, 0.95) == pytest.approx(1, abs=0.05)
    assert -0.9 < shared.min() < -0.1, "a camera's colour matrix makes channels disagree"
    assert 0.2 < np.mean((shared > 0.2) & (shared < 0.95)) < 0.9


def test_it_is_white_or_coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo, "PROCESSED", 0)
    noise = draw(PhotoNoise(10 / 255), GRAY, 100)[..., 0]
    neighbours = np.mean(noise[:, :, 1:] * noise[:, :, :-1], axis=(1, 2)) / noise.var(axis=(1, 2))
    far = np.mean(noise[:, :, 6:] * noise[:, :, :-6], axis=(1, 2)) / noise.var(axis=(1, 2))
    assert np.mean(np.abs(neighbours) < 0.1) > 0.05
    assert np.mean(neighbours > 0.5) > 0.2
    assert np.mean(far > 0.2) > 0.1


def test_that_of_a_camera_is_never_white_or_as_smooth_as_grain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(photo, "PROCESSED", 0)
    monkeypatch.setattr(photo, "JPEG", 0)
    noise = draw(PhotoNoise(10 / 255, camera=True), GRAY, 100)[..., 0]
    neighbours = np.mean(noise[:, :, 1:] * noise[:, :, :-1], axis=(1, 2)) / noise.var(axis=(1, 2))
    assert np.all(neighbours > 0.15)
    power = np.abs(np.fft.fft2(noise)) ** 2
    finest = power[:, 24:40, 24:40].mean(axis=(1, 2))
    assert np.all(finest > 1e-4 * power[:, 4:8, 4:8].mean(axis=(1, 2)))


def test_it_depends_on_brightness_in_some_images() -> None:
    steps = np.repeat(np.linspace(0.1, 0.9, 64, dtype=np.float32), 64).reshape(64, 64, 1)
    clean = np.repeat(steps, 3, axis=-1)
    noise = draw(PhotoNoise(10 / 255), clean, 100)
    ratio = noise[:, :20].std(axis=(1, 2, 3)) / noise[:, -20:].std(axis=(1, 2, 3))
    assert np.quantile(ratio, 0.1) < 0.8
    assert np.quantile(ratio, 0.9) > 1.3


def test_some_of_it_is_as_smooth_as_film_grain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo, "PROCESSED", 0)
    monkeypatch.setattr(photo, "JPEG", 0)
    noise = draw(PhotoNoise(10 / 255), GRAY, 200)[..., 0]
    power = np.abs(np.fft.fft2(noise)) ** 2
    finest = power[:, 24:40, 24:40].mean(axis=(1, 2))
    coarser = power[:, 4:8, 4:8].mean(axis=(1, 2))
    assert np.mean(finest < 1e-4 * coarser) > 0.02


def test_some_of_it_is_weaker_on_flat_areas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo, "PROCESSED", 0)
    monkeypatch.setattr(photo, "JPEG", 0)
    clean = GRAY.copy()
    clean[:, 32:] += np.random.default_rng(0).normal(0, 0.1, (64, 32, 1)).astype(np.float32)
    noise = draw(PhotoNoise(10 / 255), clean, 100)
    ratio = noise[:, :, :28].std(axis=(1, 2, 3)) / noise[:, :, 36:].std(axis=(1, 2, 3))
    assert np.quantile(ratio, 0.1) < 0.6
    assert np.quantile(ratio, 0.7) == pytest.approx(1, abs=0.15)


def test_a_camera_leaves_more_of_it_in_detail_and_blotches_of_colour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(photo, "PROCESSED", 1)
    monkeypatch.setattr(photo, "JPEG", 0)
    clean = GRAY.copy()
    clean[:, 32:] += np.random.default_rng(0).normal(0, 0.1, (64, 32, 1)).astype(np.float32)
    noise = draw(PhotoNoise(5 / 255), clean, 30)
    ratio = noise[:, :, :28].std(axis=(1, 2, 3)) / noise[:, :, 36:].std(axis=(1, 2, 3))
    assert np.median(ratio) < 0.9
    flat = noise[:, :, :28]
    luminance, colour = flat.mean(axis=-1), flat[..., 0] - flat[..., 2]
    likeness = [
        np.mean(each[:, :, 2:] * each[:, :, :-2], axis=(1, 2)) / each.var(axis=(1, 2))
        for each in (luminance, colour)
    ]
    assert np.median(likeness[1]) > np.median(likeness[0]) + 0.3


def test_interpolation_of_a_mosaic_keeps_gray_ramps_and_edges() -> None:
    ramp = np.broadcast_to(np.linspace(0.2, 0.8, 32, dtype=np.float32)[:, None, None], (32, 32, 3))
    edge = np.where(np.arange(32)[:, None, None] < 16, 0.2, 0.8) * np.ones((32, 32, 3), np.float32)
    camera = photo._CameraProcessing(
        along_edges=True, side=3, flat=0.0, share=0.0, blur=0.0, sharpen=0.0
    )
    for clean in (ramp, edge.astype(np.float32)):
        inner = np.s_[2:-2, 2:-2]
        np.testing.assert_allclose(camera.apply(clean)[inner], clean[inner], atol=1e-5)


def test_a_camera_smooths_flat_areas_and_leaves_detail() -> None:
    rng = np.random.default_rng(0)
    clean = GRAY.copy()
    clean[:, 32:] += rng.normal(0, 0.1, (64, 32, 1)).astype(np.float32)
    noisy = clean + rng.normal(0, 0.01, clean.shape).astype(np.float32)
    camera = photo._CameraProcessing(
        along_edges=False, side=5, flat=0.02, share=0.9, blur=1.0, sharpen=0.0
    )
    noise = camera.apply(noisy) - camera.apply(clean)
    assert noise[:, 4:28].std() < 0.6 * noise[:, 36:60].std()


def test_it_is_a_law_in_words() -> None:
    assert parse_noise("photo:0.02") == PhotoNoise(0.02)
    assert str(parse_noise("photo:0..20/255|gaussian:0.01")).startswith("photo:0..")
    assert parse_noise("photo:0.02,camera=yes") == PhotoNoise(0.02, camera=True)
    assert str(PhotoNoise(0.5, camera=True)) == "photo:0.5,camera=yes"
    with pytest.raises(ArgumentError, match=r"`camera` must be yes or no; got '1'"):
        parse_noise("photo:0.02,camera=1")


def test_what_it_refuses() -> None:
    with pytest.raises(ArgumentError, match=r"`sigma` .* not be negative .* got -1\. Try photo:10"):
        PhotoNoise(-1.0)
    with pytest.raises(ArgumentError, match=r"\(H, W, 3\) because it is coarse.*got \(2, 2, 2\)"):
        PhotoNoise(0.1)(np.zeros((2, 2, 2), np.float32), image_rng(0, 0, 0))
    with pytest.raises(ArgumentError, match="no single mean and variance because another kind"):
        PhotoNoise(0.1).propagate(np.zeros(1, np.float32), np.zeros(1, np.float32))
