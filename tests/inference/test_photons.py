"""Photon noise is stabilised before the model and restored without bias."""

import io
import json
import warnings
from pathlib import Path

import dask.array
import numpy as np
import pytest
import tifffile
import zarr

import quietpixel
from quietpixel import DenoiseOptions, Denoiser
from quietpixel.cli.main import main
from quietpixel.errors import ArgumentError, UnknownNameError
from quietpixel.files import Picture, write_picture
from quietpixel.imaging.intensity_scale import Range
from quietpixel.imaging.stabilise import PhotonNoise
from quietpixel.inference.job import run
from quietpixel.noise.level import MeasuredNoise

SIDE = 192
Y, X = np.mgrid[:SIDE, :SIDE]
LIGHT = np.clip((np.sin(Y / 20 + X / 40) + np.cos(X / 31 - Y / 50)) / 3 + 1 / 3, 0, 1)
PLAIN = DenoiseOptions(law="none")


@pytest.fixture(scope="module")
def photo() -> Denoiser:
    return Denoiser("photo", precision="f32")


def camera(photons: float, *, gain: float = 1.5, read: float = 3, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    counts = 100 + gain * rng.poisson(photons * LIGHT) + read * rng.standard_normal(LIGHT.shape)
    return np.rint(counts).astype(np.uint16)


def rmse(image: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((np.asarray(image, float) - truth) ** 2)))


@pytest.mark.parametrize(
    ("photons", "share"),
    [(300, 0.8), *(pytest.param(n, 0.9, marks=pytest.mark.slow) for n in (20, 3000))],
)
def test_counts_are_cleaner_than_without(photo: Denoiser, photons: float, share: float) -> None:
    noisy, truth = camera(photons), 100 + 1.5 * photons * LIGHT
    result = photo.denoise(noisy)
    assert rmse(result.image, truth) < share * rmse(photo.denoise(noisy, PLAIN).image, truth)
    assert abs(np.mean(result.image - truth)) < 0.02 * rmse(noisy, truth)
    assert "Photon noise was made equally strong everywhere (gain 1." in result.notes[-1]
    stack = photo.batch(np.stack([noisy, noisy])[..., None])
    assert rmse(stack[1, ..., 0], truth) < share * rmse(photo.denoise(noisy, PLAIN).image, truth)


@pytest.mark.parametrize("scale", [None, (0.0, 1.0)])
def test_images_of_a_batch_are_cleaned_as_if_alone(photo: Denoiser, scale: Range | None) -> None:
    light = 0.1 + 0.8 * np.repeat(LIGHT[..., np.newaxis], 3, axis=2) / LIGHT.max()
    rng = np.random.default_rng(1)
    photons = rng.poisson(60 * light) / 60
    white = light + rng.normal(0, 0.08, light.shape)
    images = np.stack([white, photons, photons[::-1]]).astype(np.float32)
    shared = photo.find_scale(list(images), DenoiseOptions(range=scale)).range
    results = [photo.denoise(image, DenoiseOptions(range=shared)) for image in images]
    found = [any("Photon noise" in note for note in result.notes) for result in results]
    assert found == [False, True, True]
    for cleaned, result in zip(photo.batch(images, range=scale), results, strict=True):
        np.testing.assert_array_equal(cleaned, result.image)


def test_a_batch_takes_the_law_that_is_given(photo: Denoiser) -> None:
    law = "poisson:2000,black=0.02+gaussian:0.001"  # shares of the full range, not of the scale
    noisy = camera(300)
    given = photo.denoise(noisy, DenoiseOptions(law=law))
    measured = photo(noisy)
    assert rmse(given.image, measured) > 0
    batch = Denoiser("photo", precision="f32", law=law).batch(noisy[np.newaxis, ..., np.newaxis])
    np.testing.assert_array_equal(batch[0, ..., 0], given.image)


