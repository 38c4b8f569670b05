"""Patterns drawn on patches."""

import numpy as np

from quietpixel.data.tasks import AMPLITUDES, PERIODS, AddNoise, draw_pattern
from quietpixel.noise.parser import parse_noise

GRAY = np.full((96, 80, 1), 0.5, np.float32)


def test_a_pattern_repeats_within_its_periods_and_swings_within_its_amplitudes() -> None:
    rng = np.random.default_rng(0)
    swings, frequencies = [], []
    for _ in range(100):
        drawn = draw_pattern(GRAY, rng)
        assert (drawn.shape, drawn.dtype) == (GRAY.shape, np.float32)
        wave = drawn[..., 0] - drawn.mean()
        swings.append(np.abs(drawn - 0.5).max())
        power = np.abs(np.fft.rfft2(wave)) ** 2
        down, right = np.unravel_index(power.argmax(), power.shape)
        frequencies.append(np.hypot(min(down, 96 - down) / 96, right / 80))
    assert max(swings) <= AMPLITUDES[1]
    assert min(swings) < 0.05
    assert max(swings) > 0.2
    shortest, longest = PERIODS
    assert np.mean(np.array(frequencies) > 1 / longest / 1.2) > 0.85
    assert max(frequencies) < 1 / shortest * 1.2


def test_the_picture_is_seen_beside_and_through_the_pattern() -> None:
    rng = np.random.default_rng(1)
    given = rng.random((64, 64, 3), np.float32)
    alike = []
    for _ in range(50):
        drawn = draw_pattern(given, rng)
        assert 0 <= drawn.min() < drawn.max() <= 1
        alike.append(np.corrcoef(drawn.ravel(), given.ravel())[0, 1])
    assert np.median(alike) > 0.7
    assert min(alike) < 0.95


def test_patches_get_patterns_as_often_as_asked_and_the_target_shows_it() -> None:
    task = AddNoise(parse_noise("gaussian:0.1,clip=no"), pattern_fraction=0.25)
    rng = np.random.default_rng(0)
    pairs = [task((GRAY,), rng) for _ in range(400)]
    assert 70 < sum(clean is not GRAY for _, clean in pairs) < 130
    assert all(abs(np.std(noisy - clean) - 0.1) < 0.01 for noisy, clean in pairs)
