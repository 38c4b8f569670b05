"""The folder of one run: written so that it is whole after any interruption."""

import csv
import io
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from quietpixel.errors import TrainingError
from quietpixel.files.atomic import write_error
from quietpixel.training.recipe import Recipe

PACKAGES = ("quietpixel", "keras", "tensorflow-cpu", "tensorflow", "jax", "torch", "numpy", "onnx")


class RunFolder:
    """Reads and writes what a run keeps.

    Parameters
    ----------
    path
        The folder; it is made if it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe = path / "recipe.json"
        self.history = path / "history.csv"
        self.checkpoint = path / "checkpoint.npz"
        self.keras_model = path / "model.keras"
        self.onnx_model = path / "model.onnx"

    def start(self, recipe: Recipe) -> None:
        """Make the folder and write the recipe and the environment.

        Raises
        ------
        TrainingError
            If the folder already holds a run, or cannot be made.
        FileError
            If a file in it cannot be written.
        """
        if self.recipe.exists():
            raise TrainingError(
                f"'{self.path}' already holds a run; go on with it by --resume, or choose another "
                "folder with --run."
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(
                f"The run folder '{self.path}' cannot be written ({error.strerror or error}); "
                "choose another with --run."
            ) from error
        self.write("environment.json", json.dumps(describe_environment(), indent=2))
        self.write("recipe.json", recipe.to_json())

    def discard_unless_begun(self) -> None:
        """Take back what `start` wrote if no epoch was finished, so that the name is free again."""
        if self.checkpoint.exists() or self.history.exists():
            return
        self.recipe.unlink(missing_ok=True)
        (self.path / "environment.json").unlink(missing_ok=True)
        with suppress(OSError):  # something else lies in the folder
            self.path.rmdir()

    def refuse_finished(self) -> None:
        """Refuse to go on with a run that reached its end.

        Raises
        ------
        TrainingError
            If it did.
        """
        if self.onnx_model.exists() and not self.checkpoint.exists():
            raise TrainingError(
                f"The run in '{self.path}' is finished, so there is nothing to go on with; begin "
                f"another with its weights: --from {self.path}."
            )

    def read_recipe(self) -> Recipe:
        """Return the recipe of the run in this folder.

        Raises
        ------
        TrainingError
            If there is no run.
        """
        if not self.recipe.exists():
            raise TrainingError(
                f"'{self.path}' holds no run to resume (no recipe.json); leave out --resume to "
                "start one."
            )
        return Recipe.from_json(self.recipe.read_text())

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file of the folder under a temporary name and rename it."""
        data = content.encode() if isinstance(content, str) else content
        self.replace(name, lambda partial: partial.write_bytes(data))

    def replace(self, name: str, write: Callable[[Path], object]) -> None:
        """Let `write` make a file under a temporary name of the same ending, then rename it."""
        partial = self.path / f".partial-{name}"
        try:
            write(partial)
            os.replace(partial, self.path / name)
        except OSError as error:
            raise write_error(self.path / name, error) from error
        finally:
            partial.unlink(missing_ok=True)

    def write_history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write one line for each epoch."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]) if rows else ["epoch"])
        writer.writeheader()
        writer.writerows(rows)
        self.write("history.csv", text.getvalue())

    def read_history(self) -> list[dict[str, float]]:
        """Return one mapping for each epoch."""
        with self.history.open(newline="") as lines:
            return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(lines)]

    def write_checkpoint(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the state of the run after an epoch."""
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        self.write("checkpoint.npz", buffer.getvalue())

    def read_checkpoint(self) -> dict[str, np.ndarray]:
        """Return the state of the run after its last epoch; empty if there was none."""
        if not self.checkpoint.exists():
            return {}
        with np.load(self.checkpoint) as arrays:
            return dict(arrays)


def describe_environment() -> dict[str, Any]:
    """Return the versions and the machine that a run was made with."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor_name(),
        "cores": os.cpu_count(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")
