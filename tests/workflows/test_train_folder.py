"""`train` on folders: clean images, pairs, two shots, noisy images only."""

import builtins
import csv
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tifffile
from PIL.ImageCms import ImageCmsProfile, createProfile

import quietpixel
from quietpixel.card import Card
from quietpixel.errors import ArgumentError, DataError, FileError, UnknownNameError
from quietpixel.files import Picture, read_picture, write_picture
from quietpixel.inference.model_store import check_name, keep_model, known_models
from quietpixel.models import MODELS, build
from quietpixel.models.export import export_onnx
from quietpixel.training.initial_weights import default_start
from quietpixel.training.recipe import FRACTIONS
from quietpixel.workflows.train_recipe import choose_recipe, describe_measured

pytestmark = pytest.mark.usefixtures("eager", "shared_export", "few_squares")

TINY = {
    "options": {"filters": (4, 6), "blocks": (0, 1), "output": "residual"},
    "epochs": 1,
    "steps": 2,
    "batch": 2,
    "patch": 16,
    "workers": 0,  # starting a process takes longer than such a run
}


def scene(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).random((10, 11))
    return np.kron(coarse, np.ones((8, 8)))


def put(path: Path, values: np.ndarray, sigma: float = 0.0, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng((7, seed)).normal(0, 1, values.shape)
    pixels = np.clip(255 * (values + sigma * noise), 0, 255).astype(np.uint8)
    write_picture(Picture.from_pixels(pixels), path)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    for i in range(6):
        put(tmp_path / "data" / "noisy" / f"{i}.png", scene(i), 0.1, i)
        put(tmp_path / "data" / "clean" / f"{i}.png", scene(i))
    return tmp_path / "data"


def choose(data: Path | str, **words: object) -> quietpixel.Recipe:
    options = {name: words.pop(name, None) for name in ("code", "filters", "blocks")}
    start, name = words.pop("start", None), words.pop("recipe", None)
    return choose_recipe(name, data=str(data), start=start, fields=words, options=options)[0]


def facts_of(run: Path) -> str:
    return (run / "report.html").read_text().partition("<section>")[0]


def test_what_suits_the_data_is_chosen(pairs: Path, tmp_path: Path) -> None:
    assert choose("digits").name == "tuned"
    assert choose("digits").loss == "mean_squared_error"
    chosen = choose(pairs / "clean")
    assert (chosen.name, chosen.method, chosen.channels) == ("photo", "", 1)
    chosen = choose(pairs)
    assert (chosen.name, chosen.method, chosen.noise) == ("pairs", "pairs", "")
    chosen = choose(pairs, target="none")
    assert (chosen.name, chosen.method, chosen.noise) == ("noisy", "neighbours", "")
    chosen = choose(pairs, target="none", noise="gaussian:0.1")
    assert (chosen.method, chosen.noise) == ("recorrupted", "gaussian:0.1")
    chosen = choose(pairs, target="none", structure="h:5")
    assert (chosen.method, chosen.structure) == ("hidden", "h:5")
    chosen = choose(pairs, recipe="photo", channels=3)
    assert (chosen.name, chosen.loss, chosen.channels) == ("photo", "mean_squared_error", 3)


def test_sizes_of_the_model_are_taken_over(pairs: Path) -> None:
    options = choose("digits", filters=(64, 128), code=8).options
    assert (options["filters"], options["code"], options["dropout"]) == ((64, 128), 8, 0.0)
    for filters in ((8, 16), (4, 8, 16, 32, 64)):
        count = len(filters)
        chosen = choose(pairs / "clean", filters=filters)
        blocks = (1, 2, 1, 1, 1)[:count]
        assert (chosen.options["filters"], chosen.options["blocks"]) == (filters, blocks)
        assert (chosen.options["output"], chosen.start) == ("residual", "nothing")
        assert choose("digits", recipe="classic", model="unet", filters=filters).options == {
            "filters": filters,
            "blocks": (0, 1, 1, 1, 1)[:count],
        }
    with pytest.raises(
        ArgumentError,
        match="`code` is not an option of the model 'unet', which takes channels, filters",
    ):
        choose("digits", model="unet", code=8)
    chosen = choose(pairs / "clean", blocks=(1, 1, 3, 3))
    assert (chosen.options["blocks"], chosen.start) == ((1, 1, 3, 3), "photo")
    with pytest.raises(
        ArgumentError, match="`blocks` is not an option of the model 'bottleneck', which takes"
    ):
        choose("digits", blocks=(1, 1))


def test_runs_that_give_the_level_start_from_a_model_that_obeys_it(pairs: Path) -> None:
    starts = {
        "clean": choose(pairs / "clean").start,
        "pairs": choose(pairs).start,
        "none": choose(pairs, target="none").start,
        "hidden": choose(pairs, target="none", method="hidden").start,
    }
    obeys = {
        name: quietpixel.read_card(known_models()[name]).takes_level
        for name in set(starts.values())
    }
    assert {kind: obeys[start] for kind, start in starts.items()} == {
        "clean": True, "pairs": False, "none": True, "hidden": False,
    }  # fmt: skip


def test_noisy_images_fine_tune_a_model_that_is_shown_them_as_in_denoising(pairs: Path) -> None:
    chosen = choose(pairs, target="none")
    assert (chosen.measured, chosen.learning_rate, chosen.patch) == (True, 1e-4, 64)
    assert choose(pairs, target="none", patch=16, learning_rate=1e-3).learning_rate == 1e-3
    for words in ({"start": "nothing"}, {"start": "photo-gray"}, {"method": "hidden"}):
        assert not choose(pairs, target="none", **words).measured
    large = pairs.parent / "large"
    for i in range(2):
        put(large / f"{i}.png", np.kron(scene(i), np.ones((2, 2))), 0.1, i)
    assert choose(large, target="none").patch == 128
    with pytest.raises(ArgumentError, match="`measured` is for noisy images alone"):
        choose(pairs / "clean", measured=True)


def test_a_model_of_noisy_images_obeys_its_level_and_finds_it_again(pairs: Path) -> None:
    noisy, start = pairs / "noisy", pairs.parent / "start.onnx"
    options = TINY["options"] | {"sigma": True}
    card = Card(
        name="start", architecture="unet", channels=1, sigma_input=True, data="squares",
        training={"options": options},
    )  # fmt: skip
    export_onnx(build("unet", **options), start, card)
    small = {name: value for name, value in TINY.items() if name != "options"}
    run = quietpixel.train(noisy, target="none", run=pairs.parent / "run", start=start, **small)
    denoiser = quietpixel.Denoiser(run / "model.onnx")
    card = denoiser.card
    assert (card.takes_level, card.scale_free, card.training_range) == (True, True, None)
    image = np.asarray(read_picture(noisy / "0.png").pages[0])
    own, photo = (each.prepare(image).level for each in (denoiser, quietpixel.Denoiser("photo")))
    assert own is not None
    assert photo is not None
    assert own.values == photo.values


def test_the_noise_of_noisy_pictures_is_measured(pairs: Path) -> None:
    chosen = choose(pairs, target="none", noise="auto")
    assert (chosen.method == "recorrupted") == bool(chosen.noise)
    assert describe_measured(chosen).startswith("The noise was measured: ")
    assert describe_measured(replace(chosen, noise="", structure="v:12")).endswith(
        "columns share it, so v:12 is hidden"
    )
    with pytest.raises(ArgumentError, match="`noise` auto measures noisy images"):
        choose(pairs / "clean", noise="auto")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"noise": "gaussian:0.1"}, "`noise` is for clean images because it is added to them"),
        ({"structure": "h:5"}, "`structure` is for noisy images alone"),
        ({"target": "none", "structure": "x:5"}, "`structure` must be h"),
        ({"target": "noisy", "pairs": "*"}, "`pairs` must be two patterns"),
    ],
)
def test_arguments_that_contradict_are_reported(
    pairs: Path, words: dict[str, str], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        choose(pairs, **words)


def test_what_a_folder_cannot_train_is_reported(pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="`model` bottleneck takes images of one size only"):
        choose(pairs, model="bottleneck")
    with pytest.raises(ArgumentError, match=r"`patch` must be a multiple of 4 because .* Try 16"):
        quietpixel.train(str(pairs), target="none", run=tmp_path / "a", **{**TINY, "patch": 18})
    with pytest.raises(DataError, match=r"folder '.*nowhere' does not exist; give the path"):
        quietpixel.train(str(tmp_path / "nowhere"), run=tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_arguments_for_folders_are_refused_for_named_sets(pairs: Path) -> None:
    with pytest.raises(ArgumentError, match="`target` is for a folder of images"):
        choose("digits", target="none")
    with pytest.raises(UnknownNameError, match="did you mean 'noisy'"):
        choose(pairs, target="nosy")
    with pytest.raises(ArgumentError, match="`recipe` photo is for a folder of images, and 'digit"):
        choose("digits", recipe="photo")
    with pytest.raises(ArgumentError, match="`recipe` classic is for a data set, and"):
        choose(pairs, recipe="classic")


@pytest.mark.parametrize(("kind", "said"), [("noisy", True), ("clean", False)])
def test_clean_images_that_are_noisy_are_noticed(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, *, said: bool
) -> None:
    messages: list[str] = []

    def stop(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("quietpixel.training.trainer._compile", stop)
    with pytest.raises(KeyboardInterrupt):
        quietpixel.train(
            str(pairs / kind),
            run=tmp_path / "run",
            on_progress=lambda progress: messages.append(progress.message),
            **TINY,
        )
    found = [text for text in messages if text.startswith("The images are taken to be clean and")]
    assert bool(found) == said
    assert not said or "of about 2" in found[0]  # 0.1 is 25.5 of 255


@pytest.mark.usefixtures("no_report")
def test_a_folder_starts_from_the_photo_model_where_there_is_one(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quietpixel.training.initial_weights.known_models", dict)
    assert choose(pairs).start == "nothing"
    run = quietpixel.train(str(pairs), run=tmp_path / "run", **TINY)
    for module in ("training.initial_weights", "inference.model_store"):
        models = {"photo-gray": run / "model.onnx"}
        monkeypatch.setattr(f"quietpixel.{module}.known_models", lambda models=models: models)
    assert default_start(1).name == "photo-gray"
    assert default_start(3) is None
    assert choose(pairs, channels=3).start == "nothing"
    chosen = choose(pairs)
    assert (chosen.start, list(chosen.options["filters"])) == ("photo-gray", [4, 6])
    assert choose(pairs, start="nothing").start == "nothing"
    assert choose(pairs, model="unet").start == "nothing"


def test_pairs_are_trained_on_and_evaluated(pairs: Path, tmp_path: Path) -> None:
    put(pairs / "noisy" / "7.png", scene(7)[3:], 0.1)
    put(pairs / "clean" / "7.png", scene(7)[:-3])
    messages: list[str] = []
    run = quietpixel.train(
        str(pairs), run=tmp_path / "run", on_progress=lambda p: messages.append(p.message), **TINY
    )
    assert sum("moved by -3 down and 0 right" in text for text in messages) == 1
    card = quietpixel.read_card(run / "model.onnx")
    assert (card.noise, card.data) == ("", "pairs of noisy and clean images in data")
    assert "dB noisy" in facts_of(run)


def test_two_noisy_shots_are_targets_of_each_other(tmp_path: Path) -> None:
    for i in range(6):
        put(tmp_path / "data" / "first" / f"{i}.png", scene(i), 0.1, i)
        put(tmp_path / "data" / "second" / f"{i}.png", scene(i), 0.1, 100 + i)
    run = quietpixel.train(str(tmp_path / "data"), target="noisy", run=tmp_path / "run", **TINY)
    assert "Estimated from two noisy shots" in facts_of(run)
    assert quietpixel.read_card(run / "model.onnx").data == "pairs of noisy images in data"


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        ({}, "No clean images: squared error against noisy neighbours"),
        pytest.param(
            {"structure": "v:2"},
            "No clean images: squared error at hidden pixels",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"noise": "gaussian:0.1"},
            "Estimated without clean images (SURE)",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_noisy_pictures_alone_never_open_a_clean_file(
    pairs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: dict[str, str],
    fact: str,
) -> None:
    opened: list[str] = []
    plain, low = builtins.open, os.open

    def watch(path: object, *rest: object, **options: object) -> object:
        opened.append(str(path))
        return plain(path, *rest, **options)  # type: ignore[call-overload]

    def watch_low(path: object, *rest: object, **options: object) -> int:
        opened.append(str(path))
        return low(path, *rest, **options)  # type: ignore[arg-type]

    for path in (pairs / "clean").iterdir():
        path.chmod(0)  # for users that are not root the system itself is a witness
    monkeypatch.setattr(builtins, "open", watch)
    monkeypatch.setattr("io.open", watch)
    monkeypatch.setattr(os, "open", watch_low)
    run = quietpixel.train(str(pairs), target="none", run=tmp_path / "run", **{**TINY, **words})
    assert any(f"noisy{os.sep}0.png" in path for path in opened)
    assert not [path for path in opened if f"{os.sep}clean{os.sep}" in path]
    assert fact in facts_of(run)
    assert quietpixel.read_card(run / "model.onnx").data == "noisy images in data"


@pytest.mark.usefixtures("no_report")
def test_a_model_gets_a_name_among_the_users_own(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    quietpixel.train(str(pairs), run=tmp_path / "run", name="lab", **TINY)
    assert "lab" in known_models()
    denoiser = quietpixel.Denoiser("lab")
    assert denoiser.card.name == "lab"
    assert denoiser(np.zeros((20, 24), np.uint8)).shape == (20, 24)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "run" / "model.onnx"))
    with pytest.raises(FileError, match=r"cannot be stored as 'lab'.* it is still in '.*onnx'"):
        keep_model(tmp_path / "run" / "model.onnx", "lab")


@pytest.mark.parametrize("home", ["file", "home"])
def test_a_model_that_cannot_be_kept_is_reported_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / home))
    name = "lab" if home == "file" else 250 * "a"
    with pytest.raises(FileError, match=f"No model can be stored as '{name}' in .* omit it"):
        quietpixel.train("digits", run=tmp_path / "run", name=name)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["", "a/b", "../a", "a b", "x.onnx", "-a", "nothing"])
