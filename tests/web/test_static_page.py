"""The page as a folder: its files, and denoising in the browser compared with Python."""

import base64
import contextlib
import errno
import functools
import io
import json
import os
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import expect
from web_making import coded, decoded, noisy, serve_folder

from quietpixel import Denoiser
from quietpixel.card import Card
from quietpixel.cli.main import main
from quietpixel.errors import MissingDependencyError
from quietpixel.inference.options import DenoiseOptions
from quietpixel.noise.level import WEIGHTS, measure_level
from quietpixel.web import static_page
from quietpixel.web.static_page import RUNTIME_FILES, RuntimeFilesError, read_runtime, write_page


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """Return a folder in place of the package onnxruntime-web."""
    folder = tmp_path / "package" / "dist"
    folder.mkdir(parents=True)
    for name in RUNTIME_FILES:
        (folder / name).write_text(name)
    return folder.parent


def test_the_folder_holds_all_that_the_page_needs(runtime, tmp_path, capsys):
    folder = tmp_path / "site"
    assert main(["page", "--static", str(folder), "--runtime", str(runtime)]) == 0
    assert f"MB, to {folder}" in capsys.readouterr().out
    page = (folder / "index.html").read_text()
    assert 'data-engine="browser"' in page
    policy = re.search('Content-Security-Policy" content="([^"]+)"', page)[1]
    assert "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'" in policy
    for path in re.findall('(?:href|src)="([^"#]+)"', page):
        assert path == "docs" or (folder / path).is_file()  # the script hides the link to /docs
    for path in folder.glob("static/*.js"):
        for other in re.findall(r'(?:from|import\(|new URL\()\s*"\./([^"/]+)"', path.read_text()):
            service_only = path.name == "engine.js" and other == "service_engine.js"
            assert service_only or (folder / "static" / other).is_file()
    described = json.loads((folder / "models.json").read_text())
    assert described["default"] == {"gray": "photo", "rgb": "photo"}
    for name in (
        *(each["name"] + ".onnx" for each in described["models"]),
        *described["digits"].values(),
    ):
        assert (folder / "models" / name).is_file()
    for name in ("gaussian-gray", "photo-gray"):  # nothing on the page uses them
        assert not (folder / f"models/{name}.onnx").exists()
    kept = json.loads(re.search("FILES = (.+);", (folder / "service_worker.js").read_text())[1])
    assert "runtime/ort.wasm.bundle.min.mjs" in kept
    assert "runtime/ort.webgpu.bundle.min.mjs" not in kept
    assert all((folder / name).exists() for name in kept)
    icons = json.loads((folder / "manifest.webmanifest").read_text())["icons"]
    assert all((folder / icon["src"]).is_file() for icon in icons)


def test_nothing_is_loaded_from_another_host(runtime, tmp_path):
    write_page(tmp_path / "site", runtime=runtime)
    for path in [*tmp_path.glob("site/*.*"), *tmp_path.glob("site/static/*.[chjs][svt]*")]:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search("https?:", text), path


def test_a_page_is_replaced_and_other_files_are_not(runtime, tmp_path, capsys):
    folder = tmp_path / "site"
    write_page(folder, runtime=runtime)
    (folder / "static/old.js").touch()
    write_page(folder, runtime=runtime)
    assert not (folder / "static/old.js").exists()
    assert main(["page", "--static", str(tmp_path), "--runtime", str(runtime)]) == 2
    assert "holds other files; choose a new or an empty folder" in capsys.readouterr().err
    # A file of that name makes no page of a project, all of which was deleted.
    (tmp_path / "models.json").write_text("{}")
    assert main(["page", "--static", str(tmp_path), "--runtime", str(runtime)]) == 2
    (folder / "CNAME").touch()
    write_page(folder, runtime=runtime)
    assert (folder / "CNAME").exists()