def test_a_job_holds_the_decision_and_stays_within_the_bits_in_use(photo: Denoiser) -> None:
    noisy = camera(2000)
    noisy[:8, :8] = 4095
    job = photo.prepare(noisy)
    result = run(job)
    assert "Photon noise" in result.notes[-1]
    np.testing.assert_array_equal(result.image, photo(noisy))
    assert result.image.max() <= 4095
    out = np.empty_like(noisy)
    assert run(photo.prepare(noisy, out=out)).image is out
    np.testing.assert_array_equal(out, result.image)


def test_the_default_model_gets_stable_noise_too() -> None:
    noisy, truth = np.random.default_rng(5).poisson(5 * LIGHT).astype(np.float32), 5 * LIGHT
    default = Denoiser(precision="f32")
    assert rmse(default(noisy), truth) < 0.9 * rmse(default.denoise(noisy, PLAIN).image, truth)


def test_few_photons_keep_their_mean() -> None:
    rng = np.random.default_rng(1)
    for mean in (0.5, 2, 8, 50):
        noise = PhotonNoise(gain=3.0, read_noise=1.0, offset=20.0)
        counts = 20 + 3 * rng.poisson(mean, 200_000) + rng.standard_normal(200_000)
        restored = noise.restore(noise.stabilise(counts).mean(keepdims=True))[0]
        assert restored == pytest.approx(20 + 3 * mean, abs=0.03 * 3 * mean + 0.1)


def test_counts_of_8_bits_are_cleaner_than_without(photo: Denoiser) -> None:
    rng, truth = np.random.default_rng(0), 10 + 200 * LIGHT
    noisy = (10 + 5 * rng.poisson(truth / 5 - 2)).clip(0, 255).astype(np.uint8)
    result = photo.denoise(noisy)
    assert rmse(result.image, truth) < 0.8 * rmse(photo.denoise(noisy, PLAIN).image, truth)
    assert "Photon noise was made equally strong" in result.notes[-1]
    # A photograph with white noise, and values that a colour profile defines, are no counts.
    white = (truth + 12 * rng.standard_normal(truth.shape)).clip(0, 255).astype(np.uint8)
    np.testing.assert_array_equal(photo.denoise(white).image, photo.denoise(white, PLAIN).image)
    assert photo.find_scale([noisy], profile=True).photons is None


