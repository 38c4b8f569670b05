"""Makes the pictures of the documentation with the package's own code.

    python docs/make_pictures.py [NAME ...]

Writes docs/images/NAME.png, for `gallery` the folder of that name and before-after.jpg; without
names, all. Everything is seeded. The digits are those that scikit-learn carries; the photographs
are scikit-image's `camera` (Lav Varshney), `chelsea` (Stefan van der Walt) and `coffee` (Rachel
Michetti), all three CC0, and those that `gallery.md` names.
"""

import io
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from gallery import draw_before_after, draw_gallery
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from quietpixel import Denoiser, parse_noise
from quietpixel.card import UNKNOWN_SIGMA
from quietpixel.data import load_split
from quietpixel.imaging.tiling import Grid, least_side
from quietpixel.imaging.uncertainty import draw_pixels, fit_pixels
from quietpixel.inference.engine import open_engine
from quietpixel.inference.model_store import find_model
from quietpixel.noise.parser import add_noise
from quietpixel.reports import pictures
from quietpixel.reports.figures import (
    BLUE,
    CELL,
    INK,
    ORANGE,
    Block,
    draw_mosaic,
    new_chart,
    to_png,
)

FOLDER = Path(__file__).parent / "images"
SIDE = 28
CODE = 16
Images = NDArray[np.float32]


def main() -> None:
    for name in sys.argv[1:] or [*PICTURES, "gallery"]:
        if name == "gallery":
            draw_gallery(FOLDER / "gallery")
            draw_before_after(FOLDER / "before-after.jpg")
            continue
        drawn = PICTURES[name]()
        (FOLDER / f"{name}.png").write_bytes(shrink(drawn, few=name not in EXACT))
        print(f"docs/images/{name}.png", flush=True)


def digits() -> bytes:
    """Digits, noisy, through 16 numbers, and through skip connections."""
    clean, noisy = noisy_digits("test")
    rows = [clean, noisy, open_model("mnist-bottleneck").batch(noisy)]
    rows.append(open_model("mnist-unet").batch(noisy))
    names = ["original", "noisy", "16 numbers", "skip connections"]
    return mosaic("Two autoencoders on digits they never saw, gaussian:0.5", rows, names)


def noise_laws() -> bytes:
    """One detail of a photograph under each law."""
    detail = photo("camera")[60:188, 180:308]
    laws = ["gaussian:0.1", "poisson:30", "salt-pepper:0.05", "speckle:0.3", "uniform:0.3"]
    noisy = [add_noise(detail[None], parse_noise(law), seed=0)[0] for law in laws]
    # Two rows, because the names are wider than the images.
    blocks = [
        Block(np.clip(np.stack(images), 0, 1)[None], columns=names)
        for images, names in (([detail, *noisy[:2]], ["clean", *laws[:2]]), (noisy[2:], laws[2:]))
    ]
    return draw_mosaic(*blocks, cell=256)


def noise_by_brightness() -> bytes:
    """How strong the noise of each law is, by brightness."""
    axes = new_chart("Noise by brightness", across="brightness", up="standard deviation")
    clean = np.repeat(np.linspace(0, 1, 41, dtype=np.float32), 20_000).reshape(1, 41, -1, 1)
    for law, colour in (("gaussian:0.1", BLUE), ("poisson:30", ORANGE), ("speckle:0.2", INK)):
        noisy = add_noise(clean, parse_noise(law + ",clip=no"), seed=0)
        axes.plot(clean[0, :, 0, 0], noisy[0, :, :, 0].std(axis=1), color=colour, label=law)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return to_png(axes.figure)


