"""Import rules: which package may import which, and the cost of importing.

ARCHITECTURE.md lists the levels.
"""

import ast
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

import quietpixel

SOURCE = Path(quietpixel.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))

LEVELS = [
    {"errors", "array_types", "_version"},
    {"imaging", "card"},
    {"noise", "files"},
    {"data", "models"},
    {"inference"},
    {"training", "batch", "evaluation"},
    {"reports"},
    {"cluster", "workflows", "sklearn"},
    {"quietpixel", "containers"},
    {"web", "napari"},
    {"cli"},
    {"__main__"},
]
"""From the ground up; ``quietpixel`` stands for the package's own list of public names."""

LEVEL = {part: number for number, parts in enumerate(LEVELS) for part in parts}
TRAINING_LIBRARIES = {"keras", "tensorflow", "tf2onnx", "jax", "torch"}
MAY_TRAIN = ("models/", "training/", "data/batches.py")
NEVER_ON_IMPORT = [
    *("keras", "tensorflow", "openvino", "dask", "pyvips", "numpy", "sklearn", "rich", "click"),
]
PUBLIC = [
    "Card",
    "DenoiseOptions",
    "Denoiser",
    "QuietpixelError",
    "Recipe",
    "__version__",
    "calibrate",
    "compare",
    "denoise",
    "evaluate",
    "export_bioimageio",
    "fit_law",
    "measure_noise",
    "parse_noise",
    "read_card",
    "train",
    "uncertainty",
]


def relative(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def part_of(path: Path) -> str:
    top = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    return "quietpixel" if top == "__init__" else top


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in MODULES}


def imported_names(path: Path) -> Iterator[str]:
    """Yield the absolute dotted name of everything that the file imports, wherever in it.

    Imports inside functions and those for type checkers count too: a module that needs another only
    later, or only for its types, cannot be understood or moved without it either.
    """
    package = ["quietpixel", *path.relative_to(SOURCE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def imported_modules(path: Path) -> set[str]:
    """Return the modules of quietpixel that the file imports, or imports names from."""
    inside = [name for name in imported_names(path) if name.partition(".")[0] == "quietpixel"]
    return {_owner(name) for name in inside} - {module_name(path)}


def _owner(name: str) -> str:
    """Return the module that `name` is, or is a name of."""
    return name if name in FILES else _owner(name.rpartition(".")[0])


def find_cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of nodes that reach each other (the graph's strong components)."""
    reached = {node: _reach(node, graph) for node in graph}
    groups = {
        frozenset({node, *(other for other in reached[node] if node in reached[other])})
        for node in graph
        if node in reached[node]
    }
    return sorted(sorted(group) for group in groups)


def _reach(node: str, graph: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    ahead = [node]
    while ahead:
        new = graph[ahead.pop()] - found
        found |= new
        ahead += new
    return found


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_after(statement: str) -> set[str]:
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    return set(json.loads(run_python(code).splitlines()[-1]))


def fastest(code: str) -> float:
    """Return seconds of the processor; by the clock, a busy machine would be measured."""

    def once() -> float:
        before = os.times()
        run_python(code)
        after = os.times()
        return sum(after[2:4]) - sum(before[2:4])

    return min(once() for _ in range(5))


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_every_part_stands_on_a_level(path: Path) -> None:
    assert part_of(path) in LEVEL, f"Add '{part_of(path)}' to a level in LEVELS."


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_go_down_only(path: Path) -> None:
    part = part_of(path)
    imported = {name: part_of(FILES[name]) for name in imported_modules(path)}
    wrong = [name for name, to in imported.items() if to != part and LEVEL[to] >= LEVEL[part]]
    assert not wrong, f"{relative(path)} is in '{part}' and may not import {wrong}."


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    cycles = find_cycles({name: imported_modules(path) for name, path in FILES.items()})
    assert not cycles, f"These modules reach each other by their imports: {cycles}."


def test_a_circle_is_found_wherever_its_imports_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "quietpixel"
    package.mkdir()
    texts = {
        "__init__": "",
        "one": "from quietpixel.two import name",
        "two": "def late():\n    from quietpixel import three",
        "three": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .one import Name",
        "four": "import quietpixel.one",
    }
    for name, text in texts.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.setitem(globals(), "SOURCE", package)
    files = {module_name(path): path for path in package.iterdir()}
    monkeypatch.setitem(globals(), "FILES", files)
    graph = {name: imported_modules(path) for name, path in files.items()}
    assert graph["quietpixel.four"] == {"quietpixel.one"}
    assert find_cycles(graph) == [["quietpixel.one", "quietpixel.three", "quietpixel.two"]]


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_keras_stays_where_models_are_made_and_trained(path: Path) -> None:
    tops = {name.partition(".")[0] for name in imported_names(path)}
    allowed = relative(path).startswith(MAY_TRAIN)
    assert allowed or not tops & TRAINING_LIBRARIES


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500


def test_importing_loads_nothing_heavy() -> None:
    assert not loaded_after("import quietpixel") & set(NEVER_ON_IMPORT)


def test_importing_is_cheap() -> None:
    assert fastest("import quietpixel") - fastest("pass") < 0.2


def test_denoising_loads_no_training_library(tmp_path: Path) -> None:
    words = ["denoise", str(tmp_path / "noisy.ppm"), "-o", str(tmp_path / "denoised.ppm")]
    noisy = np.random.default_rng(0).integers(0, 256, (128, 256, 3), np.uint8)
    Path(words[1]).write_bytes(b"P6 256 128 255\n" + noisy.tobytes())
    names = "quietpixel.denoise, quietpixel.Denoiser, quietpixel.parse_noise"
    run = f"from quietpixel.cli.main import main\nassert main({words}) == 0"
    loaded = loaded_after(f"import quietpixel; {names}\n{run}")
    heavy = {"skimage", "sklearn", "scipy", "matplotlib", "onnx", "dask", "http"}
    assert not loaded & {*TRAINING_LIBRARIES, *heavy}


@pytest.mark.parametrize(
    "name",
    ["openvino.tools", "filelock", "importlib.metadata", "numpy.random", "quietpixel.noise.laws"],
)
def test_one_image_starts_without_what_it_does_not_need(name: str, started: set[str]) -> None:
    """Each takes 8 to 75 ms of the 0.4 s of a start."""
    assert name not in started


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Return the modules that denoising one image in colour loads."""
    folder = tmp_path_factory.mktemp("start")
    noisy = np.random.default_rng(0).integers(0, 256, (64, 64, 1), np.uint8).repeat(3, axis=2)
    noisy[0, 0] = 1, 2, 3
    (folder / "noisy.ppm").write_bytes(b"P6 64 64 255\n" + noisy.tobytes())
    words = ["denoise", str(folder / "noisy.ppm"), "-o", str(folder / "denoised.ppm")]
    return loaded_after(f"from quietpixel.cli.main import main\nassert main({words}) == 0")


def test_the_public_names_are_the_written_ones() -> None:
    assert quietpixel.__all__ == PUBLIC
    assert set(PUBLIC) <= set(dir(quietpixel))


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "__version__"])
def test_every_public_name_says_what_it_is(name: str) -> None:
    documentation = inspect.getdoc(getattr(quietpixel, name))
    assert documentation is not None
    assert len(documentation) > 20


def test_the_version_is_the_installed_one() -> None:
    assert quietpixel.__version__.count(".") == 2


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="No quietpixel attribute denoize"):
        _ = quietpixel.denoize
