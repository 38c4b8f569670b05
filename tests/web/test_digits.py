import numpy as np
import pytest

from quietpixel.errors import ImageError, ModelError
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.model_store import find_model
from quietpixel.web.digits import SplitModel

PATH = find_model("mnist-bottleneck")


def test_encoder_and_decoder_equal_the_whole_model():
    split, whole = SplitModel(PATH), Denoiser(PATH, precision="f32")
    for seed in range(3):
        image = np.random.default_rng(seed).random((28, 28)).astype(np.float32)
        code = split.encode(image)
        assert code.shape == (16,)
        np.testing.assert_allclose(split.decode(code), whole(image), atol=1e-5)


def test_wrong_shapes_and_models_are_refused():
    split = SplitModel(PATH)
    with pytest.raises(ImageError, match=r"`image` must be 28 x 28; got \(5, 5\)"):
        split.encode(np.zeros((5, 5), np.float32))
    with pytest.raises(ImageError, match=r"`code` must hold 16 numbers; got \(3,\)"):
        split.decode(np.zeros(3, np.float32))
    with pytest.raises(ModelError, match="has no layer 'code'"):
        SplitModel(find_model("mnist-unet"))
