"""Every noise law keeps one contract: seeded, typed, of the mean and variance that theory gives."""

import numpy as np
import pytest

from quietpixel.errors import ArgumentError, UnknownNameError
from quietpixel.noise.laws import Gaussian, Poisson, Sequence
from quietpixel.noise.parser import NOISE_LAWS, add_noise, image_rng, parse_noise, parse_number

TEXTS = [
    # Every law with one mean and variance; 0.1 photons at white would need more pixels.
    *(f"{word}:0.1" for word, law in NOISE_LAWS.items() if not law.varies and word != "poisson"),
    "gaussian:0.5,mean=0.5",
    "poisson:30",
    "salt-pepper:0.05",
    "speckle:0.2",
    "uniform:0.3",
    "poisson:30+gaussian:0.02",
    "speckle:0.1+salt-pepper:0.1+gaussian:0.05",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_mean_and_variance_are_those_of_theory(text: str, value: float) -> None:
    clean = np.full((400, 400), value, np.float32)
    noisy = parse_noise(f"{text},clip=no")(clean, image_rng(1, 0, 0)).astype(np.float64)
    mean, variance = parse_noise(text).propagate(clean, np.zeros_like(clean))
    spread = float(variance[0, 0])
    assert noisy.mean() == pytest.approx(mean[0, 0], abs=5 * (spread**0.5 / 400) + 1e-6)
    assert noisy.var() == pytest.approx(spread, rel=0.05, abs=1e-6)


@pytest.mark.parametrize("text", TEXTS)
def test_the_same_rng_gives_the_same_noise_and_clean_is_left_alone(text: str) -> None:
    clean = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8, 1)
    before = clean.copy()
    law = parse_noise(text)
    first, second = law(clean, image_rng(3, 1, 4)), law(clean, image_rng(3, 1, 4))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(clean, before)
    assert first.dtype == np.float32
    assert first.shape == clean.shape
    assert first.min() >= 0
    assert first.max() <= 1


@pytest.mark.parametrize("text", TEXTS)
def test_text_and_law_go_back_and_forth(text: str) -> None:
    law = parse_noise(text)
    assert str(law) == text
    assert parse_noise(f"{text},clip=no") == parse_noise(str(parse_noise(f"{text},clip=no")))
    assert parse_noise(f"{text},clip=no") != law


def test_a_sequence_is_clipped_only_at_its_end() -> None:
    law = Sequence((Gaussian(0.0, mean=0.5), Gaussian(0.0, mean=-0.5)))
    np.testing.assert_allclose(law(np.ones((2, 2), np.float32), image_rng(0, 0, 0)), 1.0)


def test_fractions_and_exponents_are_numbers() -> None:
    assert parse_noise("gaussian:25/255") == Gaussian(25 / 255)
    assert parse_noise("poisson:1e+3") == Poisson(1000)
    assert parse_number("1/4") == 0.25


def test_a_law_is_text() -> None:
    with pytest.raises(ArgumentError, match="A noise law must be text"):
        parse_noise(3)


