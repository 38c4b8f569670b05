"""The noise level that a model is given, and the model that is not named."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from onnx import TensorProto, helper, save_model
from PIL import Image, ImageOps

from quietpixel.card import METADATA_KEY, Card

WORD = ["denoise", "--precision", "f32"]


def write_model(path: Path, nodes, *, channels: int = 1, sigma: bool = False) -> Path:
    """Write a model whose nodes take `image`, a `half`, and `sigma` where its card says so."""
    shape = ["n", "h", "w", channels]
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)]
    if sigma:
        level = helper.make_tensor_value_info("sigma", TensorProto.FLOAT, ["n", "h", "w", 1])
        inputs.append(level)
    outputs = [helper.make_tensor_value_info("denoised", TensorProto.FLOAT, shape)]
    half = helper.make_tensor("half", TensorProto.FLOAT, [1], [0.5])
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, [half])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    card = Card(name=path.stem, architecture="x", channels=channels, halo=0, sigma_input=sigma)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, card.to_json()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(model, str(path))
    return path


@pytest.fixture
def adder(tmp_path: Path) -> Path:
    """Give a model that adds the noise level it is given."""
    nodes = [helper.make_node("Add", ["image", "sigma"], ["denoised"])]
    return write_model(tmp_path / "models" / "adder.onnx", nodes, sigma=True)


def noisy(path: Path, *, sigma: float = 0.1, shape: tuple[int, ...] = (80, 90)) -> Path:
    image = 0.5 + sigma * np.random.default_rng(0).standard_normal(shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)).save(path)
    return path


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def clean(path: Path) -> Path:
    return path.with_name(f"{path.stem}-clean{path.suffix}")


# --sigma


def test_the_level_is_estimated_and_said(quietpixel, adder, tmp_path) -> None:
    picture = noisy(tmp_path / "a.png")
    outcome = quietpixel(*WORD, picture, "--model", adder)
    assert outcome.code == 0, outcome.err
    said = float(outcome.out.split("noise (")[1].split("/255)")[0])
    assert said / 255 == pytest.approx(0.1, rel=0.15)
    added = pixels(clean(picture)).astype(float) - pixels(picture)
    assert np.median(added) == round(said)


def test_the_words_follow_the_scale_of_the_image(quietpixel, adder, tmp_path) -> None:
    """Strong noise of an image of few counts was called hardly any."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((80, 90))
    counts = 2e-4 * (np.linspace(0, 1, 90) + noise)
    tifffile.imwrite(tmp_path / "a.tif", counts.astype(np.float32))
    said = quietpixel(*WORD, tmp_path / "a.tif", "--model", adder).out
    assert "  strong, fine noise (" in said or "  strong noise (" in said
    share, level = (float(part.split()[-1].strip("(")) for part in said.split("/255")[:2])
    assert "/255 of black to white, as --sigma" in said
    assert level / 255 == pytest.approx(2e-5, rel=0.15)
    assert 0.06 < share / 255 < 0.1  # the noise makes the scale wider than the content


@pytest.mark.parametrize("text", ["20/255", "0.0784314"])
def test_a_number_is_honoured(quietpixel, adder, tmp_path, text) -> None:
    picture = noisy(tmp_path / "a.png", sigma=0.05)
    outcome = quietpixel(*WORD, picture, "--model", adder, "--sigma", text)
    assert (outcome.code, outcome.err) == (0, "")
    assert (pixels(clean(picture)) == pixels(picture) + 20).all()


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_a_map_is_honoured(quietpixel, adder, tmp_path, kind) -> None:
    picture = noisy(tmp_path / "a.png", sigma=0.05)
    level = np.zeros((80, 90), np.uint8)
    level[:40], level[40:] = 10, 30
    file = tmp_path / f"map.{kind}"
    if kind == "png":
        Image.fromarray(level).save(file)
    else:
        tifffile.imwrite(file, (level / 255).astype(np.float32))
    outcome = quietpixel(*WORD, picture, "--model", adder, "--sigma", file)
    assert outcome.code == 0, outcome.err
    assert (pixels(clean(picture)) == pixels(picture) + level).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_map_lies_as_the_picture_is_shown(quietpixel, adder, tmp_path, orientation) -> None:
    picture = tmp_path / "a.png"
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(np.full((6, 4), 100, np.uint8)).save(picture, exif=exif)
    upright = (4, 6) if orientation > 4 else (6, 4)
    level = np.arange(24, dtype=np.uint8).reshape(upright)
    Image.fromarray(level).save(tmp_path / "map.png")
    outcome = quietpixel(*WORD, picture, "--model", adder, "--sigma", tmp_path / "map.png")
    assert outcome.code == 0, outcome.err
    shown = Image.open(clean(picture))
    assert (np.asarray(ImageOps.exif_transpose(shown)) == 100 + level).all()


def test_a_map_of_another_size_is_refused(quietpixel, adder, tmp_path) -> None:
    picture = noisy(tmp_path / "a.png")
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(tmp_path / "map.png")
    outcome = quietpixel(*WORD, picture, "--model", adder, "--sigma", tmp_path / "map.png")
    assert outcome.code == 2
    assert "of shape (80, 90)" in outcome.err
    assert "got an array of shape (5, 5)" in outcome.err


