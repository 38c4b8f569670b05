"""Peak memory of the real command on large pictures, made here.

    python benchmarks/memory.py [MODEL] [--megapixels 1 12 100] [--kinds jpeg tiff16] [--folder 3]
                                [--json FILE]

MODEL is a bundled name, a run folder or an .onnx file. Each row is one run of `quietpixel denoise`
in a process of its own: its peak resident memory as the system reports it, and the time, which
other work on the machine lengthens. With --folder N the last row is a run over
a folder of N such pictures. Ends with 1 if a row is above --most.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from record import Record

MAKE = """
import sys
import numpy as np
from quietpixel.files import Picture, write_picture
path, height, width, kind = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
rng = np.random.default_rng(0)
dtype = np.dtype("uint16" if kind.endswith("16") else "uint8")
waves = np.sin(np.arange(height)[:, None] / 97) * np.cos(np.arange(width) / 131)
pixels = np.empty((height, width, 1 if "gray" in kind else 3), dtype)
for top in range(0, height, 256):
    part = waves[top : top + 256, :, None] * 0.35 + 0.5
    noisy = part + rng.normal(0, 0.06, (*part.shape[:2], pixels.shape[2])).astype(np.float32)
    pixels[top : top + 256] = np.clip(noisy, 0, 1) * np.iinfo(dtype).max
write_picture(Picture.from_pixels(pixels), path)
"""
KINDS = {"jpeg": ".jpg", "png": ".png", "tiff": ".tif", "tiff16": ".tif", "gray": ".png"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="mnist-unet")
    parser.add_argument("--megapixels", type=float, nargs="+", default=[100])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["jpeg", "tiff16"])
    parser.add_argument("--folder", type=int, default=0)
    parser.add_argument("--strip", action="store_true", help="one pixel high")
    parser.add_argument("--most", type=float, default=1536, help="MiB that no run may exceed")
    parser.add_argument("--json", type=Path)
    parser.add_argument("words", nargs="*", help="after --: more words for the command")
    given = parser.parse_args()
    record, most = Record(), 0.0
    record.table("picture", "peak, MiB", "seconds")
    for megapixels in given.megapixels:
        pixels = megapixels * 1e6
        shape = (1, int(pixels)) if given.strip else (round(pixels**0.5),) * 2
        for name, peak, seconds in rows_of(shape, given):
            record.row(name, f"{peak:.0f}", f"{seconds:.1f}")
            most = max(most, peak)
    record.save(given.json)
    return int(most > given.most)


def rows_of(
    shape: tuple[int, int], given: argparse.Namespace
) -> Iterator[tuple[str, float, float]]:
    """Yield a name, the peak in MiB and the seconds of each run on pictures of one shape."""
    height, width = shape
    with tempfile.TemporaryDirectory() as folder:
        for kind in given.kinds:
            path = Path(folder) / kind / f"picture{KINDS[kind]}"
            make(path, height, width, kind)
            words = [str(path), "--model", given.model, *given.words]
            yield f"{kind}, {width} x {height}", *measure(words)
            if given.folder:
                spread(path, given.folder)
                words[0] = str(path.parent)
                yield f"folder of {given.folder} such", *measure([*words, "-o", f"{folder}/out"])


def make(path: Path, height: int, width: int, kind: str) -> None:
    """Write a picture of waves and noise in a separate process."""
    path.parent.mkdir()
    words = [str(path), str(height), str(width), kind]
    subprocess.run([sys.executable, "-c", MAKE, *words], check=True)


def spread(path: Path, count: int) -> None:
    """Give the picture some twins and take its result away."""
    for clean in path.parent.glob("*-clean*"):
        clean.unlink()
    for number in range(1, count):
        os.link(path, path.with_name(f"twin-{number}{path.suffix}"))


def measure(words: list[str]) -> tuple[float, float]:
    """Return peak memory in MiB and seconds of the command with `words`."""
    start = time.perf_counter()
    line = [sys.executable, "-m", "quietpixel", "denoise", *words]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL)  # it prints what it writes
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"The command ended with {process.returncode}: {' '.join(words)}")
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return used.ru_maxrss / scale, time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
