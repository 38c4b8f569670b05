"""The automatic level: the standard deviation of white noise, and enough for noise that is not."""

import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from quietpixel import DenoiseOptions, Denoiser
from quietpixel.imaging.metrics import psnr
from quietpixel.noise.estimate import estimate_sigma
from quietpixel.noise.level import estimate_level, measure_blocks, measure_level


def scene(side: int = 256) -> np.ndarray:
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    image = np.stack([0.3 + 0.3 * x, 0.6 - 0.2 * y, 0.4 + 0.1 * np.sin(9 * x + 5 * y)], axis=-1)
    image[60:120, 50:140] += 0.2
    return image.astype(np.float32)


def noisy(sigma: float, shared: float = 0.0, blur: float = 0.0) -> np.ndarray:
    from scipy import ndimage

    rng = np.random.default_rng(0)
    clean = scene()
    noise = np.sqrt(1 - shared) * rng.standard_normal(clean.shape)
    noise += np.sqrt(shared) * rng.standard_normal(clean.shape[:2])[..., None]
    if blur:
        noise = ndimage.gaussian_filter(noise, (blur, blur, 0))
        noise /= noise.std()
    return (clean + sigma * noise).astype(np.float32)


@pytest.mark.parametrize("sigma", [10 / 255, 25 / 255, 50 / 255])
@pytest.mark.parametrize("shared", [0.5, 1.0])
def test_white_noise_that_channels_share_is_measured(sigma: float, shared: float) -> None:
    """Where there is little but noise, a higher level is better: of 25/255 half shared 37."""
    assert 0.9 * sigma < estimate_level(noisy(sigma, shared)) < 1.7 * sigma


def test_coarse_noise_is_found_where_an_estimator_of_white_noise_sees_little() -> None:
    image, clean = noisy(10 / 255, 0.8, blur=0.6), scene()
    assert estimate_sigma(image) < 7 / 255
    # Rather too high than too low: on this smooth scene 10/255 gives 36.0 dB, 20/255 43.7.
    assert 10 / 255 < estimate_level(image) < 30 / 255
    denoiser = Denoiser("photo")
    best = max(
        psnr(clean, denoiser(image, sigma=s / 255, range=(0, 1))) for s in (6, 10, 13, 16, 20, 30)
    )
    assert psnr(clean, denoiser(image, range=(0, 1))) > best - 1.5


@pytest.mark.parametrize("blur", [0.6, 0.9])
def test_grain_gets_the_level_of_the_best_picture(blur: float) -> None:
    """On this smooth scene 2.5 to 3 times its deviation: 28 to 30 dB at 1, 37 to 40 at 2."""
    level = estimate_level(noisy(20 / 255, 1, blur))
    assert 2 * 20 / 255 < level < 3.2 * 20 / 255


@pytest.mark.parametrize("sigma", [10 / 255, 25 / 255, 50 / 255])
def test_white_noise_of_each_channel_is_measured_within_two_percent(sigma: float) -> None:
    """The network found 50/255 4 % too low, which cost 0.05 dB."""
    assert estimate_level(noisy(sigma)) == pytest.approx(sigma, rel=0.02)


def test_weak_coarse_noise_is_raised_like_that_of_camera_jpegs() -> None:
    assert 3.5 * 2 / 255 < estimate_level(noisy(2 / 255, 0.7, blur=1)) < 5 * 2 / 255


@pytest.mark.parametrize("sigma", [8 / 255, 12 / 255])
def test_strong_coarse_noise_is_raised_as_well(sigma: float) -> None:
    """A limit of 10/255 lost 0.8 dB where the noise of a 600D was twice as strong."""
    assert 2.5 * sigma < estimate_level(noisy(sigma, 0.7, blur=1.5)) < 4.5 * sigma


def test_white_noise_beside_strong_coarse_noise_lowers_its_level_little() -> None:
    """With the noise of a 600D three times as strong, a level 0.7 times as high lost 0.3 dB."""
    white = np.random.default_rng(1).normal(0, 1.1 / 255, scene().shape)
    image = (noisy(12 / 255, 0.7, blur=1.5) + white).astype(np.float32)
    assert 2.5 * 12 / 255 < estimate_level(image) < 4.5 * 12 / 255


