import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from quietpixel.card import UNKNOWN_SIGMA, Card
from quietpixel.containers import denoise
from quietpixel.errors import (
    ArgumentError,
    ImageError,
    ModelError,
    QuietpixelError,
    TooLargeError,
    UnknownNameError,
)
from quietpixel.files import Picture, write_picture
from quietpixel.inference.denoiser import Denoiser
from quietpixel.inference.model_file import read_card, replace_card
from quietpixel.inference.tile_plan import bytes_per_pixel, choose_grid

PIXEL = bytes_per_pixel(Card(name="any", architecture="unet", channels=1), "f32")
"""What a pixel of a tile takes with the models of these tests."""


def exact(path, **options):
    """Open a model in float32, where results are compared to the last digits."""
    return Denoiser(path, precision="f32", **options)


def test_a_denoiser_takes_all_options_of_an_image(models):
    image = noisy(9, 7, dtype=np.uint8)
    assert exact(models["blur"], dtype="float32")(image).dtype == np.float32
    assert np.array_equal(exact(models["blur"], strength=0)(image), image)
    once = exact(models["blur"])(image, dtype="float32", law="none")
    assert once.dtype == np.float32
    assert np.array_equal(once, denoise(image, models["blur"], precision="f32", dtype="float32"))


@pytest.mark.parametrize("call", [Denoiser, lambda **words: denoise(noisy(9, 7), **words)])
def test_an_unknown_option_comes_with_a_suggestion(call):
    with pytest.raises(UnknownNameError, match="Unknown option 'stength': did you mean 'strength'"):
        call(stength=1)
    with pytest.raises(ArgumentError, match="`device` must be the name of a device; got None"):
        call(device=None)


def test_a_missing_device_is_warned_about(models):
    """Only the engine's attribute said so."""
    with pytest.warns(UserWarning, match="'TPU' is not available, so the processor computes"):
        Denoiser(models["blur"], device="TPU")


@pytest.fixture(scope="module")
def blur(models):
    return exact(models["blur"])


def noisy(*shape, dtype=np.float32, seed=0):
    values = np.random.default_rng(seed).random(shape)
    if np.dtype(dtype).kind == "u":
        values = values * np.iinfo(dtype).max
    return values.astype(dtype)


@pytest.mark.parametrize(
    "shape", [(9, 7), (9, 7, 1), (9, 7, 2), (9, 7, 3), (9, 7, 4), (1, 1), (1, 50)]
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32", "float64"])
@pytest.mark.parametrize("name", ["blur", "colour"])
def test_type_and_shape_stay_and_the_input_too(models, name, dtype, shape):
    image = noisy(*shape, dtype=dtype)
    before = image.copy()
    image.flags.writeable = False
    denoised = exact(models[name])(image)
    assert (denoised.shape, denoised.dtype) == (image.shape, image.dtype)
    assert np.array_equal(image, before)
    assert not np.shares_memory(image, denoised)


def test_size_is_refused_with_a_remedy(models):
    denoiser = exact(models["dense"])
    with pytest.raises(ImageError, match=r"must be 28x28 .* got 27x28. Resize or pad it to 28x28"):
        denoiser(noisy(27, 28))


def test_fixed_size_runs_alone_and_in_batches(models):
    denoiser, images = exact(models["dense"]), noisy(5, 28, 28, 1)
    expected = np.broadcast_to(images.mean(axis=(1, 2), keepdims=True), images.shape)
    np.testing.assert_allclose(denoiser.batch(images), expected, atol=1e-5)
    np.testing.assert_allclose(denoiser(images[2]), expected[2], atol=1e-5)


@pytest.mark.parametrize("name", ["blur", "colour", "pyramid"])
@pytest.mark.parametrize("shape", [(50, 61), (33, 40, 3), (30, 41, 4), (1, 90), (90, 1)])
def test_tiled_equals_whole(models, name, shape):
    image = noisy(*shape)
    if shape[-1] == 4:
        image[..., 3] = image[..., 3] > 0.5
    tiled = exact(models[name], memory=200 * PIXEL)(image)
    np.testing.assert_allclose(tiled, exact(models[name])(image), atol=1e-6)


@pytest.mark.parametrize("dtype", [">u2", ">f2", ">f4", ">f8"])
def test_other_byte_orders_come_back_as_they_were(blur, dtype):
    image = noisy(9, 7, dtype=np.dtype(dtype).newbyteorder("="))
    denoised = blur(image.astype(dtype))
    assert denoised.dtype == dtype
    np.testing.assert_array_equal(denoised, blur(image))


def test_gray_and_colour_have_one_card(models):
    denoiser = Denoiser(models["blur"])
    assert denoiser.card_for(1) == denoiser.card_for(3) == denoiser.card


def test_a_denoiser_goes_to_other_processes(models):
    denoiser, image = exact(models["blur"], quality="best"), noisy(9, 7, 3)
    again = pickle.loads(pickle.dumps(denoiser))
    np.testing.assert_array_equal(again(image), denoiser(image))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engine": "openvin"}, "Unknown engine 'openvin': did you mean 'openvino'"),
        ({"precision": None}, "Unknown precision 'None'"),
        ({"threads": 0}, "`threads` must be a whole number of at least 1"),
        ({"streams": 0}, "`streams` must be a whole number of at least 1"),
        ({"threads": 1.5}, "`threads` must be a whole number of at least 1; got 1.5"),
        ({"streams": np.nan}, "`streams` must be a whole number of at least 1; got nan"),
        ({"model": 3}, "`model` must be a name, a run folder or an .onnx file; got int"),
    ],
)
def test_options_are_checked_before_an_image_comes(options, words):
    with pytest.raises(QuietpixelError, match=words):
        Denoiser(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"axes": 3}, "`axes` must name each dimension by a letter"),
        ({"dtype": np.float32}, "Unknown dtype .*float32.*Known: float32"),
        ({"law": 3}, "noise law must be text"),
        ({"strength": np.ones(2)}, "`strength` must lie between 0"),
        ({"sigma": True}, "`sigma` must be a number, and True and False are not"),
    ],
)
def test_settings_of_another_type_are_refused(models, options, words):
    with pytest.raises(QuietpixelError, match=words):
        denoise(noisy(9, 9), models["blur"], **options)


