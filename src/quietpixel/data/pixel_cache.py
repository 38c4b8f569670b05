"""Decoded pixels on disk, mapped into memory, so that no picture is decoded twice."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from quietpixel.data.image_source import StoredImage
from quietpixel.errors import FileError

Decode = Callable[[Path, int], StoredImage]


class PixelCache:
    """A folder of arrays, one for each picture and number of channels.

    A picture that changes gets another name here, so that old pixels are never taken for new ones.

    Parameters
    ----------
    folder
        Where the arrays lie; made if need be. It may be deleted at any time between runs.

    Raises
    ------
    FileError
        If the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._cannot(error) from error

    def get(self, path: Path, channels: int, decode: Decode) -> StoredImage:
        """Return the pixels of a picture, decoded now if they are not here yet.

        Raises
        ------
        FileError
            If the picture cannot be read, or its pixels cannot be written.
        """
        stored = self.folder / self._name(path, channels)
        if not stored.exists():
            self._write(stored, decode(path, channels))
        facts = json.loads(stored.with_suffix(".json").read_text())
        return StoredImage(np.load(stored, mmap_mode="r"), facts["low"], facts["high"])

    def _name(self, path: Path, channels: int) -> str:
        try:
            facts = path.stat()
        except OSError as error:
            raise FileError(f"'{path}' cannot be read: {error.strerror or error}.") from error
        words = f"{path.resolve()}|{facts.st_size}|{facts.st_mtime_ns}|{channels}"
        return f"{hashlib.sha256(words.encode()).hexdigest()[:32]}.npy"

    def _write(self, stored: Path, image: StoredImage) -> None:
        """Write the range first and the pixels last, so that pixels are never without it."""
        partial = stored.with_name(f".{os.getpid()}-{stored.name}")
        try:
            partial.write_text(json.dumps({"low": image.low, "high": image.high}))
            os.replace(partial, stored.with_suffix(".json"))
            with partial.open("wb") as file:
                np.save(file, image.pixels)
            os.replace(partial, stored)
        except OSError as error:
            raise self._cannot(error) from error
        finally:
            partial.unlink(missing_ok=True)

    def _cannot(self, error: OSError) -> FileError:
        return FileError(
            f"The cache of pixels '{self.folder}' cannot be written ({error.strerror or error}); "
            "make room, choose another folder, or leave out --cache."
        )
