"""The command line speaks of options where the library speaks of arguments."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

from quietpixel.cli.options import option_names

SOURCE = Path(__file__).parents[2] / "src" / "quietpixel"
MODULES = {
    "train": ["workflows/train*.py", "training/*.py", "data/*.py"],
    "evaluate": ["workflows/evaluat*.py"],
    "calibrate": ["workflows/calibrate.py"],
    "noise": ["noise/measure.py", "noise/fit.py"],
    "export": ["workflows/bioimageio.py"],
}
PYTHON_ONLY = {"evaluate": {"models"}}
"""Arguments of messages that no command can cause."""


def messages(path: Path) -> list[str]:
    """Return the texts of a module, without docstrings."""
    tree = ast.parse(path.read_text())
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [n.value for n in constants if isinstance(n.value, str) and id(n) not in texts]


@pytest.mark.parametrize("name", MODULES)
def test_each_argument_in_a_message_has_words_of_the_command(name: str) -> None:
    """`method`, `measured`, `clean` and `images` were shown, which no command has."""
    names = option_names(import_module(f"quietpixel.cli.{name}").command)
    paths = [path for pattern in MODULES[name] for path in SOURCE.glob(pattern)]
    texts = [text for path in paths for text in messages(path)]
    found = {word for text in texts for word in re.findall(r"`(\w+)`", text)}
    assert found - names.keys() <= PYTHON_ONLY.get(name, set())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "FOLDER", "--target=none", "--set", "measured=true", "--set", "method=hidden"],
         "--set measured is for noisy images alone (--set method neighbours)"),
        (["train", "FOLDER", "--set", "clean_fraction=3"], "--set clean_fraction must lie in"),
        (["train", "FOLDER", "--set", "method=x"], "Known: hidden, neighbours,"),
        (["noise", "FOLDER/a.png"], "FILE must be (H, W, C) and at least 24 x 24 pixels"),
        (["denoise", "FOLDER/a.png", "--model", "mnist-unet"], "INPUT must be 28x28"),
    ],
)  # fmt: skip
def test_messages_name_what_the_user_typed(quietpixel, gray, tmp_path, words, sentence) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    gray.rename(folder / "a.png")
    given = [word.replace("FOLDER", str(folder)) for word in words]
    refused = quietpixel(*given, *(["--run", tmp_path / "run"] if words[0] == "train" else []))
    assert (refused.code, sentence in refused.err) == (2, True), refused.err
