"""The commands of the guide that can be run here do what it says."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import zarr
from PIL import Image

from quietpixel.cli.main import main

from .conftest import WorkerMachines

GUIDE = (Path(__file__).parents[2] / "docs" / "how-to" / "cluster.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    quietpixel (denoise .*)$", GUIDE, re.MULTILINE)
LOCAL = [line for line in COMMANDS if "://" not in line.replace("tcp://localhost:8786", "")]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Give the folder of a person who follows the guide."""
    monkeypatch.chdir(tmp_path)
    noisy = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8)
    (tmp_path / "scans" / "more").mkdir(parents=True)
    for name in ("a.png", "more/b.png"):
        Image.fromarray(noisy).save(tmp_path / "scans" / name)
    zarr.create_array("slide.zarr", data=noisy, chunks=(20, 20))
    stack = np.broadcast_to(noisy, (1, 2, 1, 40, 50))
    zarr.create_array("stack.ome.zarr", data=np.ascontiguousarray(stack), chunks=(1, 1, 1, 20, 20))
    return tmp_path


def test_the_guide_has_commands() -> None:
    assert len(COMMANDS) == 6
    assert len(LOCAL) == 5


def needs_workers(line: str) -> bool:
    return "--workers" in line


@pytest.mark.parametrize(
    "line",
    [pytest.param(each, marks=pytest.mark.slow if needs_workers(each) else ()) for each in LOCAL],
)
def test_each_command_runs(place, models, line, tmp_path_factory, capsys) -> None:
    words = [*shlex.split(line), "--model", str(models["halver"])]
    if "--scheduler" in words:
        machines = WorkerMachines(tmp_path_factory.mktemp("machines"))
        machines.add_worker()
        words[words.index("tcp://localhost:8786")] = machines.address
    try:
        assert main(words) == 0, capsys.readouterr().err
    finally:
        if "--scheduler" in words:
            machines.end()
    target = words[words.index("-o") + 1] if "-o" in words else "stack-clean.ome.zarr"
    results = sorted(path.name for path in (place / target).rglob("*.png"))
    assert results == ["a.png", "b.png"] or zarr.open(target, mode="r").ndim in (2, 5)


def test_the_words_for_dask_are_known() -> None:
    from click.testing import CliRunner
    from distributed.cli import dask_scheduler, dask_worker

    for tool, command in (("scheduler", dask_scheduler.main), ("worker", dask_worker.main)):
        (line,) = re.findall(rf"^    dask {tool} (.*)$", GUIDE, re.MULTILINE)
        known = CliRunner().invoke(command, ["--help"]).output
        assert all(word in known for word in shlex.split(line) if word.startswith("--"))


def test_the_python_example_runs(capsys) -> None:
    (code,) = [
        each
        for each in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
        if "quietpixel\n" in each
    ]
    exec(compile(code, "cluster.md", "exec"), {})
    assert 0 < float(capsys.readouterr().out) < 1