def test_the_file_that_a_full_disk_does_not_take_is_named(runtime, tmp_path, monkeypatch, capsys):
    def refuse(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    words = ["page", "--static", str(tmp_path / "site"), "--runtime", str(runtime)]
    assert main(words) == 2
    message = r"quietpixel: '(\S+)' was not written because the disk is full; nothing was left "
    found = re.match(message, capsys.readouterr().err)
    assert found[1].startswith(str(tmp_path / "site"))
    assert not [path for path in tmp_path.glob("site/**/*") if path.is_file()]


def test_the_runtime_comes_as_a_folder_or_an_archive(runtime, tmp_path):
    archive = tmp_path / "runtime.tgz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(runtime, "package")
    assert read_runtime(archive) == read_runtime(runtime)
    (runtime / "dist/ort-wasm-simd-threaded.wasm").unlink()
    with pytest.raises(RuntimeFilesError, match=r"lacks ort-wasm-simd-threaded\.wasm\. Pass"):
        read_runtime(runtime)
    archive.write_bytes(b"nothing")
    with pytest.raises(RuntimeFilesError, match="cannot be read as onnxruntime-web"):
        read_runtime(archive)


def test_npm_is_needed_to_fetch_the_runtime(monkeypatch, tmp_path):
    monkeypatch.setattr(static_page.shutil, "which", lambda name: None)
    with pytest.raises(MissingDependencyError, match="npm is needed to fetch onnxruntime-web@"):
        read_runtime(None)
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setattr(static_page.shutil, "which", lambda name: str(npm))
    with pytest.raises(RuntimeFilesError, match=r"\(no network\); pass the package as `runtime`"):
        read_runtime(None)


@pytest.fixture
def visit(browser):
    """Open a page of a host of static files."""
    with contextlib.ExitStack() as stack:
        yield functools.partial(open_page, stack, browser)


@pytest.fixture(scope="module")
def tab(browser):
    """Return a page that may import the modules of the page, for all tests."""
    with contextlib.ExitStack() as stack:
        tab = open_page(stack, browser, static_page.STATIC, "icon.svg")
        with np.load(WEIGHTS) as stored:
            weights = json.dumps({name: values.tolist() for name, values in stored.items()})
        # Once, because passing so many numbers takes long.
        tab.evaluate("text => { localStorage.weights = text; }", weights)
        yield tab


@pytest.fixture
def page(tab):
    """Return it with all modules yet to be imported."""
    tab.reload()
    return tab


def open_page(stack: contextlib.ExitStack, browser, folder: Path, path: str, headers=()):
    server = serve_folder(folder, headers)
    stack.callback(server.server_close)
    stack.callback(server.shutdown)
    page = stack.enter_context(browser.new_context(accept_downloads=True)).new_page()
    page.goto(f"http://localhost:{server.server_port}/{path}")
    return page


def as_text(image: np.ndarray) -> list:
    """Return an image in a form that `READ` understands."""
    height, width, channels = image.shape
    return [base64.b64encode(image.astype(np.float32).tobytes()).decode(), width, height, channels]


HELPERS = """const read = ([text, width, height, channels]) => ({width, height, channels,
    data: new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer)});
const write = (data) => { let text = "";
    for (const byte of new Uint8Array(data.buffer)) text += String.fromCharCode(byte);
    return btoa(text); };
"""


def call(page, body: str, *words):
    """Run the body of a JavaScript function of `words` in a page."""
    return page.evaluate(f"async (words) => {{ {HELPERS} {body} }}", list(words))


def as_image(text: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.float32).reshape(shape)


def photo(
    height: int, width: int, channels: int = 3, sigma: float = 0.08, seed: int = 0
) -> np.ndarray:
    """Return waves of several colours with noise, float32 in [0, 1]."""
    rows, columns = np.mgrid[:height, :width]
    waves = 0.3 * np.sin(rows / 17) * np.cos(columns / 23)
    tint = np.array([1, 0.8, 0.6])[:channels]
    noise = np.random.default_rng(seed).normal(0, sigma, (height, width, channels))
    return np.clip(0.5 + waves[..., np.newaxis] * tint + noise, 0, 1).astype(np.float32)


def blurred(image: np.ndarray) -> np.ndarray:
    return (image + np.roll(image, 1, 0) + np.roll(image, 1, 1)) / 3


def test_the_noise_level_is_that_of_python(page):
    images = [photo(64, 100), photo(70, 90, 1), blurred(photo(96, 96)), photo(80, 64, sigma=0.02)]
    images += [np.repeat(photo(64, 64, 1), 3, axis=2), photo(20, 24)]
    grain = blurred(blurred(np.random.default_rng(0).standard_normal((96, 96, 1))))
    # From weak noise to strong, so that every rule for coarse noise takes part.
    smooth = photo(96, 96, sigma=0.001)
    images += [(smooth + strength * grain).astype(np.float32) for strength in (0.02, 0.06, 0.2)]
    # As in a camera's JPEG of high sensitivity, whose processing leaves white noise as well.
    fine = np.random.default_rng(1).normal(0, 1 / 255, (90, 110, 3))
    images.append((blotched(90, 110, 3) + fine).astype(np.float32))
    # Black on white, dense enough to be noise, between, and clean as text is.
    dots = np.random.default_rng(0).random((75, 90, 1))
    images += [(dots > share).astype(np.float32) for share in (0.5, 0.25, 0.1)]
    # A drawing, light on black, clean in part and as a whole.
    board = np.kron(np.random.default_rng(0).integers(0, 3, (9, 11, 3)) / 3, np.ones((12, 12, 1)))
    specks = (np.random.default_rng(1).random((108, 132, 1)) < 0.03) * 0.05
    images += [(board + part * specks).astype(np.float32) for part in (0, 1)]
    rows, columns = np.mgrid[:256, :256] - 128
    images.append((np.hypot(rows, columns) < 80).astype(np.float32)[..., np.newaxis])
    # Text in a JPEG, on paper of a colour and, in part, of another.
    text = Image.new("RGB", (200, 150), (250, 245, 240))
    draw = ImageDraw.Draw(text)
    draw.rectangle([0, 100, 200, 150], fill=(30, 60, 90))
    for top in range(4, 140, 22):
        draw.text((6, top), "the quick brown fox jumps", fill=(120, 90, 70))
    images.append((decoded(coded(np.asarray(text), "JPEG")) / 255).astype(np.float32))
    dark = Image.new("RGB", (200, 150))
    for top in range(4, 140, 22):
        ImageDraw.Draw(dark).text((6, top), "the quick brown fox jumps", fill=(230, 220, 90))
    for stored in (np.asarray(dark), decoded(coded(np.asarray(dark), "JPEG"))):
        images.append((stored / 255).astype(np.float32))
    small = text.resize((160, 120), Image.Resampling.BILINEAR)  # letters that recur
    images.append((np.asarray(small) / 255).astype(np.float32))
    # Strokes with noise of their own, on exact black.
    strokes = (
        np.asarray(dark)[..., :1] / 255 * np.random.default_rng(0).uniform(0.5, 1, (150, 200, 1))
    )
    images.append(strokes.astype(np.float32))
    spots = np.clip(photo(130, 150, 1) - 0.6, 0, None)  # on black, and counted
    images.append(np.random.default_rng(0).poisson(20 * spots).astype(np.float32) / 20)
    body = """const { measureLevel } = await import("/noise_level.js");
        return measureLevel(read(words[0]), JSON.parse(localStorage.weights));"""
    for image in images:
        measured = measure_level(image)
        found = call(page, body, as_text(image))
        assert found["sigma"] == pytest.approx(measured.level, rel=1e-4)
        assert found["kinds"] == list(measured.kinds)
        assert found["camera"] == pytest.approx(measured.camera, abs=1e-3)
        assert found["typed"] == pytest.approx(measured.typed, abs=1e-3)


def test_noise_of_a_camera_is_found_as_in_python(page):
    body = """const { measureLevel } = await import("/noise_level.js");
        return measureLevel(read(words[0]), JSON.parse(localStorage.weights));"""
    for strength in (1, 2):
        image = blotched(131, 150, strength)
        measured = measure_level(image)
        found = call(page, body, as_text(image))
        # The white noise here is that of rounding to 8 bits, of which float32 knows 1 %.
        assert found["sigma"] == pytest.approx(measured.level, rel=0.01)
        assert found["camera"] == pytest.approx(measured.camera, rel=0.02) != 0


# The same model as `web_making.write_photo`.
DENOISE = """const { denoiseImage } = await import("/denoise.js");
const [given, card, options] = words;
const run = async (batch, [count, height, width, channels], sigma) => batch.map((value, at) => {
    const channel = at % channels, x = Math.floor(at / channels) % width;
    const y = Math.floor(at / channels / width) % height;
    const first = Math.floor(at / channels / width / height);
    let sum = 0;
    for (let row = Math.max(y - 1, 0); row <= Math.min(y + 1, height - 1); row++) {
        for (let column = Math.max(x - 1, 0); column <= Math.min(x + 1, width - 1); column++) {
            sum += batch[((first * height + row) * width + column) * channels + channel];
        }
    }
    const weight = Math.min((card.blind ? -5 : 5) * sigma[Math.floor(at / channels)], 1);
    return value + weight * (sum / 9 - value);
});
const { white = 1, ...rest } = options;
const image = { ...read(given), white };
const settings = { ...rest, weights: JSON.parse(localStorage.weights), side: 32 };
const { level, notes } = await denoiseImage(image, () => ({ card, run }), settings);
return [write(image.data), level.sigma, notes];"""


def damaged(image: np.ndarray, kind: str) -> np.ndarray:
    """Return an image with impulses, or with stripes along its rows or columns."""
    rng = np.random.default_rng(1)
    height, width = image.shape[:2]
    if kind == "impulses":
        drawn = rng.random((height, width, 1))
        return np.where(drawn < 0.02, drawn < 0.01, image).astype(np.float32)
    shape = (height, 1, 1) if kind == "rows" else (1, width, 1)
    return np.clip(image + rng.normal(0, 0.04, shape), 0, 1).astype(np.float32)


def written(height: int, width: int) -> np.ndarray:
    """Return thin strokes, as of text, with a little noise."""
    rows, columns = np.mgrid[:height, :width]
    ink = (rows % 23 == 5) & (columns % 40 < 14) | (columns % 31 == 7) & (rows % 37 < 12)
    noise = np.random.default_rng(0).normal(0, 0.01, (height, width))
    return (0.9 - 0.7 * ink + noise).astype(np.float32)[..., np.newaxis]


def dotted() -> np.ndarray:
    """Return dots in lines, as of thin letters."""
    dots = np.random.default_rng(0).random((98, 120, 1)) < 0.1
    dots[np.arange(98) % 14 != 3] = False
    return np.where(dots, 0.2, 0.9).astype(np.float32)


def dithered(height: int, width: int) -> np.ndarray:
    """Return an image in four values, whose dots lie on a grid of 2 x 2 pixels."""
    limits = np.tile([[0.125, 0.625], [0.875, 0.375]], (height // 2, width // 2))[..., np.newaxis]
    return (np.floor(3 * photo(height, width, 1, sigma=0) + limits) / 3).astype(np.float32)


def plot(height: int, width: int) -> np.ndarray:
    """Return lines and a frame, which have no screen."""
    drawing = np.ones((height, width, 1), np.float32)
    drawing[::37] = drawing[:, ::53] = 0.7
    drawing[20 : height - 20, 60] = drawing[height - 20, 60:] = 0
    drawing[100 + np.rint(60 * np.sin(np.arange(width) / 25)).astype(int), np.arange(width)] = 0.3
    return drawing


def line_of_text() -> np.ndarray:
    """Return a strip of gray letters, whose rows would pass for stripes."""
    strip = Image.new("L", (400, 36), 255)
    for top in (2, 18):
        line = "murmurs azure nooses, unwise moose were some more"
        ImageDraw.Draw(strip).text((4, top), line, font=ImageFont.load_default(16), fill=0)
    return np.asarray(strip, np.float32)[..., np.newaxis] / 255


def screened(height: int, width: int) -> np.ndarray:
    """Return waves drawn with the dots of a halftone print."""
    rows, columns = np.mgrid[:height, :width]
    dots = np.sin(2 * np.pi * (rows + columns) / 7) * np.sin(2 * np.pi * (rows - columns) / 7)
    return np.clip(photo(height, width, 1, 0.01) + 0.2 * dots[..., np.newaxis], 0, 1)


def fluorescence(height: int, width: int) -> np.ndarray:
    """Return an image whose channels share nothing; the third is empty."""
    channels = [photo(height, width, 1), photo(width, height, 1, seed=1).transpose(1, 0, 2)]
    return np.concatenate([*channels, np.zeros((height, width, 1), np.float32)], axis=2)


def counted(light: np.ndarray, peak: float, read: float = 0, black: float = 0) -> np.ndarray:
    """Return about `peak` photons where the light is 1, on the [0, 1] scale."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(peak * light) / peak + rng.normal(0, read, light.shape)
    return black + (1 - black) * counts


@functools.cache
def photon_cases() -> dict:
    """Return images of 8 bits, options, and whether photon noise is found in them."""
    rng, waves = np.random.default_rng(1), photo(200, 180, 1, sigma=0) ** 2
    white = rng.standard_normal(waves.shape)
    grain = blurred(blurred(white * np.sqrt(waves)))
    hot = np.where(rng.random(waves.shape) < 0.002, 1, counted(waves, 60))
    texture = 0.4 * white * (np.arange(180)[:, np.newaxis] // 20 % 3 > 0)
    blobs, coloured = 0.02 + 0.9 * (waves > 0.36), waves * (0.9, 0.6, 1)
    found = {
        "photons": (counted(waves, 30), {}, True),
        "offset": (counted(waves, 60, 0.02, 0.1), {"strength": 1.5}, True),
        "dim": (counted(0.3 * waves, 40, 0.02), {"strength": 0.6, "colour_strength": 0.5}, True),
        "colour": (counted(coloured, 30), {"strength": 0.7, "colour_strength": 1.2}, True),
        "plain colour": (counted(coloured, 30), {}, True),
        "colour, white": (coloured + 0.08 * rng.standard_normal(coloured.shape), {}, False),
        "colour, JPEG": (decoded(coded(to_bytes(counted(coloured, 60)), "JPEG")) / 255, {}, False),
        "hot pixels": (hot, {}, True),
        "blind": (counted(waves, 30), {"model": "blind"}, True),
        "given": (counted(waves, 30), {"sigma": 0.1}, False),
        "no law": (counted(waves, 30), {"law": "none"}, False),
        "few photons": (counted(blobs, 8), {}, False),
        "light text": (light_text(), {}, False),
        "cells": (counted(np.clip(2 * waves - 1, 0, 1), 20), {}, True),
        "texture": (counted(waves, 60) + texture * np.sqrt(waves), {}, False),
        "stripes": (counted(waves, 60, 0, 0.2) + 0.03 * white[:1], {}, False),
        "grain": (waves + 0.3 * grain, {}, False),
        "white": (waves + 0.08 * white, {}, False),
        "speckle": (np.clip(np.sqrt(waves) - 0.2, 0, 1) * (1 + 0.2 * white), {}, False),
    }
    return {case: (to_bytes(image), *rest) for case, (image, *rest) in found.items()}


def light_text() -> np.ndarray:
    """Return gray letters on darker gray as a JPEG holds them."""
    page = Image.new("L", (200, 150), 30)
    for top in range(4, 140, 16):
        ImageDraw.Draw(page).text((6, top), "the quick brown fox jumps over", fill=212)
    stored = decoded(coded(np.asarray(page), "JPEG", quality=95))
    return stored[..., np.newaxis] / 255


def to_bytes(image: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


def blotched(height: int, width: int, strength: float = 2, fine: float = 0) -> np.ndarray:
    """Return waves with noise as coarse as in a camera's JPEG, its colour coarser still."""
    rng = np.random.default_rng(0)
    light, colour = (rng.standard_normal((height, width, count)) for count in (1, 3))
    for _ in range(12):
        light = blurred(light)
    for _ in range(30):
        colour = blurred(colour)
    noise = strength * (6 * light / light.std() + colour / colour.std())
    noise += fine * rng.standard_normal(noise.shape)
    return (np.rint(255 * photo(height, width, sigma=0) + noise) / 255).astype(np.float32)


CASES = {
    "plain": (photo(70, 90), {}),
    "blended": (photo(50, 64), {"strength": 0.6, "colour_strength": 1}),
    "raised": (photo(64, 50), {"strength": 1.4, "colour_strength": 0.5, "sigma": 0.05}),
    "gray": (photo(33, 50, 1), {"sigma": 0.1}),
    "gray in a gray model": (photo(64, 50, 1), {"model": "photo-gray"}),
    "colour in a gray model": (photo(64, 50), {"model": "photo-gray"}),
    "blind": (photo(64, 50), {"model": "blind"}),
    "blind with a level": (photo(64, 50), {"model": "blind", "sigma": 0.04}),
    "impulses": (damaged(photo(90, 80, sigma=0.02), "impulses"), {}),
    "strokes of text": (written(131, 150), {"sigma": 0.05}),
    "dots in lines": (dotted(), {"sigma": 0.1}),
    "line of text": (line_of_text(), {"sigma": 0.1}),
    "dithered": (dithered(98, 120), {"sigma": 0.1}),
    "plot": (plot(260, 300), {"sigma": 0.1}),
    "rows": (damaged(photo(60, 131, sigma=0.02), "rows"), {}),
    "rows in a frame": (
        np.pad(damaged(photo(60, 131, sigma=0.02), "rows"), ((0, 0), (30, 30), (0, 0))),
        {},
    ),
    "columns": (damaged(photo(90, 80, 1, sigma=0.02), "columns"), {"sigma": 0.05}),
    "halftone": (screened(260, 300), {}),
    "fluorescence": (fluorescence(70, 90), {}),
    "camera": (blotched(131, 150), {"sigma": 0.05, "strength": 1.2, "colour_strength": 0.8}),
    "camera, gray": (blotched(50, 131)[..., :1], {"sigma": 0.05}),
    "camera, partly": (blotched(131, 150, strength=1.5, fine=1.5), {"sigma": 0.05}),
    "channels apart": (photo(50, 64), {"channels": "separate"}),
    "level of the grid of squares": (photo(40, 1001, sigma=0.05), {}),
}


OFTEN = (
    "blended", "raised", "gray", "colour in a gray model", "blind with a level", "impulses",
    "strokes of text", "dots in lines", "line of text", "dithered", "rows", "rows in a frame",
    "fluorescence", "camera",
)  # fmt: skip
"""Cases of the fast tests, which show each difference once."""


@pytest.mark.parametrize(
    "cases", [OFTEN, pytest.param(CASES.keys() - {*OFTEN}, marks=pytest.mark.slow)], ids=len
)
def test_what_the_browser_computes_equals_python(page, models, cases):
    cards = {each["name"]: each for each in models.describe()["models"]}
    for case in sorted(cases):
        image, given = CASES[case]
        options = dict(given)
        name = options.pop("model", models.default)
        denoiser = Denoiser(models.paths[name], precision="f32", threads=1)
        result = denoiser.denoise(image, DenoiseOptions(range=(0, 1), **options))
        denoised = result.image
        assert np.abs(denoised - image).max() > 0.01, case
        prepared = denoiser.prepare(image, DenoiseOptions(range=(0, 1), **options)).level
        found = bool(prepared and prepared.camera is not None)
        assert found == case.startswith("camera"), case
        if "colour_strength" in options:
            options["colourStrength"] = options.pop("colour_strength")
        words = as_text(image), cards[name], options
        found, sigma, notes = call(page, DENOISE, *words)
        assert np.abs(as_image(found, image.shape) - denoised).max() < 1e-5, case
        level = result.noise.sigma
        assert sigma == (level and pytest.approx(level, rel=1e-4)), case
        assert notes == list(result.notes), case


@pytest.mark.parametrize(
    "cases",
    [
        ("dim", "offset", "few photons", "light text", "cells", "texture", "stripes", "given"),
        ("colour", "colour, white", "colour, JPEG"),
        pytest.param(
            (
                "photons",
                "plain colour",
                "hot pixels",
                "blind",
                "no law",
                "grain",
                "white",
                "speckle",
            ),
            marks=pytest.mark.slow,
        ),
    ],
    ids=len,
)
def test_photon_noise_is_stabilised_as_in_python(page, models, cases):
    cards = {each["name"]: each for each in models.describe()["models"]}
    for case in cases:
        image, given, stabilised = photon_cases()[case]
        options = dict(given)
        name = options.pop("model", models.default)
        denoiser = Denoiser(models.paths[name], precision="f32", threads=1)
        result = denoiser.denoise(image, DenoiseOptions(dtype="float32", **options))
        assert any("Photon noise" in note for note in result.notes) == stabilised, case
        if "colour_strength" in options:
            options["colourStrength"] = options.pop("colour_strength")
        words = as_text(image), cards[name], {**options, "white": 255}
        found, sigma, notes = call(page, DENOISE, *words)
        assert np.abs(as_image(found, image.shape) - result.image).max() < 255 * 1e-4, case
        assert sigma == (result.noise.sigma and pytest.approx(result.noise.sigma, rel=1e-4)), case
        assert notes == list(result.notes), case


def test_channels_that_are_no_colours_have_no_common_law_of_photon_noise(page):
    waves = photo(200, 200, 1, sigma=0) ** 2
    colours = counted(waves * (0.9, 0.6, 1), 30)
    separate = [counted(waves, 30), counted(waves.transpose(1, 0, 2), 30), np.zeros_like(waves)]
    body = """const { estimateLevel } = await import("/denoise.js");
        const weights = JSON.parse(localStorage.weights);
        return estimateLevel({ ...read(words[0]), white: 255 }, weights);"""
    for image, kind in ((colours, "rgb"), (np.concatenate(separate, axis=2), "separate")):
        found = call(page, body, as_text(to_bytes(image)))
        assert found["channels"] == kind
        assert (found["law"] is not None) == (kind == "rgb")


@pytest.mark.parametrize(
    ("training", "stabilised"),
    [({"method": "neighbours", "measured": True}, True), ({"method": "neighbours"}, False)],
)
def test_only_a_model_that_learned_so_is_shown_stabilised_noise(page, models, training, stabilised):
    own = Card(name="a", architecture="b", channels=1, sigma_input=True, training=training)
    assert own.scale_free == stabilised
    cards = {each["name"]: each for each in models.describe()["models"]}
    card = cards[models.default] | {"training": training}
    image, options, _ = photon_cases()["dim"]
    options = {**options, "colourStrength": options["colour_strength"], "white": 255}
    *_, notes = call(page, DENOISE, as_text(image), card, options)
    assert any("Photon noise" in note for note in notes) == stabilised


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"nothing", "this file is none of them. Use the command line or the service"),
        (coded(np.zeros((4, 4), np.uint16)), "16 bits, of which a browser keeps 8"),
        (coded(np.zeros((4, 4, 4), np.uint8)), "transparent parts"),
        (coded(np.zeros((4, 4, 3), np.uint8), save_all=True,
               append_images=[Image.new("RGB", (4, 4), "red")]), "several frames"),
        (coded(np.zeros((4, 4, 3), np.uint8), "WEBP", save_all=True,
               append_images=[Image.new("RGB", (4, 4), "red")]), "several frames"),
    ],
    ids=["other", "16 bits", "transparent", "apng", "webp"],
)  # fmt: skip
def test_what_a_browser_would_change_is_refused(page, content, sentence):
    found = call(page, """const { readPicture } = await import("/picture_file.js");
        const bytes = Uint8Array.from(atob(words[0]), (c) => c.charCodeAt(0));
        return readPicture(new File([bytes], "a")).then(() => "", (error) => error.message);""",
        base64.b64encode(content).decode())  # fmt: skip
    assert sentence in found


