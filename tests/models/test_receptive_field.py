"""The halo of a net that looks further to one side than to the other."""

import keras
import numpy as np

from quietpixel.models.receptive_field import measure_model


def test_strided_convolutions_reach_further_to_the_right() -> None:
    image = keras.Input((None, None, 1))
    x = image
    for _ in range(2):
        x = keras.layers.Conv2D(1, 3, strides=2, padding="same", kernel_initializer="ones")(x)
    for _ in range(2):
        x = keras.layers.Conv2DTranspose(1, 2, strides=2, kernel_initializer="ones")(x)
    model = keras.Model(image, x)
    facts = measure_model(model)
    # "same" padding of a 3 x 3 kernel with stride 2 adds nothing before and one pixel after: the
    # second convolution reads 2 + 2 * 2 = 6 pixels after the first of each four outputs.
    assert (facts.divisor, facts.halo) == (4, 6)
    reached = set()
    for column in range(12, 28):
        impulse = np.zeros((1, 40, 40, 1), np.float32)
        impulse[0, 20, column] = 1
        changed = np.abs(keras.ops.convert_to_numpy(model(impulse)))[0, 20, :, 0] > 0
        reached |= {column - int(place) for place in np.flatnonzero(changed)}
    assert (max(reached), -min(reached)) == (6, 3)
