import gzip
import io
import json
import shutil
import subprocess
import sys
from urllib.parse import quote

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from web_making import coded, decoded, detail, noisy, wait_for

from quietpixel.card import SMALL_SETS
from quietpixel.data.registry import LOADERS
from quietpixel.web.options import Limits

from ..dng import make_mosaic, with_preview


def test_an_image_is_denoised(client):
    pixels = noisy()
    answer = client.post("/v1/denoise", content=coded(pixels))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    clean = decoded(answer.content)
    assert clean.shape == pixels.shape
    assert clean.std() < 0.7 * pixels.std()
    assert answer.headers["quietpixel-model"] == "photo"
    assert float(answer.headers["quietpixel-sigma"]) == pytest.approx(0.1, abs=0.02)
    assert [part.split(";")[0] for part in answer.headers["server-timing"].split(", ")] == [
        "read", "denoise", "write",
    ]  # fmt: skip
    facts = json.loads(answer.headers["quietpixel-picture"])
    assert (facts["width"], facts["height"], facts["type"]) == (60, 40, "uint8")


def test_a_form_gives_the_same_result_and_a_name(client):
    file = coded(noisy())
    raw = client.post("/v1/denoise", content=file)
    form = client.post("/v1/denoise", files={"file": ("holiday é.png", file, "image/png")})
    assert form.content == raw.content
    assert form.headers["content-disposition"] == (
        "attachment; filename=\"holiday e-clean.png\"; filename*=UTF-8''holiday%20%C3%A9-clean.png"
    )


@pytest.mark.parametrize("name", ["IMG.dng", "IMG.tif"])
def test_a_raw_file_is_developed_or_refused_by_name(client, monkeypatch, name):
    files = {"file": (name, with_preview(make_mosaic(noise=40)))}
    answer = client.post("/v1/denoise", files=files)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/tiff"
    assert 'filename="IMG-clean.tif"' in answer.headers["content-disposition"]
    assert tifffile.imread(io.BytesIO(answer.content)).shape == (24, 32, 3)
    assert Image.open(io.BytesIO(client.post("/page/view", files=files).content)).size == (32, 24)
    monkeypatch.setitem(sys.modules, "rawpy", None)
    answer = client.post("/v1/denoise", files=files)
    assert answer.status_code == 422
    assert "install it with pip install 'quietpixel[raw]'" in answer.text