def test_a_browser_that_cannot_and_a_picture_too_large_are_told(page):
    large = np.zeros((2200, 1900, 3), np.uint8)
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    files = [coded(large), coded(large, "JPEG"), coded(large, "JPEG", progressive=True)]
    files += [coded(large, "WEBP"), coded(large, "WEBP", lossless=True)]
    files.append(coded(large, "WEBP", exif=exif))  # the extended kind
    found = call(page, """const { readPicture } = await import("/picture_file.js");
        const { BrowserEngine } = await import("/browser_engine.js");
        Object.defineProperty(navigator, "deviceMemory", { value: 0.25 });
        const found = [];
        for (const text of words) {
            const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
            found.push(await readPicture(new File([bytes], "a")).catch(({ message }) => message));
        }
        delete window.OffscreenCanvas;
        found.push(await new BrowserEngine().setup().catch(({ message }) => message));
        return found;""", *[base64.b64encode(file).decode() for file in files])  # fmt: skip
    for sentence in found[:-1]:
        assert sentence.startswith("The picture has 4.2 megapixels; the memory of this tab is")
        assert "enough for 3.4. Use the command line or the service" in sentence
    assert found[-1].startswith("This browser lacks OffscreenCanvas. Update it, or use Chrome")


HUGE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (30_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"II*", "JPEG, PNG and WebP can be"),
        (b"\xff\xd8", "is damaged"),
        (b"\x89PNG", "is damaged"),
        (HUGE, "has 900 megapixels; the memory of this tab is enough for"),
    ],
    ids=["another format", "cut JPEG", "cut PNG", "too large"],
)
def test_a_file_that_cannot_be_shown_says_so_before_its_turn(page, content, sentence):
    found = call(page, """const { BrowserEngine } = await import("/browser_engine.js");
        const bytes = Uint8Array.from(atob(words[0]), (c) => c.charCodeAt(0));
        const opened = new BrowserEngine().openImage(new File([bytes], "a"));
        return opened.then(() => "", (error) => error.message);""",
        base64.b64encode(content).decode())  # fmt: skip
    assert sentence in found


