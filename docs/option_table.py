"""The table of all options of the command line, with their Python names and their pages."""

import inspect
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

import quietpixel
from quietpixel.cli.main import COMMANDS, group
from quietpixel.web.options import Limits, ServiceOptions

HEAD = """# Options and their Python names

Each option of the command line, the argument that does the same in Python, and a page on it.
"""
TARGETS: Mapping[str, Mapping[str, Any]] = {
    "denoise": {
        "DenoiseOptions": quietpixel.DenoiseOptions,
        "cluster.denoise": quietpixel.cluster.denoise,
    },
    "train": {"train": quietpixel.train, "Recipe": quietpixel.Recipe},
    "evaluate": {"compare": quietpixel.compare},
    "calibrate": {"calibrate": quietpixel.calibrate},
    "export": {"export_bioimageio": quietpixel.export_bioimageio},
    "noise": {"measure_noise": quietpixel.measure_noise},
    "serve": {
        "web.options.ServiceOptions": ServiceOptions,
        "web.options.Limits": Limits,
        "DenoiseOptions": quietpixel.DenoiseOptions,
    },
}
"""For each command, the functions and records whose arguments have the names of its options."""
WRITE = "`quietpixel.files.write_picture`"
PAGE = "`quietpixel.web.static_page.write_page`"
PYTHON = {
    "denoise --output": f"{WRITE}, argument `target`",
    "denoise --overwrite": f"{WRITE}, argument `overwrite`",
    "denoise --format": f"{WRITE}, argument `format`",
    "denoise --backup": f"{WRITE}, argument `backup`",
    "denoise --jpeg-quality": f"{WRITE}, argument `quality`",
    "denoise --recursive": "`quietpixel.files.list_images`, argument `recursive`",
    "denoise --compare": "`noisy - denoised` is the difference",
    "denoise --uncertainty": "`quietpixel.uncertainty`",
    "denoise --json": "the record that `Denoiser.denoise` returns",
    "denoise --workers": "`quietpixel.cluster.denoise` on a Dask client",
    "denoise --scheduler": "`quietpixel.cluster.denoise` on a Dask client",
    "denoise --max-pixels": "`quietpixel.denoise`, argument `max_pixels`",
    "page --static": f"{PAGE}, argument `folder`",
    "page --runtime": f"{PAGE}, argument `runtime`",
    "page --model": f"{PAGE}, argument `options`",
    "noise --plot": "`quietpixel.reports.charts.noise_chart`",
    "noise --json": "the record that `measure_noise` returns",
    "models --json": "`quietpixel.read_card`",
    "train --set": "any field of `quietpixel.Recipe` as an argument of `train`",
    "train --from": "`train`, argument `start`",
    "train --describe": "`quietpixel.workflows.train.list_layers`",
    "evaluate --sigmas": "`compare`, argument `noise`: a list of laws",
    "evaluate --json": "`Evaluation.to_json`, on the result of `compare`",
    "serve --workers": "`quietpixel.DenoiseOptions`, argument `streams`",
    "demo --run": "`quietpixel.workflows.demo.run_demo`, argument `run`",
    "demo --epochs": "`quietpixel.workflows.demo.run_demo`, argument `epochs`",
}
"""What does the same where no argument has the name of the option."""
COMMAND_ONLY = "--suffix --in-place --again --dry-run --quiet --verbose --browser"
"""Options on names of files and on what is printed, which a program decides itself."""


def describe_options(docs: Path) -> str:
    """Return the table as Markdown."""
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(docs.rglob("*.md"))}
    text = HEAD
    for command, options in all_options().items():
        if not options:
            continue
        text += f"\n## quietpixel {command}\n\n| option | in Python | shown in |\n|---|---|---|\n"
        for name, words in options.items():
            where = find_page(command, words, pages, docs)
            option = next(word for word in words if word.startswith("--"))
            text += f"| `{option}` | {find_python(command, name, option)} | {where} |\n"
    return text


def all_options() -> dict[str, dict[str, list[str]]]:
    """Return the forms of each option by the name of its parameter, for each command."""
    context = click.Context(group)
    found = {}
    for command in COMMANDS:
        parameters = getattr(group.get_command(context, command), "params", [])
        options = [each for each in parameters if isinstance(each, click.Option)]
        found[command] = {str(each.name): [*each.opts, *each.secondary_opts] for each in options}
    return found


def find_python(command: str, name: str, option: str) -> str:
    """Return what does the same in Python; empty if it is not known."""
    if known := PYTHON.get(f"{command} {option}"):
        return known
    if option in COMMAND_ONLY.split():
        return "command line only"
    for title, target in TARGETS.get(command, {}).items():
        if name in inspect.signature(target).parameters:
            return f"`quietpixel.{title}`, argument `{name}`"
    return ""


def find_page(command: str, words: list[str], pages: Mapping[Path, str], docs: Path) -> str:
    """Return a link to the page that names an option most often; empty if there is none.

    One that shows the option with its command comes first, then one that shows the command.
    """
    option = "(?:" + "|".join(rf"(?<!-){re.escape(word)}(?![\w-])" for word in words) + ")"
    counts = {}
    for path, text in pages.items():
        count = len(re.findall(option, text))
        together = len(re.findall(rf"quietpixel {command}\b.*{option}", text))
        counts[path] = (together, count * (f"quietpixel {command}" in text), count)
    best = max(counts, key=lambda path: counts[path])
    if not any(counts[best]):
        return ""
    link = posixpath.relpath(best.relative_to(docs).as_posix(), "reference")
    # The first heading and not the first line, which may begin the settings of a page.
    title = re.search(r"^# (.+)$", pages[best], re.MULTILINE)
    return f"[{title[1] if title else link}]({link})"
