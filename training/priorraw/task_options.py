"""Options that belong to one task: given with another they are refused, not ignored."""

import click
from click.core import ParameterSource


def only_for(task: str, *names: str) -> None:
    """Refuse the named parameters of the running command where the caller gave them.

    Raises:
        UsageError: one was given.
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        if parameter.name in names and context.get_parameter_source(parameter.name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"{parameter.opts[0]} is for --task {task}; leave it out")