def sixteen_numbers() -> bytes:
    """What is left of squares of a digit and of a photograph when the best numbers are kept."""
    axes = new_chart(
        "How much a square of 28 x 28 pixels loses",
        across="best linear numbers kept",
        up="share of the variance that is lost",
    )
    for name, squares, colour, beside in (
        ("digits", load_split("digits", "train").as_float(), BLUE, (-30, -12)),
        ("photographs", photo_squares(), ORANGE, (8, 4)),
    ):
        kept, lost = spectrum(squares)
        axes.semilogx(kept, lost, color=colour, label=name)
        axes.plot(CODE, lost[CODE - 1], "o", color=colour)
        axes.annotate(
            f"{lost[CODE - 1]:.0%}", (CODE, lost[CODE - 1]), beside, textcoords="offset points",
            color=colour, fontsize=9,
        )  # fmt: skip
    axes.set_xticks([1, 4, CODE, 64, 256, SIDE**2], ["1", "4", "16", "64", "256", "784"])
    axes.minorticks_off()
    axes.set_ylim(0, 1)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return to_png(axes.figure)


def photograph_in_numbers() -> bytes:
    """A photograph through 16 numbers a square: the best linear ones, and a digit model's."""
    image = photo("camera")[24:248, 120:344]
    squares = cut(image)
    mean, axes = principal_axes(squares)
    flat = (squares.reshape(len(squares), -1) - mean) @ axes[:CODE].T @ axes[:CODE] + mean
    linear = flat.reshape(squares.shape).astype(np.float32)
    shown = [image, join(linear), join(open_model("mnist-bottleneck").batch(squares))]
    names = ["224 x 224 pixels", "16 numbers a square", "a model of digits"]
    return mosaic(
        "64 squares of a photograph, 16 numbers each", [np.stack(shown)], [""], names, cell=224
    )


def surroundings() -> bytes:
    """How strongly each pixel around the middle moves the output there."""
    engine = open_engine(find_model("mnist-unet"), precision="f32")
    halo, side = engine.card.halo, 112
    image = noisy_digits("test")[1][:1]
    base = np.full((1, side, side, 1), image.mean(), np.float32)
    base[:, 42:70, 42:70] = image
    moved = np.repeat(base, side * side, axis=0)
    moved.reshape(side * side, -1)[np.arange(side * side), np.arange(side * side)] += 0.1
    middle = side // 2
    parts = [engine(some)[:, middle, middle, 0] for some in np.array_split(moved, 256)]
    change = np.abs(np.concatenate(parts) - engine(base)[0, middle, middle, 0])
    shown = np.log10(np.maximum(change.reshape(side, side), 1e-6))
    shown = ((shown + 6) / (shown.max() + 6))[..., None]
    print(f"halo in the card: {halo}; farthest that counts: {reach(change, side, middle)}")
    rows = [np.stack([base[0], shown])]
    names = ["input", "influence (log)"]
    return mosaic("What decides the pixel in the middle", rows, [""], names, cell=288)


def seams() -> bytes:
    """A photograph in tiles without and with the margin that a tile needs."""
    engine = open_engine(find_model("photo-gray"), precision="f32")
    image = add_noise(photo("camera")[None, :256, 100:356], parse_noise("gaussian:0.2"), seed=0)[0]

    def denoise(tile: Images) -> Images:
        level = np.full((1, *tile.shape[:2], 1), UNKNOWN_SIGMA, np.float32)
        return engine(tile[None], level)[0]

    whole = denoise(image)
    shown, divisor = [whole], engine.card.divisor
    side = least_side(engine.card.halo, divisor)
    for halo in (0, engine.card.halo):
        grid = Grid(whole.shape[:2], tile=(side, side), halo=halo, divisor=divisor)
        tiled = np.empty_like(whole)
        for tile in grid.tiles():
            kept = denoise(tile.read(image))[tile.rows.inner, tile.columns.inner]
            tiled[tile.rows.outer, tile.columns.outer] = kept
        shown.append(tiled)
    errors = [np.clip(8 * np.abs(each - whole), 0, 1) for each in shown[1:]]
    print([float(np.abs(each - whole).max()) for each in shown[1:]])
    names = ["no margin", "error x 8", "with a margin", "error x 8"]
    row = np.clip(np.stack([shown[1], errors[0], shown[2], errors[1]]), 0, 1)
    return mosaic(f"Tiles of {side} pixels", [row], [""], names, cell=256)


