"""Paths and URLs of images that are larger than memory."""

import contextlib
import json
import os
import posixpath
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from quietpixel.cluster.optional_imports import need
from quietpixel.errors import FileError
from quietpixel.files import zarr_store


@dataclass(frozen=True)
class Place:
    """A path or a URL, whatever lies there.

    Parameters
    ----------
    name
        As the user gave it, without a slash at the end.

    Examples
    --------
    >>> Place("s3://bucket/a.zarr").beside("-clean").name
    's3://bucket/a-clean.zarr'
    """

    name: str

    @property
    def is_url(self) -> bool:
        """Whether it is reached through fsspec."""
        return "://" in self.name

    @property
    def last(self) -> str:
        """The last part of the name."""
        return posixpath.basename(self.name.replace("\\", "/"))

    @property
    def is_tiff(self) -> bool:
        """Whether the name is that of a TIFF file."""
        from quietpixel.files import format_of_name  # loads libvips, which a Zarr does not need

        return format_of_name(PurePath(self.name)) == "tiff"

    def whole(self) -> "Place":
        """Return the same place for a process in any folder."""
        if self.name.startswith("file://"):
            return Place(str(self.files()[1]))
        return self if self.is_url else Place(os.path.abspath(self.name))

    def beside(self, suffix: str) -> "Place":
        """Return the place with `suffix` added to its name, before the endings."""
        from quietpixel.files import split_ending  # loads libvips

        stem, ending = split_ending(self.last)
        return self.neighbour(f"{stem}{suffix}{ending}")

    def neighbour(self, name: str) -> "Place":
        """Return the place of another name in the same folder."""
        return Place(self.name[: len(self.name) - len(self.last)] + name)

    def below(self, *parts: str) -> "Place":
        """Return a place inside this one."""
        return Place("/".join([self.name, *parts]))

    def files(self) -> tuple[Any, str]:
        """Return the fsspec file system and the path in it.

        Raises
        ------
        FileError
            If no file system is known for the URL, or it cannot be reached.
        """
        fsspec = need("fsspec")
        try:
            system, path = fsspec.core.url_to_fs(self.name)
        except (ImportError, ValueError, OSError) as error:
            raise FileError(
                f"'{self.name}' cannot be reached ({' '.join(str(error).split())}); fsspec needs a "
                "package for each kind of address, such as s3fs for s3://."
            ) from error
        return system, path

    def exists(self) -> bool:
        """Return whether anything is there."""
        system, path = self.files()
        return bool(system.exists(path))

    def names(self) -> set[str]:
        """Return the names of what lies below; none where nothing is."""
        system, path = self.files()
        try:
            # Refreshed, because remote file systems remember lists and workers add files meanwhile.
            found = system.ls(path, detail=False, refresh=True)
        except (FileNotFoundError, NotADirectoryError):
            return set()
        return {posixpath.basename(str(each).rstrip("/")) for each in found}

    def read(self) -> bytes | None:
        """Return the content of a small file, None where there is none."""
        system, path = self.files()
        try:
            return bytes(system.cat_file(path))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def write(self, content: bytes) -> None:
        """Put a small file there."""
        system, path = self.files()
        with contextlib.suppress(FileExistsError, NotImplementedError):
            system.makedirs(posixpath.dirname(path), exist_ok=True)
        system.pipe_file(path, content)

    def remove(self) -> None:
        """Remove what is there, with all below."""
        system, path = self.files()
        with contextlib.suppress(FileNotFoundError):
            system.rm(path, recursive=True)

    def move(self, target: "Place") -> None:
        """Put a whole folder at another place; what makes it an image comes last there."""
        if not self.is_url:
            Path(target.name).parent.mkdir(parents=True, exist_ok=True)
            os.rename(self.name, target.name)
            return
        # Object stores cannot rename: each file is copied.
        system, begin = self.files()
        end = target.files()[1]
        # Readers must not take a copy for whole before all of it is there.
        last = {f"{begin.rstrip('/')}/{name}" for name in (*zarr_store.FILES, ".zattrs")}
        for path in sorted(system.find(begin), key=lambda path: path in last):
            where = end.rstrip("/") + path[len(begin.rstrip("/")) :]
            with contextlib.suppress(FileExistsError, NotImplementedError):
                system.makedirs(posixpath.dirname(where), exist_ok=True)
            system.cp_file(path, where)
        self.remove()


def is_store(name: str) -> bool:
    """Return whether a name is a URL or a Zarr, which are read in blocks."""
    zarr = name.rstrip("/").lower().endswith(".zarr")
    return "://" in name or zarr or zarr_store.is_store(Path(name))


def to_json(value: Any) -> bytes:
    """Return a value as the bytes of a small file."""
    return json.dumps(value, sort_keys=True).encode()
