"""Tasks made of noisy images alone."""

import numpy as np
import pytest

from quietpixel.data.self_supervised import HidePixels, Recorrupt, SplitNeighbours, Structure
from quietpixel.data.tasks import AddNoise, SwapPair, TakePair
from quietpixel.errors import ArgumentError
from quietpixel.noise.parser import parse_noise


def noise(shape: tuple[int, ...] = (64, 64, 2), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_pairs_are_taken_as_they_are_and_two_noisy_shots_change_places() -> None:
    one, two = noise(seed=1), noise(seed=2)
    rng = np.random.default_rng(0)
    assert TakePair()((one, two), rng) == (one, two)
    firsts = {id(SwapPair()((one, two), rng)[0]) for _ in range(20)}
    assert firsts == {id(one), id(two)}


def test_noise_is_added_by_its_law() -> None:
    clean = np.full((8, 8, 1), 0.5, np.float32)
    noisy, target = AddNoise(parse_noise("gaussian:0.1"))((clean,), np.random.default_rng(0))
    assert target is clean
    assert 0 < np.abs(noisy - clean).max() < 0.6


@pytest.mark.parametrize("structure", ["", "h:3", "v:2", "s:1"])
def test_what_is_asked_for_is_hidden_with_its_structure(structure: str) -> None:
    image = np.arange(64 * 64, dtype=np.float32).reshape(64, 64, 1)
    shown, target = HidePixels(Structure(structure))((image,), np.random.default_rng(0))
    np.testing.assert_array_equal(target[..., :1], image)
    counts = target[..., 1]
    assert counts.mean() == pytest.approx(1, abs=1e-3)
    hidden = shown[..., 0] != image[..., 0]
    down, right = Structure(structure).reach
    for row, column in np.argwhere(counts > 0):
        part = hidden[
            max(row - down, 0) : row + down + 1, max(column - right, 0) : column + right + 1
        ]
        assert part.all()
    assert 0.5 < hidden.sum() / ((counts > 0).sum() * (2 * down + 1) * (2 * right + 1)) <= 1


@pytest.mark.parametrize(("structure", "axis"), [("h:5", 1), ("v:5", 0)])
def test_a_hidden_pixel_shows_nothing_of_the_noise_of_its_stripe(structure: str, axis: int) -> None:
    stripes = noise((64, 1, 1) if axis else (1, 64, 1)) * np.ones((64, 64, 1), np.float32)
    correlations = []
    for seed in range(20):
        shown, target = HidePixels(Structure(structure))((stripes,), np.random.default_rng(seed))
        asked = target[..., 1] > 0
        correlations.append(np.corrcoef(shown[..., 0][asked], stripes[..., 0][asked])[0, 1])
    assert abs(np.mean(correlations)) < 0.2


def test_recorrupted_patches_have_uncorrelated_noise_around_the_same_image() -> None:
    law = parse_noise("poisson:40+gaussian:0.05,clip=no")
    clean = np.full((400, 400, 1), 0.5, np.float32)
    noisy = law(clean, np.random.default_rng(1))
    first, second = Recorrupt(law)((noisy,), np.random.default_rng(2))
    assert abs(np.corrcoef((first - clean).ravel(), (second - clean).ravel())[0, 1]) < 0.02
    assert abs(first.mean() - 0.5) < 0.002
    assert abs(second.mean() - 0.5) < 0.004


def test_recorruption_takes_the_mean_of_the_noise_away() -> None:
    law = parse_noise("gaussian:0.1,mean=0.2,clip=no")
    noisy = law(np.full((300, 300, 1), 0.3, np.float32), np.random.default_rng(1))
    _, second = Recorrupt(law)((noisy,), np.random.default_rng(2))
    assert abs(second.mean() - 0.3) < 0.003


def test_neighbours_are_two_pixels_of_each_square() -> None:
    image = np.arange(36, dtype=np.float32).reshape(6, 6, 1)
    rows, columns = np.divmod(np.arange(36), 6)
    for seed in range(10):
        one, two = SplitNeighbours()((image,), np.random.default_rng(seed))
        assert one.shape == two.shape == (3, 3, 1)
        a, b = one.astype(int).ravel(), two.astype(int).ravel()
        np.testing.assert_array_equal(abs(rows[a] - rows[b]) + abs(columns[a] - columns[b]), 1)
        np.testing.assert_array_equal(rows[a] // 2 * 3 + columns[a] // 2, np.arange(9))


def test_self_supervised_tasks_never_draw_the_noise_of_the_image_again() -> None:
    """All that they give is made of values that the noisy image has, or of noise on top of it."""
    image = noise()
    for seed in range(3):
        shown, target = HidePixels()((image,), np.random.default_rng(seed))
        assert np.isin(shown, image).all()
        np.testing.assert_array_equal(target[..., :2], image)


@pytest.mark.parametrize("text", ["d:3", "h", "h:0", "h:100", "5", "h:-1"])
def test_other_structures_are_refused(text: str) -> None:
    with pytest.raises(ArgumentError, match=r"`structure` must be h \(along rows\), v"):
        Structure(text)
