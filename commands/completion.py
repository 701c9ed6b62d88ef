"""`glee completion`: the shell completes commands and options."""

from __future__ import annotations

import click

from ..errors import UsageError


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes commands and options in a shell.

    \b
    bash: echo 'eval "$(glee completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(glee completion zsh)"' >> ~/.zshrc
    fish: glee completion fish > ~/.config/fish/completions/glee.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"no completion for {shell}")
    click.echo(kind(context.find_root().command, {}, "glee", "_GLEE_COMPLETE").source())
