import json

import numpy as np
import pytest
from scipy import ndimage

from quietpixel.imaging.uncertainty import (
    KINDS,
    Calibration,
    conformal_quantile,
    describe_pixels,
    draw_pixels,
    fit_pixels,
)


def make_triples(count: int, seed: int, *, side: int = 48):
    """Return images whose error is a part of the noise, more of it where the image varies."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        sigma = 0.2 * (number + 0.5) / count
        clean = np.full((side, side, 1), 0.5, np.float32)
        clean[::4, : side // 2] += 0.2
        noise = rng.standard_normal(clean.shape).astype(np.float32)
        share = np.where(np.arange(side)[None, :, None] < side // 2, 0.5, 0.1)
        yield (
            clean + sigma * noise,
            (clean + sigma * share * rng.standard_normal(clean.shape)).astype(np.float32),
            clean,
        )


def fit_calibration(triples) -> Calibration:
    parts = [draw_pixels(*each, seed=seed) for seed, each in enumerate(triples)]
    return fit_pixels(parts)


def coverage(calibration: Calibration, triples) -> list[float]:
    return [
        float(np.mean(np.abs(np.clip(d, 0, 1) - c) <= calibration.half_width(n, np.clip(d, 0, 1))))
        for n, d, c in triples
    ]


def test_the_share_lies_inside_on_new_images_at_each_level() -> None:
    calibration = fit_calibration(make_triples(80, 0))
    inside = np.array(coverage(calibration, make_triples(40, 1)))
    assert inside.mean() == pytest.approx(0.9, abs=0.01)
    for level in np.array_split(inside[2:], 4):
        assert level.mean() == pytest.approx(0.9, abs=0.03)


def test_error_bars_are_wider_where_errors_are_larger() -> None:
    calibration = fit_calibration(make_triples(80, 0))
    noisy, denoised, _ = list(make_triples(10, 2))[6]
    width = calibration.half_width(noisy, denoised)
    assert width.shape == noisy.shape
    assert width.dtype == np.float32
    assert width[:, :20].mean() > 2 * width[:, 30:].mean()


def test_a_calibration_goes_through_json() -> None:
    calibration = fit_calibration(make_triples(20, 0))
    again = Calibration.from_dict(json.loads(json.dumps(calibration.to_dict())))
    noisy, denoised, _ = next(make_triples(1, 3))
    first, second = (each.half_width(noisy, denoised) for each in (calibration, again))
    assert np.median(np.abs(first / second - 1)) < 0.001


def draw_noise(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return noise (64, 64, 3) of standard deviation 0.1."""
    noise = rng.standard_normal((64, 64, 1 if kind == "shared" else 3))
    if kind == "coarse":
        noise = ndimage.gaussian_filter(noise, (1, 1, 0))
    return (np.repeat(noise, 3 // noise.shape[2], axis=2) * 0.1 / noise.std()).astype(np.float32)


@pytest.mark.parametrize(("number", "kind"), list(enumerate(KINDS)))
def test_the_kind_of_noise_is_found(number: int, kind: str) -> None:
    clean = np.full((64, 64, 3), 0.5, np.float32)
    noise = draw_noise(kind, np.random.default_rng(0))
    assert np.mean(describe_pixels(clean + noise, clean)[2] == number) > 0.98
    gray = max(number, 1)  # all channels that a model for colour is given are the same
    assert np.mean(describe_pixels((clean + noise)[..., :1], clean[..., :1])[2] == gray) > 0.98


def test_each_kind_of_noise_has_factors_of_its_own() -> None:
    rng = np.random.default_rng(0)
    clean = np.full((64, 64, 3), 0.5, np.float32)
    errors = dict(zip(KINDS, (0.1, 0.2, 0.6), strict=True))
    parts, noisy = [], {}
    for kind, error in errors.items():
        noisy[kind] = clean + draw_noise(kind, rng)
        wrong = clean + error * draw_noise("white", rng)
        # The error changes what is removed, which would be white too.
        error_alone = np.stack([np.abs(wrong - clean), *describe_pixels(noisy[kind], clean)])
        parts.append(error_alone.reshape(4, -1))
    calibration = fit_pixels(parts)
    for kind, error in errors.items():
        width = float(calibration.half_width(noisy[kind], clean).mean())
        assert width == pytest.approx(1.645 * 0.1 * error, rel=0.1)
    whole = fit_pixels(parts[:1])  # of one kind alone: those of the others are the same
    assert whole.half_width(noisy["coarse"], clean).mean() == pytest.approx(0.0165, rel=0.15)


def test_a_calibration_of_before_has_cells_of_one_kind() -> None:
    calibration = fit_calibration(make_triples(20, 0))
    old = {"share": 0.9, **calibration.kinds[1].to_dict()}
    again = Calibration.from_dict(old)
    noisy, denoised, _ = next(make_triples(1, 3))
    first, second = (each.half_width(noisy, denoised) for each in (calibration, again))
    assert np.median(np.abs(first / second - 1)) < 0.001  # numbers are rounded


@pytest.mark.parametrize("side", [1, 5, 8])
def test_tiny_images_calibrate_and_have_widths(side: int) -> None:
    triples = list(make_triples(3, 0, side=max(side, 4)))
    triples = [tuple(each[:side, :side] for each in triple) for triple in triples]
    width = fit_calibration(triples).half_width(*triples[0][:2])
    assert width.shape == (side, side, 1)
    assert np.isfinite(width).all()


def test_images_without_any_error_have_narrow_bars() -> None:
    clean = np.zeros((4, 32, 32, 1), np.float32)
    width = fit_calibration(zip(clean, clean, clean, strict=True)).half_width(clean[0], clean[0])
    assert width.max() == 0


def test_few_scores_give_the_largest() -> None:
    assert conformal_quantile(np.array([1.0, 3.0, 2.0]), 0.9) == 3
    assert conformal_quantile(np.arange(1.0, 100.0), 0.9) == 90


def test_pixels_are_described_by_what_was_removed_and_by_variety():
    rows = np.full((40, 40, 1), 0.5, np.float32)
    stripes = np.indices((40, 40))[1][..., np.newaxis].astype(np.float32) % 2
    strength, variety, _ = describe_pixels(rows + np.float32(0.1), rows)
    np.testing.assert_allclose(strength, 0.1, atol=1e-4)
    np.testing.assert_allclose(variety, 0, atol=1e-3)
    # Five columns around a pixel hold two or three ones: the square root of 0.4 * 0.6.
    np.testing.assert_allclose(describe_pixels(stripes, stripes)[1][8:-8, 8:-8], 0.4899, atol=1e-3)