def test_weak_growth_is_left_alone_in_8_bits_and_what_does_not_grow_is_not_measured(
    photo: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, truth = np.random.default_rng(0), 20 + 200 * LIGHT
    # 1.5 times as strong in white as in black; 8 bits ask for 1.7 times, more bits for 1.2.
    noisy = truth + np.sqrt(64 + 80 * LIGHT) * rng.standard_normal(LIGHT.shape)
    assert photo.find_scale([noisy.clip(0, 255).astype(np.uint8)]).photons is None
    assert photo.find_scale([(16 * noisy).clip(0, 4095).astype(np.uint16)]).photons is not None
    monkeypatch.setattr("quietpixel.inference.photon_law.measure_noise", None)  # it takes long
    white = truth + 12 * rng.standard_normal(truth.shape)
    assert photo.find_scale([white.clip(0, 255).astype(np.uint8)]).photons is None


def test_texture_that_follows_a_law_is_not_noise(
    photo: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy = colourful()[0]
    gray = noisy[..., 0]
    images = noisy, gray, gray.astype(np.uint16), camera(300)
    assert all(photo.find_scale([each]).photons for each in images)
    assert photo.find_scale([gray, np.zeros_like(gray)]).photons is not None
    # Two thirds of the image have so many times the fine structure that the law says.
    white = np.random.default_rng(0).standard_normal(LIGHT.shape) * np.sqrt(1 + 600 * LIGHT)
    rough = [20 + 200 * LIGHT + white * np.where(X // 24 % 3, times, 1) for times in (1, 2, 5)]
    eight = [each.clip(0, 255).astype(np.uint8) for each in rough]
    more = [(100 * each).clip(0, 65535).astype(np.uint16) for each in rough]
    for kind in (eight, more):
        assert [bool(photo.find_scale([each]).photons) for each in kind] == [True, True, False]
    # Where that leaves doubt, the noise level has to agree, in 8 bits more than in others.
    measured, found = "quietpixel.inference.photon_law.measure_level", MeasuredNoise(3 / 255)
    monkeypatch.setattr(measured, lambda *given: found)
    assert [bool(photo.find_scale([each[1]]).photons) for each in (eight, more)] == [False, True]
    found = MeasuredNoise(0.5 / 255)
    assert [bool(photo.find_scale([each[1]]).photons) for each in (eight, more)] == [False, False]
    assert all(photo.find_scale([each[0]]).photons for each in (eight, more))


def test_cells_on_black_are_stabilised_in_8_bits(photo: Denoiser) -> None:
    """Most blocks are black, and passed for bright ones without noise."""
    cells = 200 * np.maximum(1 - (np.hypot(X - 70, Y - 90) / 40) ** 2, 0)
    counts = np.random.default_rng(0).poisson(cells / 10) * 10
    noisy = counts.clip(0, 255).astype(np.uint8)
    assert rmse(photo.denoise(noisy).image, cells) < 0.3 * rmse(noisy, cells)
    colour = noisy[..., np.newaxis] * np.array([1, 0, 0], np.uint8)
    assert rmse(photo.denoise(colour).image[..., 0], cells) < 0.4 * rmse(noisy, cells)


@pytest.mark.parametrize("paper", [0, 30])
def test_light_text_in_a_jpeg_is_not_noise(photo: Denoiser, paper: int) -> None:
    """Results had down to 36 dB of the text, where 46 dB can be had."""
    from PIL import Image, ImageDraw, ImageFont

    page, file = Image.new("L", (320, 240), paper), io.BytesIO()
    for top in range(6, 230, 18):
        line = "the quick brown fox jumps over a lazy dog"
        ImageDraw.Draw(page).text((8, top), line, font=ImageFont.load_default(9), fill=170)
    page.save(file, "JPEG", quality=95)
    stored = np.asarray(Image.open(file))
    assert photo.find_scale([stored]).photons is None


def test_normal_noise_and_small_or_transparent_images_are_left_as_they_are(
    photo: Denoiser,
) -> None:
    rng = np.random.default_rng(2)
    normal = (500 + 300 * LIGHT + 20 * rng.standard_normal(LIGHT.shape)).astype(np.float32)
    transparent = np.concatenate([colourful()[0], np.full((SIDE, SIDE, 1), 255, np.uint8)], axis=2)
    for image in (normal, camera(300)[:40, :40], transparent):
        result = photo.denoise(image)
        np.testing.assert_array_equal(result.image, photo.denoise(image, PLAIN).image)
        assert not any("Photon noise" in note for note in result.notes)


def colourful() -> tuple[np.ndarray, np.ndarray]:
    """Return photon noise in an image of colour, of 8 bits, and the image without it."""
    truth = np.stack([LIGHT, 0.6 * LIGHT + 0.2 * X / SIDE, 0.3 + 0.5 * LIGHT], axis=-1)
    return np.rint(255 * np.random.default_rng(3).poisson(60 * truth).clip(0, 60) / 60).astype(
        np.uint8
    ), 255 * truth


def test_colour_is_cleaner_than_without_in_whole_and_in_parts(photo: Denoiser) -> None:
    noisy, truth = colourful()
    result = photo.denoise(noisy)
    assert rmse(result.image, truth) < 0.9 * rmse(photo.denoise(noisy, PLAIN).image, truth)
    assert "Photon noise was made equally strong everywhere (gain 4." in result.notes[-1]
    change = np.mean(result.image - truth, axis=(0, 1))
    assert np.abs(change).max() < 0.05 * rmse(noisy, truth)
    lazy = dask.array.from_array(noisy, chunks=(96, 96, 3))
    parts = quietpixel.denoise(lazy, "photo", channels="rgb", precision="f32").compute()
    assert np.abs(parts.astype(int) - result.image).max() <= 1
    masked = np.ma.MaskedArray(noisy, noisy > 250)
    found = photo.denoise(masked).image
    np.testing.assert_array_equal(found.data[masked.mask], noisy[masked.mask])


def test_strength_of_colour_mixes_in_the_units_of_the_image(photo: Denoiser) -> None:
    noisy = colourful()[0]
    whole, gray, colour = (
        photo(noisy, strength=light, colour_strength=tint, dtype="float32")
        for light, tint in ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0))
    )
    # What one leaves the other takes.
    np.testing.assert_allclose(gray + colour, whole + noisy, atol=0.01)
    half = photo(noisy, strength=0.5, colour_strength=0.5, dtype="float32")
    np.testing.assert_allclose(half, (whole + noisy) / 2, atol=0.01)
    differences = (each[..., 0] - each[..., 1].astype(np.float32) for each in (gray, noisy))
    np.testing.assert_allclose(*differences, atol=0.01)
    np.testing.assert_array_equal(photo(noisy, strength=0.0, colour_strength=0.0), noisy)
    stronger = photo(noisy, strength=1.0, colour_strength=1.5, dtype="float32")
    luminance, change = np.array([0.2126, 0.7152, 0.0722]), stronger - whole
    assert np.std(change @ luminance) < 0.1 * np.std(change[..., 0] - change[..., 1])


def test_strength_mixes_in_the_units_of_the_image(photo: Denoiser) -> None:
    noisy = camera(300).astype(np.float32)
    whole, half = (photo(noisy, strength=share) for share in (1.0, 0.5))
    np.testing.assert_allclose(half, (whole + noisy) / 2, atol=0.01)
    np.testing.assert_array_equal(photo(noisy, strength=0.0), noisy)
    assert 0.1 < rmse(photo(noisy, strength=1.5), whole) < 0.2 * rmse(noisy, whole)


def test_holes_and_hot_pixels_come_back(photo: Denoiser) -> None:
    noisy = camera(300).astype(np.float32)
    noisy[:5], noisy[50, 50] = np.nan, 60_000
    result = photo(noisy)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(noisy))
    assert result[50, 50] == 60_000
    truth = 100 + 450 * LIGHT
    assert rmse(result[10:45], truth[10:45]) < 0.4 * rmse(noisy[10:45], truth[10:45])
    # Beyond the 10 bits that the others use.
    masked = np.ma.MaskedArray(camera(300), np.isnan(noisy))
    masked.data[masked.mask] = 60_000
    result = photo.denoise(masked)
    assert "Photon noise" in result.notes[-1]
    assert (result.image.data[masked.mask] == 60_000).all()


def test_values_far_below_black_say_nothing_of_the_law(photo: Denoiser) -> None:
    noisy = camera(300).astype(np.float64)
    expected = photo.find_scale([noisy]).photons
    assert expected is not None
    for value in (-np.inf, -1e30):
        noisy[::31, ::37] = value
        photons = photo.find_scale([noisy]).photons
        assert photons is not None
        assert photons.gain == pytest.approx(expected.gain, rel=0.1)


def test_a_law_is_given_or_switched_off(photo: Denoiser, tmp_path: Path) -> None:
    bright = camera(300, gain=0.5, read=1).astype(np.uint8)
    truth = 100 + 150 * LIGHT
    law = DenoiseOptions(law=f"poisson:{2 * 255},black={100 / 255}+gaussian:{1 / 255}")
    plain = photo.denoise(bright, PLAIN).image
    assert rmse(photo.denoise(bright, law).image, truth) < rmse(plain, truth)
    zero = DenoiseOptions(law=f"poisson:{2 * 155}+gaussian:{1 / 155}", range=(100, 255))
    assert "(gain 0.5, read noise 1, offset 100)." in photo.denoise(bright, zero).notes[-1]
    with pytest.raises(ArgumentError, match="lower half of the image's values, 0 to 255; got 204,"):
        photo(bright, law="poisson:510,black=0.8")
    with pytest.raises(UnknownNameError, match="poison"):
        DenoiseOptions(law="poison:3")
    tifffile.imwrite(tmp_path / "a.tif", camera(300))
    reports = []
    for word in ("auto", "none"):
        report, target = tmp_path / f"{word}.json", tmp_path / f"{word}.tif"
        words = ["denoise", tmp_path / "a.tif", "-o", target, "--law", word, "--json", report]
        assert main([str(each) for each in [*words, "--model", "photo", "--precision", "f32"]]) == 0
        reports.append(" ".join(json.loads(report.read_text())["files"][0]["notes"]))
    assert ["Photon noise" in notes for notes in reports] == [True, False]
    assert rmse(tifffile.imread(tmp_path / "auto.tif"), 100 + 450 * LIGHT) < 0.8 * rmse(
        tifffile.imread(tmp_path / "none.tif"), 100 + 450 * LIGHT
    )


def test_error_bars_cost_the_stabilised_result_and_say_so(tmp_path: Path, capsys) -> None:
    tifffile.imwrite(tmp_path / "a.tif", camera(300))
    words = ["denoise", tmp_path / "a.tif", "--uncertainty", tmp_path / "b.tif"]
    assert main([str(each) for each in words]) == 0
    assert "the result without --uncertainty has less noise" in capsys.readouterr().err
    assert main([str(each) for each in [*words, "--law", "none", "--overwrite"]]) == 0
    assert "Photon noise" not in capsys.readouterr().err
    assert main([str(each) for each in [*words, "--law", "poisson:300", "--overwrite"]]) == 2
    assert "--law cannot be used with --uncertainty" in capsys.readouterr().err


@pytest.mark.parametrize("photons", [False, True])
def test_a_declared_white_hides_no_photon_noise(tmp_path: Path, capsys, photons: bool) -> None:
    y, x = np.mgrid[:160, :200]
    light = np.maximum(60 + 55 * np.sin(x / 17) * np.cos(y / 11), 1)
    rng = np.random.default_rng(0)
    noisy = rng.poisson(light) if photons else light + rng.normal(0, 8, light.shape)
    pixels = np.clip(noisy * 5, 0, 1023).astype(">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 200 160 1023\n" + pixels.tobytes())
    notes = []
    for name, words in (
        ("b", []),
        ("plain", ["--law", "none"]),
        ("c", ["--uncertainty", str(tmp_path / "d.tif")]),
    ):
        target = str(tmp_path / f"{name}.pgm")
        assert main(["denoise", str(tmp_path / "a.pgm"), "-o", target, *words]) == 0
        notes.append(capsys.readouterr().err)
    assert ["was made equally strong" in each for each in notes] == [photons, False, False]
    assert ["was not made equally strong" in each for each in notes] == [False, False, photons]
    results = {name: (tmp_path / f"{name}.pgm").read_bytes() for name in ("b", "plain", "c")}
    assert results["c"] == results["plain"]
    assert (results["b"] == results["c"]) is not photons
    if photons:
        pages = {
            name: np.frombuffer(each[-2 * light.size :], ">u2") for name, each in results.items()
        }
        truth = 5 * light.ravel()
        assert rmse(pages["b"], truth) < 0.95 * rmse(pages["plain"], truth)


def test_lazy_stacks_are_stabilised_as_whole_ones(photo: Denoiser) -> None:
    stack = np.stack([camera(300, seed=seed) for seed in (0, 1)])
    whole = photo.denoise(stack, DenoiseOptions(axes="zyx"))
    assert any("Photon noise" in note for note in whole.notes)
    lazy = dask.array.from_array(stack, chunks=(1, 96, 192))
    options = {"model": "photo", "precision": "f32", "axes": "zyx"}
    result = quietpixel.denoise(lazy, **options).compute()
    assert rmse(result, whole.image) < 0.05 * rmse(whole.image, stack)
    strong = quietpixel.denoise(lazy, strength=0.5, **options).compute()
    assert rmse(strong, (stack + result.astype(float)) / 2) < 1
    plain = quietpixel.denoise(lazy, law="none", **options).compute()
    truth = 100 + 1.5 * 300 * LIGHT
    assert rmse(result, truth) < 0.8 * rmse(plain, truth)


def test_large_images_are_stabilised_in_parts(
    photo: Denoiser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noisy, truth = camera(300), 100 + 1.5 * 300 * LIGHT
    source, output = tmp_path / "a.zarr", tmp_path / "b.zarr"
    zarr.create_array(str(source), shape=noisy.shape, chunks=(96, 96), dtype="u2")[...] = noisy
    words = ["denoise", source, "-o", output, "--model", "photo", "--precision", "f32"]
    assert main([str(word) for word in words]) == 0
    assert "Photon noise was made equally strong everywhere (gain 1." in capsys.readouterr().err
    result = zarr.open(str(output), mode="r")[...]
    assert rmse(result, photo(noisy)) < 0.05 * rmse(noisy, truth)
    law = ["--law", "none", "--overwrite"]
    assert main([str(word) for word in [*words, *law]]) == 0
    assert rmse(result, truth) < 0.8 * rmse(zarr.open(str(output), mode="r")[...], truth)


def test_holes_in_every_block_leave_the_law_unmeasured() -> None:
    image = np.random.default_rng(0).normal(100, 5, (64, 64)).astype(np.float32)
    image[::7] = np.nan
    result = Denoiser().denoise(image)
    assert (np.isnan(result.image) == np.isnan(image)).all()
    assert np.nanstd(result.image) < 0.7 * np.nanstd(image)


def test_holes_do_not_pass_for_bright_blocks() -> None:
    rng = np.random.default_rng(0)
    light = np.tile(np.linspace(2, 60, 96), (96, 1))
    image = np.clip(rng.poisson(light) * 4, 0, 255).astype(np.uint8)
    hidden = np.zeros(image.shape, bool)
    hidden[:48] = True
    found = Denoiser().denoise(np.ma.masked_array(image, hidden))
    assert any("Photon noise" in note for note in found.notes)


@pytest.mark.parametrize(
    ("law", "colours", "used"),
    [
        ("poisson:400", 1, True),
        ("poisson:400", 3, True),
        ("poisson:400", 4, False),
        ("gaussian:0.1", 1, False),
        ("poisson:400+speckle:0.1", 1, False),
    ],
)
def test_a_law_without_effect_is_named(photo, law: str, colours: int, *, used: bool) -> None:
    image = np.repeat(camera(400)[:64, :64, np.newaxis], colours, axis=2)
    image[..., -1] += np.arange(64, dtype=np.uint16)  # else three channels would be gray
    notes = " ".join(photo.denoise(image, DenoiseOptions(law=law, channels="rgb")).notes)
    assert ("The `law` has no effect" not in notes) == used == ("Photon noise was made" in notes)
    file = io.BytesIO()
    write_picture(Picture.from_pixels(image), file)
    for given in (image, dask.array.from_array(image, chunks=(32, 64, colours)), file.getvalue()):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            quietpixel.denoise(given, "photo", law=law, channels="rgb")
        assert ["The `law` has no effect" in str(each.message) for each in told] == [True][used:]


@pytest.mark.parametrize("law", ["poisson:400", "gaussian:0.1"])
def test_a_law_without_effect_on_a_large_image_is_named(tmp_path: Path, capsys, law: str) -> None:
    zarr.save_array(tmp_path / "a.zarr", camera(400)[:64, :64])
    words = ["denoise", str(tmp_path / "a.zarr"), "-o", str(tmp_path / "b.zarr"), "--law", law]
    assert main(words) == 0
    assert ("--law has no effect" in capsys.readouterr().err) == (law == "gaussian:0.1")


def test_float32_results_that_lose_detail_are_named(photo: Denoiser) -> None:
    far = camera(300).astype(np.uint64) + np.uint64(2**40)
    for dtype, lost in ((None, False), ("float32", True)):
        notes = " ".join(photo.denoise(far, DenoiseOptions(dtype=dtype)).notes)
        assert "Photon noise was made equally strong" in notes
        assert ("so the result has lost detail" in notes) == lost
