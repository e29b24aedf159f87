"""A command line that does not parse, as an error of ours: one event in a log, and the variable that is to blame."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typer import TyperException

from mamp_schemas.errors import UsageError
from mampctl.environment import variable_name

_EXIT_USAGE = 2


@contextmanager
def convert_usage_errors() -> Iterator[None]:
    """Turn what the parser raises into an error of ours.

    Raises:
        UsageError: an option, argument or command that does not do, on the command line or in the environment.
    """
    try:
        yield
    except TyperException as problem:
        told = " ".join(problem.format_message().split())
        if problem.exit_code != _EXIT_USAGE or told.startswith("Usage:"):  # the help, where no command is named
            raise
        context = getattr(problem, "ctx", None)
        command = context.command_path if context else "mampctl"
        raise UsageError(_variable_prefix(problem) + told, remedy=f"See {command} --help.") from None


def _variable_prefix(problem: Any) -> str:
    """Return the variable that a value came from, as the beginning of a sentence; nothing for the command line."""
    context, option = getattr(problem, "ctx", None), getattr(problem, "param", None)
    if context is None or option is None or option.envvar:  # of options with a variable of their own it is said
        return ""
    source = context.get_parameter_source(option.name)
    return f"{variable_name(_command_words(context), option)}: " if source and source.name == "DEFAULT_MAP" else ""


def _command_words(context: Any) -> tuple[str, ...]:
    return (*_command_words(context.parent), context.info_name) if context.parent else ()
