"""Numbers worked out by hand, compared with what the public functions return.

No test here imports the constant that it checks, so a changed constant shows.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import pyvips
import tifffile
from onnx import TensorProto, helper
from PIL import Image, ImageOps

import quietpixel
from quietpixel.card import METADATA_KEY, Card
from quietpixel.files import Picture, read_picture, write_picture
from quietpixel.imaging.strength import blend


def write_model(path: Path, node: onnx.NodeProto, **card: object) -> Path:
    """Write a gray model of one node that reads `image`, `half` (0.5) and, where taken, `sigma`."""
    shape = ["n", "h", "w", 1]
    names = ["image", "sigma"] if card.get("sigma_input") else ["image"]
    graph = helper.make_graph(
        [node],
        path.stem,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names],
        [helper.make_tensor_value_info("denoised", TensorProto.FLOAT, shape)],
        [helper.make_tensor("half", TensorProto.FLOAT, [1], [0.5])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    entry = model.metadata_props.add()
    entry.key = METADATA_KEY
    entry.value = Card(name=path.stem, architecture=path.stem, channels=1, halo=0, **card).to_json()
    onnx.save_model(model, str(path))
    return path


@pytest.fixture(scope="module")
def halver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a gray model that halves every value."""
    path = tmp_path_factory.mktemp("models") / "halver.onnx"
    return write_model(path, helper.make_node("Mul", ["image", "half"], ["denoised"]))


