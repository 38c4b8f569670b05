"""`compare` and `evaluate` from Python: models and methods on named sets, folders and pairs."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

import quietpixel
from quietpixel.data.image_cache import StoredImage, decode
from quietpixel.errors import ArgumentError, DataError, ModelError, UnknownNameError
from quietpixel.files import Picture, write_picture
from quietpixel.inference.model_store import find_model
from quietpixel.noise.parser import FROZEN_EPOCH, image_rng, parse_noise
from quietpixel.workflows import evaluate as workflow
from quietpixel.workflows import evaluation_data
from quietpixel.workflows.evaluate import fix_law

pytestmark = pytest.mark.usefixtures("few_digits")


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(Picture.from_pixels(pixels.astype(np.uint8)), path)


def waves(number: int, side: int = 48, channels: int = 1) -> np.ndarray:
    rows, columns = np.arange(side)[:, None] / (5 + number), np.arange(side + 8) / 7
    return np.repeat((128 + 100 * np.sin(rows) * np.cos(columns))[..., None], channels, axis=-1)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    for part in ("evaluated", "others"):
        for number in range(3):
            clean = waves(number + (part == "others"))
            noise = np.random.default_rng(number).normal(0, 25, clean.shape)
            write(tmp_path / part / "clean" / f"{number}.png", clean)
            write(tmp_path / part / "noisy" / f"{number}.png", np.clip(clean + noise, 0, 255))
    return tmp_path


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    for number in range(3):
        write(tmp_path / "clean" / f"{number}.png", waves(number))
    return tmp_path / "clean"


def test_models_and_methods_on_a_named_set(tmp_path: Path) -> None:
    found = quietpixel.compare(
        ["mnist-bottleneck", "median"], "digits", count=6, report=tmp_path / "page.html"
    )
    (table,) = found.tables
    assert (found.count, found.channels, table.noise) == (6, 1, "gaussian:0.5")
    assert [row.name for row in table.rows] == ["mnist-bottleneck", "median", "noisy"]
    assert table.rows[0].size > 100_000
    assert "size" in table.rows[1].parameters
    assert found.tuned_on == "digits (validation)"
    assert json.loads(found.to_json())["tables"][0]["differences"][0]["than"] == "mnist-bottleneck"
    assert (tmp_path / "page.html").stat().st_size > 5_000


def test_one_model_gets_the_same_numbers_as_in_evaluate() -> None:
    alone = quietpixel.evaluate("mnist-bottleneck", "digits", noise="gaussian:0.3,clip=no")
    beside = quietpixel.compare(["mnist-bottleneck"], "digits", noise="gaussian:0.3,clip=no")
    assert beside.tables[0].rows[0].means["mse"] == pytest.approx(alone.methods[0].mse, rel=1e-4)
    assert beside.tables[0].rows[1].means["mse"] == pytest.approx(alone.methods[1].mse, rel=1e-6)


@pytest.mark.parametrize("model", ["photo", "photo-gray", "gaussian-gray"])
def test_a_model_of_many_levels_is_evaluated_at_a_fixed_law(model: str, clean: Path) -> None:
    card = quietpixel.read_card(find_model(model))
    evaluation = quietpixel.evaluate(model, clean)
    assert evaluation.noise == str(fix_law(quietpixel.parse_noise(card.noise)))
    assert evaluation.noise.startswith("gaussian:0.1")
    assert ".." not in evaluation.noise
    assert json.loads(evaluation.to_json())["trained_noise"] == card.noise
    denoised, noisy = evaluation.methods
    assert denoised.psnr > noisy.psnr + 5
    sigma = quietpixel.parse_noise(evaluation.noise).sigma
    assert noisy.psnr == pytest.approx(-20 * np.log10(sigma), abs=0.5)


@pytest.mark.parametrize(
    ("law", "fixed"),
    [
        ("gaussian:0.1..0.3,mean=0.2", "gaussian:0.2,mean=0.2"),
        ("camera:0.02|poisson:30|gaussian:0..0.5,clip=no|gaussian:0.1", "gaussian:0.25,clip=no"),
        ("poisson:20..40|camera:0.02", "poisson:30"),
        ("poisson:20..40+gaussian:0..0.1", "poisson:30+gaussian:0.05"),
        ("speckle:0.1", "speckle:0.1"),
    ],
)
def test_a_law_with_a_range_or_a_mixture_is_fixed(law: str, fixed: str) -> None:
    assert str(fix_law(quietpixel.parse_noise(law))) == fixed


def test_tuning_reports_how_many_parameters_it_has_tried() -> None:
    seen = []
    law = "gaussian:0.5"
    quietpixel.compare(["median"], "digits", noise=law, count=2, on_progress=seen.append)
    tuning = [each for each in seen if each.task == f"Evaluating at {law}: tuning median"]
    assert [each.step for each in tuning] == list(range(1, tuning[0].steps + 1))
    assert (tuning[-1].share, len(tuning) >= 4) == (1, True)


def test_a_law_that_is_given_is_used_as_it_is() -> None:
    evaluation = quietpixel.compare(["mnist-unet"], "digits", noise="gaussian:0..0.5", count=2)
    assert (evaluation.noise, evaluation.trained_noise) == ("gaussian:0..0.5", "")


def test_a_model_for_rgb_takes_gray_images() -> None:
    evaluation = quietpixel.compare(["photo"], "digits", noise="gaussian:0.2", count=4)
    assert evaluation.channels == 1
    assert evaluation.methods[0].psnr > evaluation.methods[1].psnr


def test_a_gray_folder_is_evaluated_in_gray(tmp_path: Path) -> None:
    for number in range(2):
        write(tmp_path / f"{number}.png", waves(number))
    models = ["photo", "photo-gray"]
    evaluation = quietpixel.compare(models, tmp_path, noise="gaussian:0.1")
    assert evaluation.channels == 1
    found = {row.name: row.means["psnr"] for row in evaluation.tables[0].rows}
    assert found["photo"] > found["noisy"] + 5


def test_classical_methods_are_added_on_the_first_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "CLASSICAL_IMAGES", 3)
    monkeypatch.setattr(workflow, "TUNING_COUNT", 2)
    evaluation = quietpixel.compare(["tv"], "digits", noise="gaussian:0.3", count=5, classical=True)
    names = [row.name for row in evaluation.methods]
    assert names == ["tv", "noisy", "median", "wavelet", "nlm"]
    assert [row.count for row in evaluation.methods] == [5, 5, 3, 3, 3]


def test_a_folder_at_several_strengths(clean: Path) -> None:
    laws = ["gaussian:0.05,clip=no", "gaussian:0.2,clip=no"]
    found = quietpixel.compare(["mnist-unet", "median"], clean, noise=laws, count=2)
    assert [table.noise for table in found.tables] == laws
    quiet, loud = (table.rows[-1].means["psnr"] for table in found.tables)
    assert quiet == pytest.approx(26.0, abs=0.2)
    assert loud < quiet - 10
    assert found.tuned_on.startswith("camera")


def test_images_of_8_bits_are_evaluated_on_the_scale_of_their_files(tmp_path: Path) -> None:
    """As `denoise` takes them; white estimated from a dark image would be another scale."""
    dark = np.rint(waves(0, side=64, channels=3) / 4)
    write(tmp_path / "dark.png", dark)
    (table,) = quietpixel.compare(["photo"], tmp_path, noise="gaussian:10/255,clip=no").tables
    clean = (dark / 255).astype(np.float32)
    noisy = parse_noise("gaussian:10/255,clip=no")(clean, image_rng(0, FROZEN_EPOCH, 0))
    denoised = quietpixel.Denoiser("photo")(noisy, range=(0, 1))
    expected = -10 * np.log10(np.mean(np.square(np.clip(denoised, 0, 1) - clean)))
    assert table.rows[0].means["psnr"] == pytest.approx(expected, abs=0.01)


def test_each_file_is_decoded_once(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []

    def count(path: Path, channels: int) -> StoredImage:
        decoded.append(path.name)
        return decode(path, channels)

    monkeypatch.setattr(evaluation_data, "decode", count)
    quietpixel.compare(["noisy"], clean, noise="gaussian:0.1")
    assert decoded == ["0.png", "1.png", "2.png"]


def test_pairs_have_their_own_noise(pairs: Path) -> None:
    found = quietpixel.compare(["median"], pairs / "evaluated", tuning=pairs / "others")
    (table,) = found.tables
    assert table.noise == ""
    median, noisy = (row.means["psnr"] for row in table.rows)
    assert noisy == pytest.approx(20.2, abs=0.5)
    assert median > noisy + 3
    assert found.tuned_on == str(pairs / "others")


def test_pairs_are_found_by_their_names(tmp_path: Path) -> None:
    write(tmp_path / "a_mean.png", waves(0))
    write(tmp_path / "a_real.png", waves(0) + 10)
    found = quietpixel.compare(["noisy"], tmp_path, pairs="*_real.*=*_mean.*")
    assert found.tables[0].rows[0].means["mse"] == pytest.approx((10 / 255) ** 2, rel=1e-3)
    assert found.tuned_on == ""


def test_methods_are_not_tuned_on_the_pairs_of_the_evaluation(pairs: Path) -> None:
    with pytest.raises(ArgumentError, match="`tuning` must name a folder of other pairs"):
        quietpixel.compare(["median"], pairs / "evaluated")


def test_noise_for_pairs_is_refused(pairs: Path) -> None:
    with pytest.raises(ArgumentError, match="the noise of pairs is their own; omit it"):
        quietpixel.compare(["noisy"], pairs / "evaluated", noise="gaussian:0.1")


def test_pairs_of_different_sizes_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "noisy" / "a.png", waves(0, side=40))
    write(tmp_path / "clean" / "a.png", waves(0))
    with pytest.raises(DataError, match="are not a pair because they differ in size"):
        quietpixel.compare(["noisy"], tmp_path)


def test_every_page_of_a_stack_is_evaluated(tmp_path: Path) -> None:
    """The first page of each stood for all."""
    rng = np.random.default_rng(0)
    clean = np.full((4, 32, 32), 0.5, np.float32)
    sigmas = np.array([0.01, 0.05, 0.1, 0.2], np.float32)[:, None, None]
    noisy = clean + sigmas * rng.standard_normal(clean.shape, np.float32)
    for side, stack in (("noisy", noisy), ("clean", clean)):
        (tmp_path / side).mkdir()
        tifffile.imwrite(tmp_path / side / "a.tif", stack, photometric="minisblack")
    evaluation = quietpixel.compare(["noisy"], tmp_path)
    assert evaluation.count == 4
    (row,) = evaluation.tables[0].rows
    assert row.means["mse"] == pytest.approx(float(np.mean((noisy - clean) ** 2)), rel=0.05)
    tifffile.imwrite(tmp_path / "clean" / "a.tif", clean[:2], photometric="minisblack")
    with pytest.raises(DataError, match=r"differ in size; got .4, 32, 32. and .2, 32, 32. pages"):
        quietpixel.compare(["noisy"], tmp_path)


def test_methods_alone_need_a_noise() -> None:
    with pytest.raises(ArgumentError, match="`noise` must be given"):
        quietpixel.compare(["median"], "digits")


def test_images_and_models_of_other_channels_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.png", waves(0, channels=3) * [1, 0.5, 0.2])
    with pytest.raises(ModelError, match="these are RGB while the model 'mnist-unet' takes gray"):
        quietpixel.compare(["mnist-unet"], tmp_path, channels=3)


def test_an_unknown_name_comes_with_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="model or method 'wavlet': did you mean 'wavelet'"):
        quietpixel.compare(["wavlet"], "digits", noise="gaussian:0.5")


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(ArgumentError, match="got 'median' twice"):
        quietpixel.compare(["median", "median"], "digits", noise="gaussian:0.5")


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ArgumentError, match="`seed` must be a whole number of at least 0; got -1"):
        quietpixel.compare(["median"], "digits", noise="gaussian:0.1", seed=-1)
    with pytest.raises(ArgumentError, match=r"white; got 25. Try gaussian:25/255\."):
        quietpixel.compare(["median"], "digits", noise="gaussian:25")
    with pytest.raises(ArgumentError, match=r"`channels` must be 1 \(gray\) or 3 \(RGB\); got 2"):
        quietpixel.compare(["median"], "digits", noise="gaussian:0.1", channels=2)
    with pytest.raises(ArgumentError, match=r"list of names; got 'median'. Try \['photo'\]"):
        quietpixel.compare("median", "digits", noise="gaussian:0.1")
    with pytest.raises(ArgumentError, match="a list of names; got None"):
        quietpixel.compare(None, "digits", noise="gaussian:0.1")


@pytest.mark.parametrize("data", [None, 3, ""])
def test_data_that_are_no_path_are_refused(data: object) -> None:
    """They ended in a TypeError of pathlib; an empty path stood for the current folder."""
    with pytest.raises(ArgumentError, match=f"`data` must be a path or a name; got {data!r}"):
        quietpixel.train(data)
    with pytest.raises(ArgumentError, match=f"name of a data set; got {data!r}"):
        quietpixel.compare(["noisy"], data, noise="gaussian:0.5")
    with pytest.raises(ArgumentError, match=r"must be a folder, or a list of|a file or an array"):
        quietpixel.calibrate("photo", [data] if data == "" else data or 3, output="x.onnx")


@pytest.mark.parametrize("count", [0, -1, 1.5])
def test_a_count_below_one_is_refused(count: float) -> None:
    with pytest.raises(ArgumentError, match="`count` must be a whole number of at least 1"):
        quietpixel.compare(["noisy"], "digits", noise="gaussian:0.5", count=count)


def test_missing_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'digits'"):
        quietpixel.compare(["noisy"], "digit", noise="gaussian:0.5")
    with pytest.raises(DataError, match="does not exist"):
        quietpixel.compare(["noisy"], tmp_path / "none", noise="gaussian:0.5")
    with pytest.raises(DataError, match="holds no images to evaluate"):
        quietpixel.compare(["noisy"], tmp_path, noise="gaussian:0.5", channels=1)
    with pytest.raises(ArgumentError, match="`pairs` needs a folder"):
        quietpixel.compare(["noisy"], "digits", pairs="*_a=*_b")
