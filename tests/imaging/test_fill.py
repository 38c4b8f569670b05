import numpy as np

from quietpixel.imaging.defects import fill_hidden


def test_nothing_hidden_gives_the_same_array():
    colours = np.ones((3, 3, 3), np.uint8)
    assert fill_hidden(colours, np.ones((3, 3, 1), bool)) is colours


def test_hidden_pixels_take_the_colour_around_and_visible_ones_stay():
    colours = np.random.default_rng(0).integers(0, 255, (37, 53, 3), np.uint8)
    visible = np.zeros((37, 53), bool)
    visible[5:20, 8:30] = True
    before = colours.copy()
    colours[visible] = [200, 100, 50]
    filled = fill_hidden(colours, visible[..., None])
    assert (filled == [200, 100, 50]).all()
    assert np.array_equal(colours[~visible], before[~visible])


def test_nothing_visible_stays():
    colours = np.random.default_rng(0).random((5, 6, 1))
    assert np.array_equal(fill_hidden(colours, np.zeros((5, 6, 1), bool)), colours)


def test_values_that_are_not_finite_do_not_spread_and_offsets_keep_their_digits():
    image = 1e9 + np.random.default_rng(0).random((30, 40, 1))
    visible = np.ones(image.shape, bool)
    image[3:9, 5:11] = np.nan
    visible[3:9, 5:11] = False
    filled = fill_hidden(image, visible)
    assert (abs(filled - 1e9 - 0.5) <= 0.5).all()
    assert np.array_equal(filled[visible], image[visible])


def test_channels_are_filled_on_their_own():
    image = np.full((8, 8, 2), [10, 20])
    visible = np.ones(image.shape, bool)
    image[4, 4, 1], visible[4, 4, 1] = 999, False
    assert np.array_equal(fill_hidden(image, visible)[4, 4], [10, 20])


def test_a_square_without_visible_values_takes_the_mean_of_the_image():
    image = np.full((4, 1100, 1), 7.0)
    visible = np.ones(image.shape, bool)
    image[:, 1024:], visible[:, 1024:] = np.nan, False
    assert (fill_hidden(image, visible) == 7).all()