def test_a_jpeg_keeps_its_exif_upright_and_without_thumbnail(page):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    content = coded(noisy(40, 60), "JPEG", exif=exif, quality=95)
    found = call(page, """const { readPicture, writePicture } = await import("/picture_file.js");
        const bytes = Uint8Array.from(atob(words[0]), (c) => c.charCodeAt(0));
        const { blob, facts } = await writePicture(await readPicture(new File([bytes], "a.jpg")));
        return [write(new Uint8Array(await blob.arrayBuffer())), facts];""",
        base64.b64encode(content).decode())  # fmt: skip
    with Image.open(io.BytesIO(base64.b64decode(found[0]))) as written:
        assert written.size == (40, 60)
        assert dict(written.getexif()) == {0x0112: 1, 0x010F: "Maker"}
    assert found[1]["format"] == "jpeg"


def test_a_png_keeps_its_pixels_and_channels(page):
    body = """const { readPicture, writePicture } = await import("/picture_file.js");
        const bytes = Uint8Array.from(atob(words[0]), (c) => c.charCodeAt(0));
        const { blob } = await writePicture(await readPicture(new File([bytes], "a.png")));
        return write(new Uint8Array(await blob.arrayBuffer()));"""
    for pixels in (noisy(20, 30), noisy(20, 30, channels=1)):
        found = call(page, body, base64.b64encode(coded(pixels)).decode())
        assert np.array_equal(decoded(base64.b64decode(found)), pixels)