@pytest.fixture(scope="module")
def adder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a gray model that adds the noise level it is given."""
    path = tmp_path_factory.mktemp("models") / "adder.onnx"
    node = helper.make_node("Add", ["image", "sigma"], ["denoised"])
    return write_model(path, node, sigma_input=True)


def write_gray(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(Picture.from_pixels(np.full((16, 16, 1), value, np.uint8)), path)


def test_the_psnr_of_a_set_is_the_mean_over_its_images(tmp_path: Path) -> None:
    # Errors of 51/255 and 5/255: 13.979 and 34.151 dB, mean 24.065. The PSNR of the mean error
    # would be 16.948 dB.
    for name, noisy in (("a", 151), ("b", 105)):
        write_gray(tmp_path / "noisy" / f"{name}.png", noisy)
        write_gray(tmp_path / "clean" / f"{name}.png", 100)
    found = quietpixel.compare(["noisy"], tmp_path, pairs="noisy/*=clean/*")
    (row,) = json.loads(found.to_json())["tables"][0]["rows"]
    assert row["means"]["psnr"] == pytest.approx(24.065, abs=2e-3)


def test_values_far_beyond_white_and_black_come_back(halver: Path) -> None:
    # Beyond [-4, 5] values are hidden from the model and come back unchanged.
    image = np.array([[-6.0, 0.5, 8.0]], np.float32)
    denoised = quietpixel.denoise(image, halver, range=(0, 1))
    np.testing.assert_allclose(denoised, [[-6.0, 0.25, 8.0]], atol=1e-5)


@pytest.mark.parametrize(
    ("channel", "luminance"), [(0, 0.2126), (1, 0.7152), (2, 0.0722)], ids=["red", "green", "blue"]
)
def test_luminance_weights_are_those_of_rec_709(channel: int, luminance: float) -> None:
    noisy = np.zeros((1, 1, 3), np.float32)
    noisy[..., channel] = 1
    back = blend(noisy, np.zeros_like(noisy), 0.5, colour_strength=1)
    np.testing.assert_allclose(back.ravel(), [luminance / 2] * 3, atol=1e-6)


def test_16_bits_are_rounded_to_8(tmp_path: Path) -> None:
    # 65535 / 255 = 257 codes for each: 128 codes above a multiple round down, 129 up.
    pixels = np.array([[0, 128, 129, 257, 385, 386, 65406, 65407, 65535]], np.uint16)
    write_picture(Picture.from_pixels(pixels[..., None]), tmp_path / "a.bmp")
    page = read_picture(tmp_path / "a.bmp").pages[0]
    assert page[0, :, 0].tolist() == [0, 0, 1, 1, 1, 2, 254, 255, 255]


@pytest.mark.parametrize(
    ("name", "number", "dtype"),
    [("none", 1, np.uint8), ("horizontal", 2, np.uint16), ("float", 3, np.float32)],
)
def test_a_tiff_keeps_its_predictor(tmp_path: Path, name: str, number: int, dtype: type) -> None:
    ramp = np.linspace(0, 1, 64 * 64).reshape(64, 64)
    pixels = (ramp if name == "float" else 200 * ramp).astype(dtype)
    image = pyvips.Image.new_from_array(pixels)
    image.tiffsave(str(tmp_path / "a.tif"), compression="deflate", predictor=name)
    picture = read_picture(tmp_path / "a.tif")
    write_picture(picture, tmp_path / "b.tif")
    assert np.array_equal(read_picture(tmp_path / "b.tif").pages[0], picture.pages[0])
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        tag = file.pages[0].tags.get(317)
    assert (tag.value if tag else 1) == number


def test_half_of_the_result_is_half_of_the_way(halver: Path) -> None:
    image = np.full((2, 2), 200, np.uint8)
    assert np.unique(quietpixel.denoise(image, halver)).tolist() == [100]
    assert np.unique(quietpixel.denoise(image, halver, strength=0.25)).tolist() == [175]


@pytest.mark.parametrize(
    ("strength", "added"), [(0, 0), (0.5, 0.05), (1, 0.1), (1.5, 0.15), (2, 0.2)]
)
def test_strength_above_one_multiplies_the_noise_level(
    adder: Path, strength: float, added: float
) -> None:
    image = np.full((4, 5), 0.25, np.float32)
    denoised = quietpixel.denoise(image, adder, sigma=0.1, strength=strength, precision="f32")
    np.testing.assert_allclose(denoised, 0.25 + added, atol=1e-6)


def test_a_given_range_is_subtracted_and_put_back(halver: Path) -> None:
    # 1100 of 100..2100 is 0.5; halved 0.25, which is 600.
    image = np.full((2, 2), 1100, np.uint16)
    assert np.unique(quietpixel.denoise(image, halver, range=(100, 2100))).tolist() == [600]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_file_is_turned_as_its_orientation_says(
    halver: Path, tmp_path: Path, orientation: int
) -> None:
    pixels = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.png")))
    denoised = quietpixel.denoise(tmp_path / "a.png", halver)
    assert np.array_equal(denoised[..., 0], upright // 2)


@pytest.mark.parametrize("page", ["uint8", "uint16", "float32"])
def test_alpha_and_hidden_colours_are_left_alone(halver: Path, page: str) -> None:
    white = {"uint8": 255, "uint16": 65535, "float32": 1}[page]
    image = np.zeros((4, 4, 2), page)
    image[..., 0] = white // 2 if page != "float32" else 0.5
    image[:2, :, 1] = white
    denoised = quietpixel.denoise(image, halver)
    assert np.array_equal(denoised[..., 1], image[..., 1])
    assert np.array_equal(denoised[2:, :, 0], image[2:, :, 0])
    assert (denoised[:2, :, 0] < image[:2, :, 0]).all()


@pytest.mark.parametrize(
    ("text", "mean", "deviation"),
    [
        ("gaussian:0.1,mean=0.05", 0.55, 0.1),
        ("poisson:50", 0.5, 0.1),  # the square root of 0.5 / 50
        ("salt-pepper:0.2", 0.5, 0.2236),  # half of the square root of 0.2
        ("speckle:0.2", 0.5, 0.1),
        ("uniform:0.3", 0.5, 0.1732),  # 0.3 over the square root of 3
    ],
)
def test_noise_laws_have_the_moments_of_theory(text: str, mean: float, deviation: float) -> None:
    clean = np.full((400, 400, 1), 0.5, np.float32)
    noisy = quietpixel.parse_noise(f"{text},clip=no")(clean, np.random.default_rng(0))
    assert noisy.mean() == pytest.approx(mean, abs=2e-3)
    assert noisy.std() == pytest.approx(deviation, rel=0.01)


def test_noise_is_clipped_unless_the_law_says_otherwise() -> None:
    clean = np.ones((50, 50, 1), np.float32)
    rng = np.random.default_rng(0)
    assert quietpixel.parse_noise("gaussian:0.5")(clean, rng).max() == 1
    assert quietpixel.parse_noise("gaussian:0.5,clip=no")(clean, rng).max() > 1.5
