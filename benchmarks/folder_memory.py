"""Peak memory of reading batches from folders of more and more pictures made by code.

    python benchmarks/folder_memory.py FOLDER [COUNT ...]

Writes pictures of 256 x 256 pixels, RGB, into FOLDER/COUNT (as JPEG of about 10 kB), and for each
count starts a process that draws 50 epochs of 20 batches of 16 patches from them, as training does.
Prints a Markdown table: the pictures, what they take decoded, the process's peak of memory, and the
time until the first batch.
"""

import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from quietpixel.files import Picture, write_picture

SIDE = 256
COUNTS = (500, 5_000, 50_000)


def make(folder: Path, count: int) -> None:
    """Write what is missing of the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    waves = np.linspace(0, 40, SIDE)
    for number in range(count):
        path = folder / f"{number // 1000:03}" / f"{number:06}.jpg"
        if path.exists():
            continue
        path.parent.mkdir(exist_ok=True)
        factors = np.random.default_rng(number).random((3, 3))
        planes = [np.sin(a * waves)[:, None] * np.cos(b * waves + c)[None] for a, b, c in factors]
        pixels = (127.5 + 127.5 * np.stack(planes, axis=-1)).astype(np.uint8)
        write_picture(Picture.from_pixels(pixels, format="jpeg"), path)


def draw(folder: Path) -> None:
    """Draw batches as training does, and print the seconds and the peak."""
    from quietpixel.training.folder_data import open_folder
    from quietpixel.training.named_recipes import named_recipe
    from quietpixel.training.training_data import from_folder

    recipe = named_recipe("photo", data=str(folder), batch=16, steps=20)
    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    material = from_folder(recipe, open_folder(recipe, cache=None, notify=print))
    seconds = time.perf_counter() - start
    for epoch in range(50):
        for index in range(len(material.sampler)):
            material.sampler.make(epoch, index)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{seconds:.1f} s | {idle / 1024:.0f} MiB | {peak / 1024:.0f} MiB")


def main() -> None:
    if len(sys.argv) > 2 and sys.argv[1] == "--draw":
        draw(Path(sys.argv[2]))
        return
    top, counts = Path(sys.argv[1]), [int(text) for text in sys.argv[2:]] or COUNTS
    print("| pictures | decoded | until the first batch | before opening | peak |")
    print("|---|---|---|---|---|")
    for count in counts:
        make(top / str(count), count)
        line = [sys.executable, __file__, "--draw", str(top / str(count))]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        size = count * SIDE * SIDE * 3 / 2**30
        print(f"| {count:,} | {size:.2f} GiB | {done.stdout.splitlines()[-1]} |", flush=True)


if __name__ == "__main__":
    main()