# In place of onnxruntime-web: each value becomes a name of the bundle and the number of providers.
FAKE_RUNTIME = """export const env = { wasm: {} };
export class Tensor { constructor(type, data) { this.data = data; } }
export const InferenceSession = { create: async (address, { executionProviders }) => ({
    inputNames: ["image", "sigma"], outputNames: ["denoised"],
    run: async ({ image: { data } }) => ({
        denoised: { data: data.fill(BUNDLE + executionProviders.length) } }),
}) };"""


@pytest.mark.parametrize(
    ("adapter", "expected"),
    [
        ("Promise.resolve({ info: {} })", ("webgpu", 12)),
        ("Promise.resolve({ info: { isFallbackAdapter: true } })", ("wasm", 21)),
        pytest.param("Promise.reject(new Error())", ("wasm", 21), marks=pytest.mark.slow),
    ],
    ids=["gpu", "software", "no driver"],
)
def test_a_graphics_processor_computes_where_there_is_one(
    visit, runtime, tmp_path, adapter, expected
):
    for number, name in ((10, "webgpu"), (20, "wasm")):
        fake = FAKE_RUNTIME.replace("BUNDLE", str(number))
        (runtime / f"dist/ort.{name}.bundle.min.mjs").write_text(fake)
    write_page(tmp_path / "site", runtime=runtime)
    worker = tmp_path / "site/static/browser_worker.js"
    gpu = f"{{ value: {{ requestAdapter: () => {adapter} }} }}"
    worker.write_text(
        f'Object.defineProperty(navigator, "gpu", {gpu});\n{worker.read_text(encoding="utf-8")}',
        encoding="utf-8",
    )
    page = visit(tmp_path / "site", "static/icon.svg")
    found, used, shares = call(page, """
        const { BrowserEngine } = await import("/static/browser_engine.js");
        const engine = new BrowserEngine();
        await engine.setup();
        const { data } = await engine.denoiseArray(read(words[0]), { sigma: 0.1 });
        const bytes = Uint8Array.from(atob(words[1]), (c) => c.charCodeAt(0)), shares = [];
        const calls = { onProgress: (share) => shares.push(share) };
        await engine.denoise(new File([bytes], "a.png"), { sigma: 0.1 }, calls);
        return [write(data), engine.provider, shares];""",
        as_text(photo(20, 24)), base64.b64encode(coded(noisy(20, 24))).decode())  # fmt: skip
    values = as_image(found, (20, 24, 3))
    assert (used, values.min(), values.max()) == (expected[0], expected[1], expected[1])
    assert 0.9 < shares[-1] < 1  # the file is yet to be written


