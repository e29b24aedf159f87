"""What all commands do alike, without a word in their modules: `--quiet`, the clock, and the end by Ctrl-C."""

import signal
from collections.abc import Iterator
from contextvars import copy_context
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mamp_schemas.errors import EXIT_CODES, Interrupted
from mampctl.console import be_quiet, print_note, start_clock

QUIET = "--quiet"
INTERRUPTED = "interrupted: nothing unfinished is left under a final name; run the same command again"


def _receive_quiet(wanted: bool) -> None:
    if wanted:
        be_quiet()


QuietOption = Annotated[
    bool,
    typer.Option(
        QUIET,
        envvar="MAMPCTL_QUIET",
        callback=_receive_quiet,
        expose_value=False,
        help="No progress and no messages: results, warnings and errors only.",
    ),
]


class Root(TyperGroup):
    """The command at the top: gives its `--quiet` to every command below, and ends them all alike."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        quiet = next(option for option in self.params if QUIET in option.opts)
        for command in _leaves(self):
            command.params.append(quiet)

    def main(self, *arguments: Any, **named: Any) -> Any:
        """Run in a context of its own: how quiet one call is and when it began is not the next one's affair."""
        return copy_context().run(self._main, *arguments, **named)

    def _main(self, *arguments: Any, **named: Any) -> Any:
        start_clock()
        return super().main(*arguments, **named)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an interruption is one line and an exit code, never a traceback."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            print_note(INTERRUPTED)
            raise typer.Exit(stop.code if isinstance(stop, Interrupted) else EXIT_CODES[signal.SIGINT]) from None


def _leaves(group: TyperGroup) -> Iterator[Any]:
    for command in group.commands.values():
        if isinstance(command, TyperGroup):
            yield from _leaves(command)
        else:
            yield command