@pytest.mark.parametrize("image", [[[0.0]], None, 3, np.ones((9, 9)).view(np.matrix)])
def test_what_is_neither_an_array_nor_a_file_is_refused(models, image):
    with pytest.raises(ImageError, match="`image` must be a NumPy array; got"):
        denoise(image, models["blur"])


def test_strength_nothing_gives_the_same_bits(blur):
    image = noisy(9, 9, 3, dtype=np.float64)
    result = blur(image, strength=0)
    assert np.array_equal(result, image)
    assert not np.shares_memory(result, image)


def test_strength_lies_between(blur):
    image = noisy(9, 9)
    expected = (blur(image) + image) / 2
    np.testing.assert_allclose(blur(image, strength=0.5), expected, atol=1e-6)
    with pytest.raises(ArgumentError, match="`strength` must lie between"):
        blur(image, strength=2.1)


def test_values_beyond_are_kept(models):
    image = noisy(9, 9) * 1.5 - 0.2
    image[4, 4] = 40.5
    adder = exact(models["adder"])
    np.testing.assert_allclose(adder(image, sigma=0.0), image, atol=1e-6)


def test_counts_are_scaled_and_back(blur):
    image = noisy(9, 9)
    expected = blur(image) * 4095
    np.testing.assert_allclose(blur(image * 4095, range=(0, 4095)), expected, rtol=1e-4)
    np.testing.assert_allclose(blur(image * 4095), expected, rtol=1e-4)


def test_alpha_stays_and_hidden_colour_leaves_no_fringe(models):
    image = np.zeros((20, 20, 4), np.uint8)
    image[:, :10] = [200, 100, 50, 255]
    image[:, 10:] = [0, 255, 0, 0]
    image[:, 9, 3] = 128
    denoised = exact(models["blur"])(image)
    assert np.array_equal(denoised[..., 3], image[..., 3])
    assert np.array_equal(denoised[:, 10:], image[:, 10:])
    assert np.array_equal(denoised[4:-4, 4:10, :3], image[4:-4, 4:10, :3])


def test_gray_model_denoises_each_channel(blur):
    image = noisy(9, 9, 3)
    expected = np.dstack([blur(image[..., i]) for i in range(3)])
    np.testing.assert_allclose(blur(image), expected, atol=1e-6)


def test_colour_model_takes_gray(models):
    colour, image = exact(models["colour"]), noisy(9, 9, 1)
    expected = colour(image.repeat(3, axis=2)).mean(axis=2, keepdims=True)
    np.testing.assert_allclose(colour(image), expected, atol=1e-6)


