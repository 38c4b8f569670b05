"""`quietpixel completion`: the script with which a shell completes commands, options and names."""

import click
from click.shell_completion import get_completion_class

from quietpixel.cli.options import Command

SHELLS = ("bash", "zsh", "fish")
EXAMPLES = (
    'eval "$(quietpixel completion bash)"',
    "quietpixel completion fish | source",
)


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands in a shell.

    It completes commands, options, files, and names such as those of models, data sets and noise
    laws. Add the first example to ~/.bashrc, or with zsh in place of bash to ~/.zshrc, below the
    line 'autoload -Uz compinit; compinit', and the second to ~/.config/fish/config.fish.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    complete = kind(ctx.find_root().command, {}, "quietpixel", "_QUIETPIXEL_COMPLETE")
    click.echo(complete.source())
