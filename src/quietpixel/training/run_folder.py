"""The folder of a run, complete after any interruption."""

import csv
import io
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from quietpixel.errors import TrainingError
from quietpixel.files.atomic import write_error
from quietpixel.training.recipe import Recipe

PACKAGES = ("quietpixel", "keras", "tensorflow-cpu", "tensorflow", "jax", "torch", "numpy", "onnx")

OUTPUTS = (
    "environment.json", "history.csv", "checkpoint.npz", "model.keras", "model.onnx", "samples.png",
    "report.html",
)  # fmt: skip
"""Files that a run writes beside its recipe."""


class RunFolder:
    """Reads and writes the files of a run.

    Parameters
    ----------
    path
        The folder; `start` creates it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe = path / "recipe.json"
        self.history = path / "history.csv"
        self.checkpoint = path / "checkpoint.npz"
        self.keras_model = path / "model.keras"
        self.onnx_model = path / "model.onnx"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training in this folder, which is created if missing.

        Raises
        ------
        TrainingError
            If another process trains in it, or it cannot be created.
        """
        path = self.path / ".lock"
        lock = FileLock(path)
        self._create()
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise TrainingError(
                f"Another process is training in '{self.path}'; wait until it is finished, or "
                "choose another folder as `run`."
            ) from error
        except OSError as error:
            raise self._write_error(error) from error
        try:
            yield
        finally:
            # Removed while it is held: nobody waits for it, so nobody holds a removed file's lock.
            path.unlink(missing_ok=True)
            lock.release()
            with suppress(OSError):  # fails unless the folder is empty
                self.path.rmdir()

    def start(self, recipe: Recipe) -> None:
        """Create the folder, and write the recipe and the environment.

        Parameters
        ----------
        recipe
            The recipe of the run.

        Raises
        ------
        TrainingError
            If the folder already holds a run or files of the same names, or cannot be created.
        FileError
            If a file in it cannot be written.
        """
        self.refuse_used()
        self._create()
        # The recipe comes last, because a folder with a recipe counts as a run.
        self.write("environment.json", json.dumps(describe_environment(), indent=2))
        self.write("recipe.json", recipe.to_json())

    def refuse_used(self) -> None:
        """Raise TrainingError if the folder already holds a run or files of the same names."""
        if self.recipe.exists():
            raise TrainingError(
                f"'{self.path}' already holds a run; continue it with `resume`, or choose another "
                "folder as `run`."
            )
        for name in OUTPUTS:
            if os.path.lexists(self.path / name):
                raise TrainingError(
                    f"'{self.path}' holds '{name}', which the run would replace; choose another "
                    "folder as `run`."
                )

    def _create(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._write_error(error) from error

    def _write_error(self, error: OSError) -> TrainingError:
        return TrainingError(
            f"The run folder '{self.path}' cannot be written ({error.strerror or error}); "
            "choose another as `run`."
        )

    def discard_unless_trained(self) -> None:
        """Delete what `start` wrote if no epoch was completed, so that the folder can be reused."""
        if self.checkpoint.exists() or self.history.exists():
            return
        self.recipe.unlink(missing_ok=True)
        (self.path / "environment.json").unlink(missing_ok=True)
        with suppress(OSError):  # the folder holds other files
            self.path.rmdir()

    def refuse_finished(self) -> None:
        """Refuse to continue a run that is finished.

        Raises
        ------
        TrainingError
            If it is.
        """
        if self.onnx_model.exists() and not self.checkpoint.exists():
            raise TrainingError(
                f"The run in '{self.path}' is finished, so there is nothing to continue; start "
                f"another from its weights, with '{self.path}' as `start`."
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
                f"'{self.path}' holds no run to resume (no recipe.json); omit `resume` to "
                "start one."
            )
        return Recipe.from_json(self.recipe.read_text())

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file of the folder under a temporary name and rename it."""
        data = content.encode() if isinstance(content, str) else content
        self.replace(name, lambda partial: partial.write_bytes(data))

    def replace(self, name: str, write: Callable[[Path], object]) -> None:
        """Call `write` with a temporary name of the same suffix, then rename the file."""
        # The suffix stays at the end, as Keras chooses the format of a model by it.
        partial = self.path / f".partial-{name}"
        try:
            write(partial)
            os.replace(partial, self.path / name)
        except OSError as error:
            raise write_error(self.path / name, error) from error
        finally:
            partial.unlink(missing_ok=True)

    def write_history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write one line per epoch."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]) if rows else ["epoch"])
        writer.writeheader()
        writer.writerows(rows)
        self.write("history.csv", text.getvalue())

    def read_history(self) -> list[dict[str, float]]:
        """Return one mapping per epoch."""
        with self.history.open(newline="") as lines:
            return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(lines)]

    def write_checkpoint(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the state of the run after an epoch."""
        # In memory first, so that a full disk ends in the same error as for every other file.
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
    """Return the versions of the packages and the machine of a run."""
    packages = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            packages[name] = version(name)
    # platform.processor() is empty on most Linux systems.
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": next(names, platform.processor() or "unknown"),
        "cores": os.cpu_count(),
        "packages": packages,
    }