@pytest.mark.parametrize("memory", ["512MB", 100 * PIXEL])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_batch_equals_one_by_one(models, dtype, memory):
    denoiser = exact(models["pyramid"], memory=memory)
    images = noisy(7, 15, 9, 3, dtype=dtype)
    expected = np.stack([denoiser(image) for image in images])
    np.testing.assert_allclose(denoiser.batch(images).astype(float), expected, atol=1e-6)


@pytest.mark.parametrize("images", [np.zeros((4, 4)), np.zeros((2, 4, 4, 4)), [1]])
def test_batch_shapes_are_refused(blur, images):
    with pytest.raises(ImageError, match=r"`images` must be an array \(N, H, W, 1\)"):
        blur.batch(images)


def test_batch_values_are_checked(blur):
    with pytest.raises(ImageError, match="at least one pixel"):
        blur.batch(np.zeros((0, 4, 4, 1)))
    with pytest.raises(ImageError, match="finite"):
        blur.batch(np.full((2, 4, 4, 1), np.nan))


def test_sigma_reaches_the_model(models):
    adder, image = exact(models["adder"]), noisy(30, 30)
    np.testing.assert_allclose(adder(image, sigma=0.1) - image, 0.1, atol=1e-6)
    level = noisy(30, 30, seed=2)
    np.testing.assert_allclose(adder(image, sigma=level) - image, level, atol=1e-6)
    estimate = adder.estimate_sigma(image)
    np.testing.assert_allclose(adder(image) - image, estimate, atol=1e-6)
    np.testing.assert_allclose(adder.batch(image[None, ..., None])[0, ..., 0], adder(image))


def test_sigma_is_refused_by_models_that_do_not_take_it(blur):
    with pytest.raises(ArgumentError, match=r"`sigma` cannot be given because the model 'blur'"):
        blur(noisy(9, 9), sigma=0.1)


@pytest.mark.parametrize("sigma", [-1, np.nan, 1e300, "much", np.zeros((3, 3)), 25, [25.0]])
def test_sigma_is_checked(models, sigma):
    with pytest.raises(ArgumentError, match=r"`sigma` must be 'auto', a number from .* is 25/255"):
        exact(models["adder"])(noisy(9, 9), sigma=sigma)


@pytest.mark.parametrize("memory", [0, -5, "much", "0GB", "1TB"])
def test_memory_is_refused(models, memory):
    with pytest.raises(ArgumentError, match=r"`memory` must be a size above 0, such as 1GB; got"):
        exact(models["blur"], memory=memory)


def test_whole_image_model_of_any_size_is_refused_when_too_large(models):
    card = Card(name="eye", architecture="eye", channels=1)
    assert choose_grid(card, (20, 20), 400).tile == (20, 20)
    with pytest.raises(TooLargeError, match=r"'eye' cannot take .* 20x21 .* raise `memory`"):
        choose_grid(card, (20, 21), 400)


def test_nothing_bundled_is_reported(monkeypatch, tmp_path):
    monkeypatch.setattr("quietpixel.inference.model_store.BUNDLED", tmp_path)
    with pytest.raises(ModelError, match="carries neither photo nor photo-gray"):
        Denoiser()(noisy(5, 5))