def test_names_from_clients_never_become_paths(client):
    file = coded(noisy())
    answer = client.post("/v1/denoise", files={"file": ("../../etc/passwd", file)})
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"passwd-clean.png\"; filename*=UTF-8''passwd-clean.png"
    )
    quoted = client.post("/v1/denoise", files={"file": ('a"; x="\u65e5.png', file)})
    assert quoted.headers["content-disposition"].count('"') == 2
    foreign = client.post("/v1/denoise", files={"file": ("日本.png", file)})
    assert 'filename="picture-clean.png"' in foreign.headers["content-disposition"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing")
def test_curl_saves_the_result_under_its_own_name(client, tmp_path):
    (tmp_path / "photo.png").write_bytes(coded(noisy()))
    words = ["curl", "-sOJ", "-F", "file=@photo.png", f"{client.base_url}/v1/denoise"]
    subprocess.run(words, cwd=tmp_path, check=True, timeout=60)
    assert {path.name for path in tmp_path.iterdir()} == {"photo.png", "photo-clean.png"}


def test_compressed_bodies_are_415(client):
    body, head = gzip.compress(coded(noisy())), {"Content-Encoding": "gzip"}
    answer = client.post("/v1/denoise", content=body, headers=head)
    assert "The body is encoded as 'gzip'; send the image file as it is" in detail(answer, 415)
    assert answer.headers["accept-encoding"] == "identity"


def test_head_is_answered_wherever_get_is(client):
    for path in ("/metrics", "/v1/models", "/page/setup", "/openapi.json", "/page/progress"):
        answer = client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
    assert client.head("/v1/denoise").status_code == 405


def test_depth_profile_and_metadata_are_kept(client):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[271] = "Maker"
    file = coded(noisy(), "JPEG", quality=95, icc_profile=profile, exif=exif)
    clean = Image.open(io.BytesIO(client.post("/v1/denoise", content=file).content))
    assert clean.format == "JPEG"
    assert clean.info["icc_profile"] == profile
    assert clean.getexif()[271] == "Maker"
    deep = io.BytesIO()
    tifffile.imwrite(deep, noisy().astype(np.uint16) * 257, photometric="rgb")
    answer = client.post("/v1/denoise", content=deep.getvalue())
    assert answer.headers["content-type"] == "image/tiff"
    assert tifffile.imread(io.BytesIO(answer.content)).dtype == np.uint16


def test_gray_images_get_the_same_model(client):
    answer = client.post("/v1/denoise", content=coded(noisy(channels=1)))
    assert answer.headers["quietpixel-model"] == "photo"


def test_query_parameters_take_effect(client):
    pixels = noisy()
    same = client.post("/v1/denoise?strength=0", content=coded(pixels))
    assert np.array_equal(decoded(same.content), pixels)
    untouched = client.post("/v1/denoise?sigma=0", content=coded(pixels))
    assert np.array_equal(decoded(untouched.content), pixels)
    full = client.post("/v1/denoise?sigma=51/255", content=coded(pixels))
    assert decoded(full.content)[1:-1, 1:-1].std() < pixels.std() / 2
    assert client.post("/v1/denoise?format=tif", content=coded(pixels)).content[:4] == b"II*\0"
    gray = client.post("/v1/denoise?model=photo-gray&sigma=0.1", content=coded(pixels))
    assert gray.headers["quietpixel-model"] == "photo-gray"


def test_strengths_match_python(client, models):
    pixels = noisy()
    denoiser = models.open("photo")
    for words in ({"strength": 1.5}, {"strength": 0.5, "colour_strength": 2}):
        answer = client.post("/v1/denoise", params={"sigma": 0.1, **words}, content=coded(pixels))
        assert np.array_equal(decoded(answer.content), denoiser(pixels, sigma=0.1, **words))
    gray = client.post("/v1/denoise?colour_strength=2", content=coded(noisy(channels=1)))
    notes = json.loads(gray.headers["quietpixel-notes"])
    assert "The image is gray, so the colour strength has no effect." in notes


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("model=phto", "Unknown model 'phto': did you mean 'photo'?"),
        ("model=../../x.onnx", "Unknown model '../../x.onnx'"),
        (
            "sigma=much",
            "`sigma` must be 'auto', a number or a fraction such as 25/255",
        ),
        ("sigma=-1", "`sigma` must be 'auto', a number from 0 to 1"),
        ("strength=2.5", "`strength` must lie between 0 (no change) and 2"),
        ("strength=nan", "`strength` must be a number or a fraction"),
        ("strenght=1", "Unknown query parameter 'strenght': did you mean 'strength'?"),
        ("strength=1&strength=0", "`strength` must be given once"),
        ("channels=rbg", "Unknown channels 'rbg': did you mean 'rgb'?"),
        ("format=gif2", "Unknown image format 'gif2': did you mean 'gif'?"),
        ("model=mnist-bottleneck", "`image` must be 28x28 because the model 'mnist-bottleneck'"),
    ],
)
def test_wrong_parameters_are_explained(client, query, sentence):
    assert sentence in detail(client.post(f"/v1/denoise?{query}", content=coded(noisy())), 422)


def test_a_level_for_a_model_that_takes_none_is_refused(client):
    answer = client.post("/v1/denoise?model=mnist-unet&sigma=0.1", content=coded(noisy(28, 28)))
    assert "`sigma` cannot be given because the model 'mnist-unet'" in detail(answer, 422)