def strength() -> bytes:
    """A detail of a photograph at four strengths."""
    noisy = noisy_photograph()[1]
    values = (1, 0.7, 0.4, 0)
    row = np.stack([open_model("photo")(noisy, strength=v, range=(0, 1)) for v in values])
    return mosaic("Strength", [row], [""], [f"{value:g}" for value in values], cell=240)


def taken_away() -> bytes:
    """What a model of digits removed from digits, and where it was wrong."""
    clean, noisy = noisy_digits("test")
    denoised = open_model("mnist-bottleneck").batch(noisy)
    taken = 0.5 + (noisy - denoised) / 2
    wrong = 0.5 + (denoised - clean) / 2
    rows = [noisy, denoised, taken, wrong]
    names = ["noisy", "denoised", "removed", "error"]
    return mosaic("Where a digit model went wrong", rows, names)


def wrong_digits() -> bytes:
    """The digits with the most error, which are the ones that became others."""
    clean, noisy = noisy_digits("test")
    denoised = np.clip(open_model("mnist-bottleneck").batch(noisy), 0, 1)
    errors = np.square(denoised - clean).mean(axis=(1, 2, 3))
    worst = np.argsort(errors)[::-1][:10]
    rows = [clean[worst], noisy[worst], denoised[worst]]
    return mosaic("The ten worst of the test digits", rows, list(pictures.ROWS))


def error_bars() -> bytes:
    """How far the truth may lie from each pixel of a digit, and how far it lay."""
    denoiser = open_model("mnist-unet")
    clean, noisy = noisy_digits("validation")
    triples = zip(noisy, denoiser.batch(noisy), clean, strict=True)
    calibration = fit_pixels([draw_pixels(*each, seed=i) for i, each in enumerate(triples)])
    clean, noisy = noisy_digits("test")
    denoised = np.clip(denoiser.batch(noisy), 0, 1)
    widths = np.stack([calibration.half_width(*pair) for pair in zip(noisy, denoised, strict=True)])
    error = np.abs(clean - denoised)
    print(f"inside: {(error <= widths).mean():.3f}")
    outside = (error > widths).astype(np.float32)
    rows = [noisy, denoised, 2 * widths, 2 * error, outside]
    names = ["noisy", "denoised", "half width x 2", "error x 2", "outside"]
    return mosaic("Error bars of digits", rows, names)


def hidden_pixels() -> bytes:
    """What is hidden from a model that learns from noisy pictures alone."""
    from quietpixel.data.self_supervised import HidePixels, Structure

    detail = photo("camera")[100:164, 200:264]
    noisy = add_noise(detail[None], parse_noise("gaussian:0.1"), seed=0)
    shown = [noisy[0]]
    for structure in ("", "h:5"):
        task = HidePixels(Structure(structure))
        seen, target = task((noisy[0],), np.random.default_rng(0))
        shown += [(seen != noisy[0]).astype(np.float32)]
    shown.append((target[..., 1:] > 0).astype(np.float32))
    names = ["noisy", "hidden", "hidden with h:5", "to predict"]
    return mosaic(
        "What is hidden, and what the model predicts", [np.stack(shown)], [""], names, 192
    )