def test_what_cannot_be_a_name_is_reported_before_training(name: str) -> None:
    with pytest.raises(ArgumentError, match="`name` must be of letters, digits"):
        check_name(name)
    with pytest.raises(ArgumentError, match="`name` must be of letters, digits"):
        quietpixel.train("digits", name=name)


def test_the_name_of_a_bundled_model_is_taken() -> None:
    with pytest.raises(ArgumentError, match=r"not be that of a bundled model.* 'my-mnist-unet'"):
        check_name("mnist-unet")


def build_plain(*, channels: int = 1, filters: int = 4) -> keras.Model:
    """Build a residual net without levels, blocks or a code."""
    image = keras.Input((None, None, channels), name="image")
    x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(image)
    x = keras.layers.Conv2D(channels, 3, padding="same")(x)
    return keras.Model(image, keras.layers.Subtract(dtype="float32")([image, x]), name="plain")


@pytest.mark.usefixtures("no_report")
def test_a_model_that_is_only_registered_trains_on_a_folder_and_starts_another_run(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "plain", build_plain)
    small = {name: value for name, value in TINY.items() if name != "options"}
    words = {**small, "model": "plain", "filters": 6, "recipe": "photo"}
    run = quietpixel.train(str(pairs / "clean"), run=tmp_path / "a", **words)
    card = quietpixel.read_card(run / "model.onnx")
    assert (card.architecture, card.training["options"], card.halo) == ("plain", {"filters": 6}, 2)
    assert quietpixel.Denoiser(run)(np.zeros((20, 24), np.uint8)).shape == (20, 24)
    again = quietpixel.train(str(pairs / "clean"), run=tmp_path / "b", start=run, **small)
    assert quietpixel.read_card(again / "model.onnx").training["start"] == str(run)
    with pytest.raises(
        ArgumentError, match="`blocks` is not an option of the model 'plain', which"
    ):
        choose(pairs / "clean", model="plain", blocks=(1, 1))


