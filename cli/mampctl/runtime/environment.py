"""Environment variables that set options: MAMPCTL_COMMAND_OPTION."""

import re
import shlex
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from mamp_schemas.errors import UsageError, printable
from mamp_schemas.system import RANK_THREADS

PREFIX = "MAMPCTL"

OTHER_VARIABLES = ("MAMPCTL_DATA", "MAMPCTL_LAUNCHER", RANK_THREADS)
"""The data folder; and, in one of several processes, the process that started it, and the threads of each."""

_KUBERNETES_SERVICE = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$")

_COMPLETION_OPTIONS = ("install_completion", "show_completion")
"""Options that do one thing instead of the command, as the eager ones (--help, --version) do: they have no variable."""


class EnvironmentOption(TyperOption):
    """An option that may come from its variable; one that is given several times takes words quoted as in a shell.

    An option of one value is refused where it has several: the last one would count, the others be lost.
    """

    @property
    def _takes_one_value(self) -> bool:
        return not (self.multiple or self.count or self.is_flag)

    def add_to_parser(self, parser: Any, ctx: Any) -> None:
        """Let the parser collect every value of an option, also where it takes only one."""
        if self._takes_one_value:
            parser.add_option(obj=self, opts=self.opts, dest=self.name, action="append", nargs=self.nargs)
        else:
            super().add_to_parser(parser, ctx)

    def consume_value(self, ctx: Any, opts: Mapping[str, Any]) -> Any:
        """Return the value and where it is from.

        Raises:
            UsageError: an option of one value has several.
        """
        values = opts.get(self.name)
        if not (self._takes_one_value and values):
            return super().consume_value(ctx, opts)
        several = list(dict.fromkeys(values))
        if len(several) > 1 and not ctx.resilient_parsing:
            name = max(self.opts, key=len)
            raise UsageError(
                f"{name} has {len(several)} values: {', '.join(printable(str(value)) for value in several)}",
                remedy="It takes one value: give it once.",
            )
        return super().consume_value(ctx, {**opts, self.name: values[-1]})

    def value_from_envvar(self, ctx: Any) -> Any:
        """Return what the variable says, None where it is unset or empty.

        Raises:
            UsageError: a quote in it does not close.
        """
        text = self.resolve_envvar_value(ctx)
        if text is None:
            return None
        ctx.meta.setdefault(__name__, []).append(self.envvar)
        if not self.multiple:
            return text
        try:
            return shlex.split(text)
        except ValueError as problem:
            remedy = "Separate values by blanks; quote those that have blanks as in a shell."
            raise UsageError(f"{self.envvar}: {problem}", remedy=remedy) from None


def used_variables(context: typer.Context) -> list[str]:
    """Return the variables that options of this command came from."""
    names: list[str] = context.meta.get(__name__, [])
    return names


def bind_variables(root: TyperGroup) -> None:
    """Give every option its variable, except those that have one for all commands already."""
    for path, command in walk_commands(root):
        for option in variable_options(command):
            if option.envvar is None:
                name = "_".join((PREFIX, *path, max(option.opts, key=len).lstrip("-")))
                option.envvar = name.replace("-", "_").upper()
                option.show_envvar = False
                option.__class__ = EnvironmentOption


def walk_commands(
    command: TyperCommand | TyperGroup, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], TyperCommand | TyperGroup]]:
    """Yield a command and all below it, each with the words that call it."""
    yield path, command
    if isinstance(command, TyperGroup):
        for word, below in command.commands.items():
            if isinstance(below, TyperCommand | TyperGroup):
                yield from walk_commands(below, (*path, word))


def variable_options(command: TyperCommand | TyperGroup) -> list[TyperOption]:
    """Return the options of a command that a variable can set."""
    options = [option for option in command.params if isinstance(option, TyperOption)]
    return [option for option in options if not option.is_eager and option.name not in _COMPLETION_OPTIONS]


def unknown_variables(root: TyperGroup, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that look like ours and set no option, each with the most similar name, or an empty one.

    What Kubernetes sets in its pods for services whose names begin with `mampctl` is not meant for us.
    """
    known = {*OTHER_VARIABLES}
    known.update(str(option.envvar) for _, command in walk_commands(root) for option in variable_options(command))
    unknown = [name for name in sorted(environment) if name.startswith(f"{PREFIX}_") and name not in known]
    return {
        name: next(iter(get_close_matches(name, known, n=1, cutoff=0.8)), "")
        for name in unknown
        if not _KUBERNETES_SERVICE.search(name)
    }
