"""Download of a file from the first mirror that has it complete."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from quietpixel.errors import DataError, import_optional

HOW_TO_GET = (
    "Pass a folder that holds a good copy as `data_dir`, or name it in the environment variable "
    "QUIETPIXEL_DATA, or do neither, and quietpixel downloads it once into its cache."
)
"""The remedy for a missing or damaged file of a data set."""
CHUNK = 1 << 16
TIMEOUT = 20.0
"""Seconds without data after which the next mirror is tried."""


def download(
    urls: Sequence[str],
    destination: Path,
    *,
    check: Callable[[Path], object],
    timeout: float = TIMEOUT,
) -> Path:
    """Download a file from the first of its mirrors that has it complete, and return its path.

    The file gets its name only once it is complete and checked, so an interruption leaves no part
    of it behind.

    Parameters
    ----------
    urls
        The addresses of the file, tried in this order.
    destination
        Its path; missing folders are created.
    check
        Called with the path of the downloaded file; raises `ValueError` with its fault.
    timeout
        Seconds without data after which the next mirror is tried.

    Raises
    ------
    DataError
        If no mirror has the file, or it cannot be written.
    MissingDependencyError
        If pooch is not installed.
    """
    need = "Downloading a data set needs pooch"
    pooch, requests = (import_optional(module, need) for module in ("pooch", "requests"))
    get = pooch.HTTPDownloader(chunk_size=CHUNK, timeout=timeout)
    # Beside the destination, because a rename is whole or not at all only on one disk.
    partial = destination.with_name(f".{os.getpid()}-{destination.name}.part")
    faults = []
    for url in urls:
        try:
            destination.parent.mkdir(parents=True, exist_ok=True)
            get(url, str(partial), None)
            check(partial)
            partial.replace(destination)
            return destination
        # First, because these are also OSErrors, and some of them ValueErrors.
        except requests.RequestException as error:
            fault = _describe(error, timeout)
        except ValueError as error:
            fault = f"the downloaded file {error}"
        except OSError as error:
            raise DataError(
                f"'{destination}' cannot be written ({error.strerror or error}). {HOW_TO_GET}"
            ) from error
        finally:
            with suppress(OSError):  # its folder may not even be one
                partial.unlink()
        faults.append(f"{urlsplit(url).netloc}: {fault}")
    raise DataError(
        f"'{destination.name}' could not be downloaded ({'; '.join(faults)}). Check the network "
        f"connection, or get the file another way. {HOW_TO_GET}"
    )


def _describe(error: Any, timeout: float) -> str:
    response = error.response
    if response is not None:
        return f"{response.status_code} {response.reason}"
    words = str(error).lower()  # requests has no error kinds for these two that hold for all sites
    if "timed out" in words:
        return f"no data for {timeout:g} seconds"
    if "incompleteread" in words or "connection broken" in words:
        return "the connection was lost"
    return "no connection"
