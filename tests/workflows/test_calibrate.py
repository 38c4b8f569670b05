"""Error bars of a tiny model, from calibrating to the command line."""

import re
import shutil
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from onnx import TensorProto, helper, save_model
from PIL import Image
from PIL.ImageCms import ImageCmsProfile, createProfile
from scipy.ndimage import gaussian_filter

import quietpixel
from quietpixel.card import METADATA_KEY, Card
from quietpixel.cli.main import main
from quietpixel.errors import ArgumentError, DataError, ImageError, ModelError
from quietpixel.inference.error_bars import Coverage
from quietpixel.noise.parser import parse_noise
from quietpixel.workflows import calibrate

CARD = Card(
    name="shrinker", architecture="shrinker", channels=1, halo=0, noise="gaussian:0..0.2,clip=no"
)


def write_shrinker(path: Path, card: Card = CARD) -> Path:
    """Write a model that draws values halfway to 0.5, so that half of the noise stays."""
    shape = ["n", "h", "w", card.channels]
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["image", "half"], ["part"]),
            helper.make_node("Add", ["part", "quarter"], ["denoised"]),
        ],
        "shrinker",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("denoised", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor("half", TensorProto.FLOAT, [1], [0.5]),
            helper.make_tensor("quarter", TensorProto.FLOAT, [1], [0.25]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, card.to_json()
    save_model(model, str(path))
    return path


def make_clean(count: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    smooth = rng.uniform(0.3, 0.7, (count, 4, 4, 1)).repeat(16, axis=1).repeat(16, axis=2)
    return list(smooth.astype(np.float32))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_shrinker(tmp_path / "shrinker.onnx")


@pytest.fixture(scope="module")
def calibrated_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Coverage]:
    """Calibrate once for all tests, with 160 squares, because 640 took 6 s."""
    path = write_shrinker(tmp_path_factory.mktemp("calibrated") / "shrinker.onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibrate, "SQUARES", 160)
        return path, quietpixel.calibrate(path, make_clean(40))


@pytest.fixture
def calibrated(calibrated_once: tuple[Path, Coverage], tmp_path: Path) -> Path:
    """Return a copy of the calibrated model that a test may change."""
    return Path(shutil.copy(calibrated_once[0], tmp_path))


def test_calibrating_measures_the_coverage_and_writes_the_card(calibrated_once) -> None:
    path, found = calibrated_once
    assert found.measured == pytest.approx(0.9, abs=0.02)
    assert len(found.by_level) == 4
    assert all(share == pytest.approx(0.9, abs=0.05) for _, share in found.by_level)
    card = quietpixel.read_card(path)
    assert card.uncertainty["coverage"] == found.measured
    assert replace(card, uncertainty={}) == CARD
    assert found.describe().startswith("90 % intervals held ")
    # The model draws values halfway to 0.5: dark ones, 0.3 and more, come out brighter.
    assert found.brightness.slope == pytest.approx(0.5, abs=0.001)
    assert found.brightness.offset == pytest.approx(0.25, abs=0.001)
    assert 0.05 < found.brightness.dark_bias < 0.1
    assert card.uncertainty["brightness"]["slope"] == found.brightness.slope


def test_calibrating_loads_no_keras(model, monkeypatch) -> None:
    """It took a third of the time of a small calibration."""
    monkeypatch.setitem(sys.modules, "quietpixel.models", None)
    monkeypatch.setattr(calibrate, "SQUARES", 20)
    assert quietpixel.calibrate(model, make_clean(4)).images == 4
    assert quietpixel.read_card(model).uncertainty


def test_a_base_installation_says_what_a_noise_law_needs(
    model, tmp_path, monkeypatch, capsys
) -> None:
    for number, image in enumerate(make_clean(2)):
        tifffile.imwrite(tmp_path / f"{number}.tif", image[..., 0])
    monkeypatch.setitem(sys.modules, "scipy", None)
    words = ["calibrate", str(model), str(tmp_path), "--noise", "camera:0.1|photo:0.1"]
    assert main(words) == 2
    sentence = "This noise law needs scipy, which is not installed; install it with: pip install "
    assert f"quietpixel: {sentence}'quietpixel[train]'.\n" in capsys.readouterr().err


def test_the_truth_lies_inside_on_unseen_images(calibrated) -> None:
    denoiser = quietpixel.Denoiser(calibrated, precision="f32")
    rng = np.random.default_rng(5)
    inside = []
    for number, clean in enumerate(make_clean(40, seed=1)):
        noisy = clean + 0.2 * (number + 0.5) / 40 * rng.standard_normal(clean.shape)
        noisy = noisy.astype(np.float32)
        denoised = denoiser(noisy, range=(0.0, 1.0))
        width = quietpixel.uncertainty(noisy, denoised, denoiser, range=(0.0, 1.0))
        inside.append(np.mean(np.abs(clean - denoised) <= width))
    assert np.mean(inside) == pytest.approx(0.9, abs=0.02)


def test_strips_of_a_tall_image_fit_together(calibrated) -> None:
    image = np.random.default_rng(0).random((1100, 20), np.float32)
    whole = quietpixel.uncertainty(image, image / 2, calibrated)
    assert whole.shape == image.shape
    part = quietpixel.uncertainty(image[490:560], image[490:560] / 2, calibrated)
    assert np.array_equal(whole[510:540], part[20:50])
    image[3, 4] = np.nan
    holed = quietpixel.uncertainty(image, np.where(np.isnan(image), np.nan, image / 2), calibrated)
    assert np.isfinite(holed).all()
    assert np.array_equal(holed[20:], whole[20:])


def test_pairs_calibrate_too(model, tmp_path) -> None:
    clean = make_clean(10)
    rng = np.random.default_rng(0)
    noisy = [each + 0.1 * rng.standard_normal(each.shape).astype(np.float32) for each in clean]
    assert quietpixel.calibrate(model, clean, noisy=noisy).images == 10
    for side, images in (("noisy", noisy), ("clean", clean)):
        (tmp_path / side).mkdir()
        for number, image in enumerate(images):
            pixels = np.clip(255 * image[..., 0], 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / side / f"{number}.png")
    found = quietpixel.calibrate(model, tmp_path / "clean", noisy=tmp_path / "noisy")
    assert found.measured is not None


def make_shots(count: int, sigma: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(7)
    clean = make_clean(count, seed=3)
    first, second = (
        [each + sigma * rng.standard_normal(each.shape) for each in clean] for _ in "ab"
    )
    return first, second


def test_two_noisy_shots_calibrate_without_clean_images(model, tmp_path) -> None:
    first, second = make_shots(40, 0.1)
    for side, images in (("first", first), ("second", second)):
        (tmp_path / side).mkdir()
        for number, image in enumerate(images):
            counts = np.rint(1000 + 4000 * image[..., 0]).astype(np.uint16)
            tifffile.imwrite(tmp_path / side / f"{number}.tif", counts)
    words = ["calibrate", model, tmp_path / "first", "--second", tmp_path / "second"]
    assert main([str(word) for word in [*words, "--range", "1000,5000"]]) == 0
    assert quietpixel.read_card(model).uncertainty["shots"]
    denoiser = quietpixel.Denoiser(model, precision="f32")
    rng = np.random.default_rng(8)
    inside = []
    for clean in make_clean(20, seed=4):
        truth = 1000 + 4000 * clean[..., 0]
        noisy = (truth + 400 * rng.standard_normal(truth.shape)).astype(np.float32)
        denoised = denoiser(noisy, range=(1000, 5000))
        width = quietpixel.uncertainty(noisy, denoised, denoiser, range=(1000, 5000))
        inside.append(np.mean(np.abs(truth - denoised) <= width))
    assert np.mean(inside) == pytest.approx(0.9, abs=0.03)


def test_the_command_says_what_the_intervals_hold(model, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(calibrate, "SQUARES", 20)  # 640 took 5 s
    (tmp_path / "clean").mkdir()
    for number, image in enumerate(make_clean(10)):
        Image.fromarray(np.uint8(255 * image[..., 0])).save(tmp_path / "clean" / f"{number}.png")
    words = ["calibrate", model, tmp_path / "clean", "-o", tmp_path / "out.onnx"]
    assert main([str(word) for word in words]) == 0
    printed = capsys.readouterr().out
    assert "out.onnx: 90 % intervals held" in printed
    assert re.search(
        r"^Brightness, result against input: slope 0\.\d+, offset \+0\.", printed, re.M
    )
    assert not quietpixel.read_card(model).uncertainty
    for more in (("--noise", "speckle:1"), ("--noisy", tmp_path)):  # FOLDER was ignored
        refused = refuse(capsys, *words, "--second", tmp_path, *more)
        assert "omit --noisy and --noise, and give the first shots as FOLDER" in refused


def test_images_that_are_left_out_are_named(model, tmp_path, capsys) -> None:
    """Those without a partner were dropped without a word, and a Zarr always."""
    rng = np.random.default_rng(0)
    for side, names in (("noisy", "abcd"), ("clean", "abe")):
        for name in names:
            path, pixels = tmp_path / side / f"{name}.tif", rng.random((32, 32), np.float32)
            path.parent.mkdir(exist_ok=True)
            if name == "b":
                zarr.save_array(path.with_suffix(".zarr"), pixels)
            else:
                tifffile.imwrite(path, pixels)
    (tmp_path / "noisy" / "f.tga").touch()
    words = ["calibrate", model, tmp_path / "clean", "--noisy", tmp_path / "noisy"]
    assert main([str(word) for word in words]) == 0
    printed = capsys.readouterr()
    assert "made from 2 images" in printed.out
    assert printed.err.splitlines() == [
        "Skipping images that cannot be read here: 'f.tga'.",
        "Skipping images of --noisy without a partner: 'c', 'd'.",
        "Skipping images of FOLDER without a partner: 'e'.",
    ]
    with pytest.warns(UserWarning, match="of `clean` without a partner: 'e'") as found:
        quietpixel.calibrate(model, tmp_path / "clean", noisy=tmp_path / "noisy")
    assert len(found) == 3


def test_an_image_unlike_the_calibration_is_warned_about(calibrated, tmp_path, capsys) -> None:
    denoiser = quietpixel.Denoiser(calibrated, precision="f32")
    rng = np.random.default_rng(5)
    clean, similar = make_clean(20, seed=1), 0
    for number, each in enumerate(clean):
        noisy = each + 0.2 * (number + 0.5) / 20 * rng.standard_normal(each.shape)
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            quietpixel.uncertainty(noisy, denoiser(noisy, range=(0.0, 1.0)), denoiser, range=(0, 1))
        similar += len(found)
    assert similar <= 1
    grain = np.kron(0.1 * rng.standard_normal((16, 16)), np.ones((4, 4)))[..., None]
    noisy = (clean[0] + grain).astype(np.float32)
    with pytest.warns(UserWarning, match=r"is unlike those that .* was calibrated on \("):
        quietpixel.uncertainty(noisy, denoiser(noisy, range=(0.0, 1.0)), denoiser, range=(0, 1))
    pixels = np.clip(255 * noisy[..., 0], 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    words = ["denoise", tmp_path / "a.png", "--model", calibrated]
    assert main([str(word) for word in [*words, "--uncertainty", tmp_path / "b.tif"]]) == 0
    assert "the error bars may be wrong" in capsys.readouterr().err


def test_few_images_calibrate_but_measure_nothing(model, monkeypatch) -> None:
    monkeypatch.setattr(calibrate, "SQUARES", 20)  # 640 took 3 s
    found = quietpixel.calibrate(model, make_clean(2))
    assert found.measured is None
    assert "2 images, too few to measure" in found.describe()


def test_stacks_stand_for_folders_of_their_pages(model, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(calibrate, "SQUARES", 20)
    clean = [np.rint(255 * each).astype(np.uint8) for each in make_clean(2)]
    rng = np.random.default_rng(0)
    for name in ("first", "second"):
        shots = [(each + rng.normal(0, 10, each.shape)).clip(0, 255) for each in clean]
        tifffile.imwrite(tmp_path / f"{name}.tif", np.rint(shots).astype(np.uint8))
    found = quietpixel.calibrate(
        model, noisy=tmp_path / "first.tif", second=tmp_path / "second.tif"
    )
    assert "made from 2 pairs of noisy shots" in found.describe()


def test_the_pages_of_a_stack_are_calibrated_on_one_scale(model, tmp_path) -> None:
    """Each page had a scale of its own, so stacks of the calibration itself were warned about."""
    rng = np.random.default_rng(0)
    # All pages but the last use 10 bits only.
    page = 100 + 800 * make_clean(1)[0][..., 0] * np.array([*[1] * 11, 3])[:, None, None]
    for side, sigma in (("clean", 0), ("noisy", 20)):
        noisy = page + sigma * rng.standard_normal(page.shape)
        tifffile.imwrite(tmp_path / f"{side}.tif", np.rint(noisy).astype(np.uint16))
    words = [model, tmp_path / "clean.tif"]
    cards = []
    for more in ({}, {"range": (0, 4095)}):
        quietpixel.calibrate(*words, noisy=tmp_path / "noisy.tif", **more)
        cards.append(quietpixel.read_card(model).uncertainty)
    assert cards[0] == cards[1]


def test_images_with_a_colour_profile_are_calibrated_on_their_full_range(tmp_path: Path) -> None:
    profile = ImageCmsProfile(createProfile("sRGB")).tobytes()
    rng, clean, cards = np.random.default_rng(0), make_clean(1)[0][..., 0], []
    for side, sigma in (("clean", 0), ("noisy", 20)):
        values = 1000 + 400 * clean + sigma * rng.standard_normal((12, *clean.shape))
        pixels = np.rint(values).astype(np.uint16)
        tifffile.imwrite(tmp_path / f"{side}.tif", pixels, iccprofile=profile)
    for more in ({}, {"range": (0, 4095)}):
        words = {"noisy": tmp_path / "noisy.tif", "output": tmp_path / "a.onnx", **more}
        quietpixel.calibrate("photo", tmp_path / "clean.tif", **words)
        cards.append(quietpixel.read_card(tmp_path / "a.onnx").uncertainty)
    assert cards[0] == cards[1]


def test_added_noise_is_on_the_scale_of_use_and_one_in_gray(tmp_path, monkeypatch) -> None:
    """Of 16 bits, intervals of 90 % held 72 % of pixels with the very noise of the calibration."""
    monkeypatch.setattr(calibrate, "SQUARES", 8)
    rng, values = np.random.default_rng(0), []
    for _ in range(11):
        smooth = gaussian_filter(rng.random((96, 96)), 3)
        values.append(400 + 60 * (smooth - smooth.mean()) / smooth.std())
    clean = [np.rint(each).astype(np.uint16) for each in values[:8]]
    path = tmp_path / "out.onnx"
    quietpixel.calibrate("photo", clean, noise="gaussian:0.01,clip=no", output=path)
    denoiser, held = quietpixel.Denoiser(path, law="none"), []
    for truth in values[8:]:
        noisy = np.rint(truth + 10.23 * rng.standard_normal(truth.shape)).astype(np.uint16)
        denoised = denoiser(noisy)
        held.append(np.abs(truth - denoised) <= quietpixel.uncertainty(noisy, denoised, denoiser))
    assert np.mean(held) == pytest.approx(0.9, abs=0.05)


def test_what_cannot_be_calibrated_is_refused(model, tmp_path) -> None:
    with pytest.raises(ModelError, match="comes with quietpixel and is not changed"):
        quietpixel.calibrate("mnist-unet", make_clean(2))
    with pytest.raises(DataError, match="needs at least one image"):
        quietpixel.calibrate(model, [])
    with pytest.raises(DataError, match="must hold the same images"):
        quietpixel.calibrate(model, make_clean(2), noisy=make_clean(1))
    with pytest.raises(DataError, match="must have one size"):
        quietpixel.calibrate(model, make_clean(1), noisy=[make_clean(1)[0][:8]])
    with pytest.raises(DataError, match="Both sides of the pair 'number 0' have the same values"):
        quietpixel.calibrate(model, noisy=make_clean(1), second=make_clean(1))
    silent = write_shrinker(tmp_path / "silent.onnx", replace(CARD, noise=""))
    with pytest.raises(ArgumentError, match="`noise` must be given"):
        quietpixel.calibrate(silent, make_clean(2))


def test_a_model_that_was_not_calibrated_says_how_to(model) -> None:
    image = np.zeros((9, 9), np.float32)
    with pytest.raises(ModelError, match=r"quietpixel\.calibrate\(model, clean\)"):
        quietpixel.uncertainty(image, image, model)


def test_arrays_of_two_shapes_are_refused(calibrated) -> None:
    with pytest.raises(ImageError, match="`denoised` must have the shape of `image`; got"):
        quietpixel.uncertainty(np.zeros((9, 9)), np.zeros((9, 8)), calibrated)


@pytest.mark.parametrize("shape", [(40, 30), (40, 30, 3), (40, 30, 4)])
def test_the_command_writes_a_float_picture(calibrated, tmp_path, shape) -> None:
    pixels = np.random.default_rng(0).integers(40, 200, shape).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noisy.png")
    words = ["denoise", tmp_path / "noisy.png", "--model", calibrated]
    assert main([str(word) for word in [*words, "--uncertainty", tmp_path / "bars.tif"]]) == 0
    bars = tifffile.imread(tmp_path / "bars.tif")
    assert bars.shape == (40, 30, 3)[: len(shape)]
    assert bars.dtype == np.float32
    assert 0 < bars.min() < bars.max() < 255
    assert bars.max() > 1  # in the units of the image
    denoised = np.asarray(Image.open(tmp_path / "noisy-clean.png"))
    expected = quietpixel.uncertainty(pixels, denoised, calibrated)
    assert np.array_equal(bars, expected)


def refuse(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main([str(word) for word in words]) == 2
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    return text


def test_the_command_refuses_before_any_work(model, calibrated, tmp_path, capsys) -> None:
    path = tmp_path / "noisy.png"
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(path)
    words = ["denoise", path, "--model", calibrated, "--uncertainty"]
    assert "must name a TIFF file" in refuse(capsys, *words, tmp_path / "bars.png")
    assert "needs --strength 1" in refuse(capsys, *words, tmp_path / "b.tif", "--strength", 0.5)
    assert "needs one image" in refuse(capsys, *words, tmp_path / "b.tif", path.with_name("2.png"))
    bare = write_shrinker(tmp_path / "bare.onnx")
    words = ["denoise", path, "--model", bare, "--uncertainty", tmp_path / "b.tif"]
    assert "it was not calibrated" in refuse(capsys, *words)
    assert not (tmp_path / "noisy-clean.png").exists()


def test_a_fifth_of_the_squares_of_colour_are_made_gray() -> None:
    colour = np.random.default_rng(0).random((100, 120, 3), np.float32)
    pairs = list(calibrate.draw_pairs([colour] * 4, parse_noise("gaussian:0.1"), seed=0))
    gray = [clean.shape[2] == 1 for _, _, clean in pairs]
    assert 0.15 < np.mean(gray) < 0.25
    assert all(noisy.shape == clean.shape for _, noisy, clean in pairs)
