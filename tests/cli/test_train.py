import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from quietpixel.workflows import train


@dataclass
class Calls:
    """Stands in for the library, and keeps what it was asked."""

    seen: dict[str, Any] = field(default_factory=dict)

    def train(self, data: str, *, on_progress: Any, **options: Any) -> Path:
        self.seen = {"data": data, **options}
        return Path("runs/x")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls()
    monkeypatch.setattr(train, "train", calls.train)
    return calls


def test_train_passes_every_option_on(quietpixel, calls) -> None:
    words = "mnist --model unet --recipe classic --noise gaussian:25/255 --epochs 3 --code 8"
    more = (
        "--filters 8,16 --blocks 0,1 --from photo --minutes 20 --channels 1 --devices 1 "
        "--workers 3 --masks m"
    )
    folder = "--tensorboard --target none --pairs *_a=*_b --structure h:5 --name lab --cache c"
    last = (
        f"{folder} --batch 8 --patch 96 --learning-rate 3e-3 --seed 4 --run r --resume --data-dir d"
    )
    outcome = quietpixel("train", *words.split(), *more.split(), *last.split())
    assert outcome.code == 0
    assert outcome.out.split() == ["Model", "runs/x/model.onnx", "Report", "runs/x/report.html"]
    assert calls.seen.pop("noise").startswith("gaussian:0.098")
    assert calls.seen == {
        "data": "mnist",
        "model": "unet",
        "recipe": "classic",
        "epochs": 3,
        "code": 8,
        "filters": (8, 16),
        "blocks": (0, 1),
        "start": "photo",
        "minutes": 20.0,
        "batch": 8,
        "patch": 96,
        "learning_rate": 0.003,
        "channels": 1,
        "tensorboard": True,
        "devices": 1,
        "workers": 3,
        "target": "none",
        "pairs": "*_a=*_b",
        "masks": "m",
        "structure": "h:5",
        "name": "lab",
        "cache": Path("c"),
        "seed": 4,
        "run": Path("r"),
        "resume": True,
        "data_dir": Path("d"),
    }


def test_train_asks_for_data_where_none_are_given(quietpixel, calls) -> None:
    outcome = quietpixel("train")
    assert outcome.code == 2
    assert "DATA is missing: give a folder of images or a data set (digits, mnist" in outcome.err
    assert not calls.seen
    assert quietpixel("train", "--run", "r", "--resume").code == 0  # the recipe names the data
    assert calls.seen["data"] == "digits"
    assert calls.seen["noise"] is None
    assert quietpixel("train", "digits", "--noise", "auto").code == 0
    assert calls.seen["noise"] == "auto"


def test_any_field_of_the_recipe_can_be_set(quietpixel, calls) -> None:
    words = ["warmup=1", "fresh_noise=false", "optimizer=muon", "steps=7", "minutes=1/2"]
    settings = [each for word in [*words, 'options={"dropout": 0.1}'] for each in ("--set", word)]
    outcome = quietpixel("train", "digits", *settings, "--set", "plain=0.2")
    assert outcome.code == 0, outcome.err
    expected = {
        "warmup": 1.0, "fresh_noise": False, "optimizer": "muon", "steps": 7, "minutes": 0.5,
        "options": {"dropout": 0.1}, "clean_fraction": 0.2,
    }  # fmt: skip
    assert expected.items() <= calls.seen.items()


def test_what_needs_no_keras_is_noticed_before_it_is_loaded(quietpixel, monkeypatch) -> None:
    monkeypatch.setattr("quietpixel.cli.library_output.load_training", None)
    assert "Unknown data set or folder 'foto'. Known: " in quietpixel("train", "foto").err
    outcome = quietpixel("train", "--resume")
    assert outcome.code == 2
    assert outcome.err == "quietpixel: --resume needs --run, the folder of the run to continue.\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--set", "warmpu=1"], "Unknown recipe field 'warmpu': did you mean 'warmup'?"),
        (["--set", "warmup"], "--set must be FIELD=VALUE; got 'warmup'. Try warmup=1."),
        (["--set", "warmup=x"], "--set warmup must be a number, such as 0.5; got 'x'."),
        (["--set", "steps=2.5"], "--set steps must be a whole number, such as 3; got '2.5'."),
        (["--set", "fresh_noise=1"], "--set fresh_noise must be true or false; got '1'."),
        (["--set", "options=[]"], "--set options must be a JSON object, such as"),
        (["--set", "steps=2", "--set", "steps=3"], "--set steps takes one value; got '2' and '3'."),
        (
            ["--set", "epochs=2", "--epochs", "3"],
            "--set epochs and --epochs say the same; give one",
        ),
        (["--recipe", "potho"], "Unknown recipe 'potho': did you mean 'photo'?"),
    ],
)
def test_a_setting_that_is_none_is_one_line(quietpixel, calls, words, sentence) -> None:
    outcome = quietpixel("train", "digits", *words)
    assert outcome.code == 2
    assert sentence in outcome.err
    assert outcome.err.count("\n") == 1
    assert not calls.seen


def test_the_layers_are_described_without_training(quietpixel, calls) -> None:
    outcome = quietpixel("train", "digits", "--code", 12, "--describe")
    assert outcome.code == 0, outcome.err
    rows = [line.split() for line in outcome.out.splitlines()]
    assert rows[0] == ["layer", "type", "output", "weights"]
    assert ["code", "Dense", "12", f"{7 * 7 * 64 * 12 + 12:,}"] in rows
    assert sum(int(row[-1].replace(",", "")) for row in rows[1:-1]) == int(
        rows[-1][-1].replace(",", "")
    )
    assert not calls.seen