def test_white_noise_in_a_jpeg_of_low_quality_is_not_raised() -> None:
    """It was taken for a camera's and raised to 50/255: 34.7 dB where 41.4 could be had."""
    image, stored = noisy(15 / 255).clip(0, 1), BytesIO()
    Image.fromarray(np.rint(255 * image).astype(np.uint8)).save(stored, "JPEG", quality=30)
    pixels = np.asarray(Image.open(stored))
    assert psnr(scene(), Denoiser("photo")(pixels) / np.float32(255)) > 40


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_noise_is_found_in_an_image_that_was_made_smaller(seed: int) -> None:
    """The estimator had seen no such image: at most 0.7/255 was found of 3.9/255."""
    from scipy import ndimage

    rng, (y, x) = np.random.default_rng(seed), np.mgrid[:512, :512] / 512
    texture = ndimage.gaussian_filter(rng.standard_normal((512, 512)), 2)
    texture *= np.clip(1.5 * x - 0.3, 0, 1) / texture.std()
    clean = np.stack([0.3 + 0.3 * x, 0.6 - 0.2 * y, 0.4 + 0.1 * np.sin(9 * x + 5 * y)], axis=-1)
    shared, own = rng.standard_normal((512, 512, 1)), rng.standard_normal((512, 512, 3))
    noise = [
        ndimage.gaussian_filter(each, (blur, blur, 0)) for each, blur in ((own, 3), (shared, 2))
    ]
    noise = [share * each / each.std() for each, share in zip(noise, (0.32, 0.95), strict=True)]
    large = clean + 0.05 * texture[..., np.newaxis] + 4 / 255 * sum(noise)
    half = large.reshape(256, 2, 256, 2, 3).mean(axis=(1, 3)).clip(0, 1)
    level = estimate_level((np.rint(255 * half) / 255).astype(np.float32))
    assert 4 / 255 < level < 12 / 255


def test_noise_that_is_left_is_reported_with_what_helps() -> None:
    def notes(image: np.ndarray, strength: float = 1) -> str:
        options = DenoiseOptions(range=(0, 1), strength=strength)
        return " ".join(Denoiser("photo").denoise(image, options).notes)

    left = notes(noisy(12 / 255, 1, blur=3))
    assert "may be left" in left
    assert "/255 or a higher `strength` removes more." in left
    assert "may be left" not in notes(noisy(20 / 255, 1, blur=0.9))
    # The level is a share of all 65535 counts, of which the image has few.
    counts = (1500 * noisy(12 / 255, 1, blur=3) + 20_000).astype(np.uint16)
    (proposed,) = (
        float(found[1])
        for note in Denoiser("photo").denoise(counts).notes
        if (found := re.search(r"`sigma` ([\d.]+)/255", note))
    )
    assert 0.05 < proposed < 0.5
    # What was asked for is no surprise.
    assert "may be left" not in notes(noisy(12 / 255, 1, blur=3), strength=0.5)


def old_print(shared: float) -> np.ndarray:
    """Return gray, flat on the left and textured on the right, whose noise neighbours share."""
    from scipy import ndimage

    rng = np.random.default_rng(0)
    texture = ndimage.gaussian_filter(rng.standard_normal((256, 256)), 1.2)
    texture[:, :96] = 0
    noise = rng.standard_normal((256, 256))
    noise += shared * (np.roll(noise, 1, 0) + np.roll(noise, 1, 1))
    image = 0.5 + 0.2 * texture / texture[:, 96:].std() + 15 / 255 * noise / noise.std()
    return np.asarray(image[..., None], np.float32)


def test_flat_areas_of_an_old_print_become_flat() -> None:
    """Without the raised level a deviation of 4.9/255 stayed of 15/255."""
    denoised = Denoiser("photo")(old_print(0.4), range=(0, 1))
    assert denoised[8:-8, 8:88].std() < 2 / 255


