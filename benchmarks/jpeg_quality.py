"""What writing a denoised JPEG costs, by its quality and that of the source; the default follows.

    python benchmarks/jpeg_quality.py FOLDER... [--pairs FOLDER] [--minutes 12] [--json rows.json]

Each FOLDER holds clean photographs. Each gets camera noise and is saved as a JPEG of several
qualities, with and without chroma subsampling; that file is read, denoised and written again at
several qualities. The cost is the PSNR of the denoised pixels minus that of the written file, each
to the clean photograph; the size is relative to the source file. `--pairs` holds files
`NAME_real.JPG` and `NAME_mean.JPG` that did not take part in the choice of the default.
"""

import argparse
import io
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import product, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietpixel import Denoiser, parse_noise
from quietpixel.files import Picture, read_picture, write_picture

Array = NDArray[Any]
SOURCES = (30, 50, 75, 85, 90, 95)
RESULTS = (92, 95, 96, 97, 98, 99, 100)
NOISE = "camera:0.01"
CROP = slice(3, 259), slice(5, 261)
"""Off the grid of 8 pixels on which the photographs themselves were compressed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    end = time.monotonic() + 60 * given.minutes
    denoiser, rows = Denoiser("photo"), []
    if given.pairs:
        show("Pairs", list(measure_pairs(denoiser, given.pairs)))
    lists = [sorted(folder.glob("*.jp*g")) for folder in given.folders]
    paths = [path for some in zip_longest(*lists) for path in some if path]
    for number, path in enumerate(paths):
        if time.monotonic() > end:
            break
        rows += measure_photo(denoiser, path, np.random.default_rng(number))
        if given.json:
            given.json.write_text(json.dumps(rows))
    for subsampled in (False, True):
        some = [row for row in rows if row["subsampled"] == subsampled]
        show(f"{number} photographs, {'4:2:0' if subsampled else '4:4:4'}", some)


def measure_photo(denoiser: Denoiser, path: Path, rng: np.random.Generator) -> list[dict[str, Any]]:
    clean, rows = read_picture(path).pages[0][CROP], []
    noisy = parse_noise(NOISE)(clean.astype(np.float32) / 255, rng)
    pixels = np.rint(255 * noisy.clip(0, 1)).astype(np.uint8)
    for quality, subsampled in product(SOURCES, (False, True)):
        row = {"source": quality, "subsampled": subsampled}
        rows.append(row | measure_file(denoiser, save(pixels, quality, subsampled), clean))
    return rows


def save(pixels: Array, quality: int, subsampled: bool) -> bytes:
    import pyvips

    mode = "on" if subsampled else "off"
    return bytes(
        pyvips.Image.new_from_array(pixels).jpegsave_buffer(Q=quality, subsample_mode=mode)
    )


def measure_file(denoiser: Denoiser, source: bytes, clean: Array) -> dict[str, Any]:
    noisy = read_picture(source)
    denoised = noisy.with_pixels([denoiser(page) for page in noisy.pages])
    row: dict[str, Any] = {"quality": noisy.encoding.quality, "cost": {}, "size": {}}
    row["before"], row["after"] = (psnr(each.pages[0], clean) for each in (noisy, denoised))
    for chroma in sorted({noisy.encoding.subsampling, "4:4:4"}):
        picture = replace(denoised, encoding=replace(noisy.encoding, subsampling=chroma))
        for quality in sorted({row["quality"], *RESULTS}):
            if quality >= row["quality"]:
                content = encode(picture, quality)
                written = read_picture(content).pages[0]
                row["cost"][f"{quality} {chroma}"] = row["after"] - psnr(written, clean)
                row["size"][f"{quality} {chroma}"] = len(content) / len(source)
    row["chroma"] = noisy.encoding.subsampling
    return row


def encode(picture: Picture, quality: int) -> bytes:
    file = io.BytesIO()
    write_picture(picture, file, format="jpeg", quality=quality)
    return file.getvalue()


def measure_pairs(denoiser: Denoiser, folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*_real.JPG")):
        clean = read_picture(path.with_name(path.name.replace("_real", "_mean"))).pages[0]
        row = measure_file(denoiser, path.read_bytes(), clean)
        yield row | {"source": row["quality"]}


def psnr(image: Array, clean: Array) -> float:
    error = np.mean((image.astype(np.float64) - clean) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """Print a table with a row for each quality of the source: cost in dB, then size."""
    print(f"\n{title}\n\n| source | before | denoised | result | its quality |", end=" ")
    print(*RESULTS, sep=" | ", end=" |\n" + (5 + len(RESULTS)) * "|---" + "|\n")
    kinds = {(row["source"], row["chroma"], to) for row in rows for to in (row["chroma"], "4:4:4")}
    for source, chroma, to in sorted(kinds):
        some = [row for row in rows if (row["source"], row["chroma"]) == (source, chroma)]
        before, after = (np.mean([row[key] for row in some]) for key in ("before", "after"))
        cells = []
        for quality in (None, *RESULTS):
            keys = [(row, f"{quality or row['quality']} {to}") for row in some]
            pairs = [
                (row["cost"][key], row["size"][key]) for row, key in keys if key in row["cost"]
            ]
            # A result is never of a lower quality than its source.
            complete = len(pairs) == len(some)
            cells.append("{:.2f} ({:.2f}x)".format(*np.mean(pairs, axis=0)) if complete else "")
        name = f"| {source} {chroma} | {before:.2f} | {after:.2f} | {to} |"
        print(f"{name} {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
