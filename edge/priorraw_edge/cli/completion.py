"""`priorraw-edge completion`: the script that lets a shell complete commands and options."""

import click

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    bash:  eval "$(priorraw-edge completion bash)"         in ~/.bashrc
    zsh:   eval "$(priorraw-edge completion zsh)"          in ~/.zshrc
    fish:  priorraw-edge completion fish | source          in ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    from priorraw_edge.cli import cli

    made = get_completion_class(shell)
    assert made is not None  # click has all three
    # Not made(...).source(), which runs bash to look at its version: the script may be for another machine.
    completion = made(cli, {}, "priorraw-edge", "_PRIORRAW_EDGE_COMPLETE")
    click.echo(completion.source_template % completion.source_vars())