@pytest.mark.parametrize("size", [8, 12, 13, 24])
@pytest.mark.parametrize(
    ("ink", "paper", "bilevel"),
    [(0, 255, False), (0, 255, True), (255, 0, False), (200, 0, False)],
)
def test_clean_text_has_no_noise(ink: int, paper: int, size: int, bilevel: bool) -> None:
    """Its edges passed for noise of 20 to 80/255, and small letters came out as gray smears."""
    from PIL import Image, ImageDraw, ImageFont

    page = Image.new("L", (320, 240), paper)
    lines = ["the quick brown fox jumps over", "a lazy dog; images of old books", "in gray"]
    font = ImageFont.load_default(size)
    for number, top in enumerate(range(8, 230, size + 6)):
        ImageDraw.Draw(page).text((8 + number, top), lines[number % 3], font=font, fill=ink)
    values = np.asarray(page, np.float32)[..., None] / 255
    text = (values > 0.5).astype(np.float32) if bilevel else values
    assert estimate_level(text) == 0
    noise = np.random.default_rng(0).standard_normal((*text.shape[:2], 3))
    assert estimate_level(np.clip(text + 20 / 255 * noise, 0, 1).astype(np.float32)) > 8 / 255


def page_of_text(ink: int, paper: int, size: int = 14, spacing: int = 22) -> np.ndarray:
    """Return gray text, its size and spacing in pixels, uint8 (240, 320)."""
    from PIL import Image, ImageDraw, ImageFont

    page, font = Image.new("L", (320, 240), paper), ImageFont.load_default(size)
    for top in range(6, 230, spacing):
        line = "the quick brown fox jumps over a lazy dog"
        ImageDraw.Draw(page).text((8, top), line, font=font, fill=ink)
    return np.asarray(page)


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (40, 245), (230, 30), (230, 0)])
@pytest.mark.parametrize("quality", [50, 90])
def test_text_in_a_jpeg_gets_a_low_level(ink: int, paper: int, quality: int) -> None:
    """Its edges passed for noise of up to 70/255, and small letters were lost."""
    from io import BytesIO

    from PIL import Image

    file, text = BytesIO(), page_of_text(ink, paper)
    Image.fromarray(text).save(file, "JPEG", quality=quality)
    stored = np.asarray(Image.open(file), np.float32)[..., np.newaxis] / 255
    assert estimate_level(stored) <= 8.001 / 255
    noise = 25 * np.random.default_rng(0).standard_normal(stored.shape)
    noisy_one = np.clip(text[..., np.newaxis] + noise, 0, 255).astype(np.float32) / 255
    assert estimate_level(noisy_one) > 12 / 255


def test_a_frame_around_a_noisy_image_does_not_lower_the_level() -> None:
    inner = noisy(20 / 255)
    for paper in (0.5, 1.0):
        framed = np.pad(inner, ((64, 64), (64, 64), (0, 0)), constant_values=paper)
        assert estimate_level(framed) > 0.8 * estimate_level(inner)


def drawing(dark: int, light: int) -> np.ndarray:
    """Return an RGB drawing of a disc and ten bars of even colour, float32."""
    y, x = np.mgrid[:256, :256]
    image = np.where(np.hypot(x - 128, y - 128) < 80, dark, light)[..., np.newaxis].repeat(3, 2)
    for number in range(10):
        image[20 * number : 20 * number + 11, 3 : 40 + 9 * number] = 25 * number, 90, 200
    return image.astype(np.float32) / 255


@pytest.mark.parametrize(("dark", "light"), [(0, 255), (255, 0), (10, 245), (100, 140)])
def test_a_drawing_has_no_noise(dark: int, light: int) -> None:
    """Its edges passed for noise of up to 58/255, and changed by up to 95 of 255."""
    image = drawing(dark, light)
    assert estimate_level(image) == 0
    assert estimate_level(image[..., :1]) == 0
    noise = np.random.default_rng(0).standard_normal(image.shape)
    for sigma in (2, 20):
        noisy_one = np.rint(np.clip(255 * image + sigma * noise, 0, 255)) / 255
        assert estimate_level(noisy_one.astype(np.float32)) > 0.5 * sigma / 255


def test_enlarged_noise_and_few_counts_are_no_drawing() -> None:
    """Repeated pixels, and counts that are mostly 0, have squares of one value as well."""
    rng = np.random.default_rng(0)
    enlarged = noisy(20 / 255)[:96, :96].repeat(2, 0).repeat(2, 1)
    counts = rng.poisson(0.01, (256, 256, 1)).astype(np.float32) / 8
    assert estimate_level(enlarged) > 5 / 255
    assert estimate_level(counts) > 2 / 255


