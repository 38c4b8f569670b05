"""Reads the card out of a model file without loading an engine, and writes another one."""

import errno
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from quietpixel.card import METADATA_KEY, Card
from quietpixel.errors import FileError, ModelError, import_optional
from quietpixel.files.atomic import atomic_file, refuse_existing, write_error

_METADATA_FIELD = 14  # ModelProto.metadata_props


def read_card(path: str | Path) -> Card:
    """Return the card inside an ONNX file, reading no more of the file than needed.

    Raises
    ------
    ModelError
        If the file is missing, is not an ONNX file, or carries no card.
    """
    try:
        with open(path, "rb") as file:
            metadata = dict(_metadata(file))
    except OSError as error:
        raise ModelError(
            f"The model file '{path}' cannot be read ({error.strerror}); pass an .onnx file, "
            "a run folder or a bundled name."
        ) from error
    except (ValueError, IndexError) as error:
        raise unreadable(Path(path), _describe(Path(path))) from error
    if METADATA_KEY not in metadata:
        raise ModelError(
            f"The model file '{path}' is an ONNX file without a quietpixel card, so its channels "
            "and sizes are not known; export it with quietpixel."
        )
    return Card.from_json(metadata[METADATA_KEY])


def replace_card(source: Path, target: Path, card: Card) -> None:
    """Write an ONNX file with another card.

    Parameters
    ----------
    source, target
        The file, and the one to write; they may be the same.
    card
        The new card.

    Raises
    ------
    MissingDependencyError
        If the package onnx is not installed.
    FileError
        If the file cannot be written, or would replace one that is not a quietpixel model.
    """
    onnx = import_optional("onnx", "Writing a card needs the package onnx")
    model = onnx.load(source)
    onnx.helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    refuse_other_file(target)
    with atomic_file(target, overwrite=True) as file:
        file.write(model.SerializeToString())


def refuse_other_file(target: Path) -> None:
    """Raise `FileError` if a model cannot be written, or would replace a file that is none."""
    if not target.resolve().parent.is_dir():
        raise write_error(target, FileNotFoundError(errno.ENOENT, "missing"))
    refuse_existing(target, overwrite=True)
    try:
        if target.exists() and target.stat().st_size:
            read_card(target)
    except ModelError as error:
        raise FileError(
            f"'{target}' exists and is not a quietpixel model, so it is not replaced; "
            "choose another name."
        ) from error


def unreadable(path: Path, what: str) -> ModelError:
    """Return the error for a file that is not a model, with what it is."""
    return ModelError(
        f"The file '{path}' is not a model that can be run: {what}; pass an .onnx file that "
        "quietpixel exported, a run folder or a bundled name."
    )


def _describe(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(8)
    if not start:
        return "it is empty"
    if start.startswith(b"\x89PNG") or start.startswith(b"\xff\xd8"):
        return "it is a picture"
    if start.startswith(b"PK"):
        return "it is a zip archive (a .keras file is one; the .onnx file beside it is the model)"
    return "it is not an ONNX file, or is cut short"


# An ONNX file is one protocol-buffers message. Its few fields are walked here, the big ones
# skipped, so that asking for a card loads no engine.


def _metadata(file: BinaryIO) -> Iterator[tuple[str, str]]:
    file.seek(0, 2)
    end = file.tell()
    file.seek(0)
    seen = set()
    while file.tell() < end:
        number, size = _read_tag(file)
        seen.add(number)
        if file.tell() + size > end:
            raise ValueError("cut short")
        if number == _METADATA_FIELD:
            yield _read_entry(file.read(size))
        else:
            file.seek(size, 1)
    if 7 not in seen:  # ModelProto.graph
        raise ValueError("no graph")


def _read_tag(file: BinaryIO) -> tuple[int, int]:
    """Return the number of the next field and how many bytes its content takes."""
    number, kind = divmod(_read_varint(file), 8)
    if kind == 0:
        _read_varint(file)
        return number, 0
    if kind == 2:
        return number, _read_varint(file)
    raise ValueError("not a field of an ONNX file")


def _read_varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)[0]
        value |= (byte & 127) << shift
        if byte < 128:
            return value
    raise ValueError("not a number")


def _read_entry(content: bytes) -> tuple[str, str]:
    """Return key and value of a StringStringEntryProto."""
    file, values = BytesIO(content), {1: "", 2: ""}
    while file.tell() < len(content):
        number, size = _read_tag(file)
        values[number] = file.read(size).decode()
    return values[1], values[2]
