"""One call of `quietpixel denoise` as an object, with every option under its name."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from quietpixel.errors import ArgumentError

if TYPE_CHECKING:
    from quietpixel.batch import Settings
    from quietpixel.inference.options import DenoiseOptions


OPTION_NAMES = frozenset(
    {
        *("colour_strength", "max_pixels", "memory", "model", "output", "precision", "range"),
        *("sigma", "strength", "suffix"),
    }
)
"""Arguments of the library, in sentences on single files, that are options of the command."""


@dataclass(frozen=True, kw_only=True)
class DenoiseCall:
    """What the user asked for; `options` holds all that concerns the image and the denoiser."""

    inputs: tuple[str, ...]
    options: "DenoiseOptions"
    output: str | None = None
    recursive: bool = False
    suffix: str = "-clean"
    in_place: bool = False
    overwrite: bool = False
    format: str | None = None
    jpeg_quality: int | None = None
    max_pixels: int = 500_000_000
    axes: str | None = None
    workers: int | None = None
    scheduler: str | None = None
    dry_run: bool = False
    json: str | None = None
    compare: str | None = None
    uncertainty: str | None = None

    @property
    def on_cluster(self) -> bool:
        """Whether workers do the work."""
        return bool(self.workers or self.scheduler)

    @property
    def on_stream(self) -> bool:
        """Whether the input or the output is a stream."""
        return "-" in self.inputs or self.output == "-"

    @property
    def reports(self) -> dict[str, Path]:
        """Files written beside the results, by the name of the option."""
        named = {"compare": self.compare, "uncertainty": self.uncertainty, "json": self.json}
        return {name: Path(path) for name, path in named.items() if path}

    def check_reports(self, *pictures: Path) -> None:
        """Raise ArgumentError if a file beside the results would take the place of a picture."""
        places = {path.resolve() for path in pictures}
        for name, path in self.reports.items():
            if path.resolve() in places:
                raise ArgumentError(
                    f"--{name} must name a file of its own; '{path}' is a picture that is read or "
                    "written."
                )
            if name == "json" and not path.resolve().parent.is_dir():
                raise ArgumentError(f"--json must lie in a folder that exists; got '{path}'.")
            places.add(path.resolve())

    def check_stream(self) -> None:
        """Raise ArgumentError if an option does not go with a stream."""
        from_environment = self.scheduler == os.environ.get("DASK_SCHEDULER_ADDRESS")
        if self.workers or (self.scheduler and not from_environment):
            raise ArgumentError(
                "'-' is one image for this process; leave out --workers and --scheduler."
            )
        if len(self.inputs) > 1 or Path(self.inputs[0]).is_dir() or self.in_place:
            raise ArgumentError("'-' stands for one image; give one INPUT, and no --in-place.")

    def settings(self) -> "Settings":
        """Return how pictures are read, denoised and written."""
        from quietpixel.batch import Settings
        from quietpixel.files import refuse_existing

        beside = {name: path for name, path in self.reports.items() if name != "json"}
        for path in beside.values():
            refuse_existing(path, overwrite=self.overwrite)
        return Settings(
            options=self.options,
            format=self.format,
            quality=self.jpeg_quality,
            overwrite=self.overwrite or self.in_place,
            max_pixels=self.max_pixels,
            compare=beside.get("compare"),
            uncertainty=beside.get("uncertainty"),
        )