def test_threads_may_share_a_denoiser(blur):
    images = [noisy(20, 20, seed=seed) for seed in range(8)]
    expected = [blur(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(blur, images))
    assert all(np.array_equal(a, b) for a, b in zip(results, expected, strict=True))


def test_denoise_takes_arrays_and_files(models, blur, tmp_path):
    image = noisy(8, 9, 3, dtype=np.uint8)
    expected = blur(image)
    path = tmp_path / "image.png"
    write_picture(Picture.from_pixels(image), path)
    assert np.array_equal(denoise(image, models["blur"], precision="f32"), expected)
    assert np.array_equal(denoise(path, models["blur"], precision="f32"), expected)
    assert np.array_equal(denoise(str(path), models["blur"], precision="f32"), expected)
    assert np.array_equal(denoise(path.read_bytes(), models["blur"], precision="f32"), expected)
    with path.open("rb") as file:
        assert np.array_equal(
            denoise(file, models["blur"], precision="f32", engine="openvino"), expected
        )


def test_denoise_uses_the_range_that_a_file_declares(models, blur):
    image = np.array([[0, 100, 50]], np.uint8)
    content = b"P5 3 1 100 " + image.tobytes()
    expected = blur(image, range=(0, 100))
    assert np.array_equal(denoise(content, models["blur"], precision="f32")[..., 0], expected)


def test_denoise_refuses_files_of_a_size_that_the_model_distorts(tmp_path):
    write_picture(Picture.from_pixels(np.zeros((40, 40), np.uint8)), tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"must be 28x28 because .* got 40x40"):
        denoise(tmp_path / "a.png", "mnist-unet")


def test_denoise_refuses_stacks_in_files(models, tmp_path):
    page = noisy(8, 9, 1, dtype=np.uint8)
    write_picture(Picture(pages=(page, page), colour="gray"), tmp_path / "stack.tif")
    with pytest.raises(ImageError, match=r"must have one page .* got 2. Pass the pages"):
        denoise(tmp_path / "stack.tif", models["blur"])


def test_progress_is_told_and_may_end_the_work(models):
    denoiser = Denoiser(models["blur"], memory=64 * PIXEL, precision="f32")
    shares = []
    denoiser(np.zeros((40, 30), np.float32), on_progress=shares.append)
    assert shares[0] == 0
    assert shares[-1] == 1
    assert len(shares) > 5
    assert shares == sorted(shares)

    def stop(share):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        denoiser(np.zeros((40, 30), np.float32), on_progress=stop)


def test_streams_compute_at_once_and_give_the_same(models, blur):
    several = Denoiser(models["blur"], threads=2, streams=2, precision="f32")
    images = [np.random.default_rng(n).random((30, 20)).astype(np.float32) for n in range(8)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(several, images))
    for image, result in zip(images, results, strict=True):
        np.testing.assert_allclose(result, blur(image), atol=1e-6)


@pytest.mark.parametrize("kind", ["photons of 8 bits", "photons of 16 bits", "gray", "colour"])
def test_training_is_shown_an_image_as_denoising_shows_it(kind):
    rng, rows = np.random.default_rng(0), np.linspace(0.05, 0.9, 96)
    clean = np.broadcast_to(rows[:, None, None], (96, 96, 3 if kind == "colour" else 1))
    image = np.clip(255 * clean + 10 * rng.standard_normal(clean.shape), 0, 255).astype(np.uint8)
    if kind.startswith("photons"):
        bits = 8 if "8" in kind else 16
        counts = 1000 * (bits == 16) + 4 * rng.poisson(60 * clean)
        image = np.clip(counts, 0, 2**bits - 1).astype(f"uint{bits}")
    denoiser = Denoiser("photo", precision="f32")
    shown, level = denoiser.show(image)
    job = denoiser.prepare(image)
    assert (job.finish is not None) == kind.startswith("photons")
    np.testing.assert_allclose(shown, job.layout.to_model(job.seen)[:, :, 0], atol=1e-6)
    assert level == pytest.approx(job.level.values.item(), rel=1e-6)


def test_a_model_that_finds_the_level_itself_is_told_that_nobody_knows_it(models):
    blind, image = exact(models["blind"]), noisy(30, 30)
    unit = {"range": (0, 1)}
    np.testing.assert_allclose(blind(image, **unit) - image, UNKNOWN_SIGMA, atol=1e-6)
    assert blind.estimate_sigma(image) > 0.1
    np.testing.assert_allclose(blind(image, sigma=1.0), blind(image), atol=1e-6)


def test_a_level_given_to_such_a_model_limits_what_is_taken_away(models):
    blind, image = exact(models["blind"]), noisy(30, 30)
    half = blind.estimate_sigma(image) / 2
    unit = {"range": (0, 1)}
    np.testing.assert_allclose(
        blind(image, sigma=half, **unit) - image, UNKNOWN_SIGMA / 2, atol=1e-6
    )
    level = np.where(np.arange(30) < 15, 0, half) * np.ones((30, 1))
    taken = blind(image, sigma=level, **unit) - image
    np.testing.assert_allclose(taken, UNKNOWN_SIGMA / 2 * (level > 0), atol=1e-6)
    np.testing.assert_array_equal(blind(image, sigma=0.0), image)


@pytest.mark.parametrize(("values", "factor"), [(64, 0.5), (256, 2), (None, 1)])
def test_tiles_are_as_large_as_the_values_a_model_holds_allow(models, tmp_path, values, factor):
    card = replace(read_card(models["blur"]), values=values)
    replace_card(models["blur"], tmp_path / "stated.onnx", card)
    shares = []
    denoiser = exact(tmp_path / "stated.onnx", memory=round(1000 * PIXEL * factor))
    denoiser(noisy(25, 40), on_progress=shares.append)
    assert len(shares) == 2  # 1000 pixels in one tile
    denoiser = exact(tmp_path / "stated.onnx", memory=round(999 * PIXEL * factor))
    denoiser(noisy(25, 40), on_progress=shares.append)
    assert len(shares) > 4
