"""What click lacks: help in groups, names with suggestions, laws, numbers such as ``25/255``."""

import copy
import inspect
import itertools
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from glob import glob
from pathlib import Path
from pkgutil import resolve_name
from types import MappingProxyType
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from quietpixel.errors import ArgumentError, QuietpixelError, TooLargeError, unknown_name

Record = TypeVar("Record")


class Command(click.Command):
    """A command whose help shows examples, its options in groups, and the names of data sets.

    The names replace ``{data_sets}`` in the description.

    Parameters
    ----------
    examples
        Complete command lines.
    groups
        Names of the options below each heading; the others follow under "Options".
    words
        Returns what the user sees in place of arguments of the library that no option sets.
    """

    def __init__(
        self,
        *arguments: Any,
        examples: Iterable[str],
        groups: Mapping[str, str] = MappingProxyType({}),
        words: Callable[[], Mapping[str, str]] = dict,
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, **settings)
        self.examples, self.groups, self.words = tuple(examples), groups, words

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words, or raise ArgumentError where an option has two values for its one."""
        rest = super().parse_args(ctx, [*args])  # --help ends here
        params = [copy.copy(each) for each in self.params]
        options = [each for each in params if isinstance(each, click.Option)]
        once = [option for option in options if not (option.multiple or option.is_flag)]
        for option in once:
            option.multiple = True  # click itself would keep the last value only
        values, _, _ = click.Command(self.name, params=params).make_parser(ctx).parse_args(args)
        for option in once:
            given = list(dict.fromkeys(values.get(str(option.name), ())))
            if len(given) > 1 and not ctx.resilient_parsing:
                raise ArgumentError(
                    f"{option_names(self)[str(option.name)]} takes one value; got '{given[0]}' and "
                    f"'{given[1]}'. Give one of them."
                )
        return rest

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return the words of the usage line, with the options that cannot be omitted."""
        options = [each for each in self.params if isinstance(each, click.Option) and each.required]
        records = [option.get_help_record(ctx) for option in options]
        return super().collect_usage_pieces(ctx) + [record[0] for record in records if record]

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the description."""
        text = inspect.cleandoc(self.help or "")
        # Finding the names loads NumPy, which the help of other commands can do without.
        if "{data_sets}" in text:
            text = text.replace("{data_sets}", ", ".join(known_data_sets()))
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(text)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and then the options."""
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write_text(example)
        options = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        # Options that no group lists follow at the end, so a new one cannot be forgotten.
        rest = {option.name: option for option in options}
        for heading, names in [*self.groups.items(), ("Options", " ".join(map(str, rest)))]:
            options = [rest.pop(name) for name in names.split() if name in rest]
            records = [option.get_help_record(ctx) for option in options]
            if rows := [(shorten_types(record[0]), record[1]) for record in records if record]:
                with formatter.section(heading):
                    formatter.write_dl(rows)


def shorten_types(words: str) -> str:
    """Return an option with its value, in shorter words than click's for numbers and text.

    Examples
    --------
    >>> shorten_types("--port INTEGER RANGE"), shorten_types("--strength FLOAT RANGE")
    ('--port N', '--strength NUMBER')
    """
    return re.sub("INTEGER( RANGE)?", "N", re.sub("FLOAT( RANGE)?", "NUMBER", words))


def describe_number(error: click.ClickException) -> str | None:
    """Return a sentence on a value outside an option's range; None for other errors."""
    option = getattr(error, "param", None)
    if not isinstance(error, click.BadParameter) or option is None:
        return None
    kind = option.type
    if not isinstance(kind, click.IntRange | click.FloatRange):
        return None
    what = "a whole number" if isinstance(kind, click.IntRange) else "a number"
    if kind.max is not None:
        limits = f"from {kind.min:g} to {kind.max:g}"
    else:
        limits = f"{'above' if kind.min_open else 'of at least'} {kind.min:g}"
    got = error.message.partition(" is not ")[0].strip("'").removesuffix(".0")
    share = re.fullmatch(r"(\d+)%", got)
    meant = f" {got} is {int(share[1]) / 100:g}." if share and what == "a number" else ""
    return f"{option.opts[0]} must be {what} {limits}; got '{got}'.{meant}"


