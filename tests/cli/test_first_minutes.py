"""What a newcomer sees: help, hints, the line on each result, completion."""

import importlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

import quietpixel as package
from quietpixel.batch.denoise import Findings, Settings
from quietpixel.batch.pipeline import Outcome
from quietpixel.batch.plan import PreflightResult
from quietpixel.cli.denoise_call import DenoiseCall
from quietpixel.cli.denoise_view import FolderView
from quietpixel.cli.main import COMMANDS
from quietpixel.files import Job
from quietpixel.inference.level import Noise
from quietpixel.models import MODELS


def test_the_name_alone_shows_the_help(quietpixel) -> None:
    outcome = quietpixel()
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == quietpixel("--help").out
    assert outcome.out.count("\n") > 15


def test_commands_are_listed_in_the_order_of_need(quietpixel) -> None:
    listed = quietpixel().out.split("Commands:\n")[1].splitlines()
    names = [line.split()[0] for line in listed if line.startswith("  ") and line[2] != " "]
    assert names[:6] == ["denoise", "serve", "noise", "models", "train", "evaluate"]
    assert set(names) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_help_page_has_two_examples(quietpixel, name) -> None:
    text = quietpixel(name, "--help").out
    examples = text.split("Examples:\n")[1].split("\n\n")[0].splitlines()
    assert len(examples) == 2
    assert all(f"quietpixel {name}" in example for example in examples)


def test_options_are_in_groups_with_their_choices(quietpixel) -> None:
    text = quietpixel("denoise", "--help").out
    headings = ["Output:", "Strength:", "Model:", "Folders and large images:", "Reports:"]
    places = [text.index(f"\n{heading}\n") for heading in headings]
    assert places == sorted(places)
    assert places[0] < text.index("--suffix") < places[1] < text.index("--sigma auto") < places[2]
    for option in ("--quality normal|best", "--engine openvino|onnxruntime"):
        assert option in text
    assert "--precision auto|f32|bf16" in text
    text = "".join(quietpixel(name, "--help").out for name in COMMANDS)
    assert "--epochs N " in text
    assert not re.search(r"RANGE|INTEGER|FLOAT|\[\w+\|", text)  # click's words for types


@pytest.mark.parametrize("name", COMMANDS)
def test_the_usage_line_shows_what_cannot_be_omitted(quietpixel, name) -> None:
    usage = quietpixel(name, "--help").out.split("\n\n")[0]
    command = importlib.import_module(f"quietpixel.cli.{name}").command
    options = [each for each in command.params if isinstance(each, click.Option)]
    needed = {option.opts[0] for option in options if option.required}
    assert set(re.findall(r"--[\w-]+", usage)) == needed
    assert bool(needed) == (name in ("export", "page"))


# The result.


def test_a_line_names_the_result_its_size_and_its_noise(quietpixel, gray) -> None:
    rng = np.random.default_rng(0)
    # Content that the channels share, or they would be taken for three images.
    content, noise = np.linspace(90, 150, 370)[:, None], rng.standard_normal((280, 370, 3))
    source = gray.with_name("noisy.png")
    Image.fromarray(np.clip(content + 18 * noise, 0, 255).astype(np.uint8)).save(source)
    outcome = quietpixel("denoise", source, "--precision", "f32")
    assert (outcome.code, outcome.err) == (0, "")  # the line says it all
    paths, size, seconds, found, model = outcome.out.rstrip("\n").split("  ")
    assert paths == f"{source} -> {source.with_name('noisy-clean.png')}"
    assert (size, model) == ("0.1 MP", "model photo")
    level = re.fullmatch(r"strong, fine noise \((.+)/255\)", found)
    assert level is not None
    assert float(level[1]) == pytest.approx(18, abs=2.5)
    assert seconds.endswith(" s")
    coarse = gaussian_filter(noise, (1, 1, 0))
    image = content + 18 * coarse / coarse.std()
    Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(source)
    words = ["denoise", source, "--overwrite", "--json", gray.with_name("report.json")]
    assert "  very strong, coarse noise (" in quietpixel(*words).out
    (file,) = json.loads(gray.with_name("report.json").read_text())["files"]
    assert file["noise"][0]["kinds"] == ["coarse"]
    given = quietpixel("denoise", source, "--overwrite", "--sigma", "18/255")
    assert given.out.rstrip("\n").endswith("  noise level 18/255 as given  model photo")
    blind = quietpixel("denoise", source, "--overwrite", "--model", "gaussian-gray")
    assert blind.out.rstrip("\n").endswith("  noise not measured  model gaussian-gray")


