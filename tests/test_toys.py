"""Toys added as CONTRIBUTING.md says, one of each kind, work end to end.

Each toy is one file in a temporary folder that the package's own folder is extended by, and one
entry in a registry.
"""

import asyncio
import importlib
import io
import json
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

import quietpixel
from quietpixel import models
from quietpixel.cli import main as cli
from quietpixel.data import registry as data
from quietpixel.data.image_folder import find_layout
from quietpixel.errors import ImageError
from quietpixel.evaluation import metrics
from quietpixel.files import Picture, check_writable, formats, list_images
from quietpixel.inference.options import DenoiseOptions
from quietpixel.noise import parser
from quietpixel.training.folder_data import find_channels
from quietpixel.web.models import find_models
from quietpixel.web.options import ServiceOptions
from quietpixel.web.server import make_app

MODEL = '''
import keras

def build_toy(*, channels=1, width=4, sigma=False):
    """Return a plain residual network."""
    image = keras.Input((None, None, channels), name="image")
    x = keras.layers.Conv2D(width, 3, padding="same", activation="relu")(image)
    x = keras.layers.Conv2D(channels, 3, padding="same", kernel_initializer="zeros")(x)
    return keras.Model(image, keras.layers.Add(name="denoised")([image, x]))
'''
NOISE = '''
from dataclasses import dataclass
from typing import ClassVar
import numpy as np
from quietpixel.noise.laws import NoiseLaw

@dataclass(frozen=True)
class Toy(NoiseLaw):
    """Every pixel up or down by the same step."""
    step: float
    clip: bool = True
    word: ClassVar[str] = "toy"
    main: ClassVar[str] = "step"

    def corrupt(self, clean, rng):
        return clean + np.float32(self.step) * rng.choice([-1, 1], clean.shape).astype(np.float32)

    def propagate(self, mean, variance):
        return mean, variance + self.step**2
'''
DATA = '''
import numpy as np
from quietpixel.data.split import Split

def load_toys(split, data_dir):
    """Return squares of one gray value."""
    count, seed = {"train": (64, 0), "validation": (16, 1), "test": (16, 2)}[split]
    values = np.random.default_rng(seed).integers(60, 200, (count, 1, 1, 1), np.uint8)
    images = values.repeat(28, axis=1).repeat(28, axis=2)
    return Split(images, np.zeros(count, np.int64), "toys", split)
'''
METRIC = '''
import numpy as np
from quietpixel.evaluation.metrics import Metric

def largest_error(clean, image):
    """Return the largest absolute difference."""
    return float(np.abs(np.asarray(clean) - np.asarray(image)).max())

TOY = Metric("largest error", largest_error, sign=-1, digits=3)
'''
FORMAT = '''
import struct
import numpy as np
from quietpixel.errors import FileError
from quietpixel.files.image_format import Format, Size, starts_with
from quietpixel.files.picture import Picture
from quietpixel.files.vips import open_binary

def read_head(source):
    with open_binary(source) as file:
        return struct.unpack("<4sII", file.read(12))[1:], file.read()

def read(source, limits):
    """Read a gray image."""
    (height, width), data = read_head(source)
    limits.check(width, height)
    limits.reserve(width * height)
    if len(data) < width * height:
        raise FileError("it is cut short.")
    pixels = np.frombuffer(data, np.uint8, width * height).reshape(height, width)
    return Picture.from_pixels(pixels, format="toy")

def write(picture, file, quality):
    """Write a gray image."""
    height, width, _ = picture.pages[0].shape
    file.write(struct.pack("<4sII", b"TOYS", height, width) + picture.pages[0].tobytes())

TOY = Format(
    name="toy", title="Toy", suffixes=(".toy",), media_type="image/x-toy",
    recognise=starts_with(b"TOYS"), read=read, write=write, colour=False, alpha=False,
    read_size=lambda source: Size(*read_head(source)[0], colour=False),
)
'''
COMMAND = '''
import click

@click.command()
@click.argument("name")
def command(name):
    """Greet NAME."""
    click.echo(f"hello {name}")
'''


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Add a file to one of the packages, and return its module."""

    def place(package: str, text: str, name: str):
        folder = tmp_path / "toys" / package
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
        parent = importlib.import_module(f"quietpixel.{package}")
        monkeypatch.setattr(parent, "__path__", [*parent.__path__, str(folder)])
        return importlib.import_module(f"quietpixel.{package}.{name}")

    return place


async def post(model: Path, content: bytes) -> httpx.Response:
    """Return what the service, started with `model`, answers to a picture."""
    app = make_app(ServiceOptions(), find_models(DenoiseOptions(model=model)))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.post("/v1/denoise", content=content)


def test_help_and_messages_name_a_new_data_set(
    add, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(data.LOADERS, "toys", add("data", DATA, "toy_data").load_toys)
    names = ", ".join(data.LOADERS)
    assert names.startswith("digits, mnist, fashion-mnist")
    assert names.endswith("toys")
    for command in ("train", "evaluate"):
        assert cli.main([command, "--help"]) == 0
        text = " ".join(capsys.readouterr().out.split())
        assert f"DATA is a data set ({names}" in text
    assert cli.main(["train"]) == 2
    assert f"or a data set ({names})." in capsys.readouterr().err


@pytest.mark.usefixtures("eager", "few_squares")
def test_toys_work_from_training_to_the_service(
    add, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setitem(models.MODELS, "toy", add("models", MODEL, "toy_model").build_toy)
    monkeypatch.setitem(parser.NOISE_LAWS, "toy", add("noise", NOISE, "toy_noise").Toy)
    monkeypatch.setitem(data.LOADERS, "toys", add("data", DATA, "toy_data").load_toys)
    monkeypatch.setitem(metrics.METRICS, "largest", add("evaluation", METRIC, "toy_metric").TOY)
    monkeypatch.setitem(formats.FORMATS, "toy", add("files", FORMAT, "toy_format").TOY)
    add("cli", COMMAND, "greet")
    monkeypatch.setattr(cli, "COMMANDS", (*cli.COMMANDS, "greet"))

    run = tmp_path / "run"
    words = ["train", "toys", "--model", "toy", "--noise", "toy:0.2", "--run", run]
    words += ["--epochs", 2, "--batch", 8, "--learning-rate", 0.01]
    assert cli.main([str(word) for word in words]) == 0, capsys.readouterr().err
    card = quietpixel.read_card(run / "model.onnx")
    assert (card.architecture, card.noise, card.halo) == ("toy", "toy:0.2", 2)

    found = json.loads(quietpixel.compare([run], "toys").to_json())
    model, noisy = found["tables"][0]["rows"]
    assert model["means"]["mse"] < noisy["means"]["mse"]
    assert noisy["means"]["largest"] == pytest.approx(0.2, abs=1e-6)
    facts = json.loads(quietpixel.evaluate(run, "toys").to_json())
    assert facts["methods"][0]["mse"] == pytest.approx(model["means"]["mse"], rel=1e-5)

    clean = np.full((40, 50, 1), 0.5, np.float32)
    image = quietpixel.parse_noise("toy:0.2")(clean, np.random.default_rng(0))
    pixels = np.rint(255 * image).astype(np.uint8)[..., 0]
    Image.fromarray(pixels).save(tmp_path / "noisy.png")
    words = ["denoise", tmp_path / "noisy.png", "-o", tmp_path / "out.png", "--model", run]
    assert cli.main([str(word) for word in words]) == 0, capsys.readouterr().err
    denoised = np.asarray(Image.open(tmp_path / "out.png"))
    assert np.array_equal(denoised, quietpixel.denoise(pixels, run))
    assert denoised.std() < pixels.std()

    answer = asyncio.run(post(run, (tmp_path / "noisy.png").read_bytes()))
    assert answer.status_code == 200, answer.text
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), denoised)

    folder = tmp_path / "folder"
    words = ["denoise", tmp_path / "noisy.png", "-o", folder / "a.toy", "--model", run]
    folder.mkdir()
    assert cli.main([str(word) for word in words]) == 0, capsys.readouterr().err
    assert list_images(folder).images == (folder / "a.toy",)
    assert find_channels(find_layout(folder, target="clean", pairs="", notify=print)) == 1
    words = ["denoise", folder, "-o", tmp_path / "results", "--model", run, "--again"]
    assert cli.main([str(word) for word in words]) == 0, capsys.readouterr().err
    content = (tmp_path / "results" / "a.toy").read_bytes()
    assert content[:12] == b"TOYS\x28\0\0\0\x32\0\0\0"
    answer = asyncio.run(post(run, (folder / "a.toy").read_bytes()))
    assert answer.status_code == 200, answer.text
    assert (answer.headers["content-type"], answer.content) == ("image/x-toy", content)

    capsys.readouterr()
    assert cli.main(["greet", "toy"]) == 0
    assert capsys.readouterr().out == "hello toy\n"


def test_a_gray_format_refuses_colour(add, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(formats.FORMATS, "toy", add("files", FORMAT, "toy_format").TOY)
    assert check_writable(Picture.from_pixels(np.zeros((9, 9), np.uint8)), "a.toy") == "toy"
    with pytest.raises(ImageError, match="The format toy cannot hold colour; choose png, "):
        check_writable(Picture.from_pixels(np.zeros((9, 9, 3), np.uint8)), "a.toy")
