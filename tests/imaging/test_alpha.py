import numpy as np

from quietpixel.imaging.alpha import fill_transparent


def test_nothing_hidden_gives_the_same_array():
    colours = np.ones((3, 3, 3), np.uint8)
    assert fill_transparent(colours, np.ones((3, 3), bool)) is colours


def test_hidden_pixels_take_the_colour_around_and_visible_ones_stay():
    colours = np.random.default_rng(0).integers(0, 255, (37, 53, 3), np.uint8)
    visible = np.zeros((37, 53), bool)
    visible[5:20, 8:30] = True
    before = colours.copy()
    colours[visible] = [200, 100, 50]
    filled = fill_transparent(colours, visible)
    assert (filled == [200, 100, 50]).all()
    assert np.array_equal(colours[~visible], before[~visible])


def test_nothing_visible_stays():
    colours = np.random.default_rng(0).random((5, 6, 1))
    assert np.array_equal(fill_transparent(colours, np.zeros((5, 6), bool)), colours)