class Names(click.ParamType):  # type: ignore[type-arg]  # no generic before click 8.2
    """One of a few names: shown in the help, completed by the shell, suggested for a typo.

    Parameters
    ----------
    kind
        What the names stand for, such as ``"engine"``.
    known
        The names, or a function that finds them where that takes time. Text such as
        ``"quietpixel.models:MODELS"`` is the place of either, which is imported late.
    open
        Whether other text is allowed too, such as the path of a model.
    """

    name = "name"

    def __init__(
        self, kind: str, known: Iterable[str] | Callable[[], Iterable[str]], *, open: bool = False
    ) -> None:
        self._kind, self._known, self._open = kind, known, open

    def _names(self) -> list[str]:
        known = resolve_name(self._known) if isinstance(self._known, str) else self._known
        return list(known() if callable(known) else known)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Return the names with bars between; those of an open set would take time to find."""
        return self._kind.upper() if self._open else "|".join(self._names())

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name, or raise UnknownNameError."""
        check_filled(value, param)
        if not self._open and value not in self._names():
            raise unknown_name(self._kind, value, self._names())
        return value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the names that begin like `incomplete`; the shell adds paths where they fit."""
        found = [CompletionItem(name) for name in self._names() if name.startswith(incomplete)]
        return found or ([CompletionItem(incomplete, type="file")] if self._open else [])


class Law(Names):
    """A noise law, checked at once, before anything heavy is loaded; some words stand for one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the law as cards write it, or raise ArgumentError."""
        if super().convert(value, param, ctx) in ("auto", "none"):
            return value
        from quietpixel.noise.parser import parse_noise, parse_number

        try:
            number = parse_number(value)
        except QuietpixelError:
            return str(parse_noise(value))
        # It is a number, so a law was meant without its name.
        option = param.opts[0] if param else "LAW"
        meant = f"gaussian:{value}/255" if number > 1 else f"gaussian:{value}"
        if option == "--law":
            meant = "poisson:400+gaussian:0.01"
        raise ArgumentError(f"{option} must name a noise law; got '{value}'. Try {meant}.")


def check_filled(value: Any, param: click.Parameter | None) -> None:
    """Raise ArgumentError for an empty path, which would mean the folder one is in."""
    if value == "" and param is not None:
        option = isinstance(param, click.Option)
        name = param.opts[-1] if option else param.human_readable_name.strip("[].")
        raise ArgumentError(
            f"{name} is empty, as a variable of the shell without a value is; give one."
        )


class FilledPath(click.Path):
    """A path that is not empty; ``~`` is the home folder, also where the shell leaves it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, or raise ArgumentError."""
        check_filled(value, param)
        if isinstance(value, str) and not os.path.lexists(value):
            value = os.path.expanduser(value)
        return super().convert(value, param, ctx)


def match_files(
    ctx: click.Context, parameter: click.Parameter, names: tuple[str, ...]
) -> tuple[str, ...]:
    """Replace patterns such as ``*.jpg`` by the files they match; on Windows, shells leave them."""
    found = [([] if os.path.lexists(name) else sorted(glob(name))) or [name] for name in names]
    return tuple(itertools.chain.from_iterable(found))


def known_models() -> list[str]:
    """Return the names of the bundled models and of the user's own."""
    from quietpixel.inference import model_store

    return list(model_store.known_models())


def known_data_sets() -> tuple[str, ...]:
    """Return the names of the data sets."""
    from quietpixel.data import named_sets

    return named_sets()


def known_laws() -> list[str]:
    """Return the words that begin a noise law, and those that stand for one."""
    from quietpixel.noise.parser import NOISE_LAWS

    return ["auto", "none", *(f"{word}:" for word in NOISE_LAWS)]


MODEL = Names("model", known_models, open=True)
LAW = Law("law", known_laws, open=True)
DATA = Names("data set", known_data_sets, open=True)
COUNT = click.IntRange(min=1)
PATH = FilledPath(path_type=Path)
# Text that may be a path, a URL, a name or -. The type lets shells complete files; click must not
# check access, because one unreadable input would end the run before the others.
PATH_TEXT = FilledPath(readable=False)
CHANNELS: dict[str, Any] = {
    "type": click.Choice(["1", "3"]),
    "metavar": "1|3",
    "callback": lambda ctx, parameter, value: value and int(value),
}
"""Settings of an option whose value is 1 (gray) or 3 (RGB)."""
replacing_model = click.option(
    "--model",
    type=MODEL,
    help="Model name, run folder or .onnx file that replaces the default models.",
)
data_dir = click.option(
    "--data-dir",
    type=PATH,
    help="Folder with the files of a data set.  [default: QUIETPIXEL_DATA, else a download]",
)
ENGINE = Names("engine", ("openvino", "onnxruntime"))
PRECISION = Names("precision", ("auto", "f32", "bf16"))


