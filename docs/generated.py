"""The pages that are written by the package itself: commands, file formats, cards of models."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from option_table import describe_options

from quietpixel.card import Card
from quietpixel.cli.main import COMMANDS, group
from quietpixel.files import FORMATS, Format
from quietpixel.inference.model_file import read_card
from quietpixel.inference.model_store import bundled_models

MODELS_PAGE = """---
hide: [toc]
---
# Models

The models that come with this version. quietpixel chooses `photo`, for colour and gray
images; `--model NAME` names another one, or [one of your own](how-to/train.md).

| | takes | for | noise level | quality | weights; multiply-adds a pixel |
|---|---|---|---|---|---|
"""
MODELS_NOTES = """
Quality is measured on images that no model was trained on: for photographs at Gaussian noise of
15 / 25 / 50 of 255 (PSNR; more decibels are better), for MNIST at 0.5 (mean squared error; less is
better).
"""
PURPOSES = {
    "photo": "photographs, scans and prints, colour and gray: camera noise, grain, white noise",
    "photo-gray": "gray images with white noise and that of cameras; it leaves grain",
    "gaussian-gray": "gray images with white Gaussian noise, as in published tables",
    "mnist-bottleneck": "digits of MNIST, through 16 numbers",
    "mnist-unet": "digits of MNIST, with skip connections: a smaller error",
}
COMMAND_LINE = """# Command line

Exit codes: 0 all went well, 1 some of many files failed, 2 the command could not do its work or all
files failed, 130 interrupted, 143 ended by SIGTERM, 129 by SIGHUP. An error is one line on standard
error.
"""
FORMATS_PAGE = """# File formats

The content of a file decides its format, not its name. A result has the format of its source unless
its name or `--format` asks for another.
Pixels that a format cannot hold are refused before any work; metadata that it does not have is
named. Some formats need an extra, such as `pip install 'quietpixel[raw]'`.

| format | suffixes | media type | read | write | depth | transparency | pages | profile | \
metadata | HDR | exact |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""
ROOT = Path(__file__).parents[1]
DEPTHS = {
    **{"uint8": "8", "uint16": "16", "uint32": "32", "float16": "float 16", "float32": "float 32"},
    **{"int8": "signed 8", "int16": "signed 16", "int32": "signed 32"},
    **{"uint64": "64", "int64": "signed 64", "float64": "float 64", "bool": "1"},
}
CARRIED = {"exif": "EXIF", "xmp": "XMP", "iptc": "IPTC", "resolution": "resolution"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, as mkdocs asks a hook to."""
    pages = {
        "models.md": describe_models(cards()),
        "reference/options.md": describe_options(ROOT / "docs"),
        "reference/command-line.md": "\n".join([COMMAND_LINE, *map(describe_command, COMMANDS)]),
        "reference/formats.md": FORMATS_PAGE + "".join(map(describe_format, FORMATS.values())),
    }
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def cards() -> dict[str, Card]:
    """Return the cards of the bundled models by name, the most used first."""
    found = {name: read_card(path) for name, path in bundled_models().items()}
    order = {name: place for place, name in enumerate(PURPOSES)}
    return dict(sorted(found.items(), key=lambda each: order.get(each[0], len(order))))


def describe_models(cards: Mapping[str, Card]) -> str:
    """Return one table of all models, and what they were trained on and must not be used for."""
    rows = "".join(f"| {' | '.join(_cells(name, card))} |\n" for name, card in cards.items())
    notes = {}
    for name, card in cards.items():
        data = card.data.removesuffix(", made noisy by the law above")
        text = f"trained on {data}. Licence: {card.licence}. Not for {card.not_for}."
        notes[text] = [*notes.get(text, []), f"`{name}`"]
    lists = "".join(f"\n- {', '.join(names)}: {text}" for text, names in notes.items())
    return f"{MODELS_PAGE}{rows}{MODELS_NOTES}{lists}\n"


def _cells(name: str, card: Card) -> Iterator[str]:
    yield f"**`{name}`**"
    size = card.only_size
    size = "any size" if size is None else f"{size[1]} x {size[0]} pixels"
    yield f"{'gray' if card.channels == 1 else 'colour and gray'}, {size}"
    yield PURPOSES.get(name, card.data)
    if not card.sigma_input:
        yield "fixed"
    else:
        yield "found by the model; yours is an upper limit" if card.blind else "estimated, or yours"
    quality = [
        f"{' / '.join(f'{value:.1f}' for value in levels)} dB ({test_set.upper()})"
        for test_set, scores in card.scores.items()
        if (levels := [scores[each] for each in scores if each.startswith("psnr at gaussian")])
    ]
    if "mnist test" in card.scores:
        quality.append(f"error {card.scores['mnist test']['mse']:.5f}")
    yield ", ".join(quality)
    yield f"{card.parameters / 1e6:.1f} million; {card.operations / 1e3:.0f} thousand"


def describe_command(name: str) -> str:
    """Return what `quietpixel NAME --help` says, as Markdown."""
    context = click.Context(
        group, info_name="quietpixel", **group.context_settings | {"max_content_width": 78}
    )
    command = group.get_command(context, name)
    assert command is not None
    inner = click.Context(command, parent=context, info_name=name, terminal_width=78)
    return f"## quietpixel {name}\n\n```text\n{command.get_help(inner)}\n```\n"


def describe_format(kind: Format) -> str:
    """Return the row of a file format in the table."""
    exact = "yes" if kind.lossless else "no"
    if kind.lossless and kind.quality:
        exact += ", unless `--jpeg-quality` is given or the source is not"
    transparency = "yes" if kind.alpha else "no"
    if kind.opaque_dtypes:
        transparency = f"not for {', '.join(DEPTHS.get(each, each) for each in kind.opaque_dtypes)}"
    # The families of AVIF and HEIC hold 16 bits as 10 or 12.
    depths = DEPTHS | ({"uint16": "10, 12"} if kind.name in ("avif", "heic") else {})
    dynamic = (
        (bool({"float16", "float32"} & {*kind.dtypes}), "floats"),
        ("cicp" in kind.metadata, "colour numbers"),
        (kind.name == "jpeg", "gain map"),
    )
    cells = (
        kind.title,
        " ".join(f"`{suffix}`" for suffix in kind.suffixes),
        f"`{kind.media_type}`",
        (f"with `{kind.package[1]}`" if kind.package else "yes")
        + ("" if kind.tested else ", untested with files of instruments"),
        "yes" if kind.write else f"as {FORMATS[kind.replacement or ''].title}",
        ", ".join(depths[each] for each in kind.dtypes) + ("" if kind.colour else ", gray only"),
        transparency,
        "many" if kind.pages else "frames" if kind.frames else "one",
        "yes" if "icc" in kind.metadata else "no",
        ", ".join(CARRIED[each] for each in kind.metadata if each in CARRIED) or "none",
        ", ".join(word for found, word in dynamic if found) or "no",
        exact,
    )
    return f"| {' | '.join(cells)} |\n"
