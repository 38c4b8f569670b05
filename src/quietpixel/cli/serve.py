"""The command `quietpixel serve` and its options."""

import os
import sys
from typing import Any

import click

from quietpixel.cli.options import COUNT, Command, engine_options, fill, replacing_model
from quietpixel.errors import naming_missing


def read_size(ctx: click.Context, parameter: click.Parameter, value: str) -> int:
    """Return the bytes of a size such as ``64MB``."""
    from quietpixel.inference.options import parse_memory

    return parse_memory(value, str(parameter.name))


EXAMPLES = (
    "quietpixel serve",
    "QUIETPIXEL_TOKEN=secret quietpixel serve --host 0.0.0.0 --port 9000",
)
GROUPS = {
    "Access": "host port token open allow_host cors trusted_proxy",
    "Model": "model engine precision device threads",
    "Limits": "workers queue memory max_body max_pixels max_held",
}


@click.command(cls=Command, examples=EXAMPLES, groups=GROUPS)
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--token",
    metavar="SECRET",
    envvar="QUIETPIXEL_TOKEN",
    help="Secret that callers must send; also taken from the variable QUIETPIXEL_TOKEN.",
)
@click.option("--open", is_flag=True, help="Let anyone who can reach HOST use the service.")
@click.option(
    "--allow-host",
    metavar="HOST",
    multiple=True,
    help="Another host name of the service; may be repeated.",
)
@click.option(
    "--cors",
    multiple=True,
    metavar="ORIGIN",
    help="Site whose pages may use the service; may be repeated.",
)
@click.option(
    "--trusted-proxy",
    metavar="ADDRESS",
    multiple=True,
    help="Address or network of a proxy whose X-Forwarded-For is logged; may be repeated.",
)
@replacing_model
@click.option(
    "--workers",
    type=click.IntRange(1, 1000),
    default=1,
    help="Images denoised at the same time; they share cores and models.",
)
@engine_options
@click.option("--memory", metavar="SIZE", default="512MB", help="Memory limit for a tile.")
@click.option(
    "--max-body",
    metavar="SIZE",
    default="128MB",
    callback=read_size,
    help="Size limit of an upload.",
)
@click.option(
    "--max-pixels", type=COUNT, default=64_000_000, help="Size limit of an image in pixels."
)
@click.option(
    "--max-held",
    metavar="SIZE",
    default="512MB",
    callback=read_size,
    help="Size limit of all uploads and results together.",
)
@click.option(
    "--queue", type=click.IntRange(min=0), default=16, help="Number of requests that may wait."
)
@click.option(
    "--browser/--no-browser", default=None, help="Open the page.  [default: on a desktop]"
)
@click.option("-q", "--quiet", is_flag=True, help="Do not log requests.")
@click.pass_context
def command(ctx: click.Context, /, *, browser: bool | None, quiet: bool, **values: Any) -> None:
    """Serve a web page and an HTTP API that denoise images.

    Without a token, only this machine can reach the service. Images stay in memory and are not
    kept. Ctrl-C shuts the service down once running requests are done.
    """
    # The engine uses all cores; a noise estimate on all of them too would delay other requests.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with naming_missing("The page and the service need", "web"):
        from quietpixel.web.server import serve
    # Without a screen, a text browser could take over this terminal.
    if browser is None:
        screen = sys.platform in ("darwin", "win32") or any(
            os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
        )
        browser = screen and sys.stdout.isatty()

    def on_ready(address: str) -> None:
        click.echo(f"quietpixel listens on {address} (Ctrl-C ends it); programs see {address}/docs")
        if browser:
            click.launch(address)

    options = make_options(values)
    if ctx.get_parameter_source("token") is click.core.ParameterSource.COMMANDLINE:
        click.echo(
            "quietpixel: other users of this machine can see --token in the list of processes; "
            "set QUIETPIXEL_TOKEN instead.",
            err=True,
        )
    serve(options, log=not quiet, on_ready=on_ready)


def make_options(values: dict[str, Any]) -> Any:
    """Return the `ServiceOptions` for the values of the command's options, by name."""
    from quietpixel.inference.options import DenoiseOptions
    from quietpixel.web.options import Limits, ServiceOptions

    return fill(
        ServiceOptions,
        # Browsers send origins in lower case, without a slash at the end.
        {**values, "cors": tuple(origin.lower().rstrip("/") for origin in values["cors"])},
        denoise=fill(DenoiseOptions, values, streams=values["workers"]),
        limits=fill(Limits, values),
    )