def filaments(width: float) -> np.ndarray:
    """Return lines on black, blurred by `width` pixels, 0 to 1."""
    from scipy import ndimage

    (y, x), lines = np.mgrid[:256, :256], np.zeros((256, 256))
    for slope in np.random.default_rng(0).uniform(-1, 1, (20, 3)):
        wave = np.abs(slope[0] * (x - 128) - (y - 128) * slope[1] + 100 * slope[2])
        lines[wave < 0.5] = 1
    blurred = ndimage.gaussian_filter(lines, width)
    return blurred / blurred.max()


def test_counts_on_black_are_no_text() -> None:
    """Filaments are joined as the strokes of letters are; few counts have few values as well."""
    for width, peak, least in ((2.5, 1, 10 / 255), (1, 3, 4 / 255)):
        counts = np.random.default_rng(0).poisson(peak * filaments(width))[..., np.newaxis]
        share = (counts / counts.max()).astype(np.float32)
        assert estimate_level(share) > 4 / 255
        assert estimate_level(np.sqrt(share)) > least  # as the model is shown photon noise


@pytest.mark.parametrize("peak", [10, 20])
def test_bright_lines_with_noise_of_their_own_are_no_text(peak: int) -> None:
    """Cut off at white, most of their ink is bright, but unlike letters they do not recur."""
    for width in (0.4, 0.6):
        counts = np.random.default_rng(0).poisson(peak * filaments(width))[..., np.newaxis]
        stored = np.rint(255 * np.minimum(counts / peak, 1)).astype(np.float32) / 255
        assert estimate_level(stored) > 6 / 255
        assert measure_level(stored).typed == 0
        assert measure_level(0.9 * stored + 0.1).typed == 0  # counts above a value without light


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (230, 30), (230, 0)])
def test_small_text_is_known_because_its_letters_recur(ink: int, paper: int) -> None:
    """Lines without a blank one between them, and text that was reduced, had up to 75/255."""
    from PIL import Image

    dense = page_of_text(ink, paper, 11, 12)
    large = Image.fromarray(page_of_text(ink, paper, 18, 22))
    reduced = np.asarray(large.resize((160, 120), Image.Resampling.BILINEAR))
    for text in (dense, reduced):
        values = text[..., np.newaxis].astype(np.float32) / 255
        assert measure_level(values).typed == 1
        assert estimate_level(values) <= 8.001 / 255
        noise = 15 / 255 * np.random.default_rng(0).standard_normal(values.shape)
        assert measure_level(np.clip(values + noise, 0, 1).astype(np.float32)).typed < 1


def test_letters_that_do_not_recur_are_text_on_white_and_in_a_jpeg(tmp_path) -> None:
    """There, nothing says that they have noise of their own."""
    from PIL import Image

    rng = np.random.default_rng(0)
    scan = page_of_text(0, 255) + 40 * rng.random((240, 320)) * (page_of_text(0, 255) < 200)
    assert measure_level(scan[..., np.newaxis].astype(np.float32) / 255).typed == 1
    # Each row is moved by less than a pixel, so that no letter has another's pixels.
    rows = np.arange(240)
    page = page_of_text(230, 0).astype(np.float32)
    part = (0.37 * rows % 1)[:, np.newaxis]
    moved = (1 - part) * page + part * np.roll(page, 1, axis=1)
    file = tmp_path / "page.jpg"
    Image.fromarray(np.rint(moved).astype(np.uint8)).save(file, quality=85)
    stored = np.asarray(Image.open(file), np.float32)[..., np.newaxis] / 255
    assert measure_level(stored).typed == 1


def test_edges_cut_off_at_black_and_white_are_no_text() -> None:
    """Of two values, they recur whatever the noise."""
    rng = np.random.default_rng(0)
    squares = np.kron(rng.integers(0, 2, (32, 32)), np.ones((8, 8)))[..., np.newaxis]
    noise = 15 / 255 * rng.standard_normal(squares.shape)
    assert measure_level(np.clip(1.2 * squares - 0.1 + noise, 0, 1).astype(np.float32)).typed == 0


