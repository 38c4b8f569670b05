import numpy as np
import pytest

from quietpixel.errors import ArgumentError
from quietpixel.imaging.strength import LUMINANCE, give_back_texture

RNG = np.random.default_rng(0)


def test_the_ends_are_the_images_themselves():
    noisy, denoised = RNG.random((2, 4, 4, 3))
    assert give_back_texture(noisy, denoised, 0) is noisy
    assert give_back_texture(noisy, denoised, 1) is denoised


def test_luminance_comes_back_and_colour_does_not():
    noisy, denoised = RNG.random((2, 5, 6, 3))
    back = give_back_texture(noisy, denoised, 0.25) - denoised
    np.testing.assert_allclose(back, back[..., :1].repeat(3, axis=-1), atol=1e-12)
    np.testing.assert_allclose(back[..., 0], 0.75 * ((noisy - denoised) @ LUMINANCE), atol=1e-6)


@pytest.mark.parametrize("strength", [-0.1, 1.1, np.nan])
def test_strength_is_refused(strength):
    with pytest.raises(ArgumentError, match=r"`strength` must lie between 0 .* and 1"):
        give_back_texture(RNG.random((2, 2, 1)), RNG.random((2, 2, 1)), strength)
