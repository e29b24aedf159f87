"""What all commands share: --quiet, --run-id, options from the environment, exit codes of errors and signals."""

import logging
import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from typer import TyperException
from typer.core import TyperGroup

from mamp_schemas.errors import ExitCode, MampctlError, UsageError, exit_code
from mamp_schemas.signals import handle_sigterm
from mamp_schemas.system import THREADS
from mampctl.output.console import print_error, print_interrupted, start_timer
from mampctl.output.log import handle_log, set_log_level, set_run_id
from mampctl.runtime.distributed import REPEAT_COMMAND, is_first_rank
from mampctl.runtime.environment import bind_variables, unknown_variables, used_variables, walk_commands
from mampctl.runtime.errors import needed_memory

logger = logging.getLogger(__name__)

QUIET, RUN_ID, THREADS_OPTION = "--quiet", "--run-id", "--threads"
_RUN_ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


def _on_quiet(wanted: bool) -> None:
    if wanted:
        set_log_level(logging.WARNING)


def _on_run_id(run_id: str | None) -> None:
    if run_id is None:
        return
    if not _RUN_ID_PATTERN.fullmatch(run_id):
        raise UsageError(
            f"--run-id (MAMPCTL_RUN_ID) is '{run_id}', expected up to 128 letters, digits and any of . _ : - "
            "that begin with a letter or digit",
            remedy="Say, --run-id ntu60-seed1; without it the run gets an id of its own.",
        )
    set_run_id(run_id)


def _on_threads(threads: int | None) -> None:
    if threads is not None:
        os.environ[THREADS] = str(threads)  # processes that are started by this one know it, too


QuietOption = Annotated[
    bool,
    typer.Option(
        QUIET,
        envvar="MAMPCTL_QUIET",
        show_envvar=False,
        callback=_on_quiet,
        expose_value=False,
        help="Print results, warnings and errors only: no progress, no messages.",
    ),
]
RunIdOption = Annotated[
    str | None,
    typer.Option(
        RUN_ID,
        envvar="MAMPCTL_RUN_ID",
        show_envvar=False,
        callback=_on_run_id,
        expose_value=False,
        help="Run id, in every JSON line of the log and in a training's record. [default: timestamp and random suffix]",
    ),
]


ThreadsOption = Annotated[
    int | None,
    typer.Option(
        THREADS_OPTION,
        envvar=THREADS,
        show_envvar=False,
        callback=_on_threads,
        expose_value=False,
        min=1,
        max=1024,
        help="CPU threads that the network computes by. [default: OMP_NUM_THREADS; as many as cores are free]",
    ),
]


class MampctlGroup(TyperGroup):
    """The command at the top: gives its options to every command below, and turns errors into exit codes."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        shared = [option for option in self.params if {QUIET, RUN_ID, THREADS_OPTION}.intersection(option.opts)]
        for _, command in walk_commands(self):
            if not isinstance(command, TyperGroup):
                command.params.extend(shared)
        bind_variables(self)

    def main(self, *arguments: Any, **named: Any) -> Any:
        """Run; errors that a user can meet become a message and an exit code.

        Each call has a log level, a run id and a timer of its own.
        """
        start_timer()
        set_run_id(f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}")
        with handle_log(), _restored_threads():
            try:
                return super().main(*arguments, **named)
            except OSError as problem:
                # What is expected is an error of ours by now. Of the rest, the file is what a user can act on.
                if problem.filename is None:
                    raise
                print_error(
                    MampctlError(
                        f"{os.fsdecode(problem.filename)}: cannot be used: {problem.strerror}",
                        remedy="Check this path, or name another.",
                    )
                )
                sys.exit(ExitCode.FAILED)
            except MampctlError as error:
                print_error(error)
                sys.exit(ExitCode.USAGE if isinstance(error, UsageError) else ExitCode.FAILED)

    def make_context(self, *arguments: Any, **named: Any) -> Any:
        """Read the options in front of the command."""
        with _convert_usage_errors():
            return super().make_context(*arguments, **named)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an interruption is one line and an exit code, never a traceback."""
        self._warn_of_unknown_variables()
        try:
            with handle_sigterm(), _convert_usage_errors(), needed_memory():
                return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            print_interrupted(REPEAT_COMMAND)
            raise typer.Exit(exit_code(stop)) from None
        except MampctlError as error:
            if names := used_variables(ctx):
                error.remedy = f"{error.remedy} From the environment: {', '.join(names)}.".lstrip()
            raise

    def _warn_of_unknown_variables(self) -> None:
        """Warn of variables that set no option: a job would not notice a misspelt one."""
        if is_first_rank(os.environ):
            for name, similar in unknown_variables(self, os.environ).items():
                logger.warning(f"{name} sets no option{f'. Did you mean {similar}?' if similar else ''}")


@contextmanager
def _restored_threads() -> Iterator[None]:
    """Leave the variable that `--threads` sets as it was: a process may run several commands."""
    before = os.environ.get(THREADS)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(THREADS, None)
        else:
            os.environ[THREADS] = before


@contextmanager
def _convert_usage_errors() -> Iterator[None]:
    """Turn errors of the parser into ours.

    Raises:
        UsageError: an option, argument or command is not valid, on the command line or in the environment.
    """
    try:
        yield
    except TyperException as problem:
        text = " ".join(problem.format_message().split())
        if problem.exit_code != ExitCode.USAGE or text.startswith("Usage:"):  # the help, where no command is named
            raise
        context = getattr(problem, "ctx", None)
        command = context.command_path if context else "mampctl"
        raise UsageError(_variable_prefix(problem) + text, remedy=f"See {command} --help.") from None


def _variable_prefix(problem: Any) -> str:
    """Return the variable that a value came from, as the beginning of a sentence; nothing for the command line."""
    context, option = getattr(problem, "ctx", None), getattr(problem, "param", None)
    if context is None or option is None:
        return ""
    source = context.get_parameter_source(option.name)
    return f"{option.envvar}: " if source and source.name == "ENVIRONMENT" else ""
