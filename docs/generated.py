"""The pages that are written by the package itself: commands, file formats, cards of models."""

from collections.abc import Iterator, Mapping
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from quietpixel.card import Card
from quietpixel.cli.main import COMMANDS, group
from quietpixel.files import FORMATS, Format
from quietpixel.inference.engine import read_card
from quietpixel.inference.model_store import bundled_models

CARDS = """# Models

The models that this version carries, in the words of their own cards. A card travels inside the
model's ONNX file; `quietpixel models` shows it, and `quietpixel.read_card` reads it.
"""
COMMAND_LINE = """# Command line

Exit codes: 0 all went well, 1 some of many files failed, 2 the command could not do its work,
130 interrupted, 143 ended by SIGTERM. An error is one line on standard error.
"""
FORMATS_PAGE = """# File formats

The content of a file decides its format, not its name. A result has the format of its source unless
its name or `--format` asks for another.
What a format cannot hold is refused before any work. Some formats need an extra, such as
`pip install 'quietpixel[raw]'`.

| format | suffixes | media type | read | write | depth | transparency | pages | profile | \
metadata | HDR | exact |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""
DEPTHS = {
    **{"uint8": "8", "uint16": "16", "uint32": "32", "float16": "float 16", "float32": "float 32"},
    **{"int8": "signed 8", "int16": "signed 16", "int32": "signed 32"},
    **{"uint64": "64", "int64": "signed 64", "float64": "float 64"},
}
CARRIED = {"exif": "EXIF", "xmp": "XMP", "iptc": "IPTC", "resolution": "resolution"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, as mkdocs asks a hook to."""
    pages = {
        "models.md": "\n".join([CARDS, *(describe_model(*each) for each in cards().items())]),
        "reference/command-line.md": "\n".join([COMMAND_LINE, *map(describe_command, COMMANDS)]),
        "reference/formats.md": FORMATS_PAGE + "".join(map(describe_format, FORMATS.values())),
    }
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def cards() -> dict[str, Card]:
    """Return the cards of the bundled models by name."""
    return {name: read_card(path) for name, path in bundled_models().items()}


def describe_model(name: str, card: Card) -> str:
    """Return the card of a model as Markdown."""
    rows = "\n".join(f"| {fact} | {value} |" for fact, value in _facts(card) if value)
    return f"## {name}\n\n| | |\n|---|---|\n{rows}\n"


def describe_command(name: str) -> str:
    """Return what `quietpixel NAME --help` says, as Markdown."""
    context = click.Context(
        group, info_name="quietpixel", **group.context_settings | {"max_content_width": 90}
    )
    command = group.get_command(context, name)
    assert command is not None
    inner = click.Context(command, parent=context, info_name=name, terminal_width=90)
    return f"## quietpixel {name}\n\n```text\n{command.get_help(inner)}\n```\n"


def describe_format(kind: Format) -> str:
    """Return the row of a file format in the table."""
    exact = "yes" if kind.lossless else "no"
    if kind.lossless and kind.quality:
        exact += ", unless `--quality` is given or the source is not"
    transparency = "yes" if kind.alpha else "no"
    if kind.opaque_dtypes:
        transparency = f"not for {', '.join(DEPTHS.get(each, each) for each in kind.opaque_dtypes)}"
    dynamic = (
        (bool({"float16", "float32"} & {*kind.dtypes}), "floats"),
        ("cicp" in kind.metadata, "colour numbers"),
        (kind.tail, "gain map"),
    )
    cells = (
        kind.title,
        " ".join(f"`{suffix}`" for suffix in kind.suffixes),
        f"`{kind.media_type}`",
        f"with `{kind.package[1]}`" if kind.package else "yes",
        "yes" if kind.write else f"as {FORMATS[kind.replacement or ''].title}",
        ", ".join(DEPTHS.get(each, each) for each in kind.dtypes),
        transparency,
        "many" if kind.pages else "frames" if kind.frames else "one",
        "yes" if "icc" in kind.metadata else "no",
        ", ".join(CARRIED[each] for each in kind.metadata if each in CARRIED) or "none",
        ", ".join(word for found, word in dynamic if found) or "no",
        exact,
    )
    return f"| {' | '.join(cells)} |\n"


def _facts(card: Card) -> Iterator[tuple[str, str]]:
    colours = "gray" if card.channels == 1 else "RGB"
    size = "any size" if card.size is None else f"{card.size[1]} x {card.size[0]} pixels only"
    yield "Layers", f"`{card.architecture}`"
    yield "Images", f"{colours}, {size}"
    yield "Trained for", f"`{card.noise}`" if card.noise else "the noise of its images"
    yield "Takes the noise level", "yes" if card.sigma_input else "no"
    yield "Surroundings that decide a pixel", _halo(card)
    yield "Weights", f"{card.parameters:,}" if card.parameters else ""
    yield "Cost", f"{card.operations:,} multiply-adds per pixel" if card.operations else ""
    for name, scores in card.scores.items():
        yield f"Score: {name}", _score(scores)
    yield "Trained on", card.data
    yield "Licence", card.licence
    yield "**Not for**", card.not_for


def _halo(card: Card) -> str:
    return "the whole image" if card.halo is None else f"{card.halo} pixels to each side"


def _score(scores: Any) -> str:
    if not isinstance(scores, Mapping):
        return _number(scores)
    return ", ".join(f"{name.replace('_', ' ')} {_number(value)}" for name, value in scores.items())


def _number(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " to ".join(map(_number, value))
    return f"{value:.5g}" if isinstance(value, float) else str(value)