def test_each_image_has_its_own_noise_by_its_place() -> None:
    clean = np.zeros((3, 4, 4, 1), np.float32)
    noisy = add_noise(clean, Gaussian(0.5, clip=False), seed=5)
    first = add_noise(clean[:2], Gaussian(0.5, clip=False), seed=5)
    np.testing.assert_array_equal(noisy[:2], first)
    assert not np.array_equal(noisy[0], noisy[1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gaussian:-1", r"`sigma` of the noise law 'gaussian' must not be negative.*got -1"),
        ("poisson:0", r"`peak` of the noise law 'poisson' must be more than 0.*got 0"),
        ("salt-pepper:2", r"`amount` of the noise law 'salt-pepper' must lie in \[0, 1\].*got 2"),
        ("speckle:-0.1", r"`sigma` of the noise law 'speckle' must not be negative"),
        ("uniform:-0.1", r"`width` of the noise law 'uniform' must not be negative"),
        ("gaussian", r"needs a number for its sigma, for example 'gaussian:0.1'"),
        ("gaussian:abc", r"'abc' is not a number; give one such as 0.1"),
        ("gaussian:1/0", r"'1/0' is not a number; give one such as 0.1"),
        ("gaussian:nan", r"'nan' is not a number; give one such as 0.1"),
        ("gaussian:25", r"on a scale from 0, black, to 1, white; got 25. Try gaussian:25/255\."),
        ("gaussian:0.1,clip=maybe", r"`clip` must be yes or no; got 'maybe'"),
    ],
)
def test_a_wrong_number_is_refused_with_a_sentence(text: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        parse_noise(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gausian:0.5", "Unknown noise law 'gausian': did you mean 'gaussian'"),
        ("gaussian:0.5,maen=0.1", "Unknown option of the noise law .gaussian. .maen.: did you"),
    ],
)
def test_a_wrong_word_names_the_right_one(text: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        parse_noise(text)


@pytest.mark.parametrize("text", ["gaussian:0..0.2,clip=no", "poisson:10..200", "uniform:0.1..0.1"])
def test_a_range_goes_back_and_forth_and_keeps_to_the_rng(text: str) -> None:
    law, clean = parse_noise(text), np.full((8, 8, 1), 0.5, np.float32)
    assert str(law) == text
    np.testing.assert_array_equal(law(clean, image_rng(0, 1, 2)), law(clean, image_rng(0, 1, 2)))


def test_a_range_is_drawn_evenly_for_each_image() -> None:
    law, clean = parse_noise("gaussian:25/255..55/255,clip=no"), np.zeros((32, 32, 1), np.float32)
    spreads = [255 * float(law(clean, image_rng(0, 0, i)).std()) for i in range(300)]
    assert 23 < min(spreads) < 27
    assert 53 < max(spreads) < 58
    assert np.mean(spreads) == pytest.approx(40, abs=2)


def test_a_range_in_a_sequence_draws_too() -> None:
    law = parse_noise("poisson:20..90+gaussian:0.02,clip=no")
    assert str(law) == "poisson:20..90+gaussian:0.02,clip=no"
    assert law(np.ones((4, 4), np.float32), image_rng(0, 0, 0)).shape == (4, 4)


def test_a_range_has_no_one_variance_and_must_rise() -> None:
    zeros = np.zeros((2, 2), np.float32)
    with pytest.raises(
        ArgumentError, match=r"no single mean and variance.*one such as 'gaussian:0.2'"
    ):
        parse_noise("gaussian:0..0.2").propagate(zeros, zeros)
    with pytest.raises(ArgumentError, match=r"begin with its least number.*Exchange"):
        parse_noise("gaussian:0.2..0.1")


def test_a_mixture_draws_one_of_its_laws_for_each_image() -> None:
    text = "gaussian:0.1,clip=no|salt-pepper:0.5"
    law = parse_noise(text)
    clean = np.full((32, 32), 0.5, np.float32)
    assert str(law) == text
    kinds = {len(np.unique(law(clean, image_rng(0, 0, i)))) == 3 for i in range(20)}
    assert kinds == {True, False}


def test_a_mixture_clips_only_where_the_law_that_is_drawn_does() -> None:
    clean = np.zeros((64, 64), np.float32)
    law = parse_noise("gaussian:0.1,clip=no|gaussian:0.1")
    below = [bool(law(clean, image_rng(0, 0, i)).min() < 0) for i in range(20)]
    assert set(below) == {True, False}


def test_a_mixture_has_no_one_variance() -> None:
    law = parse_noise("gaussian:0.1|poisson:30")
    with pytest.raises(ArgumentError, match=r"one of its laws is drawn.*such as 'gaussian:0\.1'"):
        law.propagate(np.zeros(1, np.float32), np.zeros(1, np.float32))


def test_a_law_of_a_mixture_may_count_several_times() -> None:
    text = "3*gaussian:0.1,clip=no|poisson:30"
    law = parse_noise(text)
    assert law == parse_noise("|".join([*["gaussian:0.1,clip=no"] * 3, "poisson:30"]))
    assert str(law) == text
    for wrong in ("0*gaussian:0.1|poisson:30", "3*|poisson:30", "100*gaussian:0.1|poisson:30"):
        with pytest.raises(UnknownNameError):
            parse_noise(wrong)
