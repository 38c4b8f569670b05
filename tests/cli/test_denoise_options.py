"""Each option of `quietpixel denoise` as a person would try it."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from onnx import TensorProto, helper, save_model
from PIL import Image

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
def told(tmp_path: Path) -> Path:
    """Give a model that adds the noise level it is told."""
    nodes = [helper.make_node("Add", ["image", "sigma"], ["denoised"])]
    return write_model(tmp_path / "models" / "told.onnx", nodes, sigma=True)


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


def test_the_level_is_estimated_and_said(quietpixel, told, tmp_path) -> None:
    picture = noisy(tmp_path / "a.png")
    outcome = quietpixel(*WORD, picture, "--model", told)
    assert outcome.code == 0, outcome.err
    said = outcome.err.split("The noise level is estimated as ")[1].split()[0]
    assert float(said) == pytest.approx(0.1, rel=0.1)
    added = pixels(clean(picture)).astype(float) - pixels(picture)
    assert np.median(added) == round(float(said) * 255)


@pytest.mark.parametrize("text", ["20/255", "0.0784314"])
def test_a_number_is_honoured(quietpixel, told, tmp_path, text) -> None:
    picture = noisy(tmp_path / "a.png", sigma=0.05)
    outcome = quietpixel(*WORD, picture, "--model", told, "--sigma", text)
    assert (outcome.code, outcome.err) == (0, "")
    assert (pixels(clean(picture)) == pixels(picture) + 20).all()


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_a_map_is_honoured(quietpixel, told, tmp_path, kind) -> None:
    picture = noisy(tmp_path / "a.png", sigma=0.05)
    level = np.zeros((80, 90), np.uint8)
    level[:40], level[40:] = 10, 30
    file = tmp_path / f"map.{kind}"
    if kind == "png":
        Image.fromarray(level).save(file)
    else:
        tifffile.imwrite(file, (level / 255).astype(np.float32))
    outcome = quietpixel(*WORD, picture, "--model", told, "--sigma", file)
    assert outcome.code == 0, outcome.err
    assert (pixels(clean(picture)) == pixels(picture) + level).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_map_lies_as_the_picture_is_shown(quietpixel, told, tmp_path, orientation) -> None:
    picture = tmp_path / "a.png"
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(np.full((6, 4), 100, np.uint8)).save(picture, exif=exif)
    upright = (4, 6) if orientation > 4 else (6, 4)
    level = np.arange(24, dtype=np.uint8).reshape(upright)
    Image.fromarray(level).save(tmp_path / "map.png")
    outcome = quietpixel(*WORD, picture, "--model", told, "--sigma", tmp_path / "map.png")
    assert outcome.code == 0, outcome.err
    shown = Image.open(clean(picture))
    from PIL import ImageOps

    assert (np.asarray(ImageOps.exif_transpose(shown)) == 100 + level).all()


def test_a_map_of_another_size_is_refused(quietpixel, told, tmp_path) -> None:
    picture = noisy(tmp_path / "a.png")
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(tmp_path / "map.png")
    outcome = quietpixel(*WORD, picture, "--model", told, "--sigma", tmp_path / "map.png")
    assert outcome.code == 2
    assert "of shape (80, 90)" in outcome.err
    assert "got an array of shape (5, 5)" in outcome.err


def test_a_coloured_map_is_refused(quietpixel, told, tmp_path) -> None:
    Image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(tmp_path / "map.png")
    outcome = quietpixel(*WORD, "a.png", "--model", told, "--sigma", tmp_path / "map.png")
    assert outcome.code == 2
    assert "must be one gray picture where it is a map" in outcome.err


def test_a_level_for_a_blind_model_is_refused_before_any_work(
    quietpixel, halver, gray, tmp_path
) -> None:
    outcome = quietpixel("denoise", gray.parent, "--model", halver, "--sigma", "0.1")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "the model 'halver' does not take a noise level; leave it out" in outcome.err


@pytest.mark.parametrize("text", ["much", "-1", "nan", "1/0"])
def test_a_level_that_is_none_is_refused(quietpixel, told, gray, text) -> None:
    outcome = quietpixel("denoise", gray, "--model", told, f"--sigma={text}")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1


# --range, --format, --jpeg-quality, --max-pixels, --quality


def test_the_range_that_was_found_is_said(quietpixel, halver, tmp_path) -> None:
    path = tmp_path / "counts.tif"
    tifffile.imwrite(path, np.full((6, 6), 3000, np.uint16))
    outcome = quietpixel(*WORD, path, "--model", halver)
    assert "Black is 0 and white is 4095." in outcome.err
    assert tifffile.imread(clean(path)).tolist()[0][0] == 1500


def test_the_range_that_was_given_is_used_and_said(quietpixel, halver, tmp_path) -> None:
    path = tmp_path / "counts.tif"
    tifffile.imwrite(path, np.full((6, 6), 3000, np.uint16))
    outcome = quietpixel(*WORD, path, "--model", halver, "--range", "1000,5000")
    assert "Black is 1000 and white is 5000." in outcome.err
    assert tifffile.imread(clean(path)).tolist()[0][0] == 2000


@pytest.mark.parametrize("text", ["1", "a,b", "1,2,3", "5,1"])
def test_a_range_that_is_none_is_refused(quietpixel, halver, gray, text) -> None:
    outcome = quietpixel("denoise", gray, "--model", halver, "--range", text)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "two numbers" in outcome.err


@pytest.mark.parametrize(("name", "ending"), [("tiff", ".tif"), ("jpg", ".jpg"), ("webp", ".webp")])
def test_another_format_is_written(quietpixel, halver, gray, name, ending) -> None:
    assert quietpixel(*WORD, gray, "--model", halver, "--format", name).code == 0
    image = Image.open(gray.with_name(f"gray-clean{ending}"))
    assert image.format in (name.upper(), "JPEG")
    assert np.asarray(image).max() == 100


def test_an_unknown_format_is_refused(quietpixel, halver, gray) -> None:
    outcome = quietpixel("denoise", gray, "--model", halver, "--format", "tif2")
    assert outcome.code == 2
    assert "Unknown picture format 'tif2': did you mean 'tiff'?" in outcome.err


def test_the_quality_of_a_jpeg_is_kept_unless_told(quietpixel, halver, tmp_path) -> None:
    source = tmp_path / "a.jpg"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (64, 64), np.uint8)).save(source, quality=60)
    tables = {}
    for words in ((), ("--jpeg-quality", 90)):
        assert quietpixel(*WORD, source, "--model", halver, "--overwrite", *words).code == 0
        tables[words] = Image.open(clean(source)).quantization
    assert tables[()] == Image.open(source).quantization
    wanted = io.BytesIO()
    Image.new("L", (8, 8)).save(wanted, "jpeg", quality=90)
    assert tables["--jpeg-quality", 90] == Image.open(wanted).quantization


def test_more_pixels_than_allowed_are_refused(quietpixel, halver, gray) -> None:
    outcome = quietpixel("denoise", gray, "--model", halver, "--max-pixels", 62)
    assert outcome.code == 2
    assert "declares 7 x 9 pixels, 63 in all, and `max_pixels` is 62" in outcome.err
    assert quietpixel("denoise", gray, "--model", halver, "--max-pixels", 63).code == 0


def test_an_unknown_quality_is_refused(quietpixel, halver, gray) -> None:
    outcome = quietpixel("denoise", gray, "--model", halver, "--quality", "bset")
    assert outcome.code == 2
    assert "Unknown quality 'bset': did you mean 'best'?" in outcome.err
    assert quietpixel("denoise", gray, "--model", halver, "--quality", "best").code == 0


# The model that is not named.


def test_without_a_bundled_photo_model_a_sentence_says_how_to_name_one(
    quietpixel, gray, monkeypatch, tmp_path, halver
) -> None:
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "other.onnx").write_bytes(halver.read_bytes())
    monkeypatch.setattr("quietpixel.inference.store.BUNDLED", tmp_path / "shelf")
    outcome = quietpixel("denoise", gray)
    assert outcome.code == 2
    assert outcome.err == (
        "quietpixel: No model was named and this installation carries neither photo nor photo-gray;"
        " name one with `model=` (--model): other, a run folder or an .onnx file.\n"
    )


def test_the_model_follows_the_channels_of_the_picture(quietpixel, monkeypatch, tmp_path) -> None:
    """The gray model halves, the colour model leaves alone."""
    shelf = tmp_path / "shelf"
    halve = [helper.make_node("Mul", ["image", "half"], ["denoised"])]
    write_model(shelf / "photo-gray.onnx", halve)
    copy = [helper.make_node("Identity", ["image"], ["denoised"])]
    write_model(shelf / "photo.onnx", copy, channels=3)
    monkeypatch.setattr("quietpixel.inference.store.BUNDLED", shelf)
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
        "gray": 100, "colour": colour, "neutral": [100, 100, 100], "alpha": [100, 100, 100, 90],
        "colour-alpha": [*colour, 90],
    }  # fmt: skip


# --dry-run


def test_a_dry_run_says_of_each_what_would_become_of_it(quietpixel, halver, tmp_path) -> None:
    folder = tmp_path / "in"
    for name in ("a.png", "b.png", "c.png"):
        noisy(folder / name)
    (folder / "bad.png").write_bytes(b"words")
    words = ["denoise", folder, "--model", halver]
    quietpixel(*words)
    noisy(folder / "b.png", shape=(5, 5))
    clean(folder / "c.png").unlink()
    before = snapshot(tmp_path)
    outcome = quietpixel(*words, "--dry-run")
    assert outcome.code == 1
    said = dict(line.split(": ", 1) for line in outcome.out.splitlines())
    arrow = {name: f"{folder / name} -> {clean(folder / name)}" for name in said_names(folder)}
    assert said[arrow["a.png"]] == "done already"
    assert said[arrow["b.png"]].startswith("would be refused, because '")
    assert "already exists" in said[arrow["b.png"]]
    assert said[arrow["c.png"]] == "would be written"
    assert "is no picture that quietpixel knows" in said[arrow["bad.png"]]
    assert outcome.err == ("4 images: 1 would be written, 1 done already, 2 would be refused.\n")
    assert snapshot(tmp_path) == before


def said_names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if "clean" not in path.name]


def snapshot(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_dry_run_makes_no_folder(quietpixel, halver, gray, tmp_path) -> None:
    words = ["-o", f"{tmp_path}/new/", "--model", halver, "--json", tmp_path / "told.json"]
    outcome = quietpixel("denoise", gray.parent, *words, "--dry-run")
    assert outcome.code == 0, outcome.err
    assert outcome.out == f"{gray} -> {tmp_path}/new/gray.png: would be written\n"
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "told.json").exists()


def test_a_dry_run_of_one_missing_file(quietpixel, halver, tmp_path) -> None:
    outcome = quietpixel("denoise", tmp_path / "gone.png", "--model", halver, "--dry-run")
    assert outcome.code == 2
    assert "would be refused, because " in outcome.out
    assert "No such file or directory" in outcome.out


def test_a_dry_run_of_a_stream(quietpixel, halver, gray, tmp_path) -> None:
    outcome = quietpixel("denoise", gray, "-o", "-", "--model", halver, "--dry-run")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", f"{gray} -> -\n")
    missing = quietpixel("denoise", tmp_path / "gone.png", "-o", "-", "--model", halver)
    assert missing.code == 2


# Before work starts.


def test_what_will_be_refused_is_said_first(quietpixel, halver, tmp_path) -> None:
    for name in ("a.png", "b.png"):
        noisy(tmp_path / name)
    clean(tmp_path / "a.png").write_bytes(b"precious")
    words = [tmp_path / "a.png", tmp_path / "gone.png", tmp_path / "b.png"]
    outcome = quietpixel("denoise", *words, "--model", halver)
    assert outcome.code == 1
    lines = outcome.err.splitlines()
    assert lines[0] == "2 of 3 images will be refused, see the end."
    assert "a-clean.png' already exists" in lines[1]
    assert "gone.png' cannot be read: No such file" in lines[2]
    assert lines[3].startswith("1 of 3 images are done, ")
    assert clean(tmp_path / "a.png").read_bytes() == b"precious"


def test_an_empty_folder_is_said(quietpixel, halver, tmp_path) -> None:
    (tmp_path / "none").mkdir()
    outcome = quietpixel("denoise", tmp_path / "none", "--model", halver)
    assert outcome.code == 0
    assert outcome.err == "No picture is there to denoise; --recursive looks further down.\n"


def test_two_folders_are_finished_apart(quietpixel, halver, tmp_path) -> None:
    for name in ("one", "two"):
        noisy(tmp_path / name / "a.png")
    words = ["--model", halver]
    assert quietpixel("denoise", tmp_path / "one", tmp_path / "two", *words).code == 0
    outcome = quietpixel("denoise", tmp_path / "two", *words)
    assert (outcome.code, outcome.err) == (0, "1 of 1 images were done before.\n")


# --compare with --json and a ledger


def test_a_comparison_goes_with_json(quietpixel, halver, gray, tmp_path) -> None:
    seen, told = tmp_path / "seen" / "a.png", tmp_path / "told.json"
    words = ["--model", halver, "--compare", seen, "--json", told]
    outcome = quietpixel("denoise", gray.parent, *words)
    assert outcome.code == 0, outcome.err
    (file,) = json.loads(told.read_text())["files"]
    assert file["status"] == "done"
    assert "shows before, after" in file["notes"][0]
    assert pixels(seen).shape == (9, 7 * 3 + 16)
    assert quietpixel("denoise", gray.parent, "--model", halver).err.startswith(
        "1 of 1 images were"
    )


def test_a_comparison_overwrites_nothing(quietpixel, halver, gray, tmp_path) -> None:
    seen = tmp_path / "seen.jpg"
    seen.write_bytes(b"precious")
    words = ["denoise", gray, "--model", halver, "--compare", seen, "--in-place"]
    outcome = quietpixel(*words)
    assert outcome.code == 2
    assert "seen.jpg' already exists" in outcome.err
    assert (seen.read_bytes(), pixels(gray)[0, 0]) == (b"precious", 200)
    assert quietpixel("denoise", gray, "--model", halver, "--compare", gray).code == 2
    assert quietpixel(*words, "--overwrite").code == 0


def test_a_comparison_of_many_is_refused(quietpixel, halver, tmp_path) -> None:
    words = [noisy(tmp_path / "a.png"), noisy(tmp_path / "b.png"), "--compare", tmp_path / "s.png"]
    outcome = quietpixel("denoise", *words, "--model", halver)
    assert (outcome.code, "--compare needs one image; got 2." in outcome.err) == (2, True)


def test_a_stream_has_json_too(quietpixel, halver, gray, tmp_path, monkeypatch) -> None:
    told = tmp_path / "told.json"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gray.read_bytes())))
    words = ["-o", tmp_path / "out.png", "--model", halver, "--json", told]
    assert quietpixel("denoise", "-", *words).code == 0
    (file,) = json.loads(told.read_text())["files"]
    assert (file["source"], file["status"]) == ("-", "done")


# Links.


@pytest.mark.skipif(os.name == "nt", reason="links need rights")
def test_links_that_leave_and_loops_are_left_out_and_said(quietpixel, halver, tmp_path) -> None:
    folder = tmp_path / "in"
    noisy(folder / "a.png")
    secret = noisy(tmp_path / "secret.png")
    (folder / "out.png").symlink_to(secret)
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "up").symlink_to(tmp_path)
    (folder / "inside.png").symlink_to(folder / "a.png")
    words = ["--recursive", "-o", tmp_path / "result", "--model", halver]
    outcome = quietpixel("denoise", folder, *words)
    assert outcome.code == 0, outcome.err
    assert f"{folder / 'out.png'} is left out: the link leaves the folder." in outcome.err
    assert f"{folder / 'loop.png'} is left out: the link leads nowhere or in a loop" in outcome.err
    assert f"{folder / 'up'} is left out: links to folders are not followed." in outcome.err
    made = sorted(path.name for path in (tmp_path / "result").iterdir())
    assert made == [".quietpixel-done.jsonl", "a.png", "inside.png"]
