"""Builds the release and tries it in new environments, away from the repository.

    python .ci/release_check.py FOLDER [--extra base] [PYTHON ...]

Writes wheel and sdist into FOLDER/dist, checks their metadata, and builds the wheel again from the
sdist. Then, for each PYTHON (default: each of 3.11 to 3.13 that is installed; missing ones are
named), the wheel is installed alone and with every extra alone, each into a new environment, where
an image is denoised and the extra is used. FOLDER/sizes.md lists the contents of the wheel, and the
packages and sizes of what was installed. Only the environment of the base installation is kept.
"""

import argparse
import shutil
import sys
import zipfile
from collections import Counter
from pathlib import Path

from release_tries import EXTRAS, Tried, find_pythons, run, to_table, try_extra

ROOT = Path(__file__).parents[1]
LARGEST = 30_000_000
"""Bytes of the wheel at most."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("pythons", nargs="*")
    choices = [name or "base" for name in EXTRAS]
    parser.add_argument("--extra", action="append", choices=choices, help="only this; repeatable")
    given = parser.parse_intermixed_args()  # interpreters may follow --extra
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    wheel, sdist = build(folder / "dist")
    check_metadata(folder / "tools", wheel, sdist)
    check_sdist(folder, wheel, sdist)
    names = [name for name in EXTRAS if not given.extra or (name or "base") in given.extra]
    tried = try_all(folder, list(find_pythons(given.pythons)), wheel, names)
    sizes = f"{list_contents(wheel)}\n{to_table(tried)}"
    (folder / "sizes.md").write_text(sizes, encoding="utf-8")
    print(f"\n{sizes}\nKept in {folder / 'sizes.md'}; MB is what the environment grew by.")
    print("The release can go out." if tried else "Nothing was tried: no interpreter is here.")
    return 0 if tried else 1


def try_all(folder: Path, pythons: list[str], wheel: Path, names: list[str]) -> list[Tried]:
    """Try each extra in each Python."""
    tried = []
    for number, python in enumerate(pythons):
        for name in names:
            place = folder / (f"try-{number}-{name}" if name else f"try-{number}")
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            tried.append(try_extra(place, python, wheel, name))
            if name:
                shutil.rmtree(place)
    return tried


def build(folder: Path) -> tuple[Path, Path]:
    """Return the wheel and the sdist, built anew."""
    for old in folder.glob("quietpixel-*"):
        old.unlink()
    run(sys.executable, "-m", "hatchling", "build", "-d", folder, at=ROOT)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    for each in (wheel, sdist):
        print(f"{each.name}: {each.stat().st_size / 1e6:.1f} MB")
    assert wheel.stat().st_size <= LARGEST, f"The wheel is larger than {LARGEST / 1e6:.0f} MB."
    return wheel, sdist


def list_contents(wheel: Path) -> str:
    """Return the packages in a wheel with their compressed sizes as Markdown, largest first."""
    sizes: Counter[str] = Counter()
    for entry in zipfile.ZipFile(wheel).infolist():
        sizes["/".join(entry.filename.split("/")[:2])] += entry.compress_size
    rows = [f"| {name} | {size / 1e3:,.0f} |" for name, size in sizes.most_common()]
    return "\n".join([f"| in {wheel.name} | kB |", "|---|---|", *rows, ""])


def check_metadata(tools: Path, *files: Path) -> None:
    """Let twine read what an index would read; its environment is made once, from its lock."""
    run(sys.executable, "-m", "venv", tools, at=ROOT)
    pip = [tools / "bin" / "python", "-m", "pip", "install", "--quiet", "--require-hashes"]
    run(*pip, "-r", ROOT / "requirements-release.lock", at=ROOT)
    run(tools / "bin" / "twine", "check", "--strict", *files, at=ROOT)


def check_sdist(folder: Path, wheel: Path, sdist: Path) -> None:
    """Build the wheel from the sdist: it must hold the same files."""
    source = folder / sdist.name.removesuffix(".tar.gz")
    shutil.rmtree(source, ignore_errors=True)  # of an earlier check, with files that are gone now
    run("tar", "-xzf", sdist, "-C", folder, at=folder)
    run(
        sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "again", at=source
    )
    names = [
        sorted(zipfile.ZipFile(each).namelist()) for each in (wheel, folder / "again" / wheel.name)
    ]
    assert names[0] == names[1], set(names[0]) ^ set(names[1])
    assert any(name.endswith("py.typed") for name in names[0])
    assert any(name.endswith(".onnx") for name in names[0])


if __name__ == "__main__":
    sys.exit(main())
