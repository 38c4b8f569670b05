"""The commands of README and documentation run one after the other, as a reader would type them."""

import json
import re
import shlex
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from quietpixel.cli.main import main
from quietpixel.inference.engine import Engine, open_engine
from quietpixel.inference.model_file import read_card
from quietpixel.inference.model_store import find_model

from .science import fits_file, hdf5, mrc, npy

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = re.compile(r"^ {4}quietpixel (.*)$", re.MULTILINE)
ELSEWHERE = {
    "README.md": "same commands as docs/index.md",
    "cluster.md": "starts workers: tests/cluster/test_guide.py",
    "serve-behind-nginx.md": "starts nginx: tests/web/test_nginx.py",
}
"""Pages whose commands other tests run."""
SKIPPED = {
    r"^demo": "a minute of training: tests/cli/test_train.py",
    r"^serve": "runs until it is stopped: tests/web",
    r"\.CR3": "no camera file is free: tests/cli/test_denoise_raw.py",
    r"^train --resume": "continues an interrupted run: tests/training/test_training.py",
}
"""Commands that are not run, with the reason."""
SLOW = re.compile(r"^(train|calibrate|page) |^evaluate .*(digits|held-back|pairs)")
"""Commands that train, tune methods or fetch onnxruntime-web; pages with one are slow tests too."""
OUTPUTS = ("-o", "--report", "--json", "--compare", "--uncertainty", "--plot", "--run")
RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(400, (40, 48)).astype(np.uint16)
SCIENTIFIC = {
    ".npy": lambda path: npy(np.broadcast_to(COUNTS, (1, 2, 2, *COUNTS.shape))),
    ".h5": lambda path: hdf5(entry__data=COUNTS),
    ".mrc": lambda path: mrc(COUNTS, path),
    ".fits": lambda path: fits_file(fits.PrimaryHDU(), fits.ImageHDU(COUNTS, name="SCI")),
}
"""Functions that make a file."""


