"""Turns command-line parsing errors and missing optional packages into errors with a remedy."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typer import TyperException

from mamp_schemas.errors import MissingExtraError, UsageError
from mampctl.runtime.environment import variable_name

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


_EXTRAS = {
    "torch": "trainer",
    "safetensors": "trainer",
    "tensorboard": "trainer",
    "onnx": "export",
    "onnxruntime": "export",
    "onnxscript": "export",
    "numba": "pipeline",
    "h5py": "pipeline",
    "plotly": "report",
    "matplotlib": "report",
    "PIL": "report",
}


@contextmanager
def needed_extras() -> Iterator[None]:
    """Say which extra to install when an import inside fails for want of it.

    Raises:
        MissingExtraError: a package of an extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as problem:
        extra = _EXTRAS.get((problem.name or "").partition(".")[0])
        if extra is None:
            raise
        raise MissingExtraError(
            f"this command needs the package {problem.name}, which is not installed",
            remedy=f"Install it with: pip install 'mampctl[{extra}]'",
        ) from None
