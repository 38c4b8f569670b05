"""What writing a denoised WebP, AVIF or HEIC costs, by its quality, and the effort of AVIF.

    python benchmarks/lossy_formats.py FOLDER [--photos 7]

FOLDER holds clean photographs. Each gets camera noise and is saved in each format at several
qualities; that file is read, denoised and written again. The cost is the PSNR of the denoised
pixels minus that of the written file, each to the clean photograph; the size is relative to the
source file. Prints the second table of `docs/how-to/jpeg-quality.md`.
"""

import argparse
import io
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from jpeg_quality import CROP, NOISE, psnr

from quietpixel import Denoiser, parse_noise
from quietpixel.files import Picture, avif, read_picture, write_picture
from quietpixel.files.picture import Encoding

SOURCES, RESULTS, EFFORTS = (60, 80, 92), (92, 95, 98), (0, 1, 2, 3, 4, 5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=7)
    given = parser.parse_args()
    paths = sorted(given.folder.rglob("*.jp*g"))
    denoiser, costs, times = Denoiser("photo"), defaultdict(list), defaultdict(list)
    for number, path in enumerate(paths[:: max(len(paths) // given.photos, 1)][: given.photos]):
        clean = read_picture(path).pages[0][CROP]
        noisy = parse_noise(NOISE)(clean.astype(np.float32) / 255, np.random.default_rng(number))
        pixels = np.rint(255 * noisy.clip(0, 1)).astype(np.uint8)
        for form in ("webp", "avif", "heic"):
            for quality in SOURCES:
                source = save(pixels, form, quality)
                before = read_picture(source).pages[0]
                after = denoiser(before)
                base = psnr(after, clean)
                row = [base - psnr(before, clean)]
                for wanted in RESULTS:
                    content = save(after, form, wanted)
                    written = read_picture(content).pages[0]
                    row += [base - psnr(written, clean), len(content) / len(source)]
                costs[form, quality].append(row)
        for effort in EFFORTS:
            avif._EFFORT = effort
            start = time.process_time()
            content = save(after, "avif", 92)
            seconds = time.process_time() - start
            loss = base - psnr(read_picture(content).pages[0], clean)
            times[effort].append((seconds, len(content), loss))
        avif._EFFORT = 2
    for (form, quality), rows in costs.items():
        gain, *cells = np.mean(rows, axis=0)
        pairs = zip(cells[::2], cells[1::2], strict=True)
        text = " | ".join(f"{cost:.2f} ({size:.2f}x)" for cost, size in pairs)
        print(f"| {form}, {quality} | {gain:.2f} | {text} |")
    for effort, rows in times.items():
        print(
            "AVIF, effort {}: {:.3f} s, {:.0f} bytes, {:.2f} dB".format(effort, *np.mean(rows, 0))
        )


def save(pixels: np.ndarray, form: str, quality: int) -> bytes:
    file = io.BytesIO()
    picture = replace(Picture.from_pixels(pixels), format="", encoding=Encoding(lossless=False))
    write_picture(picture, file, format=form, quality=quality)
    return file.getvalue()


if __name__ == "__main__":
    main()
