"""The errors quietpixel raises: one base, its kinds, and "unknown name, did you mean".

Each kind is also a built-in error, so that ordinary ``except ValueError`` code keeps working. A
message is one sentence (what, why, what was given) and a remedy; the command line prints it and
exits with code 2.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from math import inf
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any

MOST_PIXELS = 500_000_000
"""Pixels of all pages of an image that is read unless a caller permits more."""


class QuietpixelError(Exception):
    """Base of every error that quietpixel raises on purpose."""

    unnamed: "QuietpixelError | None" = None
    """The same error before the name of a file was put into it, for where the name is shown."""


class ArgumentError(QuietpixelError, ValueError):
    """An argument breaks its rule."""


class ImageError(QuietpixelError, ValueError):
    """An image has a shape, a type or values that cannot be used."""


class TooLargeError(ImageError):
    """An image exceeds a limit.

    Parameters
    ----------
    sentence
        What is too large, and what to do with the image; without a full stop.
    limit
        Name of the argument that sets the limit; None if nothing raises it.

    Examples
    --------
    >>> error = TooLargeError("There are 9 pixels, and at most 8 are read; crop it", "max_pixels")
    >>> print(error)
    There are 9 pixels, and at most 8 are read; crop it, or raise `max_pixels`.
    >>> error.explain("ask for more")
    'There are 9 pixels, and at most 8 are read; crop it, or ask for more.'
    """

    def __init__(self, sentence: str, limit: str | None = None) -> None:
        super().__init__(sentence, limit)
        self.limit = limit

    def __str__(self) -> str:
        return self.explain(f"raise `{self.limit}`" if self.limit else None)

    def explain(self, way: str | None) -> str:
        """Return the message with the way to raise the limit from where the caller is, if any."""
        return f"{self.args[0]}, or {way}." if way else f"{self.args[0]}."


class UnknownNameError(QuietpixelError, LookupError):
    """A name is not among the known ones."""


class FileError(QuietpixelError, OSError):
    """A file cannot be read or written."""


class DataError(QuietpixelError, OSError):
    """A data set is missing, damaged or empty."""


class ModelError(QuietpixelError, ValueError):
    """A file is not a model, or the model cannot do what was asked."""


class TrainingError(QuietpixelError, RuntimeError):
    """A training run cannot start, continue or be resumed."""


class ClusterError(QuietpixelError, RuntimeError):
    """A scheduler or its workers cannot be reached, or cannot do the work."""


class MissingDependencyError(QuietpixelError, ImportError):
    """An optional package is needed and not installed."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Return the error for a name that is not known, with the closest known name.

    Parameters
    ----------
    kind
        What the name stands for, such as ``"noise law"``.
    name
        What was given.
    known
        All names that would have been right.

    Examples
    --------
    >>> print(unknown_name("noise law", "gausian", ["gaussian", "poisson"]))
    Unknown noise law 'gausian': did you mean 'gaussian'? Known: gaussian, poisson.
    """
    name, names = str(name), sorted(filter(None, known))
    close = get_close_matches(name, names, n=1)
    hint = f": did you mean '{close[0]}'?" if close else "."
    return UnknownNameError(f"Unknown {kind} '{name}'{hint} Known: {', '.join(names)}.")


def check_known(kind: str, name: str, known: Collection[str]) -> None:
    """Raise `unknown_name` unless the name is among the known ones.

    Parameters
    ----------
    kind, name, known
        As for `unknown_name`.

    Raises
    ------
    UnknownNameError
        If it is not.
    """
    if name not in known:
        raise unknown_name(kind, str(name), known)


def check_text(name: str, value: object, kind: str = "a path or a name") -> str:
    """Return a path or a name as text.

    Parameters
    ----------
    name
        Name of the argument.
    value
        Text or a path.
    kind
        What it must be.

    Raises
    ------
    ArgumentError
        If it is something else, or empty.
    """
    if not isinstance(value, str | PurePath) or not str(value):
        raise ArgumentError(f"`{name}` must be {kind}; got {value!r}.")
    return str(value)


def check_number(
    name: str, value: object, *, whole: bool = True, least: float | None = None
) -> None:
    """Raise ArgumentError unless an argument is a finite number; True and False are none.

    Parameters
    ----------
    name, value
        Of the argument.
    whole
        Whether it must be an integer.
    least
        The smallest value that it may have; None for any.

    Examples
    --------
    >>> check_number("count", 1.5)
    Traceback (most recent call last):
    quietpixel.errors.ArgumentError: `count` must be a whole number; got 1.5.
    """
    good = not isinstance(value, bool) and isinstance(value, Integral if whole else Real)
    if not good or not -inf < value < inf or (least is not None and value < least):  # type: ignore[operator]
        kind = "a whole number" if whole else "a finite number"
        limit = "" if least is None else f" of at least {least}"
        raise ArgumentError(f"`{name}` must be {kind}{limit}; got {value!r}.")


def import_optional(module: str, need: str, install: str = "'quietpixel[train]'") -> Any:
    """Return a module of a package that not every installation has.

    Parameters
    ----------
    module
        Its full name.
    need
        What needs which package, such as ``"SSIM needs scikit-image"``.
    install
        What pip installs to get it.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"{need}, which is not installed; install it with: pip install {install}."
        ) from error


@contextmanager
def naming_missing(need: str, extra: str) -> Iterator[None]:
    """Say what is missing where a module of this package cannot be imported without an extra.

    Parameters
    ----------
    need
        What needs it, such as ``"Training needs"``; the name of the package follows.
    extra
        The extra that installs it.

    Raises
    ------
    MissingDependencyError
        If an import in the block fails.
    """
    try:
        yield
    except MissingDependencyError:  # of a block within this one
        raise
    except ImportError as error:
        raise MissingDependencyError(
            f"{need} {error.name}, which is not installed; install it with: "
            f"pip install 'quietpixel[{extra}]'."
        ) from error