def test_a_coloured_map_is_refused(quietpixel, adder, tmp_path) -> None:
    Image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(tmp_path / "map.png")
    outcome = quietpixel(*WORD, "a.png", "--model", adder, "--sigma", tmp_path / "map.png")
    assert outcome.code == 2
    assert "--sigma must be one gray image if it is a file" in outcome.err


def test_a_level_for_a_blind_model_is_refused_before_any_work(
    quietpixel, halver, gray, tmp_path
) -> None:
    outcome = quietpixel("denoise", gray.parent, "--model", halver, "--sigma", "0.1")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "the model 'halver' does not take a noise level; omit it" in outcome.err


@pytest.mark.parametrize("text", ["much", "-1", "nan", "1/0"])
def test_a_level_that_is_none_is_refused(quietpixel, adder, gray, text) -> None:
    outcome = quietpixel("denoise", gray, "--model", adder, f"--sigma={text}")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1


# --strength and --colour-strength


@pytest.mark.parametrize("word", ["--colour-strength", "--color-strength"])
def test_strengths_act_and_the_report_holds_what_was_found(
    quietpixel, adder, tmp_path, word
) -> None:
    picture, report = noisy(tmp_path / "a.png", sigma=0.02), tmp_path / "report.json"
    words = ["--sigma", "20/255", "--strength", "1.5", word, "1", "--json", report]
    outcome = quietpixel(*WORD, picture, "--model", adder, *words)
    assert outcome.code == 0, outcome.err
    assert (pixels(clean(picture)) == pixels(picture) + 30).all()
    (entry,) = json.loads(report.read_text())["files"]
    (noise,) = entry["noise"]
    level = pytest.approx(20 / 255)
    assert noise == {"sigma": level, "source": "given", "kinds": [], "share": level}
    assert entry["scale"] == [[0, 255]]
    assert entry["notes"] == ["The image is gray, so the colour strength has no effect."]


def test_a_strength_that_the_model_cannot_follow_is_refused_before_any_work(
    quietpixel, halver, gray
) -> None:
    outcome = quietpixel("denoise", gray.parent, "--model", halver, "--strength", "1.5")
    assert outcome.code == 2
    assert "--strength must be at most 1 because the model 'halver'" in outcome.err
    assert not clean(gray).exists()


# The model that is not named.


def test_without_a_bundled_photo_model_a_sentence_says_how_to_name_one(
    quietpixel, gray, monkeypatch, tmp_path, halver
) -> None:
    (tmp_path / "bundled").mkdir()
    (tmp_path / "bundled" / "other.onnx").write_bytes(halver.read_bytes())
    monkeypatch.setattr("quietpixel.inference.model_store.BUNDLED", tmp_path / "bundled")
    outcome = quietpixel("denoise", gray)
    assert outcome.code == 2
    assert outcome.err == (
        "quietpixel: No model was named and this installation carries neither photo nor photo-gray;"
        " name one with --model: other, a run folder or an .onnx file.\n"
    )


def test_gray_and_colour_get_the_same_model(quietpixel, monkeypatch, tmp_path) -> None:
    """The model `photo` halves, that for gray leaves alone."""
    bundled = tmp_path / "bundled"
    halve = [helper.make_node("Mul", ["image", "half"], ["denoised"])]
    write_model(bundled / "photo.onnx", halve, channels=3)
    copy = [helper.make_node("Identity", ["image"], ["denoised"])]
    write_model(bundled / "photo-gray.onnx", copy)
    monkeypatch.setattr("quietpixel.inference.model_store.BUNDLED", bundled)
    colour = [200, 100, 50]
    pictures = {
        "gray": np.full((6, 6), 200), "colour": np.full((6, 6, 3), colour),
        "neutral": np.full((6, 6, 3), 200), "alpha": np.full((6, 6, 4), [200, 200, 200, 90]),
        "colour-alpha": np.full((6, 6, 4), [*colour, 90]),
    }  # fmt: skip
    for name, image in pictures.items():
        Image.fromarray(image.astype(np.uint8)).save(tmp_path / f"{name}.png")
        assert quietpixel(*WORD, tmp_path / f"{name}.png").code == 0
    first = {name: pixels(tmp_path / f"{name}-clean.png")[0, 0].tolist() for name in pictures}
    assert first == {
        "gray": 100, "colour": [100, 50, 25], "neutral": [100, 100, 100],
        "alpha": [100, 100, 100, 90], "colour-alpha": [100, 50, 25, 90],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sigmas", "shared"), [((0.1, 0.11, 0.12), True), ((0.05, 0.05, 0.2), False)]
)
def test_a_stack_has_one_level_unless_its_pages_differ(
    quietpixel, adder, tmp_path, sigmas, shared
) -> None:
    noise = np.random.default_rng(0).standard_normal((80, 90))
    pages = np.stack([128 + 255 * sigma * noise for sigma in sigmas]).clip(0, 200).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack")
    report = tmp_path / "a.json"
    assert quietpixel(*WORD, tmp_path / "a.tif", "--model", adder, "--json", report).code == 0
    added = tifffile.imread(tmp_path / "a-clean.tif").astype(int) - pages
    levels = [int(np.median(each)) for each in added]
    (entry,) = json.loads(report.read_text())["files"]
    if shared:
        assert len(set(levels)) == 1
        assert levels[0] == pytest.approx(255 * 0.11, rel=0.15)
        (sigma,) = {page["sigma"] for page in entry["noise"]}
        assert sigma == pytest.approx(levels[0] / 255, abs=0.003)
    else:
        assert levels[2] > 2 * levels[0]