def test_noisy_text_in_a_black_frame_keeps_its_level() -> None:
    noise = 25 * np.random.default_rng(0).standard_normal((240, 320))
    noisy_one = np.clip(page_of_text(230, 0) + noise, 0, 255).astype(np.float32) / 255
    framed = np.pad(noisy_one, 64)[..., np.newaxis]
    assert estimate_level(framed) > 12 / 255


def test_ink_that_is_darker_than_black_is_no_text() -> None:
    text = -page_of_text(230, 0)[..., np.newaxis].astype(np.float32) / 255
    assert estimate_level(text) == 0


def test_texture_alone_does_not_raise_the_level() -> None:
    assert 13 / 255 < estimate_level(old_print(0)) < 17 / 255


def test_gray_is_measured_as_three_equal_channels() -> None:
    gray = noisy(20 / 255)[..., :1]
    assert estimate_level(gray) == pytest.approx(estimate_level(np.repeat(gray, 3, axis=2)))


def test_a_clipped_area_changes_the_level_little() -> None:
    image = noisy(20 / 255)
    clipped = image.copy()
    clipped[:100, :100] = 1.0
    assert estimate_level(clipped) == pytest.approx(estimate_level(image), rel=0.05)


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 80, 1), (40, 33, 3)])
def test_flat_and_tiny_images_have_almost_none(shape: tuple[int, ...]) -> None:
    for value in (0.0, 0.5, 1.0):
        assert 0 <= estimate_level(np.full(shape, value, np.float32)) < 1 / 255


@pytest.mark.parametrize(("shared", "blur"), [(0, 0), (1, 0), (0, 0.6), (0, 1), (1, 1)])
def test_noise_coarser_than_a_pixel_is_called_coarse(shared: float, blur: float) -> None:
    image = noisy(20 / 255, shared, blur)
    level, kinds = measure_level(image)[:2]
    assert kinds[0] == ("coarse" if blur else "fine")
    assert level == estimate_level(image)


@pytest.mark.parametrize("blur", [0, 1])
def test_noise_that_the_channels_share_is_named(blur: float) -> None:
    named = [measure_level(noisy(20 / 255, shared, blur))[1][1:] for shared in (0, 0.2, 0.8, 1)]
    assert named == [(), (), ("shared",), ("shared",)]


def test_noise_in_gray_is_shared_with_no_other_channel() -> None:
    gray = noisy(20 / 255)[..., :1]
    assert measure_level(gray)[1] == measure_level(np.repeat(gray, 3, axis=2))[1] == ("fine",)


def test_the_grid_of_jpeg_is_named_with_the_noise() -> None:
    stored = BytesIO()
    eight_bits = np.rint(np.clip(noisy(6 / 255, 1, blur=1), 0, 1) * 255).astype(np.uint8)
    Image.fromarray(eight_bits).save(stored, "JPEG", quality=60)
    jpeg = np.asarray(Image.open(stored), np.float32) / 255
    assert "JPEG" in measure_level(jpeg)[1]
    assert "JPEG" not in measure_level(eight_bits.astype(np.float32) / 255)[1]


def test_a_clean_image_has_no_coarse_noise() -> None:
    assert "coarse" not in measure_level(scene())[1]


def test_measures_are_those_that_the_network_was_trained_on() -> None:
    """Printed by the version that the bundled weights were trained with (commit 7e4aba9)."""
    rng = np.random.default_rng(0)
    image = scene() + 20 / 255 * rng.standard_normal((256, 256, 3))
    image = (np.rint(np.clip(image, 0, 1) * 255) / 255).astype(np.float32)
    found = measure_blocks(image[:250, :203])
    summary = [-2.55291, 0.00736, -1.03181, -1.67220, -0.22678, -1.55071, -2.04209, -1.64409]
    places = [0, 1, 5, 8, 18, 10, 26, 31]
    assert found.summary[places] == pytest.approx(summary, abs=1e-3)
    assert found.summary[32:] == pytest.approx([0.02575, 0.01709, 0.01385, 0.01074, 0], abs=1e-3)
    block = [-0.15127, 0.03263, 0.66838, -0.01690, -0.68887, -0.56090, 0.17564, -0.68576]
    assert found.blocks[100, :8] == pytest.approx(block, abs=1e-3)
    assert found.blocks[:, 17].mean() == pytest.approx(-1.32202, abs=1e-3)