@pytest.mark.usefixtures("no_report")
def test_the_recipe_remembers_how_the_folder_was_read(pairs: Path, tmp_path: Path) -> None:
    run = quietpixel.train(
        str(pairs), pairs="noisy/*=clean/*", run=tmp_path / "run", cache=tmp_path / "cache", **TINY
    )
    facts = json.loads((run / "recipe.json").read_text())
    assert (facts["pairs"], facts["target"]) == ("noisy/*=clean/*", "clean")
    assert list((tmp_path / "cache").glob("*.npy"))


@pytest.mark.usefixtures("no_report")
def test_a_model_is_used_on_the_scale_of_its_training(tmp_path: Path) -> None:
    data, dark = tmp_path / "data", (900 * scene(0)).astype(np.uint16)
    data.mkdir()
    for i in range(3):  # 12 bits; the darkest image uses only 10 of them
        write_picture(
            Picture.from_pixels((1000 * (i + 1) * scene(i)).astype("u2")), data / f"{i}.png"
        )
    messages: list[str] = []
    run = quietpixel.train(
        str(data),
        target="none",
        run=tmp_path / "run",
        on_progress=lambda progress: messages.append(progress.message),
        **TINY,
    )
    assert "Intensity scale of the images: black 0, white 4095" in messages
    assert quietpixel.read_card(run / "model.onnx").training_range == (0, 4095)
    denoiser = quietpixel.Denoiser(run)
    assert denoiser.denoise(dark).scale == (0, 4095)
    assert denoiser.denoise(dark, quietpixel.DenoiseOptions(range=(0, 1023))).scale == (0, 1023)
    assert denoiser.denoise((dark / 4095).astype(np.float32)).scale == (0, 1)
    assert denoiser.denoise(dark.astype(np.uint8)).scale == (0, 255)
    bright = denoiser.denoise(60 * dark)
    assert bright.scale == (0, 65535)
    assert any("beyond the values 0 to 4095 that the model was trained" in n for n in bright.notes)
    assert not any("beyond" in note for note in denoiser.denoise(dark).notes)
    stack = np.stack([dark, dark])[..., np.newaxis]
    np.testing.assert_array_equal(denoiser.batch(stack)[0, ..., 0], denoiser(dark))


