"""Installs a wheel with one extra at a time into new environments, and uses that extra."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST, NEWEST = 11, 13
"""The minor versions of Python 3 that are promised."""
HEAVY = ("keras", "tensorflow", "tensorflow-cpu", "scikit-image", "scikit-learn", "matplotlib",
         "onnx", "onnxruntime", "jax", "dask", "distributed", "zarr", "fastapi", "uvicorn",
         "starlette")  # fmt: skip
"""What only an extra may bring."""

PICTURES = """
import sys
from pathlib import Path
import numpy as np
from quietpixel.files import Picture, read_picture, write_picture
rows, columns = np.mgrid[:121, :97]
clean = (0.5 + 0.3 * np.sin(rows / 15) * np.cos(columns / 11))[..., None]
clean[30:60, 20:50] = 0.9
noisy = np.clip(clean + np.random.default_rng(0).normal(0, 0.1, clean.shape), 0, 1)
if sys.argv[1] == "write":
    Path("in").mkdir(exist_ok=True)
    pixels = (255 * noisy).astype(np.uint8)
    write_picture(Picture.from_pixels(pixels), "in/noisy.png", overwrite=True)
else:
    cleaned = read_picture("out/noisy.png").pages[0] / 255
    before, after = (float(np.mean((image - clean) ** 2)) for image in (noisy, cleaned))
    print(f"squared error {before:.4f} -> {after:.4f}")
    assert after < before / 3 and cleaned.shape == clean.shape
"""
SERVE = """
import re, subprocess, sys, urllib.request
words = [sys.argv[1], "serve", "--port", "0", "--no-browser"]
server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
try:
    found = (re.search(r"http://[\\w.:]+", line) for line in server.stdout)
    address = next(filter(None, found))
    page = urllib.request.urlopen(address[0], timeout=30).read()
    assert b"<html" in page.lower(), page[:200]
finally:
    server.terminate()
    server.wait()
"""


@dataclass(frozen=True)
class Extra:
    """What of `HEAVY` an extra must bring, the rest being unwanted, and what it does."""

    brings: tuple[str, ...] = ()
    denoise: tuple[str, ...] = ()
    others: tuple[tuple[str, ...], ...] = ()
    serves: bool = False


TRAIN = ("keras", "matplotlib", "onnx", "scikit-image", "scikit-learn", "tensorflow",
         "tensorflow-cpu")  # fmt: skip
CLUSTER = ("dask", "distributed", "zarr")
WEB = ("fastapi", "starlette", "uvicorn")
LEARN = (("train", "digits", "--epochs", "1", "--run", "run"), ("evaluate", "run", "digits"))
EXTRAS = {
    "": Extra(others=(("models",),)),
    "onnxruntime": Extra(("onnxruntime",), denoise=("--engine", "onnxruntime")),
    "web": Extra((*WEB, "onnx"), serves=True),
    "cluster": Extra(CLUSTER, denoise=("--workers", "2")),
    "raw": Extra(("rawpy",)),
    "heif": Extra(("pillow-heif",)),
    "codecs": Extra(("imagecodecs", "openexr")),
    "science": Extra(("astropy", "dask", "h5py", "mrcfile", "nd2", "tifffile")),
    "bioimageio": Extra(
        ("onnx",), others=(("export", "photo-gray", "--bioimageio", "photo-gray.zip"),)
    ),
    "napari": Extra(("dask", "scikit-image")),
    "train": Extra(TRAIN, others=LEARN),
    "all": Extra(
        (*TRAIN, "onnxruntime", *WEB, *CLUSTER, "rawpy"), ("--workers", "2"), LEARN, serves=True
    ),
}
"""By name; empty for none. `gpu` is not tried: it is `train` and drivers that few machines have."""


@dataclass(frozen=True)
class Tried:
    """What one installation came to."""

    python: str
    extra: str
    packages: int
    megabytes: float


def find_pythons(asked: list[str]) -> Iterator[str]:
    """Yield the given interpreters or all supported ones; print those that are missing."""
    for minor in range(OLDEST, NEWEST + 1):
        if not asked:
            name = f"python3.{minor}"
            if runs(name):
                yield name
            else:
                print(f"{name} is not here, so NOT TRIED; name one: make release-check PYTHONS=...")
    yield from asked


def runs(python: str) -> bool:
    """Return whether `python` starts and can make environments."""
    try:
        run(python, "-c", "import ensurepip, venv", at=Path.cwd())
    except (OSError, SystemExit):
        return False
    return True


def try_extra(folder: Path, python: str, wheel: Path, extra: str) -> Tried:
    """Install the wheel with `extra` alone, see what came, and use it."""
    print(f"{python}, {extra or 'base'} ...", flush=True)
    wanted = EXTRAS[extra]
    venv = folder / "venv"
    run(python, "-m", "venv", "--clear", venv, at=Path.cwd())
    bin = venv / "bin"
    pip = (bin / "python", "-m", "pip", "--disable-pip-version-check")
    before = size_of(venv)
    run(*pip, "install", "--quiet", "--no-compile", f"{wheel}[{extra}]" if extra else wheel,
        at=folder)  # fmt: skip
    added = size_of(venv) - before
    names = {line.split("==")[0].split(" @")[0]
             for line in run(*pip, "list", "--format=freeze", at=folder).splitlines()}  # fmt: skip
    check_names(names, wanted, extra)
    run(*pip, "check", at=folder)
    use(bin, folder, wanted)
    version = run(bin / "python", "--version", at=folder).strip()
    return Tried(version, extra or "base", len(names - {"pip", "setuptools"}), added / 1e6)


def check_names(names: set[str], wanted: Extra, extra: str) -> None:
    """Refuse what came unasked, and what did not come."""
    names = {name.lower().replace("_", "-") for name in names}  # Keras, pillow_heif
    unasked = sorted(names & set(HEAVY) - set(wanted.brings))
    assert not unasked, f"'{extra or 'base'}' brought {unasked}, which it does not need."
    either = {"tensorflow", "tensorflow-cpu"}  # by platform
    missing = sorted(set(wanted.brings) - names - either)
    assert not missing, f"'{extra}' did not bring {missing}."


def use(bin: Path, folder: Path, wanted: Extra) -> None:
    """Clean a picture, and do what else the extra is for."""
    run(bin / "python", "-I", "-c", PICTURES, "write", at=folder)
    run(bin / "quietpixel", "denoise", "in", "-o", "out", "--overwrite",
        *wanted.denoise, at=folder)  # fmt: skip
    print(run(bin / "python", "-I", "-c", PICTURES, "look", at=folder).strip(), flush=True)
    for words in wanted.others:
        run(bin / "quietpixel", *words, at=folder)
    if wanted.serves:
        run(bin / "python", "-I", "-c", SERVE, bin / "quietpixel", at=folder)


def size_of(folder: Path) -> int:
    """Return the bytes of all files below `folder`."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def to_table(tried: list[Tried]) -> str:
    """Return what was tried as Markdown."""
    rows = [
        f"| {each.python} | {each.extra} | {each.packages} | {each.megabytes:.0f} |"
        for each in tried
    ]
    return "\n".join(["| Python | extra | packages | MB |", "|---|---|---|---|", *rows, ""])


def run(*words: object, at: Path) -> str:
    """Run a command away from the repository, and return its output."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in words], cwd=at, env=clean, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.stdout.flush()
        raise SystemExit(f"{' '.join(map(str, words))}\n{done.stdout}")
    return done.stdout