def commands_of(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return [re.sub(r"\s+#.*", "", line) for line in COMMAND.findall(text)]


def runs(line: str) -> bool:
    return not any(re.search(pattern, line) for pattern in SKIPPED)


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name == "level.tif":
        Image.fromarray(np.full((40, 48), 0.1, np.float32)).save(path)
        return
    ramp = np.linspace(60, 200, 48)[None, :, None] + RNG.normal(0, 12, (40, 48, 3))
    image = Image.fromarray(ramp.clip(0, 255).astype(np.uint8))
    image.convert("RGBA" if path.name == "logo.png" else "RGB").save(path)


def create_inputs(words: list[str]) -> None:
    """Create what a command reads: images, and folders of images or of pairs."""
    if words[0] == "train" and words[1].endswith("/"):
        create_training_folder(Path(words[1]), words)
    for before, word in pairwise(words):
        path = Path(word.partition("::")[0])
        if before in OUTPUTS or word.startswith("-") or path.exists():
            continue
        if "pairs" in word:
            write_image(path / "noisy" / "a.png")
            write_image(path / "clean" / "a.png")
        elif word.endswith("/") or "*" in word:
            write_image((path.parent if "*" in word else path) / "a.png")
        elif path.suffix in (".jpg", ".png", ".tif"):
            write_image(path)
        elif path.suffix in SCIENTIFIC:
            path.write_bytes(SCIENTIFIC[path.suffix](path))


def create_training_folder(folder: Path, words: list[str]) -> None:
    """Create six images, or six pairs in subfolders or under the names of a pattern."""
    subfolders = {"scans": ("noisy/*", "clean/*"), "scenes": ("first/*", "second/*")}
    parts = subfolders.get(folder.name, ("*",))
    if "--pairs" in words:
        parts = tuple(words[words.index("--pairs") + 1].replace(".*", "").split("="))
    for part in parts:
        for number in range(6):
            write_image(folder / f"{part.replace('*', str(number))}.png")


def shorten(words: list[str]) -> list[str]:
    """Return the words of a training that ends after a few steps and needs no network."""
    if words[0] != "train":
        return words
    kept = ["digits" if word == "mnist" else word for word in words]  # of the same size
    for option in ("--minutes", "--epochs"):
        if option in kept:
            at = kept.index(option)
            del kept[at : at + 2]
    steps = [] if "digits" in kept else ["--patch", "32", "--batch", "2", "--set", "steps=2"]
    return [*kept, "--epochs", "1", *steps]


def expand(word: str) -> list[str]:
    return sorted(map(str, Path().glob(word))) if "*" in word and "=" not in word else [word]


opened: dict[str, Engine] = {}


def open_once(path: Path, **options: Any) -> Engine:
    """Open each model once for all commands; opening takes longer than the images here."""
    key = f"{read_card(path).name} {options}"
    return opened[key] if key in opened else opened.setdefault(key, open_engine(path, **options))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of a reader who has a run and a model of their own."""
    monkeypatch.setattr("quietpixel.inference.denoiser.open_engine", open_once)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    models = tmp_path / "home" / "quietpixel" / "models"
    for folder, name in ((tmp_path / "runs" / "mine", "model"), (models, "mine"), (models, "lab")):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(find_model("photo"), folder / f"{name}.onnx")
    return tmp_path


def quick(line: str) -> bool:
    return runs(line) and not SLOW.search(line)


OWN = [page for page in PAGES if page.name not in ELSEWHERE]
QUICK_PAGES = [page for page in OWN if any(map(quick, commands_of(page)))]
SLOW_PAGES = [
    page for page in OWN if any(runs(line) and not quick(line) for line in commands_of(page))
]


@pytest.mark.parametrize("page", QUICK_PAGES, ids=lambda page: page.stem)
def test_commands_of_a_page_run_in_order(
    page: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_in_order([*filter(quick, commands_of(page))], place, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("page", SLOW_PAGES, ids=lambda page: page.stem)
@pytest.mark.usefixtures("eager", "few_digits", "few_squares", "no_report")
def test_commands_of_a_page_with_training_run_in_order(
    page: Path, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quietpixel.workflows.evaluate.TUNING_COUNT", 1)
    for name in re.findall(r"--name ([\w-]+)", page.read_text(encoding="utf-8")):
        # The page itself makes this model.
        (place / "home" / "quietpixel" / "models" / f"{name}.onnx").unlink(missing_ok=True)
    run_in_order(commands_of(page), place, capsys)


def run_in_order(lines: list[str], place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in filter(runs, lines):
        words = shlex.split(line)
        create_inputs(words)
        before = {path for path in place.rglob("*") if path.is_file()}
        code = main([part for word in shorten(words) for part in expand(word)])
        printed = capsys.readouterr()
        assert code == 0, f"{line}\n{printed.err}"
        outputs = [Path(word) for option, word in pairwise(words) if option in OUTPUTS]
        if "--dry-run" not in words:
            assert all(path.exists() for path in outputs), line
        if words[0] == "denoise" and not {"--dry-run", "--overwrite", "-o"} & {*words}:
            assert {path for path in place.rglob("*") if path.is_file()} > before, line


def test_every_reason_to_skip_is_needed() -> None:
    lines = [line for page in PAGES for line in commands_of(page)]
    assert all(any(re.search(pattern, line) for line in lines) for pattern in SKIPPED)
    assert ELSEWHERE.keys() <= {page.name for page in PAGES}


def test_the_readme_shows_the_commands_of_the_start_page() -> None:
    assert commands_of(PAGES[0]) == commands_of(ROOT / "docs" / "index.md")


def test_report_of_the_folder_tutorial_names_model_and_noise(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(Path("photos/a.jpg"))
    assert main(["denoise", "photos/", "-o", "clean/", "--json", "report.json"]) == 0
    (entry,) = json.loads(Path("report.json").read_text())["files"]
    assert entry["model"] == "photo"
