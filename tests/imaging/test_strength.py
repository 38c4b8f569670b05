import numpy as np
import pytest

from quietpixel.errors import ArgumentError
from quietpixel.imaging.strength import LUMINANCE, blend, check_strength

RNG = np.random.default_rng(0)


def test_the_ends_are_the_images_themselves():
    noisy, denoised = RNG.random((2, 4, 4, 3))
    assert blend(noisy, denoised, 0) is noisy
    assert blend(noisy, denoised, 0, 0) is noisy
    assert blend(noisy, denoised, 1) is denoised
    assert blend(noisy, denoised, 1.5, 1) is denoised


@pytest.mark.parametrize("channels", [1, 3])
def test_the_blend_is_linear_in_every_channel(channels):
    noisy, denoised = RNG.random((2, 5, 6, channels))
    expected = 0.75 * noisy + 0.25 * denoised
    np.testing.assert_allclose(blend(noisy, denoised, 0.25), expected, atol=1e-12)
    np.testing.assert_allclose(blend(noisy, denoised, 0.25, 0.25), expected, atol=1e-12)


@pytest.mark.parametrize(("strength", "colour_strength"), [(0.25, 1), (0, 0.5), (1, 0), (0.5, 0)])
def test_luminance_and_colour_follow_their_own_strengths(strength, colour_strength):
    noisy, denoised, coloured = RNG.random((3, 5, 6, 3))
    result = blend(noisy, denoised, strength, colour_strength, coloured)
    luminance = blend(noisy, denoised, strength) @ LUMINANCE
    np.testing.assert_allclose(result @ LUMINANCE, luminance, atol=1e-6)
    colour = blend(noisy, coloured, colour_strength)
    np.testing.assert_allclose(np.diff(result), np.diff(colour), atol=1e-12)


def test_a_gray_image_has_no_colour_to_blend():
    noisy, denoised = RNG.random((2, 4, 4, 1))
    np.testing.assert_array_equal(blend(noisy, denoised, 0.5, 1), blend(noisy, denoised, 0.5))


@pytest.mark.parametrize("strength", [-0.1, 2.1, np.nan, "much"])
def test_strength_is_refused(strength):
    with pytest.raises(ArgumentError, match=r"`colour_strength` must lie between 0 .* and 2"):
        check_strength(strength, "colour_strength")
