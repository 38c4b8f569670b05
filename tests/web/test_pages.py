"""The routes that only the page uses."""

import io
import os

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from web_making import coded, decoded, detail, noisy

from quietpixel import DenoiseOptions, Denoiser
from quietpixel.files import FORMATS
from quietpixel.web.digit_parts import find_digit_model
from quietpixel.web.pages import FILES, STATIC

from ..inference.test_coarse_noise import camera_noise, scene


def test_the_page_and_its_files_come_from_the_package(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["cache-control"] == "no-cache"
    assert client.head("/").status_code == client.head("/docs").status_code == 200
    for path in STATIC.iterdir():
        answer = client.get(f"/static/{path.name}")
        assert answer.content == path.read_bytes()
    for path in (each for each in STATIC.iterdir() if each.suffix in (".html", ".js", ".css")):
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "//" not in text.replace("// ", "").replace("://${", "") or path.suffix == ".js"
        assert "http:" not in text
        assert "https:" not in text


def test_files_of_the_page_are_cached_by_their_content(client, monkeypatch, tmp_path):
    for path in ("/", "/docs", "/static/app.js"):
        answer = client.get(path)
        tag = {"If-None-Match": answer.headers["etag"]}
        again = client.get(path, headers=tag)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["cache-control"] == answer.headers["cache-control"] == "no-cache"
    changed = tmp_path / "app.js"
    changed.write_bytes(answer.content[:-1] + b" ")
    times = STATIC.joinpath("app.js").stat()
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))  # same size, same time
    monkeypatch.setitem(FILES, "app.js", changed)
    assert client.get(path, headers=tag).content == changed.read_bytes()


def test_nothing_outside_the_folder_is_served(client):
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/"):
        assert client.get(path).status_code == 404


def test_only_formats_that_can_be_read_are_promised(client, monkeypatch):
    monkeypatch.setattr("quietpixel.files.image_format.find_spec", lambda name: None)
    answered = client.get("/page/setup").json()
    assert "JPEG" in answered["formats"]
    assert "HEIC" not in answered["formats"]
    assert ".heic" in answered["suffixes"]  # the answer to such a file says what to install


def test_setup(client):
    answered = client.get("/page/setup").json()
    # A new format is accepted and named without a change of the page.
    assert answered.pop("formats") == [kind.title for kind in FORMATS.values()]
    assert {".jpg", ".x3f", ".lif"} <= set(answered["suffixes"])
    suffixes = [suffix for kind in FORMATS.values() for suffix in kind.suffixes]
    assert sorted(answered.pop("suffixes")) == sorted(suffixes)
    assert answered == {
        "in_hand": 2,
        "body": 128 * 2**20,
        "pixels": 64_000_000,
        "digits": "mnist-bottleneck",
    }


def test_a_preview_is_the_denoised_image(client):
    file = coded(noisy(), "PPM")
    whole = client.post("/v1/denoise?sigma=0.1&format=pnm", content=file)
    answer = client.post("/page/preview?sigma=0.1&format=pnm", content=file)
    assert answer.content == whole.content
    flat = np.random.default_rng(0).normal(128, 20, (90, 90, 3)).astype(np.uint8)  # part of a sky
    part = client.post("/page/preview?sigma=0.1&format=pnm", content=coded(flat, "PPM"))
    colours = Denoiser("photo", precision="f32", threads=1).denoise(
        flat, DenoiseOptions(sigma=0.1, channels="rgb")
    )
    assert np.array_equal(decoded(part.content), colours.image)
    large = coded(np.zeros((4000, 2600), np.uint8), "PPM")
    for path in ("/page/preview", "/page/estimate"):
        sentence = detail(client.post(path, content=large), 413)
        assert "at most 10,000,000 are read, to protect the memory; make it smaller." in sentence