def test_grain_in_a_gray_photograph_is_measured_and_follows_the_level(quietpixel, gray) -> None:
    source, report = gray.with_name("print.jpg"), gray.with_name("report.json")
    grain = gaussian_filter(np.random.default_rng(3).standard_normal((256, 256)), 0.9)
    noisy = np.linspace(60, 190, 256)[:, None] + 12 * grain / grain.std()
    for image in (noisy, noisy[..., None].repeat(3, axis=2)):  # gray in colour is gray too
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(source, quality=95)
        rest = []
        for level in ("auto", "2/255"):
            words = ["--sigma", level, "--overwrite", "--json", report]
            outcome = quietpixel("denoise", source, *words)
            assert outcome.code == 0, outcome.err
            clean = np.asarray(Image.open(source.with_name("print-clean.jpg")).convert("L"))
            rest.append((clean[64:-64, 64:-64] - noisy[64:-64, 64:-64]).std())
            (file,) = json.loads(report.read_text())["files"]
            assert file["model"] == "photo"
            if level == "auto":
                assert file["noise"][0]["source"] == "estimated"
                assert 255 * file["noise"][0]["sigma"] > 12
                assert "coarse noise (" in outcome.out
        # What is removed: nearly all of the grain, or little of it.
        assert rest[0] > 0.9 * 12 > 4 * rest[1]


class Bar:
    """Stands in for the bar of a terminal."""

    def __getattr__(self, name: str) -> "Bar":
        return self

    def __call__(self, *words: object, **settings: object) -> None:
        pass


@pytest.mark.parametrize(("folder", "verbose", "listed"), [(0, 0, 1), (1, 0, 0), (1, 1, 1)])
def test_a_photo_that_got_a_bar_gets_its_line_too(capsys, folder, verbose, listed) -> None:
    call = DenoiseCall(
        inputs=("a.png",), settings=Settings(), option_names={}, verbose=bool(verbose)
    )
    view, job = FolderView(call), Job(Path("a.png"), Path("a-clean.png"))
    view.begin([PreflightResult(job, "write")], folder=bool(folder))
    view._bar = Bar()
    found = Findings((Noise(0.2, "estimated", ("stripes",)),), model="photo")
    view.show(Outcome(job, findings=found, megapixels=12.2, compute_seconds=3.6))
    line = (
        "a.png -> a-clean.png  12.2 MP  3.6 s  very strong noise (51/255), stripes  model photo\n"
    )
    assert capsys.readouterr().out == line * listed


def test_the_bar_names_the_image_in_work() -> None:
    call = DenoiseCall(inputs=("a",), settings=Settings(), option_names={})
    view = FolderView(call)
    jobs = [Job(Path(f"a/{name}.png"), Path(f"b/{name}.png")) for name in "xyz"]
    view.begin([PreflightResult(job, "write") for job in jobs], folder=True)
    view.advance(0.0)
    view.advance(0.5)
    assert view.describe().endswith(" left  x.png")
    view.advance(0.0)  # the first one is still being written
    view.advance(0.5)
    assert view.describe().endswith(" left  y.png")


def test_waiting_for_another_run_is_no_time_of_an_image(capsys, monkeypatch) -> None:
    """The refused ones, known at once, took all of it: 1 h 08 min were left of 15 s."""
    view = FolderView(DenoiseCall(inputs=("a",), settings=Settings(), option_names={}))
    begun = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: begun + 600)
    jobs = [Job(Path(f"a/{name}.png"), Path(f"b/{name}.png")) for name in "xyz"]
    view.begin([PreflightResult(job, "refuse", "it is empty") for job in jobs[:2]]
               + [PreflightResult(jobs[2], "write")], folder=True)  # fmt: skip
    assert capsys.readouterr().err == "2 of 3 images will be refused, see the end.\n"


