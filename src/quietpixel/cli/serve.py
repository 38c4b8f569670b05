"""`quietpixel serve`: the page, and the service that programs call."""

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from quietpixel.errors import ArgumentError, MissingDependencyError

if TYPE_CHECKING:
    from quietpixel.web.options import Options


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="0 takes a free one.",
)
@click.option(
    "--token",
    envvar="QUIETPIXEL_TOKEN",
    help="What callers must send. Also taken from the variable QUIETPIXEL_TOKEN.",
)
@click.option("--open", "open_", is_flag=True, help="Let anyone in who can reach HOST.")
@click.option("--allow-host", multiple=True, help="Another name that the service is called by.")
@click.option("--cors", multiple=True, metavar="ORIGIN", help="A site whose pages may call it.")
@click.option("--model", help="Instead of the default: a name, a run folder or a file.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Pictures computed at once; they share the cores and the models.",
)
@click.option("--engine", default="openvino", show_default=True, help="openvino or onnxruntime.")
@click.option("--precision", default="auto", show_default=True, help="auto, f32 or bf16.")
@click.option("--threads", type=click.IntRange(min=1), help="Left out: all cores.")
@click.option("--memory", default="512MB", show_default=True, help="What one tile may take.")
@click.option("--max-body", default="128MB", show_default=True, help="Refuse longer uploads.")
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=64_000_000,
    show_default=True,
    help="Refuse larger images.",
)
@click.option(
    "--max-held",
    default="512MB",
    show_default=True,
    help="What all uploads and results may take together.",
)
@click.option(
    "--queue",
    type=click.IntRange(min=0),
    default=16,
    show_default=True,
    help="Requests that may wait.",
)
@click.option("--browser/--no-browser", default=None, help="Show the page. [default: on a desktop]")
@click.option("--quiet", is_flag=True, help="Do not tell each request.")
def command(**options: Any) -> None:
    """Open a page that cleans pictures, and serve programs.

    Without a token only this machine can reach it. Pictures stay in memory and are forgotten.
    Ctrl-C ends it, after the requests in work.
    """
    # The engine has the cores; an estimate on all of them too would hold other requests up.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    serve = _import_server()
    browser = options["browser"] if options["browser"] is not None else _is_desktop()

    def on_ready(address: str) -> None:
        click.echo(f"quietpixel listens on {address} (Ctrl-C ends it); programs see {address}/docs")
        if browser:
            click.launch(address)

    serve(make_options(options), log=not options["quiet"], on_ready=on_ready)


def make_options(options: dict[str, Any]) -> "Options":
    """Return the options of the service that the command's options ask for."""
    from quietpixel.inference.options import parse_memory
    from quietpixel.web.options import Limits, Options

    limits = Limits(
        body=_size("--max-body", options["max_body"]),
        pixels=options["max_pixels"],
        held=_size("--max-held", options["max_held"]),
        waiting=options["queue"],
    )
    parse_memory(options["memory"])
    return Options(
        host=options["host"],
        port=options["port"],
        token=options["token"],
        open=options["open_"],
        names=tuple(options["allow_host"]),
        origins=tuple(origin.rstrip("/") for origin in options["cors"]),
        model=options["model"],
        workers=options["workers"],
        engine={word: options[word] for word in ("engine", "precision", "threads", "memory")},
        limits=limits,
    )


def _size(name: str, text: str) -> int:
    from quietpixel.inference.options import parse_memory

    try:
        return parse_memory(text)
    except ArgumentError:
        raise ArgumentError(f"`{name}` must be a size above 0; got '{text}'. Try 64MB.") from None


def _import_server() -> Any:
    try:
        from quietpixel.web.server import serve
    except ImportError as error:
        raise MissingDependencyError(
            f"The page and the service need the package {error.name}; install it with "
            "pip install 'quietpixel[web]'."
        ) from error
    return serve


def _is_desktop() -> bool:
    """Whether someone is there to see a browser: a terminal, and a screen."""
    screen = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    return screen and sys.stdout.isatty()
