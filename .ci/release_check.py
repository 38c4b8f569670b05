"""Builds the release and tries it as a stranger would: new environments, away from the repository.

    python .ci/release_check.py FOLDER [PYTHON ...]

Writes wheel and sdist into FOLDER/dist, checks what they say of themselves, builds the wheel again
from the sdist, and for each PYTHON (this one by default) installs the wheel alone into a new
environment and cleans a picture there. Prints what was installed and how large it is.
"""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
UNWANTED = ("keras", "tensorflow", "scikit-image", "scikit-learn", "matplotlib", "dask", "fastapi")
"""What a base installation must not bring."""

TRY = """
import sys
import numpy as np
from quietpixel.files import Picture, read_picture, write_picture
clean = np.zeros((61, 47, 1))
clean[20:40, 10:30] = 0.9
noisy = np.clip(clean + np.random.default_rng(0).normal(0, 0.5, clean.shape), 0, 1)
if sys.argv[1] == "write":
    write_picture(Picture.from_pixels((255 * noisy).astype(np.uint8)), "noisy.png", overwrite=True)
else:
    cleaned = read_picture("noisy-clean.png").pages[0] / 255
    before, after = (float(np.mean((image - clean) ** 2)) for image in (noisy, cleaned))
    print(f"squared error {before:.4f} -> {after:.4f}")
    assert after < before / 3 and cleaned.shape == clean.shape
"""


def main() -> None:
    folder, pythons = Path(sys.argv[1]).resolve(), sys.argv[2:] or [sys.executable]
    folder.mkdir(parents=True, exist_ok=True)
    wheel, sdist = build(folder / "dist")
    check_metadata(folder / "tools", wheel, sdist)
    check_sdist(folder, wheel, sdist)
    for number, python in enumerate(pythons):
        try_wheel(folder / f"try-{number}", python, wheel)
    print("The release can go out.")


def build(folder: Path) -> tuple[Path, Path]:
    """Return the wheel and the sdist, built anew."""
    for old in folder.glob("quietpixel-*"):
        old.unlink()
    run(sys.executable, "-m", "hatchling", "build", "-d", folder, at=ROOT)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    for each in (wheel, sdist):
        print(f"{each.name}: {each.stat().st_size / 1e6:.1f} MB")
    return wheel, sdist


def check_metadata(tools: Path, *files: Path) -> None:
    """Let twine read what an index would read; its environment is made once, from its lock."""
    run(sys.executable, "-m", "venv", tools)
    pip = [tools / "bin" / "python", "-m", "pip", "install", "--quiet", "--require-hashes"]
    run(*pip, "-r", ROOT / "requirements-release.lock")
    run(tools / "bin" / "twine", "check", "--strict", *files)


def check_sdist(folder: Path, wheel: Path, sdist: Path) -> None:
    """Build the wheel from the sdist: it must hold the same files."""
    run("tar", "-xzf", sdist, "-C", folder)
    source = folder / sdist.name.removesuffix(".tar.gz")
    run(
        sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "again", at=source
    )
    names = [
        sorted(zipfile.ZipFile(each).namelist()) for each in (wheel, folder / "again" / wheel.name)
    ]
    assert names[0] == names[1], set(names[0]) ^ set(names[1])
    assert any(name.endswith("py.typed") for name in names[0])
    assert any(name.endswith(".onnx") for name in names[0])


def try_wheel(folder: Path, python: str, wheel: Path) -> None:
    """Install the wheel alone, and clean a picture with it."""
    run(python, "-m", "venv", "--clear", folder / "venv")
    bin = folder / "venv" / "bin"
    run(bin / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    listed = run(bin / "python", "-m", "pip", "list", "--format=freeze").lower()
    found = [name for name in UNWANTED if f"{name}==" in listed]
    assert not found, f"A base installation brought {found}."
    run(bin / "python", "-I", "-c", TRY, "write", at=folder)
    run(
        bin / "quietpixel",
        "denoise",
        "noisy.png",
        "--model",
        "mnist-unet",
        "--overwrite",
        at=folder,
    )
    print(run(bin / "python", "-I", "-c", TRY, "look", at=folder).strip())
    run(bin / "quietpixel", "models", at=folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    version = run(bin / "python", "--version").strip()
    print(f"{version}: {len(listed.split())} packages, {size / 1e6:.0f} MB, pip included")


def run(*words: object, at: Path | None = None) -> str:
    """Run a command away from the repository, and return what it said."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in words], cwd=at or Path(sys.argv[1]), env=clean, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}\n{done.stdout}")
    return done.stdout


if __name__ == "__main__":
    main()