def test_quiet_prints_errors_only(quietpixel, gray, halver) -> None:
    words = ["denoise", gray.parent, "--model", halver, "--quiet"]
    outcome = quietpixel(*words)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    assert gray.with_name("gray-clean.png").exists()
    gray.with_name("bad.png").write_bytes(b"words")
    outcome = quietpixel(*words)
    assert outcome.code == 1
    assert outcome.err.startswith("quietpixel: ")
    assert outcome.err.count("\n") == 1


def test_verbose_names_model_and_engine(quietpixel, gray, halver) -> None:
    outcome = quietpixel("denoise", gray, "--model", halver, "-v", "--precision", "f32")
    assert outcome.err == f"model {halver}, openvino in f32 on CPU\n"


def test_a_missing_device_is_named_once(quietpixel, gray, halver) -> None:
    words = ["--model", halver, "--precision", "f32", "--device", "TPU"]
    first, second, *rest = quietpixel("denoise", gray, *words).err.splitlines()
    assert first == f"model {halver}, openvino in f32 on CPU"
    assert second.startswith("The device 'TPU' is not available, so the processor computes")
    assert not any("TPU" in line for line in rest)


def test_json_names_model_version_settings_and_level(quietpixel, gray, tmp_path) -> None:
    report = tmp_path / "report.json"
    words = ["--sigma", "20/255", "--strength", "0.8", "--json", report]
    assert quietpixel("denoise", gray, *words).code == 0
    content = json.loads(report.read_text())
    assert (content["schema"], content["version"]) == (1, package.__version__)
    settings = content["settings"]
    assert (settings["strength"], settings["engine"]) == (0.8, "openvino")
    assert settings["sigma"] == pytest.approx(20 / 255)
    (file,) = content["files"]
    assert file["model"] == "photo"
    assert file["noise"][0]["source"] == "given"


# Hints.


def test_a_mistyped_file_name_gets_a_suggestion(quietpixel, gray, halver) -> None:
    outcome = quietpixel("denoise", gray.with_name("gary.png"), "--model", halver)
    assert outcome.code == 2
    assert outcome.err.endswith(f" Did you mean '{gray}'?\n")


def test_a_name_of_other_letters_or_another_suffix_gets_a_suggestion(
    quietpixel, gray, halver
) -> None:
    gray.with_suffix(".txt").write_text("notes")
    for typed in ("GRAY.PNG", "gray.jpeg"):
        outcome = quietpixel("denoise", gray.with_name(typed), "--model", halver)
        meant = gray if typed == "GRAY.PNG" else gray.with_suffix(".txt")
        assert outcome.err.endswith(f" Did you mean '{meant}'?\n")
    # The suffixes alone are alike.
    assert "Did you mean" not in quietpixel("denoise", gray.with_name("result.png")).err


def test_options_with_a_dash_of_print_are_noticed(quietpixel, gray, halver) -> None:
    outcome = quietpixel("denoise", gray, "\N{EM DASH}strength", "0.5", "--model", halver)
    assert "strength' cannot be read: No such file or directory. Options begin with two hy" in (
        outcome.err
    )


def test_patterns_and_the_home_folder_are_found_where_the_shell_leaves_them(
    quietpixel, gray, halver, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    outcome = quietpixel("denoise", gray.with_name("gr?y.*"), "-o", "~/new.png", "--model", halver)
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "new.png").exists()
    assert "at least 24 x 24 pixels" in quietpixel("noise", gray.with_name("gr*.png")).err
    assert "'*.none' cannot be read: No such" in quietpixel("denoise", "*.none").err


def test_a_folder_as_the_last_name_is_taken_for_an_output(quietpixel, gray, halver) -> None:
    target = f"{gray.with_name('new')}/"
    outcome = quietpixel("denoise", gray, gray, target, "--model", halver)
    assert f"To write the result there, use -o {target}." in outcome.err


def test_a_second_name_that_is_no_file_is_taken_for_an_output(quietpixel, gray, halver) -> None:
    target = gray.with_name("new.png")
    outcome = quietpixel("denoise", gray, target, "--model", halver)
    assert outcome.code == 1
    assert f"To write the result there, use -o {target}." in outcome.err


def test_a_file_in_place_of_a_command_gets_the_whole_line(quietpixel, gray) -> None:
    outcome = quietpixel(gray, "denoise", "b.png")
    assert outcome.code == 2
    assert outcome.err.endswith(f"to denoise it, type: quietpixel denoise {gray} b.png\n")