@pytest.mark.usefixtures("no_report")
def test_what_lies_outside_a_mask_changes_no_weight(tmp_path: Path) -> None:
    mask = np.zeros((80, 88))
    mask[20:60, 20:60] = 1
    runs = []
    for outside in (0.0, 0.9):
        folder = tmp_path / f"{outside}"
        for i in range(2):
            # A margin of one receptive field around the mask is the same in both.
            near = np.pad(np.ones((60, 60)), ((10, 10), (10, 18)))
            put(folder / "data" / f"{i}.png", np.where(near, scene(i), outside))
            put(folder / "masks" / f"{i}.png", mask)
        words = {**TINY, "loss": "negative_psnr", "noise": "gaussian:0.1,clip=no"}
        words |= dict.fromkeys(FRACTIONS, 0.0)  # a blur or a pattern reaches further
        run = quietpixel.train(
            str(folder / "data"), masks=folder / "masks", run=folder / "run", **words
        )
        runs.append(keras.models.load_model(run / "model.keras", compile=False).get_weights())
        assert json.loads((run / "recipe.json").read_text())["masks"] == str(folder / "masks")
    for one, other in zip(*runs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    with pytest.raises(ArgumentError, match="`masks` is for a folder of images"):
        choose("digits", masks="masks")


@pytest.mark.parametrize("profile", [b"", ImageCmsProfile(createProfile("sRGB")).tobytes()])
def test_error_bars_are_fitted_to_every_page_on_the_scale_of_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: bytes
) -> None:
    pages = [np.full((80, 88), 1000), *(1000 + 600 * scene(seed) for seed in range(5))]
    stack = np.stack(pages).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stack, iccprofile=profile or None)
    pairs: list[Any] = []
    monkeypatch.setattr(
        "quietpixel.workflows.train_run.write_calibration",
        lambda denoiser, found, *others, **options: pairs.extend(found),
    )
    monkeypatch.setattr("quietpixel.workflows.train_run.show_run", lambda *words, **options: None)
    options = {"options": TINY["options"] | {"sigma": True}, "noise": "gaussian:0..0.01,clip=no"}
    quietpixel.train(tmp_path / "a.tif", run=tmp_path / "run", **TINY | options)
    assert {number for number, *_ in pairs} == {0, 1, 2, 3, 4}
    darkest, brightest = np.percentile([pair[2] for pair in pairs], (1, 99))
    if profile:  # then values mean what they say, of 4095, as in denoising
        assert (darkest, brightest) == pytest.approx((1000 / 4095, 1600 / 4095), abs=0.02)
    else:
        assert darkest < 0.1
        assert brightest > 0.9


