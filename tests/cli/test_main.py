import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import quietpixel as package
from quietpixel.cli import models
from quietpixel.cli.main import COMMANDS

RUN = [sys.executable, "-m", "quietpixel"]


def raising(error: BaseException):
    def call(*_: object, **__: object) -> None:
        raise error

    return call


def test_version(quietpixel) -> None:
    outcome = quietpixel("--version")
    assert (outcome.code, outcome.out) == (0, f"quietpixel {package.__version__}\n")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_every_command(quietpixel, flag) -> None:
    outcome = quietpixel(flag)
    assert outcome.code == 0
    assert all(name in outcome.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(quietpixel, name) -> None:
    outcome = quietpixel(name, "--help")
    assert outcome.code == 0
    assert outcome.out.startswith(f"Usage: quietpixel {name} ")
    assert quietpixel("help", name) == outcome


def test_no_summary_of_a_command_is_cut(quietpixel, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    summaries = quietpixel("--help").out.split("Commands:")[1]
    assert "calibrate" in summaries
    assert "..." not in summaries


BASE = """
import sys
from quietpixel.cli.main import main
heavy = "dask distributed fastapi keras matplotlib onnx onnxruntime skimage tensorflow uvicorn"
sys.modules.update(dict.fromkeys(heavy.split()))  # None: the import fails, as if not installed
for line in sys.stdin:
    print(main(line.split()), file=sys.stderr)
"""
EXTRAS = {
    "demo": "train",
    "train folder": "train",
    "serve --port 0": "web",
    "page --static site": "web",
    "noise folder/a.png --plot plot.png": "train",
    "evaluate photo nlm folder": "train",
    "denoise folder -o clean --workers 2": "cluster",
    "denoise folder/a.png --engine onnxruntime": "onnxruntime",
}


def test_a_base_installation_names_the_extra_that_a_command_needs(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    image = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "folder" / "a.png")
    done = subprocess.run(
        [sys.executable, "-c", BASE], input="\n".join(EXTRAS), cwd=tmp_path,
        capture_output=True, text=True, check=True, env=os.environ | {"PATH": ""},
    )  # fmt: skip
    lines = [line for line in done.stderr.splitlines() if line.startswith(("2", "quietpixel: "))]
    assert lines[1::2] == ["2"] * len(EXTRAS)
    for line, extra in zip(lines[::2], EXTRAS.values(), strict=True):
        assert f"pip install 'quietpixel[{extra}]'" in line


def test_help_is_quick() -> None:
    def seconds() -> float:
        before = os.times()
        subprocess.run([*RUN, "--help"], check=True, capture_output=True)
        after = os.times()
        # the processor's time: by the clock, a busy machine would be measured
        return sum(after[2:4]) - sum(before[2:4])

    assert min(seconds() for _ in range(4)) < 0.4


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from quietpixel.cli.main import main; main(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"numpy", "rich", "keras", "openvino", "pyvips"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["trian"],
            "Unknown command 'trian': did you mean 'train'? Known: calibrate, completion, demo, ",
        ),
        (["train", "--epoks", "3"], "No such option '--epoks'."),
        (["train", "--epochs", "0"], "--epochs must be a whole number of at least 1; got '0'."),
        (
            ["denoise", "a.png", "--strength", "80%"],
            "--strength must be a number from 0 to 2; got '80%'. 80% is 0.8. Try 'quietpixel den",
        ),
        (["denoise", "--output"], "'--output' requires an argument. Try 'quietpixel denoise --h"),
        (
            ["denoise", ""],
            "INPUT is empty, as a variable of the shell without a value is; give one.",
        ),
        (["denoise", "a.png", "-o", ""], "--output is empty, as a variable"),
        (["train", ""], "DATA is empty, as a variable"),
        (
            ["denoise", "-o", "b", "a.png", "--output=c"],
            "--output takes one value; got 'b' and 'c'. Give one of them.",
        ),
        (["train", "--epochs", "3", "--epochs", "4", "x"], "--epochs takes one value; got '3' and"),
        (["denoise", "a.png", "--suffix", "-b", "--suffix", "-b"], "'a.png' cannot be read: No "),
        (["models", "a", "b"], "extra argument (b). Try 'quietpixel models --help'."),
        (
            ["denoise", "a.png", "b.png", "-o", "c.png"],
            "--output must be a folder because there are many inputs; 'c.png' is the name of an "
            "image. 'c.png/' would be a folder.",
        ),
        (
            ["denoise", "http://example.invalid/a.jpg"],
            "'http://example.invalid/a.jpg' cannot be read or written by its address, only Zarr ",
        ),
        (["denoise", "nonsense://a.zarr"], "'nonsense://a.zarr' cannot be reached (Protocol not "),
        (["train", "--noise", "gausian:0.5"], "Unknown noise law 'gausian': did you mean 'gauss"),
        (["train", "--noise", "gaussian:-1"], "must not be negative"),
        (
            ["calibrate", "photo", "x", "--noise", "25"],
            "--noise must name a noise law; got '25'. Try gaussian:25/255.",
        ),
        (["denoise", "a.png", "--law", "25"], "--law must name a noise law; got '25'. Try pois"),
        (
            ["denoise", "a.png", "--strength", "50"],
            "--strength must be a number from 0 to 2; got '50'",
        ),
        (
            ["denoise", "a.png", "--epochs", "3"],
            "--epochs is an option of other commands: 'quietpixel train', 'quietpixel demo'. Try",
        ),
        (
            ["--recursive", "denoise", "a"],
            "--recursive is an option after the name of the command: 'quietpixel denoise'. Try",
        ),
        (
            ["denoise", "--gpu", "a.png"],
            "No such option '--gpu'. Compute on a GPU with --device gpu",
        ),
        (
            ["denoise", "a.png", "--compare", "a.txt"],
            "--compare must name an image because it is one; got 'a.txt'. Try 'a.png'.",
        ),
        (
            ["denoise", "file:///a.jpg"],
            "'/a.jpg' cannot be read or written by its address, only Zarr can; give its path.",
        ),
        (
            ["denoise", "a.png", "--sigma", "level.png"],
            "--sigma must be auto, a number such as 0.1 or 25/255, or the file of an image of "
            "noise levels; got 'level.png'.",
        ),
        (
            ["evaluate", "photo", "nlm"],
            "DATA, the last word, must be a data set or a folder; got 'nlm', the name of a model",
        ),
        (
            ["evaluate", "photo", "digits", "--tuning", "x"],
            "--tuning is for classical methods, and",
        ),
        (
            ["calibrate", "photo", "x", "-o", "a.txt"],
            "--output must end in .onnx because a model is written; got 'a.txt'.",
        ),
        (
            ["noise", "a.png", "--plot", "a.pdf"],
            "--plot must end in .png because a PNG is drawn; got",
        ),
        (
            ["serve", "--host", "nohost.invalid", "--open", "--port", "0"],
            "listen on nohost.invalid:0 (no such host); --host must be an address of this machine.",
        ),
        (["denoise"], "Missing argument 'INPUT...'. Try 'quietpixel denoise --help'."),
        (["evaluate", "x"], "Missing argument 'DATA'. Try 'quietpixel evaluate --help'."),
        (
            ["denoise", "a.png", "--sigma", "much"],
            "--sigma must be auto, a number such as 0.1 or 25/255, or the file of an image",
        ),
    ],
)
def test_a_wrong_word_is_one_line_and_code_2(quietpixel, words, sentence) -> None:
    outcome = quietpixel(*words)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("quietpixel: ")
    assert sentence in outcome.err