def test_photographs_are_refused_by_models_of_digits(client):
    """A convolutional model of digits computes any size, and draws strokes into it."""
    answer = client.post("/v1/denoise?model=mnist-unet", content=coded(noisy()))
    assert "`image` must be 28x28 because the model 'mnist-unet'" in detail(answer, 422)
    digit = coded(noisy(28, 28, channels=1))
    assert client.post("/v1/denoise?model=mnist-unet", content=digit).status_code == 200
    cards = client.get("/v1/models").json()["models"]
    assert {card["name"]: card["size"] for card in cards}["mnist-unet"] == [28, 28]
    assert set(SMALL_SETS) <= set(LOADERS)


def test_unreadable_images_are_named(client):
    answer = client.post("/v1/denoise", files={"file": ("no picture.jpg", b"nothing like it")})
    sentence = detail(answer, 422)
    reason = answer.json()["reason"]
    assert sentence == f"'no picture.jpg' cannot be read: {reason}"
    assert reason.startswith("the file is not an image of a supported format")
    assert detail(client.post("/v1/denoise", content=b"nothing"), 422).startswith(
        "The data cannot be read: "
    )
    alpha = coded(np.dstack([noisy(), noisy()[:, :, :1]]))
    assert "cannot hold transparency" in detail(
        client.post("/v1/denoise?format=jpeg", content=alpha), 422
    )


def test_bodies_without_one_image_are_explained(client):
    assert "has no body" in detail(client.post("/v1/denoise"), 422)
    file = coded(noisy())
    fields = client.post("/v1/denoise", files={"file": file}, data={"strength": "0.5"})
    assert "has the field 'strength'" in detail(fields, 422)
    two = client.post("/v1/denoise", files=[("a", ("a.png", file)), ("b", ("b.png", file))])
    assert "got several" in detail(two, 422)
    head = {"content-type": "multipart/form-data; boundary=x"}
    none = client.post("/v1/denoise", content=b"--x--\r\n", headers=head)
    assert "got none" in detail(none, 422)
    broken = client.post("/v1/denoise", content=b"nothing", headers=head)
    assert "multipart body cannot be read" in detail(broken, 400)
    bare = client.post("/v1/denoise", content=b"x", headers={"content-type": "multipart/form-data"})
    assert "Missing boundary" in detail(bare, 400)


def test_pixels_beyond_the_limit_are_413(make_client):
    client = make_client(Limits(max_pixels=1000))
    answer = client.post("/v1/denoise", content=coded(noisy()))
    sentence = detail(answer, 413)
    assert "2,400 in all, and at most 1,000 are read" in sentence
    assert "make it smaller, or start the service with a higher `max_pixels`." in sentence
    place = client.post("/v1/jobs", content=coded(noisy())).headers["location"]
    wait_for(lambda: client.get(place).json()["state"] == "failed")
    assert client.get(place).json()["detail"] == sentence


def test_without_a_default_model_the_wanted_names_are_given(models, monkeypatch, client):
    monkeypatch.setattr(models, "paths", {"mnist-unet": models.paths["mnist-unet"]})
    monkeypatch.setenv("XDG_DATA_HOME", "/nowhere")
    monkeypatch.setattr("quietpixel.inference.model_store.bundled_models", dict)
    answer = client.post("/v1/denoise", content=coded(noisy()))
    assert "carries neither photo nor photo-gray" in detail(answer, 422)


def test_estimate(client):
    found = client.post("/v1/estimate", content=coded(noisy(200, 300), "BMP")).json()
    assert found["sigma"] == pytest.approx(0.1, abs=0.005)
    assert found["sigma_255"] == pytest.approx(255 * found["sigma"])
    assert (found["width"], found["height"], found["format"], found["pages"]) == (
        300,
        200,
        "bmp",
        1,
    )
    assert "Unknown query parameter" in detail(client.post("/v1/estimate?x=1", content=b"x"), 422)
    assert "cannot be read" in detail(client.post("/v1/estimate", content=b"x"), 422)


