"""The command `quietpixel`: finds the subcommand, and turns errors into one line and a code."""

import contextlib
import logging
import os
import re
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

import click

from quietpixel.cli.library_output import own_stdout
from quietpixel.cli.options import describe_number, explain, option_names, printable
from quietpixel.errors import ArgumentError, QuietpixelError, unknown_name

COMMANDS = (
    "denoise", "serve", "noise", "models", "train", "evaluate", "calibrate", "export", "page",
    "demo", "completion",
)  # fmt: skip
MEANT = {
    "--noise": "No such option '--noise'. Give the noise level as --sigma.",
    "-r": "No such option '-r'. Search subfolders with --recursive.",
    "--gpu": "No such option '--gpu'. Compute on a GPU with --device gpu.",
    "--input": "No such option '--input'. Give the names of the inputs without an option.",
}
"""Messages on options that `denoise` lacks and a user may expect, instead of click's guesses."""
# Commands inherit these, `show_default` too.
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True}
_NOWHERE = logging.NullHandler()
FAILED = 2
INTERRUPTED = 130
LOW_MEMORY = re.compile(
    "can't start new thread|failed to map segment|[Cc]annot allocate memory|bad_alloc|"
    "error return without exception set|Resource temporarily unavailable"
)


class LazyGroup(click.Group):
    """A group that imports a subcommand only when it is called, so that ``--help`` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command from the module of its name."""
        if cmd_name not in COMMANDS:
            return None
        return import_module(f"quietpixel.cli.{cmd_name}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of that name, or raise an error that suggests a similar one."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            if os.path.exists(args[0]):
                others = [word for word in args if word not in COMMANDS]
                words = shlex.join(["quietpixel", "denoise", *others])
                raise ArgumentError(f"'{args[0]}' is not a command; to denoise it, type: {words}")
            raise unknown_name("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def make_context(self, *words: Any, **extra: Any) -> click.Context:
        """Read the options, of which --version and --help do all their work here."""
        with _aborting():
            return super().make_context(*words, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Call the subcommand."""
        with _aborting():
            return super().invoke(ctx)


@contextlib.contextmanager
def _aborting() -> Iterator[None]:
    """End after Ctrl-C without the empty line that click would print."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise click.Abort from error


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings=CONTEXT)
@click.version_option(
    package_name="quietpixel", message="quietpixel %(version)s", help="Show the version and exit."
)
@click.pass_context
def group(ctx: click.Context) -> None:
    """Remove the noise from images with denoising autoencoders.

    Begin with 'quietpixel denoise photo.jpg', or with 'quietpixel serve' for a page in the browser.
    'quietpixel COMMAND --help' shows the options of a command and examples.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments
        The words after ``quietpixel``; None takes those of the process.

    Returns
    -------
    int
        0 if all went well, 1 if some of many images failed, 2 if all did or the command could not
        do its work, 130 if it was interrupted.
    """
    # TensorFlow and others print advice for developers, which `-W` brings back.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        # Else what nobody handles, such as a line of tifffile, is printed.
        logging.getLogger().addHandler(_NOWHERE)
    words = list(sys.argv[1:] if arguments is None else arguments)
    words = [*words[1:], "--help"] if words[:1] == ["help"] else words
    # For errors that click raises without its context, or after it is gone.
    name = next((word for word in words if word in COMMANDS), "")
    # The shell asks for completions through a variable; click then prints them and exits.
    if "_QUIETPIXEL_COMPLETE" in os.environ:
        group.main(words, "quietpixel")
    try:
        with own_stdout():
            result: Any = group.main(words, "quietpixel", standalone_mode=False)
    except click.exceptions.Abort:
        return _report("interrupted", INTERRUPTED)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else f"quietpixel {name}".rstrip()
        sentence = describe_number(error) or error.format_message()
        sentence += "" if re.search(r"[.?]\)?$", sentence) else "."
        if isinstance(error, click.NoSuchOption):
            sentence = explain_option(error, path, sentence)
        files = [word for word in words if word.startswith("-") and os.path.lexists(word)]
        sentence += "".join(f" For the file of that name, write ./{word}." for word in files)
        return _report(f"{sentence} Try '{path} --help'.", FAILED)
    except QuietpixelError as error:
        command = group.get_command(click.Context(group), name)
        names = option_names(command) if command else {}
        sentence = explain(error, names)
        for word in words:  # before line ends in the sentence become spaces
            sentence = sentence.replace(word, printable(word))
        return _report(sentence, FAILED)
    except OSError as error:
        where = f"'{error.filename}': " if error.filename else ""
        return _report(f"{where}{error.strerror or error}.", FAILED)
    except (MemoryError, RuntimeError, ImportError, SystemError) as error:
        # Ctrl-C while a class of a module that is imported is made, before Python 3.12.
        if isinstance(error.__cause__, KeyboardInterrupt):
            sentence, code = "interrupted", INTERRUPTED
        # Where memory is limited, threads and shared libraries fail before NumPy does.
        elif isinstance(error, MemoryError) or LOW_MEMORY.search(str(error)):
            sentence = "There is not enough memory; end other programs, or take smaller images."
            code = FAILED
        else:
            raise
        return _report(sentence, code)
    return result if isinstance(result, int) else 0


def explain_option(error: click.NoSuchOption, path: str, sentence: str) -> str:
    """Return a sentence on an unknown option, which another command may have; else `sentence`."""
    option = error.option_name
    if path.endswith(" denoise") and option in MEANT:
        return MEANT[option]
    # Before a command, similar options are those of no command.
    if not option.startswith("--") or (error.possibilities and path != "quietpixel"):
        return sentence
    commands = {name: group.get_command(click.Context(group), name) for name in COMMANDS}
    having = [
        f"'quietpixel {name}'"
        for name, command in commands.items()
        if command and any(option in each.opts for each in command.params)
    ]
    where = "after the name of the command" if path == "quietpixel" else "of other commands"
    return f"{option} is an option {where}: {', '.join(having)}." if having else sentence


def _report(sentence: str, code: int) -> int:
    click.echo(f"quietpixel: {printable(' '.join(sentence.split()))}", err=True)
    return code