def test_an_unknown_data_set_is_noticed_before_the_start(quietpixel, tmp_path) -> None:
    from quietpixel.data import named_sets

    outcome = quietpixel("train", "mnst", "--run", tmp_path / "run")
    assert outcome.err == (
        "quietpixel: Unknown data set or folder 'mnst': did you mean 'mnist'? "
        f"Known: {', '.join(sorted(named_sets()))}.\n"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("left", "sentence"),
    [
        (
            ["checkpoint.npz", "model.onnx"],
            "The best model so far is {run}/model.onnx. "
            "Continue with: quietpixel train digits --run {run} --resume",
        ),
        (
            ["model.onnx"],
            "Training was complete, and its model is {run}/model.onnx. "
            "Its error bars, its report and its copy under --name may be missing.",
        ),
        ([], "Stopped before the first step ended; nothing was kept."),
    ],
    ids=["training", "calibrating", "starting"],
)
def test_an_interrupted_run_says_where_it_is(
    quietpixel, monkeypatch, tmp_path, left, sentence
) -> None:
    def interrupt(data: str, *, run: Path, **options: Any) -> Path:
        run.mkdir()
        for name in left:
            (run / name).touch()
        raise KeyboardInterrupt

    run = tmp_path / "run"
    monkeypatch.setattr(train, "train", interrupt)
    outcome = quietpixel("train", "digits", "--run", run)
    assert outcome.code == 130
    said, last = outcome.err.splitlines()
    assert last == "quietpixel: interrupted"
    assert said == sentence.format(run=run)


@pytest.mark.parametrize("text", ["64,", "a,b", "64,-1", "0,8", "64;128", "6.5,8"])
def test_filters_that_are_none_are_refused(quietpixel, calls, text) -> None:
    outcome = quietpixel("train", f"--filters={text}")
    assert outcome.code == 2
    assert "--filters must be whole numbers of at least 1" in outcome.err
    assert "Try 64,128." in outcome.err
    assert not calls.seen


def test_a_place_that_cannot_be_written_is_one_line(quietpixel, calls, tmp_path) -> None:
    outcome = quietpixel("evaluate", "m", "digits", "--json", tmp_path / "none" / "a.json")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1


def test_a_model_that_is_none_is_one_line(quietpixel, tmp_path, gray) -> None:
    for model in (tmp_path, gray, "mnist-botleneck", tmp_path / "none.onnx"):
        outcome = quietpixel("evaluate", model, "digits")
        assert outcome.code == 2
        assert outcome.err.count("\n") == 1


@pytest.mark.slow
def test_demo_shows_digits_and_a_photo_beside_the_classical_methods(quietpixel, tmp_path) -> None:
    run = tmp_path / "run"
    outcome = quietpixel("demo", "--epochs", 1, "--run", run)
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[-1].endswith(str(run / "report.html"))
    assert (run / "report.html").stat().st_size > 10_000
    digits, photo = re.split(r"1 images? of ", outcome.out)
    for table, model in ((digits, re.escape(str(run))), (photo, "photo")):
        for name in (model, "median", "wavelet", "tv", "nlm", "noisy"):
            assert re.search(rf"^{name} ", table, re.MULTILINE), name
    page = (run / "report.html").read_text()
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings.index("Digits") < headings.index("Learning") < headings.index("A photo")
    assert headings.count("Samples") == 1
    assert {path.name for path in run.glob("photo-*")} == {"photo-noisy.png", "photo-clean.png"}


def test_describing_a_model_names_what_a_base_installation_lacks(quietpixel, monkeypatch) -> None:
    monkeypatch.setattr("quietpixel.cli.library_output.load_training", lambda: None)
    for name in ("training.initial_weights", "workflows.train_recipe", "models.bottleneck"):
        monkeypatch.delitem(sys.modules, f"quietpixel.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "keras", None)
    outcome = quietpixel("train", "digits", "--describe")
    assert outcome.code == 2
    sentence = (
        "Describing a model needs keras, which is not installed; install it with: pip install "
    )
    assert outcome.err == f"quietpixel: {sentence}'quietpixel[train]'.\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--name", "a/b"], "--name must be of letters"),
        (["--structure", "x"], "--structure must be h (along rows)"),
        (["--set", "loss=x"], "Unknown loss 'x'"),
        (["--noise", "none"], "Unknown noise law 'none'"),
        (["--epochs", "2", "--minutes", "3"], "--minutes takes the place of --epochs"),
        (["--run", "IMAGES"], "--run must be another folder than that of the images"),
        (["--run", "USED"], "already holds a run; continue it with --resume"),
        (["--run", "FILE/run"], "cannot be written (Not a directory)"),
        (["--resume"], "--resume needs --run"),
        (["--model", "unt"], "Unknown model 'unt': did you mean 'unet'?"),
        (["--set", "model=unt"], "Unknown model 'unt': did you mean 'unet'?"),
        (["--devices", "2"], "--devices must be 1 because Keras with tensorflow cannot distribute"),
    ],
)
def test_options_are_checked_before_keras_is_loaded(
    quietpixel, tmp_path, monkeypatch, words, sentence
) -> None:
    def load() -> None:
        raise AssertionError("Keras was loaded")

    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.setattr("quietpixel.cli.library_output.load_training", load)
    for folder in ("images", "used"):
        (tmp_path / folder).mkdir()
    for file in ("used/recipe.json", "file"):
        (tmp_path / file).touch()
    names = {each: str(tmp_path / each.lower()) for each in ("IMAGES", "USED", "FILE/run")}
    outcome = quietpixel("train", tmp_path / "images", *(names.get(word, word) for word in words))
    assert (outcome.code, sentence in outcome.err) == (2, True), outcome.err