def test_a_preview_follows_the_law_of_photon_noise_of_the_whole_image(client):
    rng, columns = np.random.default_rng(0), np.linspace(0.05, 1, 300)
    image = np.clip(255 * rng.poisson(20 * columns, (200, 300)) / 20, 0, 255).astype(np.uint8)
    found = client.post("/v1/estimate", content=coded(image, "BMP")).json()
    assert found["law"].startswith("poisson:")
    whole = client.post("/v1/denoise", content=coded(image))
    assert float(whole.headers["quietpixel-sigma"]) == pytest.approx(found["sigma"], rel=1e-3)
    part, law = coded(image[:, :100]), quote(found["law"])
    given, alone = (
        decoded(client.post(f"/page/preview?law={each}", content=part).content)
        for each in (law, "none")
    )
    expected = decoded(whole.content)[:, :98]  # the model looks one pixel far
    np.testing.assert_allclose(given[:, :98], expected, atol=1)
    assert np.abs(alone[:, :98].astype(int) - expected).max() > 10
    assert client.post("/v1/estimate", content=coded(noisy())).json()["law"] is None
    assert "Unknown noise law" in detail(client.post("/v1/denoise?law=x", content=b"x"), 422)


def unrelated(height: int = 70, width: int = 90) -> np.ndarray:
    """Return an image whose channels share nothing; the third is empty."""
    channels = [noisy(height, width, 1), noisy(width, height, 1, seed=1).T]
    return np.stack([*channels, np.zeros((height, width), np.uint8)], axis=2)


def test_the_estimate_is_the_level_of_the_result(client):
    salted = noisy(200, 300)
    salted[np.random.default_rng(0).random((200, 300)) < 0.02] = 255
    for pixels, channels in ((salted, "rgb"), (unrelated(), "separate")):
        found = client.post("/v1/estimate", content=coded(pixels)).json()
        used = client.post("/v1/denoise", content=coded(pixels)).headers["quietpixel-sigma"]
        assert found["sigma"] == pytest.approx(float(used), rel=1e-5)
        assert found["channels"] == channels


def test_channels_are_denoised_one_by_one_where_they_share_nothing_or_on_request(client, models):
    for pixels, found in ((unrelated(), "separate"), (noisy(), "rgb")):
        results = {
            query: decoded(client.post(f"/v1/denoise{query}", content=coded(pixels)).content)
            for query in ("", "?channels=rgb", "?channels=separate")
        }
        assert not np.array_equal(results["?channels=rgb"], results["?channels=separate"])
        assert np.array_equal(results[""], results[f"?channels={found}"])
        denoiser = models.open("photo")
        assert np.array_equal(results["?channels=separate"], denoiser(pixels, channels="separate"))


def test_models_and_their_cards(client):
    listed = client.get("/v1/models").json()
    assert listed["default"] == {"gray": "photo", "rgb": "photo"}
    cards = {card["name"]: card for card in listed["models"]}
    assert {"photo", "photo-gray", "mnist-bottleneck", "mnist-unet"} <= set(cards)
    assert cards["mnist-bottleneck"]["size"] == [28, 28]
    assert cards["photo"]["sigma_input"] is True


def test_wrong_paths_and_methods_are_problems(client):
    assert "There is nothing at /v2" in detail(client.get("/v2"), 404)
    answer = client.get("/v1/denoise")
    assert "/v1/denoise does not take GET; it takes POST." in detail(answer, 405)
    assert answer.headers["allow"] == "POST"


def test_the_size_follows_the_orientation(client):
    exif = Image.Exif()
    exif[274] = 6
    facts = client.post("/v1/estimate", content=coded(noisy(), "JPEG", exif=exif)).json()
    assert (facts["width"], facts["height"]) == (40, 60)
