"""Compare the noise laws `photo` and `gaussian` with the noise of real photographs, in one plot.

    python benchmarks/noise_law.py PAIRS [--out docs/images/noise-of-photographs.png]

PAIRS is a folder of pairs `NAME_real.JPG` (noisy) and `NAME_mean.JPG` (mean of many shots), for
instance the Canon 600D of PolyU. The noise is the difference of a pair. Each law draws its noise,
of the deviation of each pair, eight times on each mean. Three panels: how much the channels share,
the amplitude in each octave of spatial frequency of luminance and colour, and how the noise depends
on brightness. Lines are medians, areas hold the middle 80 % of what the law draws.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from quietpixel import parse_noise
from quietpixel.reports.figures import BLUE, INK, ORANGE, to_png

Array = NDArray[Any]
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "noise-of-photographs.png"
DRAWS = 8
OCTAVES = 5
BINS = np.linspace(0, 1, 9)
OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--out", type=Path, default=PICTURE)
    given = parser.parse_args()
    real, laws = [], {"gaussian:{}": [], "photo:{}": []}
    rng = np.random.default_rng(0)
    for path in sorted(given.pairs.glob("*600D*_real.JPG")):
        noisy, mean = read(path), read(path.with_name(path.name.replace("_real", "_mean")))
        real.append(describe(noisy - mean, mean))
        deviation = float((noisy - mean).std())
        for text, rows in laws.items():
            law = parse_noise(text.format(deviation) + (",clip=no" if "gauss" in text else ""))
            rows += [describe(law(mean, rng) - mean, mean) for _ in range(DRAWS)]
    given.out.write_bytes(draw(real, laws))
    print(f"{len(real)} pairs: {given.out}")


def read(path: Path) -> Array:
    return np.asarray(Image.open(path).convert("RGB"), np.float32) / 255


def describe(noise: Array, mean: Array) -> dict[str, Array]:
    """Return the statistics of a noise (H, W, 3), relative to its deviation."""
    noise = (noise - noise.mean((0, 1))) / noise.std()
    channels = np.corrcoef(noise.reshape(-1, 3).T)[np.triu_indices(3, 1)]
    planes, bands = noise @ OPPONENT.T, []
    for _ in range(OCTAVES):
        height, width = (side // 2 * 2 for side in planes.shape[:2])
        planes = planes[:height, :width]
        half = planes.reshape(height // 2, 2, width // 2, 2, 3).mean((1, 3))
        detail = planes - half.repeat(2, 0).repeat(2, 1)
        bands.append(np.sqrt(np.mean(np.square(detail), axis=(0, 1))))
        planes = half
    light, power = mean.mean(2), np.square(noise).mean(2)
    place = np.digitize(light, BINS) - 1
    by_light = [
        np.sqrt(power[place == i].mean()) if np.mean(place == i) > 0.01 else np.nan
        for i in range(len(BINS) - 1)
    ]
    octaves = np.array(bands)
    return {
        "channels": np.sort(channels),
        "luminance": octaves[:, 0],
        "colour": np.sqrt(np.mean(np.square(octaves[:, 1:]), axis=1)),
        "light": np.array(by_light),
    }


def draw(real: list[dict[str, Array]], laws: dict[str, list[dict[str, Array]]]) -> bytes:
    panels = {
        "channels": ("Correlation of two channels", ["least", "middle", "largest"]),
        "luminance": ("Luminance noise by octave", [str(2**i) for i in range(1, OCTAVES + 1)]),
        "colour": ("Colour noise by octave", [str(2**i) for i in range(1, OCTAVES + 1)]),
        "light": ("Noise by brightness", [f"{x:.1f}" for x in (BINS[1:] + BINS[:-1]) / 2]),
    }
    figure = Figure(figsize=(7, 5.8), dpi=140, layout="constrained", facecolor=(1, 1, 1, 0))
    grid = figure.subplots(2, 2).flat
    for axes, (key, (title, labels)) in zip(grid, panels.items(), strict=True):
        places = np.arange(len(labels))
        for (text, rows), colour in zip(laws.items(), (ORANGE, BLUE), strict=True):
            drawn = np.array([row[key] for row in rows])
            low, middle, high = np.nanquantile(drawn, (0.1, 0.5, 0.9), axis=0)
            axes.fill_between(places, low, high, color=colour, alpha=0.2, linewidth=0)
            axes.plot(places, middle, color=colour, label=text.partition(":")[0])
        for number, row in enumerate(real):
            label = None if number else "real (Canon 600D)"
            axes.plot(places, row[key], color=INK, linewidth=0.7, alpha=0.7, label=label)
        axes.set_facecolor("none")
        axes.set_title(title, fontsize=11, color=INK)
        axes.set_xticks(places, labels)
        axes.tick_params(labelsize=9)
        axes.tick_params(colors=INK)
        if key in ("luminance", "colour"):
            axes.set_xlabel("period, pixels", fontsize=9, color=INK)
        axes.spines[:].set_color(INK)
        axes.spines[["top", "right"]].set_visible(False)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=3, frameon=False, labelcolor=INK
    )
    return to_png(figure)


if __name__ == "__main__":
    main()