def test_noise_in_place_of_sigma_gets_a_hint(quietpixel, gray) -> None:
    outcome = quietpixel("denoise", gray, "--noise", "0.5")
    assert outcome.err.startswith(
        "quietpixel: No such option '--noise'. Give the noise level as --sigma."
    )


@pytest.mark.parametrize("level", ["0.5", "25/255"])
def test_a_number_in_place_of_a_law_gets_the_law(quietpixel, level) -> None:
    outcome = quietpixel("train", "digits", "--noise", level)
    assert outcome.code == 2
    assert f"got '{level}'. Try gaussian:{level}." in outcome.err


def test_a_model_of_digits_refuses_a_photograph(quietpixel, gray) -> None:
    outcome = quietpixel("denoise", gray, "--model", "mnist-unet")
    assert outcome.code == 2
    assert "must be 28x28 because the model 'mnist-unet' was trained on images" in outcome.err
    assert "Choose another --model, such as 'photo'." in outcome.err
    assert not gray.with_name("gray-clean.png").exists()
    Image.fromarray(np.full((28, 28), 30, np.uint8)).save(gray)
    assert quietpixel("denoise", gray, "--model", "mnist-unet").code == 0


# Completion.


def complete(*words: str) -> list[str]:
    variables = {
        "_QUIETPIXEL_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["quietpixel", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        [sys.executable, "-m", "quietpixel"], env=os.environ | variables,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [line.split(",", 1)[1] for line in done.stdout.splitlines()]


def test_the_shell_completes_commands_models_recipes_and_engines() -> None:
    assert complete("den") == ["denoise"]
    assert complete("denoise", "--model", "photo-") == ["photo-gray"]
    assert complete("denoise", "--engine", "on") == ["onnxruntime"]
    assert complete("denoise", "--device", "g") == ["gpu"]
    assert complete("train", "--recipe", "photo-l") == ["photo-level"]
    assert complete("train", "fash") == ["fashion-mnist"]
    assert complete("evaluate", "photo", "fash") == ["fashion-mnist"]
    assert complete("evaluate", "photo", "wav") == ["wavelet"]
    assert complete("train", "--noise", "spe") == ["speckle:"]
    assert complete("denoise", "--law", "no") == ["none"]
    assert complete("denoise", "--law", "a", "--law", "b", "--rec") == ["--recursive"]


def test_the_shell_completes_every_architecture() -> None:
    assert complete("train", "--model", "") == list(MODELS)


def test_the_shell_completes_files_where_a_path_is_expected() -> None:
    assert complete("denoise", "photo.j") == ["photo.j"]  # the shell completes it from its folder


def test_each_parameter_that_takes_a_path_completes_files() -> None:
    for name in COMMANDS:
        module = importlib.import_module(f"quietpixel.cli.{name}")
        context = click.Context(module.command)
        for parameter in module.command.params:
            words = f"{parameter.metavar} {parameter.human_readable_name}"
            if re.search(r"FILE|FOLDER|DIRECTORY|PATH|IMAGE|INPUT|MODEL|DATA", words):
                found = parameter.shell_complete(context, "zzz")
                assert [item.type for item in found] in (["file"], ["dir"]), (name, parameter.name)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_calls_quietpixel(quietpixel, shell) -> None:
    outcome = quietpixel("completion", shell)
    assert outcome.code == 0
    assert f"_QUIETPIXEL_COMPLETE={shell}_complete" in outcome.out


@pytest.mark.parametrize(
    ("law", "meant"),
    [
        ("gaussian:25", "gaussian:25/255"),
        ("poisson:30+gaussian:2", "gaussian:2/255"),
        ("photo:0..40", "photo:40/255"),
        ("25", "gaussian:25/255"),
    ],
)
@pytest.mark.parametrize("words", [("train", "digits"), ("evaluate", "noisy", "digits")])
def test_noise_out_of_255_is_not_taken_as_a_share(quietpixel, words, law, meant) -> None:
    outcome = quietpixel(*words, "--noise", law)
    assert outcome.code == 2
    assert outcome.err.endswith(f"Try {meant}.\n")