def test_help_is_shown_where_an_option_has_two_values(quietpixel) -> None:
    outcome = quietpixel("denoise", "--sigma", "0.1", "--sigma", "0.2", "--help")
    assert outcome.code == 0
    assert "Usage: quietpixel denoise" in outcome.out


def caused(error: Exception) -> Exception:
    """Return what Python makes of Ctrl-C while a class is made."""
    error.__cause__ = KeyboardInterrupt()
    return error


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (KeyboardInterrupt(), 130, "quietpixel: interrupted\n"),
        (caused(RuntimeError("Error calling __set_name__")), 130, "quietpixel: interrupted\n"),
        (OSError(28, "No space left on device", "a.png"), 2, "'a.png': No space left on device."),
        (MemoryError(), 2, "There is not enough memory; end other programs, or take smaller"),
        (
            RuntimeError("Resource temporarily unavailable"),
            2,
            "There is not enough memory; end other programs, or take smaller images.",
        ),
        (package.QuietpixelError("Two\nlines."), 2, "quietpixel: Two lines.\n"),
    ],
)
def test_what_goes_wrong_is_said_in_a_line(quietpixel, monkeypatch, error, code, sentence) -> None:
    monkeypatch.setattr(models.command, "callback", raising(error))
    outcome = quietpixel("models")
    assert outcome.code == code
    assert sentence in outcome.err


def test_what_libraries_log_is_not_printed() -> None:
    code = """
import logging
from quietpixel.cli.main import main
main(["--version"])
logging.getLogger("tifffile").warning("invalid data type 99")
"""
    shown = os.environ | {"PYTHONWARNINGS": ""}  # which would bring them back, as -W does
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, check=True, capture_output=True, text=True, env=shown)
    assert (done.stdout, done.stderr) == (f"quietpixel {package.__version__}\n", "")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    pipe = subprocess.Popen([*RUN, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert pipe.stdout is not None
    assert pipe.stderr is not None
    pipe.stdout.close()
    assert pipe.stderr.read() == b""
    pipe.stderr.close()
    assert pipe.wait() in {0, 1}


@pytest.mark.skipif(sys.platform == "win32", reason="signals are of another kind there")
def test_control_c_ends_with_130(tmp_path: Path) -> None:
    code = (
        "import sys, time; from quietpixel.cli import main, models\n"
        "models.command.callback = lambda **_: (print('ready', flush=True), time.sleep(120))\n"
        "sys.exit(main.main(['models']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip() == "quietpixel: interrupted"
