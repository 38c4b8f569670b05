import numpy as np
import onnxruntime
import pytest

from quietpixel.errors import ModelError
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.model_store import find_model
from quietpixel.web.digit_parts import split_digit_model
from quietpixel.web.digits import SplitModel

PATH = find_model("mnist-bottleneck")


def test_encoder_and_decoder_equal_the_whole_model():
    split, whole = SplitModel(PATH), Denoiser(PATH, precision="f32")
    for seed in range(3):
        image = np.random.default_rng(seed).random((28, 28)).astype(np.float32)
        code, *_ = split.encode(image)
        assert code.shape == (16,)
        np.testing.assert_allclose(split.decode(code), whole(image), atol=1e-5)


def test_the_convolutions_are_those_of_the_onnx_model():
    session = onnxruntime.InferenceSession(split_digit_model(PATH)[0])
    image = np.random.default_rng(0).random((28, 28)).astype(np.float32)
    found = dict(zip(("code", "first", "second"), SplitModel(PATH).encode(image), strict=True))
    assert {name: each.shape for name, each in found.items()} == {
        "code": (16,),
        "first": (32, 14, 14),
        "second": (256, 7, 7),
    }
    for name, values in found.items():
        expected = session.run([name], {"image": image[np.newaxis, :, :, np.newaxis]})[0][0]
        np.testing.assert_allclose(values, expected, atol=1e-4)


def test_the_two_onnx_files_equal_the_whole_model():
    encoder, decoder = map(onnxruntime.InferenceSession, split_digit_model(PATH))
    image = np.random.default_rng(1).random((28, 28)).astype(np.float32)
    (code,) = encoder.run(["code"], {"image": image[np.newaxis, :, :, np.newaxis]})
    (decoded,) = decoder.run(["image"], {"code": code})
    whole = Denoiser(PATH, precision="f32")(image)
    np.testing.assert_allclose(decoded[0, :, :, 0], whole, atol=1e-5)
    with pytest.raises(ModelError, match="has no layer 'code'"):
        split_digit_model(find_model("mnist-unet"))


def test_a_model_without_a_code_is_refused():
    with pytest.raises(ModelError, match="has no layer 'code'"):
        SplitModel(find_model("mnist-unet"))
