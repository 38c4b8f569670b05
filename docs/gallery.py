"""The pictures before and after denoising that the documentation shows, made with simulated noise.

`make_pictures.py` calls `draw_gallery`, which writes for each case ``gallery/NAME-noisy.jpg``,
``-denoised.jpg`` and ``-removed.jpg``, and the PSNR of all into ``gallery/psnr.json``. The sources
and their licences are named in `gallery.md`.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import font_manager
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from skimage import data

from quietpixel import Denoiser, parse_noise
from quietpixel.data import load_split
from quietpixel.imaging.metrics import psnr
from quietpixel.noise.parser import add_noise

Array = NDArray[Any]

PAGE = """Bread, slowly

Mix 500 g of flour, 350 g of water, 10 g of salt
and a pinch of yeast. Leave the dough alone until
the next day; time does the work of kneading.

Fold it four times, shape it, and let it rest for
an hour while the oven heats to 250 degrees. Bake
with steam for 20 minutes, without for 25 more."""


@dataclass(frozen=True)
class Case:
    """One picture: the clean image (uint8), its noise law, and its model (None: the default)."""

    clean: Callable[[], Array]
    noise: str
    model: str | None = None
    seed: int = 0
    grain: float = 0.0
    """Blur of the noise in pixels, which all channels then share, as in film grain; 0 for none."""
    enlarge: int = 1


def draw_page() -> Array:
    font = ImageFont.truetype(font_manager.findfont("DejaVu Serif"), 19)
    image = Image.new("L", (560, 330), 236)
    ImageDraw.Draw(image).multiline_text((28, 22), PAGE, fill=38, font=font, spacing=9)
    return np.asarray(image)[..., None]


def sepia_portrait() -> Array:
    gray = data.astronaut()[:400, 40:440].mean(axis=2, keepdims=True)
    return np.rint(gray * (1, 0.9, 0.72)).astype(np.uint8)


def digits(chosen: Sequence[int] = (), *, side: int = 28) -> Array:
    """Return ten test digits in two rows; by default the first of each kind.

    `side` is their size in the box of 28 pixels; the digits of MNIST have 20.
    """
    split = load_split("digits", "test")
    indices = chosen or np.unique(split.labels, return_index=True)[1].tolist()
    images = np.rint(255 * split.as_float()[indices, :, :, 0]).astype(np.uint8)
    small = [np.asarray(Image.fromarray(each).resize((side, side))) for each in images]
    return join_digits(np.pad(small, [(0, 0), *[((28 - side) // 2,) * 2] * 2]))


def join_digits(images: Array) -> Array:
    """Return ten digits of 28 x 28 pixels as one image of two rows."""
    return images.reshape(2, 5, 28, 28).swapaxes(1, 2).reshape(56, 140, 1)


CASES = {
    "photo": Case(data.coffee, "camera:0.2"),
    "night": Case(lambda: data.rocket()[:400, :600], "poisson:40+gaussian:0.02"),
    "grain": Case(lambda: data.camera()[:400, :, None], "gaussian:20/255", grain=0.5),
    "old-print": Case(sepia_portrait, "gaussian:14/255", grain=0.4),
    "document": Case(draw_page, "gaussian:30/255"),
    "microscope": Case(lambda: data.cell()[150:550, 150:550, None], "poisson:40"),
    "digits": Case(lambda: digits(side=20), "gaussian:0.5", model="mnist-bottleneck", enlarge=4),
    "failed-texture": Case(lambda: data.gravel()[:200, :300, None], "gaussian:50/255", enlarge=2),
    "failed-stars": Case(
        lambda: data.hubble_deep_field()[250:450, 300:600], "gaussian:40/255", enlarge=2
    ),
    "failed-digits": Case(
        lambda: digits(worst_digits()), "gaussian:0.5", model="mnist-bottleneck", enlarge=4
    ),
}


def worst_digits() -> list[int]:
    """Return the ten test digits with the largest error, which became other digits."""
    clean = load_split("digits", "test").as_float()
    noisy = add_noise(clean, parse_noise("gaussian:0.5"), seed=0)
    denoised = np.clip(Denoiser("mnist-bottleneck", precision="f32").batch(noisy), 0, 1)
    errors = np.square(denoised - clean).mean(axis=(1, 2, 3))
    return [int(index) for index in np.argsort(errors)[::-1][:10]]


def run_case(case: Case) -> tuple[Array, Array, Array]:
    """Return the clean, the noisy and the denoised image, uint8 (H, W, C)."""
    clean = case.clean()
    image = clean.astype(np.float32) / 255
    noisy = add_noise(image[None], parse_noise(case.noise), seed=case.seed)[0]
    if case.grain:
        noisy = image + coarsen(image.shape, case)
    given = np.rint(255 * np.clip(noisy, 0, 1)).astype(np.uint8)
    denoiser = Denoiser(case.model, precision="f32")
    if case.model is None:
        return clean, given, denoiser(given)
    cells = given.reshape(2, 28, 5, 28, 1).swapaxes(1, 2).reshape(10, 28, 28, 1)
    return clean, given, join_digits(denoiser.batch(cells))


def coarsen(shape: tuple[int, ...], case: Case) -> Array:
    """Return noise of the case's strength that neighbours and channels share."""
    noise = np.random.default_rng(case.seed).standard_normal((*shape[:2], 1))
    noise = ndimage.gaussian_filter(noise, (case.grain, case.grain, 0))
    sigma = parse_noise(case.noise).sigma
    return (sigma / noise.std() * noise).astype(np.float32)


def draw_gallery(folder: Path) -> None:
    """Write the pictures of all cases and their PSNR."""
    folder.mkdir(exist_ok=True)
    found = {}
    for name, case in CASES.items():
        clean, noisy, denoised = run_case(case)
        difference = 128 + 2 * (noisy.astype(np.float32) - denoised)
        removed = np.rint(np.clip(difference, 0, 255)).astype(np.uint8)
        for kind, image in (("noisy", noisy), ("denoised", denoised), ("removed", removed)):
            save(image, folder / f"{name}-{kind}.jpg", enlarge=case.enlarge)
        scores = [
            psnr(clean / np.float32(255), each / np.float32(255)) for each in (noisy, denoised)
        ]
        found[name] = [round(score, 1) for score in scores]
        print(f"docs/images/gallery/{name}: {scores[0]:.1f} -> {scores[1]:.1f} dB", flush=True)
    (folder / "psnr.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def draw_before_after(path: Path) -> None:
    """Write the picture of the README: a photograph, whole and in detail, before and after."""
    _, noisy, denoised = run_case(CASES["photo"])
    rows = []
    for part, enlarge in ((np.s_[:, :], 1), (np.s_[206:339, 290:490], 3)):
        cells = [
            np.repeat(np.repeat(image[part], enlarge, 0), enlarge, 1) for image in (noisy, denoised)
        ]
        gap = np.full((cells[0].shape[0], 8, 3), 255, np.uint8)
        rows.append(np.concatenate([cells[0], gap, cells[1]], axis=1))
    rule = np.full((8, rows[0].shape[1], 3), 255, np.uint8)
    save(np.concatenate([rows[0], rule, rows[1]]), path)


def save(image: Array, path: Path, *, enlarge: int = 1) -> None:
    image = np.repeat(np.repeat(image, enlarge, 0), enlarge, 1)
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    picture.save(path, quality=85, optimize=True)