axes_option = click.option(
    "--axes",
    metavar="LETTERS",
    help="Dimensions of a Zarr or a stack, such as tczyx or yxc; c: channels, s: RGB.",
)


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the engine that a model runs in, which several commands share."""
    options = (
        click.option("--engine", type=ENGINE, default="openvino", help="Inference engine."),
        click.option(
            "--precision", type=PRECISION, default="auto", help="Arithmetic of the model."
        ),
        click.option(
            "--device",
            type=Names("device", ("auto", "cpu", "gpu"), open=True),
            default="cpu",
            metavar="auto|cpu|gpu|NAME",
            help="Compute device; auto takes a GPU if there is one.",
        ),
        click.option("--threads", type=COUNT, help="Number of threads.  [default: all cores]"),
    )
    # Decorators apply from the bottom up.
    for option in reversed(options):
        command = option(command)
    return command


def fill(kind: type[Record], values: Mapping[str, Any], **more: Any) -> Record:
    """Return a dataclass whose fields have the values of the options of their names."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in values.items() if name in names}, **more)


def check_report(option: str, path: Path | str | None, kind: str) -> None:
    """Raise an error before any work if a report cannot be written, or would replace other files.

    Parameters
    ----------
    option
        Its option, such as ``"--json"``.
    path
        Its path; None and ``-`` are always right.
    kind
        Its kind, as for `quietpixel.files.refuse_foreign`.
    """
    if path is None or str(path) == "-":
        return
    from quietpixel.files import refuse_foreign

    if not Path(path).resolve().parent.is_dir():
        raise ArgumentError(
            f"{option} must lie in a folder that exists; got '{path}'. Make the folder first."
        )
    refuse_foreign(Path(path), kind)


def option_names(command: click.Command) -> dict[str, str]:
    """Return what the user of a command sees for each argument of the library: its option."""
    words = dict(command.words()) if isinstance(command, Command) else {}
    for each in command.params:
        if isinstance(each, click.Option):
            shown = next(option for option in each.opts if option.startswith("--"))
        else:
            shown = str(each.metavar or each.name).strip("[].")
        words[str(each.name)] = shown
    return words


def read_level(ctx: click.Context, parameter: click.Parameter, value: str) -> Any:
    """Return a noise level: ``"auto"``, a number, also as ``25/255``, or the map in a file."""
    if value == "auto":
        return value
    if Path(value).is_file():
        from quietpixel.inference.level import read_map

        return read_map(Path(value))
    from quietpixel.noise.parser import parse_number

    try:
        return float(parse_number(value))
    except QuietpixelError:
        raise ArgumentError(
            f"--{parameter.name} must be auto, a number such as 0.1 or 25/255, or the file of an "
            f"image of noise levels; got '{value}'."
        ) from None


def read_counts(lowest: int, example: str) -> Callable[..., Any]:
    """Return a callback that reads whole numbers with commas between, such as ``64,128``."""

    def read(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Any:
        parts = value.split(",") if value is not None else []
        if not all(part.strip().isdecimal() and int(part) >= lowest for part in parts):
            raise ArgumentError(
                f"--{parameter.name} must be whole numbers of at least {lowest} with commas "
                f"between; got '{value}'. Try {example}."
            )
        return tuple(map(int, parts)) or None

    return read


def translate(sentence: str) -> str:
    """Return a sentence of the library in the words of the command that runs, safe to print."""
    context = click.get_current_context(silent=True)
    return printable(name_options(sentence, option_names(context.command) if context else {}))


def notify(sentence: str) -> None:
    """Write a sentence of the library in the words of the command that runs."""
    click.echo(translate(sentence), err=True)


_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that turn the direction of text, and bytes that are not text."""


def printable(text: object) -> str:
    """Return a text in which no file name can move the cursor, break the line or hide a part.

    Examples
    --------
    >>> printable("a\\nb\\x1b[1m.png")
    'a\\\\nb\\\\x1b[1m.png'
    """
    return _UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], str(text))


def explain(error: QuietpixelError, names: Mapping[str, str]) -> str:
    """Return the message of an error with the options of a command that it names or can raise.

    Examples
    --------
    >>> error = TooLargeError("It is too large; crop it", "max_pixels")
    >>> explain(error, {"max_pixels": "--max-pixels"}), explain(error, {})
    ('It is too large; crop it, or raise --max-pixels.', 'It is too large; crop it.')
    """
    sentence = str(error)
    if isinstance(error, TooLargeError):
        option = names.get(error.limit or "")
        sentence = error.explain(f"raise {option}" if option else None)
    return name_options(sentence, names)


def name_options(sentence: str, names: Mapping[str, str]) -> str:
    """Return a sentence of the library with its arguments named as options.

    Examples
    --------
    >>> name_options("`max_pixels` of `image` is 9.", {"max_pixels": "--max-pixels"})
    '--max-pixels of `image` is 9.'
    """
    # Keys and values stand between backticks too; only options of the command are renamed.
    return re.sub(r"`(\w+)`", lambda match: names.get(match[1], match[0]), sentence)