def lesson_photo() -> bytes:
    """The photograph of the lessons: 9 x 6 squares of 28 x 28 pixels, in gray."""
    cat = (255 * photo("chelsea")[..., 0]).round().astype(np.uint8)
    small = Image.fromarray(cat).resize((9 * SIDE, 6 * SIDE), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    small.save(written, "png")
    return written.getvalue()


PICTURES: dict[str, Callable[[], bytes]] = {
    "digits": digits,
    "noise-laws": noise_laws,
    "noise-by-brightness": noise_by_brightness,
    "sixteen-numbers": sixteen_numbers,
    "photograph-in-numbers": photograph_in_numbers,
    "surroundings": surroundings,
    "seams": seams,
    "strength": strength,
    "taken-away": taken_away,
    "wrong-digits": wrong_digits,
    "error-bars": error_bars,
    "hidden-pixels": hidden_pixels,
    "lesson-photo": lesson_photo,
}


EXACT = ("strength", "lesson-photo")
"""Pictures in which few colours would show as steps."""


@cache
def open_model(name: str) -> Denoiser:
    """Return a bundled model that computes the same everywhere."""
    return Denoiser(name, precision="f32")


@cache
def noisy_digits(split: str) -> tuple[Images, Images]:
    """Return digits, the first of each kind in front, and what the noise makes of them."""
    part = load_split("digits", split)
    order = np.argsort(~np.isin(np.arange(len(part)), pictures.first_of_each(part.labels)))
    order = np.r_[pictures.first_of_each(part.labels), order[10:]]
    clean = part.as_float()[order]
    return clean, add_noise(clean, parse_noise("gaussian:0.5"), seed=0)


def noisy_photograph() -> tuple[Images, Images]:
    """Return a detail in colour, float32 (110, 110, 3), and what noise makes of it."""
    clean = (data.chelsea()[80:190, 130:240] / 255).astype("f4")
    return clean, add_noise(clean[None], parse_noise("gaussian:25/255,clip=no"), seed=0)[0]


def photo(name: str) -> Images:
    """Return a photograph in gray, float32 (H, W, 1) in [0, 1]."""
    image = getattr(data, name)()
    return (image.reshape(*image.shape[:2], -1).mean(axis=-1, keepdims=True) / 255).astype("f4")


def photo_squares() -> Images:
    """Return all squares of 28 x 28 pixels that the photographs are cut into."""
    return np.concatenate([cut(photo(name)) for name in ("camera", "chelsea", "coffee")])


def cut(image: Images) -> Images:
    """Return the squares (N, 28, 28, 1) of an image; the rest at the edges is dropped."""
    rows, columns = (length // SIDE for length in image.shape[:2])
    blocks = image[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE, 1)
    return blocks.swapaxes(1, 2).reshape(-1, SIDE, SIDE, 1)


def join(squares: Images) -> Images:
    """Return the square image that `cut` took apart."""
    side = round(len(squares) ** 0.5)
    blocks = squares.reshape(side, side, SIDE, SIDE, 1).swapaxes(1, 2)
    return blocks.reshape(side * SIDE, side * SIDE, 1)


def principal_axes(squares: Images) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the mean of the squares and their principal axes, the strongest first."""
    flat = squares.reshape(len(squares), -1).astype(np.float64)
    mean = flat.mean(axis=0)
    return mean, np.linalg.svd(flat - mean, full_matrices=False)[2]


def spectrum(squares: Images) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return numbers kept, and the share of the variance that the best so many do not hold."""
    flat = squares.reshape(len(squares), -1).astype(np.float64)
    flat = flat - flat.mean(axis=1, keepdims=True)  # brightness is one number for both
    power = np.linalg.svd(flat - flat.mean(axis=0), compute_uv=False) ** 2
    return np.arange(1, len(power) + 1), 1 - np.cumsum(power) / power.sum()


def reach(change: NDArray[Any], side: int, middle: int) -> int:
    """Return how far the farthest pixel lies that moved the middle."""
    return int(np.abs(np.argwhere(change.reshape(side, side) > 0) - middle).max())


def mosaic(
    title: str,
    rows: list[Images],
    names: list[str],
    columns: list[str] | None = None,
    cell: int = 0,
) -> bytes:
    """Return rows of images, at most ten in each."""
    block = np.clip(np.stack([row[:10] for row in rows]), 0, 1)
    images = Block(block, names if any(names) else [], columns or [])
    return draw_mosaic(images, title=title, cell=cell or CELL)


def shrink(png: bytes, *, few: bool) -> bytes:
    """Return the PNG packed as tightly as it goes, in 64 colours at most if these are enough."""
    picture = Image.open(io.BytesIO(png)).convert("RGBA")
    small = io.BytesIO()
    # The only method that keeps transparency.
    packed = picture.quantize(64, method=Image.Quantize.FASTOCTREE, dither=0) if few else picture
    packed.save(small, "png", optimize=True)
    return small.getvalue()


if __name__ == "__main__":
    main()