def test_a_preview_has_the_coarse_noise_of_the_whole_image(client):
    noisy = np.clip(np.rint(255 * (scene() + camera_noise())), 0, 255).astype(np.uint8)
    found = client.post("/page/estimate", content=coded(noisy, "PPM")).json()
    assert found["camera"] > 0.3
    part, where = noisy[:28], f"/page/preview?sigma={found['sigma']:.6f}"  # too small to measure
    given, none = (
        decoded(client.post(f"{where}&camera={each}", content=coded(part, "PPM")).content)
        for each in (found["camera"], 0)
    )
    whole = decoded(client.post("/v1/denoise", content=coded(noisy, "PPM")).content)[:22]
    np.testing.assert_allclose(given[:22], whole, atol=1)
    assert np.abs(none[:22].astype(int) - whole).max() > 2
    assert "`camera` must be a number" in detail(client.post(f"{where}&camera=x"), 422)
    for each in (-0.1, 1.5, "nan"):
        answer = client.post(f"{where}&camera={each}", content=coded(part, "PPM"))
        assert "`camera` must" in detail(answer, 422)


def test_the_noise_of_a_part_is_estimated(client):
    answered = client.post("/page/estimate", content=coded(noisy(128, 128), "PPM")).json()
    assert answered["sigma"] == pytest.approx(0.1, abs=0.01)


def test_16_bit_images_are_shown_upright_with_their_profile(client):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = np.linspace(0, 65535, 40 * 60).reshape(40, 60).astype(np.uint16)
    stream = io.BytesIO()
    extra = [(274, "H", 1, 6, True)]
    tifffile.imwrite(stream, pixels, iccprofile=profile, extratags=extra)
    answer = client.post("/page/view", content=stream.getvalue())
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["quietpixel-range"] == "0,65535"
    shown = decoded(answer.content)
    assert shown.shape == (60, 40)
    assert np.abs(shown[::, ::-1].T / 255 - pixels / 65535).max() < 0.003
    assert Image.open(io.BytesIO(answer.content)).info["icc_profile"] == profile


def test_views_of_one_image_share_black_and_white(client):
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.full((9, 9), 2000, np.uint16))
    own = client.post("/page/view", content=stream.getvalue())
    assert own.headers["quietpixel-range"] == "0,4095"
    given = client.post("/page/view?range=0,65535", content=stream.getvalue())
    assert decoded(given.content)[0, 0] == 8
    wrong = client.post("/page/view?range=5,1", content=stream.getvalue())
    assert "`range` must be two increasing numbers" in detail(wrong, 422)


def test_transparent_and_large_images_are_shown(client):
    alpha = np.dstack([noisy(), np.full((40, 60, 1), 99, np.uint8)])
    shown = decoded(client.post("/page/view", content=coded(alpha)).content)
    assert np.array_equal(shown, alpha)
    large = coded(np.zeros((2500, 1700), np.uint8), "BMP")
    assert client.post("/page/view", content=large).headers["content-type"] == "image/jpeg"


def test_digits_are_encoded_and_decoded(client):
    image = np.zeros((28, 28))
    image[6:22, 13:16] = 1
    answered = client.post("/page/digit", json={"image": image.ravel().tolist()}).json()
    assert len(answered["code"]) == 16
    drawn = np.array(answered["image"]).reshape(28, 28)
    assert drawn[8:20, 13:16].mean() > 0.5
    assert drawn[:, :5].mean() < 0.05
    again = client.post("/page/digit", json={"code": answered["code"]}).json()
    assert np.allclose(again["image"], answered["image"], atol=1e-3)
    other = [*answered["code"][:-1], answered["code"][-1] + 5]
    changed = client.post("/page/digit", json={"code": other}).json()
    assert np.abs(np.array(changed["image"]) - answered["image"]).max() > 0.1


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b"x", 400, "must be a JSON object"),
        (b"[1]", 400, "must be a JSON object"),
        (b"{}", 422, "`code` must be a list of 16 numbers."),
        (b'{"code": [1]}', 422, "`code` must be a list of 16 numbers."),
        (b'{"image": "x"}', 422, "`image` must be a list of 784 numbers."),
        (b'{"code": [1e999,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}', 422, "`code` must be"),
    ],
)
def test_wrong_digits_are_explained(client, body, status, sentence):
    assert sentence in detail(client.post("/page/digit", content=body), status)


def test_without_a_digit_model_the_page_hides_its_tab(models, monkeypatch, client):
    monkeypatch.setattr(models, "cards", {"photo": models.cards["photo"]})
    assert find_digit_model(models) is None
    assert client.get("/page/setup").json()["digits"] is None
    answer = client.post("/page/digit", json={"code": [0] * 16})
    assert "No model for digits" in detail(answer, 404)