ISOLATED = (
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Embedder-Policy", "require-corp"),
)


@pytest.mark.slow
@pytest.mark.parametrize("headers", [(), ISOLATED], ids=["one thread", "threads"])
def test_wasm_equals_python_in_float32(visit, site, headers, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))  # the bundled models, not those of tests
    page = visit(site, "", headers)
    page.wait_for_selector("body[data-ready]")
    body = """const address = new URL("static/browser_engine.js", location.href);
        const { BrowserEngine } = await import(address);
        const engine = new BrowserEngine();
        await engine.setup();
        const { data } = await engine.denoiseArray(read(words[0]), words[1]);
        return [write(data), engine.threads];"""
    for image, options in (
        (photo(300, 560), {}),
        (photo(90, 120), {"strength": 1.5}),
        (photo(90, 120, 1), {}),
    ):
        denoised = Denoiser(precision="f32")(image, range=(0, 1), **options)
        found, threads = call(page, body, as_text(image), options)
        assert np.abs(as_image(found, image.shape) - denoised).max() < 1e-4
        assert (threads > 1) == bool(headers)


@pytest.mark.slow
def test_a_picture_is_denoised_without_a_server_and_without_a_network(
    visit, site, monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    page = visit(site, "")
    troubles = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda line: troubles.append(line.text) if line.type == "error" else None)
    page.wait_for_selector("body[data-ready]")
    call(page, "await navigator.serviceWorker.ready;")
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector("body[data-ready]")
    pixels = noisy(120, 160)
    page.set_input_files(
        "#files", {"name": "a.png", "mimeType": "image/png", "buffer": coded(pixels)}
    )
    expect(page.locator(".row-item.done")).to_have_count(1, timeout=60_000)
    with page.expect_download() as caught:
        page.click("#save")
    assert caught.value.suggested_filename == "a-clean.png"
    found = decoded(Path(caught.value.path()).read_bytes()).astype(int)
    denoised = Denoiser(precision="f32")(pixels)
    assert np.abs(found - denoised).max() <= 1
    page.click("#tab-digits")
    expect(page.locator(".number output")).to_have_count(16)
    assert not troubles
