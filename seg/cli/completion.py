"""``seg completion``: the script that lets a shell complete verbs and options."""

from __future__ import annotations

import click

from seg.cli.options import WordChoice

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=WordChoice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete verbs and options.

    \b
    seg completion bash > ~/.local/share/bash-completion/completions/seg
    seg completion zsh > ~/.zfunc/_seg
    seg completion fish > ~/.config/fish/completions/seg.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # click has all three
    click.echo(kind(context.find_root().command, {}, "seg", "_SEG_COMPLETE").source())
