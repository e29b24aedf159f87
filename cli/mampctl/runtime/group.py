"""What all commands share: --quiet, --run-id, options from the environment, exit codes of errors and signals."""

import logging
import os
import re
import secrets
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mamp_schemas.errors import MampctlError, UsageError, exit_code
from mamp_schemas.signals import handle_sigterm
from mampctl.output.console import print_error, print_interrupted, start_timer
from mampctl.output.log import handle_log, set_log_level, set_run_id
from mampctl.runtime.distributed import REPEAT_COMMAND, is_first_rank
from mampctl.runtime.environment import list_unknown_variables, list_used_variables, read_option_values
from mampctl.runtime.errors import convert_usage_errors

logger = logging.getLogger(__name__)

QUIET, RUN_ID = "--quiet", "--run-id"
_RUN_ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


def _on_quiet(wanted: bool) -> None:
    if wanted:
        set_log_level(logging.WARNING)


def _on_run_id(run_id: str | None) -> None:
    if run_id is None:
        return
    if not _RUN_ID_PATTERN.fullmatch(run_id):
        raise UsageError(
            "--run-id (MAMPCTL_RUN_ID) takes up to 128 letters, digits and any of . _ : -, "
            "and begins with one of the former",
            remedy="Say, --run-id ntu60-seed1; without it there is an automatic one.",
        )
    set_run_id(run_id)


QuietOption = Annotated[
    bool,
    typer.Option(
        QUIET,
        envvar="MAMPCTL_QUIET",
        callback=_on_quiet,
        expose_value=False,
        help="No progress and no messages: results, warnings and errors only.",
    ),
]
RunIdOption = Annotated[
    str | None,
    typer.Option(
        RUN_ID,
        envvar="MAMPCTL_RUN_ID",
        callback=_on_run_id,
        expose_value=False,
        help="A name for this run, in each JSON line of its log and in a training's record. [default: time and chance]",
    ),
]


class MampctlGroup(TyperGroup):
    """The command at the top: gives its options to every command below, and ends them all alike."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        shared = [option for option in self.params if {QUIET, RUN_ID}.intersection(option.opts)]
        for command in _leaf_commands(self):
            command.params.extend(shared)

    def main(self, *arguments: Any, **named: Any) -> Any:
        """Run, errors that a user can meet becoming a message and an exit code.

        Each call has a log level, a run id and a timer of its own.
        """
        start_timer()
        set_run_id(f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}")
        with handle_log():
            try:
                return super().main(*arguments, default_map=_options_from_environment(self), **named)
            except MampctlError as error:
                names = list_used_variables(self, sys.argv[1:], os.environ)
                print_error(error, f"From the environment: {', '.join(names)}." if names else "")
                sys.exit(2 if isinstance(error, UsageError) else 1)

    def make_context(self, *arguments: Any, **named: Any) -> Any:
        """Read the options in front of the command."""
        with convert_usage_errors():
            return super().make_context(*arguments, **named)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an interruption is one line and an exit code, never a traceback."""
        _warn_of_unknown_variables(self)
        try:
            with handle_sigterm(), convert_usage_errors():
                return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            print_interrupted(REPEAT_COMMAND)
            raise typer.Exit(exit_code(stop)) from None


def _options_from_environment(command: TyperGroup) -> dict[str, Any]:
    try:
        return read_option_values(command, os.environ)
    except ValueError as problem:
        raise UsageError(str(problem), remedy="Quote as in a shell: words are separated by blanks.") from None


def _warn_of_unknown_variables(command: TyperGroup) -> None:
    """Say which variables do nothing: of a misspelt one a job would never tell."""
    for name, alike in list_unknown_variables(command, os.environ).items() if is_first_rank(os.environ) else ():
        logger.warning(f"{name} stands for no option{f', did you mean {alike}?' if alike else ''}")


def _leaf_commands(group: TyperGroup) -> Iterator[Any]:
    for command in group.commands.values():
        if isinstance(command, TyperGroup):
            yield from _leaf_commands(command)
        else:
            yield command