def test_the_noise_of_counts_with_an_offset_is_measured_and_reported(tmp_path: Path) -> None:
    """The report failed after the training: below the offset, photons had a negative variance."""
    light = np.clip(np.kron(scene(0), np.ones((4, 4))) - 0.3, 0, 1)
    for number in range(2):
        rng = np.random.default_rng(number)
        counts = 200 + 1.5 * rng.poisson(300 * light) + 5 * rng.standard_normal(light.shape)
        (tmp_path / "data").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "data" / f"{number}.tif", np.rint(counts).astype(np.uint16))
    run = quietpixel.train(
        tmp_path / "data", run=tmp_path / "run", target="none", noise="auto", **TINY
    )
    law = quietpixel.parse_noise(quietpixel.read_card(run / "model.onnx").noise)
    clean = np.array([200, 500], np.float32) / 1023
    _, variance = law.propagate(clean, np.zeros_like(clean))
    np.testing.assert_allclose(variance * 1023**2, [25, 450 + 25], rtol=0.2)
    assert "SURE, an approximation for photon noise" in facts_of(run)
    # Two steps change little.
    assert re.search(r"result against input: slope (0\.9|1\.0)\d\d, offset", facts_of(run))


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_loading_and_export_are_part_of_the_minutes(pairs: Path, tmp_path: Path) -> None:
    """Epochs took all of the time, so 8 minutes took more than 9."""
    words = TINY | {"steps": 10_000, "minutes": 0.15}
    del words["epochs"]
    run = quietpixel.train(pairs, run=tmp_path / "run", **words)
    with (run / "history.csv").open() as file:
        assert sum(float(row["seconds"]) for row in csv.DictReader(file)) < 0.97 * 60 * 0.15
